//! MCP's official conformance suite, direct and through the portal. `deploy/portal/CONFORMANCE.md` is
//! the table of the results; `BLESS=1` rewrites its column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::world::{
    Portal, Sdk, Server, Upstream, Way, have_programs, node, node_folder, portal_file,
};
use crate::run::root;

/// Revisions whose requirements the suite has.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
const TABLE: &str = "deploy/portal/CONFORMANCE.md";
/// What the servers of the tests do not have: an extension that is not scored.
const LEFT_OUT: &str = "tasks-";

/// Checks that passed and failed, by revision and scenario.
type Results = BTreeMap<(String, String), (u32, u32)>;

fn suite(package: &str) -> Command {
    let mut command = node();
    command.arg(node_folder().join("node_modules").join(package).join("dist/index.js"));
    command
}

/// Lines of the summary: `✓ name: 3 passed, 0 failed`.
fn read(revision: &str, said: &str, results: &mut Results) {
    let (_, summary) = said.split_once("=== SUMMARY ===").unwrap_or_else(|| panic!("{said}"));
    for line in summary.lines() {
        let Some((name, counts)) = line.split_once(": ") else { continue };
        let Some(name) = name.strip_prefix("✓ ").or_else(|| name.strip_prefix("✗ ")) else {
            continue;
        };
        let mut numbers = counts.split(' ').filter_map(|word| word.parse::<u32>().ok());
        let counts = (numbers.next().unwrap(), numbers.next().unwrap());
        results.insert((revision.to_owned(), name.to_owned()), counts);
    }
}

/// What the suite finds at an address, all revisions.
fn examine(url: &str) -> Results {
    let folder = tempfile::tempdir().unwrap();
    let mut results = Results::new();
    for revision in REVISIONS {
        let mut command = suite("@modelcontextprotocol/conformance");
        command.args(["server", "--url", url, "--requirements", revision, "-o"]);
        let output = command.arg(folder.path().join(revision)).output().unwrap();
        read(revision, &String::from_utf8_lossy(&output.stdout), &mut results);
    }
    // The suite that is released: what it calls active, of the revisions before the last.
    let mut command = suite("conformance-released");
    command.args(["server", "--url", url, "-o"]);
    let output = command.arg(folder.path().join("released")).output().unwrap();
    read("released", &String::from_utf8_lossy(&output.stdout), &mut results);
    results
}

/// What the suite finds of a client: how many checks passed and failed, and how many it warns of.
type OfClient = BTreeMap<(String, String), (u32, u32, u32)>;

/// Scenarios for clients that a revision requires, and those that came behind it. Extensions are
/// not among them.
fn client_scenarios(revision: &str) -> Vec<String> {
    let output = suite("@modelcontextprotocol/conformance")
        .args(["list", "--requirements", revision])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, of_clients) = said.split_once("Client scenarios").unwrap();
    let (required, rest) = of_clients.split_once("never scored").unwrap();
    let required = required.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let (_, later) = rest.split_once("added-after-release").unwrap_or_default();
    let later = later.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let later = later.filter_map(|name| name.strip_suffix(" [client]"));
    required.chain(later).map(str::to_owned).collect()
}

/// The driver as the client of one scenario, or the portal that is put behind it.
fn examine_client_in(revision: &str, scenario: &str, through: Option<&Path>) -> (u32, u32, u32) {
    let driver = root().join("tests/portal/clients/scenario.mjs");
    let command = format!("{} {}", node_folder().join("node").display(), driver.display());
    let mut suite = suite("@modelcontextprotocol/conformance");
    suite.args(["client", "--command", &command, "--scenario", scenario]);
    suite.args(["--spec-version", revision]);
    // Node that the suite starts is to stay on loopback too.
    let preload = format!("--require {}", node_folder().join("loopback.cjs").display());
    suite.env("NODE_OPTIONS", preload);
    if let Some(folder) = through {
        let file = match scenario {
            "auth/pre-registration" => "by-hand.yaml",
            _ if scenario.starts_with("auth/") => "persons.yaml",
            _ => "open.yaml",
        };
        suite.env("SHADOWTAP_PORTAL", env!("CARGO_BIN_EXE_shadowtap"));
        suite.env("SHADOWTAP_PORTAL_FILE", folder.join(file));
    }
    let output = suite.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // `Passed: 4/6, 2 failed, 1 warnings`
    let counts = said.lines().find_map(|line| line.strip_prefix("Passed: "));
    let counts = counts.unwrap_or_else(|| panic!("{revision} {scenario}: {said}"));
    let mut numbers = counts.split(['/', ' ', ',']).filter_map(|word| word.parse().ok());
    let (passed, of, failed) =
        (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap());
    let warned = numbers.next().unwrap();
    // Nothing seen is nothing passed; and a client that ends badly has not passed.
    let is_broken = ["CLIENT TIMED OUT", "CLIENT EXITED WITH ERROR"];
    let is_broken = is_broken.iter().any(|what| said.contains(what));
    let failed = if failed == 0 && (of == 0 || is_broken) { 1 } else { failed };
    (passed, failed, warned)
}

