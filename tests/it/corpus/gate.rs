//! Benign traffic gives no finding in the lanes `alert` and `enforce`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::kit::Capture;
use super::lookalikes::Scene;
use super::{documents, honest, lookalikes};
use crate::run::{Run, root, run};

/// What an input is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    RecordedOther,
    RecordedMcp,
    Lookalikes,
    Documents,
    Honest,
}

impl Group {
    pub const ALL: [Self; 5] =
        [Self::RecordedOther, Self::RecordedMcp, Self::Lookalikes, Self::Documents, Self::Honest];

    pub const fn title(self) -> &'static str {
        match self {
            Self::RecordedOther => "recorded traffic of other protocols",
            Self::RecordedMcp => "recorded MCP, its servers approved",
            Self::Lookalikes => "made-up look-alikes of MCP",
            Self::Documents => "this repository's documents and rules as pages and prompts",
            Self::Honest => "made-up ordinary MCP, its servers approved",
        }
    }

    const fn is_mcp(self) -> bool {
        matches!(self, Self::RecordedMcp | Self::Honest)
    }
}

#[derive(Debug)]
enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// A capture, and what it is.
#[derive(Debug)]
struct Input {
    name: String,
    group: Group,
    content: Content,
    keylog: Option<PathBuf>,
    /// Part of the repository.
    shipped: bool,
}

/// A finding in a lane that alerts, or that hunts.
#[derive(Clone, Debug)]
pub struct Found {
    pub rule: String,
    pub lane: String,
    line: String,
}

/// What the program said of an input.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    pub group: Group,
    pub shipped: bool,
    pub flows: u64,
    pub messages: u64,
    exchanges: u64,
    /// Keys and verdicts.
    servers: Vec<(String, String)>,
    /// Addresses of these servers.
    pub endpoints: Vec<String>,
    pub findings: Vec<Found>,
}

/// What is found in benign traffic and is right: inputs by the beginning of their names, rule, and
/// why it is no false alarm. Nothing else may be here: the made-up inputs need none of it.
pub const TRUE: &[(&str, &str, &str)] = &[
    ("", "SMCP-6001", "the servers of the lab ask for no credential"),
    ("", "SMCP-6003", "the lab speaks HTTP without TLS"),
    ("o", "SMCP-6002", "the lab sends its bearer tokens without TLS"),
];

/// Captures that are not ordinary traffic, and why.
const EXTRAORDINARY: &[(&str, &str)] = &[
    ("conf-", "a conformance suite attacks its server on purpose"),
    ("oauth-conformance", "the same"),
    ("imp-corrupt-bytes", "its bytes are wrong"),
];

/// How a finding is excused.
pub fn is_true(outcome: &Outcome, found: &Found) -> bool {
    outcome.group == Group::RecordedMcp
        && TRUE
            .iter()
            .any(|(prefix, rule, _)| outcome.name.starts_with(prefix) && found.rule == *rule)
}

fn recorded(folder: &Path, shipped: bool, into: &mut Vec<Input>) {
    let mut paths = Vec::new();
    documents::files(folder, &mut paths);
    paths.sort();
    for path in paths {
        if !path.extension().is_some_and(|end| end == "pcap" || end == "pcapng") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if EXTRAORDINARY.iter().any(|(prefix, _)| name.starts_with(prefix)) {
            continue;
        }
        let label = std::fs::read(path.with_extension("json"))
            .map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        let is_other = label["mcp"] == false || label["mcp"] == "attempt-only";
        let group = if is_other { Group::RecordedOther } else { Group::RecordedMcp };
        let keylog = label["keylog"].as_str().map(|name| folder.join(name));
        into.push(Input { name, group, content: Content::File(path), keylog, shipped });
    }
}