/// All scenarios that `wanted` says, two at a time: they mostly wait.
fn examine_client(through: Option<&Path>, wanted: fn(&str) -> bool) -> OfClient {
    let all: Vec<(String, String)> = REVISIONS
        .into_iter()
        .flat_map(|of| client_scenarios(of).into_iter().map(move |name| (of.to_owned(), name)))
        .filter(|(_, name)| wanted(name))
        .collect();
    assert!(all.len() > 10, "{all:?}");
    let (next, results) = (Mutex::new(all.into_iter()), Mutex::new(OfClient::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(one) = next.lock().unwrap().next() else { return };
                    let found = examine_client_in(&one.0, &one.1, through);
                    results.lock().unwrap().insert(one, found);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

/// Scenarios that the driver, which has no user who agrees, plays by itself.
fn is_without_authorization(scenario: &str) -> bool {
    !scenario.starts_with("auth/")
}

/// What the suite warns of by the nature of the portal, and why. Nothing else may be warned of, and
/// nothing may fail.
const WARNED: [(&str, &str); 1] = [(
    "auth/basic-cimd",
    "the portal's metadata document is its own, by https only; on loopback it registers itself",
)];

fn client_table(direct: &OfClient, through: &OfClient) -> String {
    let mut text = "\n## The portal as a client\n\nScenarios for clients: checks that passed, failed, and \
         are warned of, for the driver of\n`tests/portal/clients` direct and for the portal between \
         it and the suite. Where there is an\nauthorization server, a person agrees on the portal's \
         page; the driver alone has nobody who could.\n\n\
         | revision | scenario | direct | the portal | why |\n|---|---|---|---|---|\n"
        .to_owned();
    let cell = |counts: Option<&(u32, u32, u32)>| {
        counts.map_or_else(
            || "–".to_owned(),
            |(ok, failed, warned)| format!("{ok} / {failed} / {warned}"),
        )
    };
    for (scenario, counts) in through {
        let (revision, name) = scenario;
        let why = WARNED.iter().find(|(of, _)| of == name).map_or("", |(_, why)| why);
        let (direct, portal) = (cell(direct.get(scenario)), cell(Some(counts)));
        writeln!(text, "| {revision} | {name} | {direct} | {portal} | {why} |").unwrap();
    }
    text
}

#[test]
fn the_driver_of_the_scenarios_for_clients_passes_them() {
    if !have_programs() {
        return;
    }
    let mut results = examine_client(None, is_without_authorization);
    results.retain(|_, (_, failed, warned)| *failed > 0 || *warned > 0);
    assert!(results.is_empty(), "{results:?}");
}

#[test]
fn the_portal_passes_the_scenarios_for_clients() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (file, upstream) in [
        ("open.yaml", Upstream::Url("URL")),
        ("persons.yaml", Upstream::Persons("URL", None)),
        ("by-hand.yaml", Upstream::Persons("URL", Some(("CLIENT_ID", "ISSUER")))),
    ] {
        // The driver fills in the port and the addresses.
        let text = portal_file(0, "session-keys", &[("suite", upstream)]);
        let text = text.replace("127.0.0.1:0", "127.0.0.1:PORT");
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let direct = examine_client(None, is_without_authorization);
    let through = examine_client(Some(folder.path()), |_| true);
    let table = client_table(&direct, &through);
    bless(|kept| kept.set_clients(&table));
    let failed: Vec<_> = through.iter().filter(|(_, (_, failed, _))| *failed > 0).collect();
    assert!(failed.is_empty(), "{failed:?}\n{table}");
    let warned: BTreeSet<&str> =
        through.iter().filter(|(_, counts)| counts.2 > 0).map(|((_, name), _)| &**name).collect();
    assert_eq!(warned, WARNED.iter().map(|(name, _)| *name).collect(), "{table}");
}

/// The two parts of the file, each written by its test.
struct Kept {
    servers: String,
    clients: String,
}

impl Kept {
    fn set_servers(&mut self, table: &str) {
        table.clone_into(&mut self.servers);
    }

    fn set_clients(&mut self, table: &str) {
        table.clone_into(&mut self.clients);
    }
}

/// Writes one part of the file, if that is wanted.
fn bless(change: impl FnOnce(&mut Kept)) {
    static ONLY: Mutex<()> = Mutex::new(());
    if std::env::var_os("BLESS").is_none() {
        return;
    }
    let _only = ONLY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = root().join(TABLE);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let at = text.find("\n## The portal as a client").unwrap_or(text.len());
    let mut kept = Kept { servers: text[..at].to_owned(), clients: text[at..].to_owned() };
    change(&mut kept);
    std::fs::write(&path, kept.servers + &kept.clients).unwrap();
}

fn fixture(folder: &Path) -> Server {
    Sdk::Ts2.serve(folder, Way::Http)
}

fn failing(results: &Results) -> BTreeSet<&(String, String)> {
    results.iter().filter(|(_, (_, failed))| *failed > 0).map(|(scenario, _)| scenario).collect()
}

/// Scenarios in which fewer checks come up through the portal, and why. Those that do pass.
const FEWER: [(&str, &str); 2] = [
    ("server-sse-multiple-streams", "a list is one answer here: there are no streams to check"),
    ("server-sse-polling", "the portal resumes the server's stream itself: its own goes on"),
];

/// The table, with the columns that there are.
fn table(direct: &Results, through: Option<&Results>) -> String {
    let mut text = "# Conformance\n\nChecks that passed and failed in MCP's official conformance suite, against \
         the servers of\n`tests/portal/servers` direct and through the portal's route of one server. \
         Written by the\ntests (`BLESS=1 cargo test --test it portal::conformance`). No scenario passes \
         direct and fails\nthrough the portal. \
         Scenarios `tasks-*` are of an\nextension that the servers do not have. `released` is the \
         suite 0.1.16, the others are 0.2.0-alpha.12.\n\n\
         | revision | scenario | direct | through the portal | why |\n|---|---|---|---|---|\n"
        .to_owned();
    let cell = |counts: Option<&(u32, u32)>| {
        counts.map_or_else(|| "–".to_owned(), |(ok, failed)| format!("{ok} / {failed}"))
    };
    for (scenario, counts) in direct {
        let other = through.and_then(|through| through.get(scenario));
        let (revision, name) = scenario;
        let (direct, through) = (cell(Some(counts)), cell(other));
        let is_less = other.is_some_and(|other| other.0 < counts.0);
        let why = FEWER.iter().find(|(of, _)| is_less && of == name).map_or("", |(_, why)| why);
        writeln!(text, "| {revision} | {name} | {direct} | {through} | {why} |").unwrap();
    }
    text
}

#[test]
fn a_summary_is_read() {
    let mut results = Results::new();
    let said = "noise\n=== SUMMARY ===\n✓ ping: 2 passed, 0 failed\n✗ x-y: 1 passed, 3 failed\n\n\
                Total: 3 passed, 3 failed\n\nNot scored: 1 scenario(s)\n  ✗ x-y (extension)\n";
    read("r", said, &mut results);
    let key = |name: &str| ("r".to_owned(), name.to_owned());
    assert_eq!(results, [(key("ping"), (2, 0)), (key("x-y"), (1, 3))].into());
    assert_eq!(failing(&results), [&key("x-y")].into());
    assert!(table(&results, None).ends_with("| r | x-y | 1 / 3 | – |  |\n"));
}

#[test]
fn the_servers_of_the_tests_conform() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = fixture(folder.path());
    let results = examine(&server.url);
    assert!(results.len() > 90, "{}", results.len());
    let failing: Vec<_> =
        failing(&results).into_iter().filter(|(_, name)| !name.starts_with(LEFT_OUT)).collect();
    assert!(failing.is_empty(), "{failing:?}");
}

#[test]
fn no_scenario_passes_direct_and_fails_through_the_portal() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = fixture(folder.path());
    let direct = examine(&server.url);
    let portal = Portal::start(folder.path(), &[("fixture", Upstream::Url(&server.url))]);
    let through = examine(&portal.route("fixture"));
    let table = table(&direct, Some(&through));
    bless(|kept| kept.set_servers(&table));
    // What fails in part direct may not fail in more.
    let none = (0, 0);
    let direct_of = |scenario| direct.get(scenario).unwrap_or(&none);
    let worse: Vec<_> = through
        .iter()
        .filter(|(scenario, (_, failed))| *failed > direct_of(*scenario).1)
        .map(|(scenario, _)| scenario)
        .collect();
    assert!(worse.is_empty(), "{worse:?}\n{table}");
    let fewer: BTreeSet<&str> = through
        .iter()
        .filter(|(scenario, (passed, _))| *passed < direct_of(*scenario).0)
        .map(|((_, name), _)| &**name)
        .collect();
    assert_eq!(fewer, FEWER.iter().map(|(name, _)| *name).collect(), "{table}");
    let absent: Vec<_> = direct.keys().filter(|scenario| !through.contains_key(scenario)).collect();
    assert!(absent.is_empty(), "{absent:?}");
}