/// Gives scenes addresses of their own, and makes a capture of them.
fn staged(mut scenes: Vec<Scene>, network: u8) -> (Vec<u8>, Vec<&'static str>) {
    let mut names = Vec::new();
    for (number, scene) in (1..).zip(&mut scenes) {
        scene.talk.server.set_ip([10, 60, network, number].into());
        scene.talk.client.set_ip([10, 61, network, number].into());
        scene.talk.start = i64::from(number) * 1_000_000;
        names.push(scene.name);
    }
    (Capture::of(scenes.iter().map(|scene| &scene.talk)).bytes(), names)
}

/// The captures that are made here: name, group, bytes, and what each network `10.60.n.m` or
/// `10.62.0.m` holds.
pub fn made_up() -> Vec<(&'static str, Group, Vec<u8>, Vec<&'static str>)> {
    let (look, look_names) = staged(lookalikes::scenes(), 0);
    let (docs, docs_names) = staged(documents::scenes(), 1);
    let stories = honest::stories();
    let mut capture = Capture::default();
    for (connection, keylog) in stories.iter().flat_map(|story| &story.connections) {
        capture.add(connection);
        capture.keys(keylog);
    }
    let names = stories.iter().map(|story| story.name).collect();
    vec![
        ("look-alikes", Group::Lookalikes, look, look_names),
        ("documents", Group::Documents, docs, docs_names),
        ("honest", Group::Honest, capture.bytes(), names),
    ]
}

fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    recorded(&root().join("captures"), true, &mut inputs);
    let own: BTreeSet<String> = inputs.iter().map(|input| input.name.clone()).collect();
    if let Some(folder) = std::env::var_os("SHADOWTAP_CAPTURES") {
        let mut more = Vec::new();
        recorded(&root().join(folder), false, &mut more);
        inputs.extend(more.into_iter().filter(|input| !own.contains(&input.name)));
    }
    for (name, group, bytes, _) in made_up() {
        let (name, content) = (name.to_owned(), Content::Bytes(bytes));
        inputs.push(Input { name, group, content, keylog: None, shipped: true });
    }
    inputs
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Approvals of all that the capture shows, as somebody gets them who answers for all of it.
fn approvals(capture: &Path, keylog: &[&str]) -> String {
    if keylog.is_empty() {
        let draft = run(&["approvals", "draft", str(capture)]);
        assert!(matches!(draft.code, 0 | 3), "{}", draft.stderr);
        return draft.stdout.replace("CHANGE-ME", "corpus");
    }
    // A draft takes no key log.
    let seen = run(&[&["replay", str(capture), "--json", "--no-files"], keylog].concat());
    let mut text = "schema: shadowtap/approvals@1\nservers:\n".to_owned();
    for (number, server) in seen.of_type("server").iter().enumerate() {
        let key = server["server"]["key"].as_str().unwrap();
        text += &format!(
            "  - {{name: s{number}, key: \"{key}\", owner: corpus, expires: 2027-01-01}}\n"
        );
    }
    text
}

fn look(input: &Input) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = match &input.content {
        Content::File(path) => path.clone(),
        Content::Bytes(bytes) => {
            let path = folder.path().join(format!("{}.pcapng", input.name));
            std::fs::write(&path, bytes).unwrap();
            path
        }
    };
    let keylog: Vec<_> = input.keylog.iter().flat_map(|file| ["--keylog", str(file)]).collect();
    let mut args = vec!["replay", str(&path), "--json", "--no-files", "--threads", "1"];
    args.extend(&keylog);
    let approved = folder.path().join("approved.yaml");
    if input.group.is_mcp() {
        std::fs::write(&approved, approvals(&path, &keylog)).unwrap();
        args.extend(["--approvals", str(&approved)]);
    }
    let run = run(&args);
    assert!(matches!(run.code, 0 | 1 | 3), "{}: {}", input.name, run.stderr);
    outcome(input, &run)
}

fn outcome(input: &Input, run: &Run) -> Outcome {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = |event: &Value| {
        let (rule, lane) = (text(&event["rule"]["id"]), text(&event["rule"]["lane"]));
        let line = format!(
            "{rule} ({lane}, {}) on {} of {}, packet {}: {} {}",
            text(&event["event"]["severity_name"]),
            text(&event["server"]["key"]),
            text(&event["destination"]["ip"]),
            event["packets"][0]["number"],
            text(&event["message"]),
            event["excerpt"]
        );
        Found { rule, lane, line }
    };
    let events = run.events();
    let of = |kind: &'static str| events.iter().filter(move |event| event["event_type"] == kind);
    let stats = of("stats").next().unwrap_or_else(|| panic!("{}: no stats", input.name));
    let number = |value: &Value| value.as_u64().unwrap();
    let server = |event: &Value| (text(&event["server"]["key"]), text(&event["verdict"]));
    let mcp = || of("server").filter(|event| event["mcp"] == true);
    Outcome {
        name: input.name.clone(),
        group: input.group,
        shipped: input.shipped,
        flows: number(&stats["coverage"]["flows"]),
        messages: number(&stats["counters"]["mcp.messages"]),
        exchanges: number(&stats["counters"]["app.exchanges"]),
        servers: mcp().map(server).collect(),
        endpoints: mcp()
            .flat_map(|event| event["server"]["endpoints"].as_array().unwrap())
            .map(text)
            .collect(),
        findings: of("finding").map(found).collect(),
    }
}

/// Every input and what the program says of it.
pub static OUTCOMES: LazyLock<Vec<Outcome>> = LazyLock::new(|| {
    let inputs = inputs();
    let next = AtomicUsize::new(0);
    let work = || -> Vec<Outcome> {
        let mine = std::iter::from_fn(|| inputs.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.map(look).collect()
    };
    let mut outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    outcomes.sort_by(|a, b| (a.group, &a.name).cmp(&(b.group, &b.name)));
    outcomes
});

#[test]
fn benign_traffic_gives_no_finding_that_alerts() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for outcome in OUTCOMES.iter() {
        for found in outcome.findings.iter().filter(|found| found.lane != "hunt") {
            if is_true(outcome, found) {
                used.insert(found.rule.clone());
            } else {
                wrong.push(format!("{}: {}", outcome.name, found.line));
            }
        }
    }
    let scenes: String = made_up()
        .iter()
        .map(|(name, _, _, parts)| {
            format!("{name}: {:?}\n", (1..).zip(parts).collect::<Vec<(u8, _)>>())
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} false alarms:\n{}\n\nServers of made-up captures end in these numbers:\n{scenes}",
        wrong.len(),
        wrong.join("\n")
    );
    let idle = TRUE.iter().filter(|(_, rule, _)| !used.contains(*rule));
    assert_eq!(idle.collect::<Vec<_>>(), Vec::<&(&str, &str, &str)>::new(), "excuses nothing");
}

#[test]
fn benign_traffic_is_read() {
    let mut seen: BTreeMap<Group, usize> = BTreeMap::new();
    for outcome in OUTCOMES.iter() {
        *seen.entry(outcome.group).or_default() += 1;
        match outcome.group {
            Group::RecordedOther => {
                assert_eq!(outcome.servers, [], "{}", outcome.name);
            }
            Group::Lookalikes => {
                assert_eq!(outcome.servers, [], "{}", outcome.name);
                assert_eq!(outcome.flows, lookalikes::scenes().len() as u64);
                assert!(outcome.exchanges > 30, "{}", outcome.exchanges);
            }
            Group::Documents => {
                assert_eq!(outcome.servers, [], "{}", outcome.name);
                let pages = documents::documents().len() * documents::scenes().len();
                assert_eq!(outcome.exchanges, pages as u64);
            }
            Group::Honest => {
                assert_eq!(outcome.servers.len(), honest::stories().len());
                assert!(outcome.messages > 200, "{}", outcome.messages);
            }
            Group::RecordedMcp => {}
        }
        let shadow = outcome.servers.iter().filter(|(_, verdict)| verdict != "approved");
        assert_eq!(shadow.collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "{}", outcome.name);
    }
    assert_eq!(seen.len(), Group::ALL.len());
    assert!(seen[&Group::RecordedOther] > 7 && seen[&Group::RecordedMcp] > 40, "{seen:?}");
}
