//! Entries into an approvals file that people write: what stands there stays, comments too.

use std::collections::{BTreeSet, HashMap};

use super::Approvals;
use super::document::{self, Entry, Node, Value};
use super::draft::{DraftServer, Terms, entry, own_pattern, unique_name};
use super::read::SCHEMA;

/// Entries are written with this indent before the dash.
const INDENT: usize = 2;

/// A server that the file has an entry for already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its key.
    pub key: String,
    /// Name of the entry.
    pub name: String,
    /// Line of the entry, before the merge.
    pub line: u64,
}

/// An approvals file with entries added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The new text.
    pub text: String,
    /// Names of the entries that were added.
    pub added: Vec<String>,
    /// Servers that the file has already: those entries are left as they are.
    pub known: Vec<Known>,
    /// Keys that cannot be written as a pattern that covers nothing else.
    pub left_out: Vec<String>,
}

/// Adds an approval for each server at the end of the list `servers` of an approvals file; an empty
/// text begins a new file. Nothing else of the text changes. `file` is its name, for problems.
///
/// # Errors
/// What keeps the text from being extended: its own problems, or a list in a style that cannot be
/// extended line by line.
pub fn merge(
    text: &str,
    file: &str,
    servers: &[DraftServer],
    terms: &Terms,
) -> Result<Merged, String> {
    let begun = format!("schema: {SCHEMA}\nservers: []\n");
    let text = if text.trim().is_empty() { &begun } else { text };
    let before = parsed(text, file)?;
    let by_key: HashMap<String, (&str, u64)> = before
        .all()
        .iter()
        .map(|approval| (approval.pattern.to_string(), (approval.name.as_str(), approval.line)))
        .collect();
    let mut names: BTreeSet<String> = before.all().iter().map(|a| a.name.to_lowercase()).collect();
    let (mut keys, mut entries) = (BTreeSet::new(), String::new());
    let mut merged =
        Merged { text: String::new(), added: Vec::new(), known: Vec::new(), left_out: Vec::new() };
    for server in servers {
        let Some(key) = own_pattern(&server.key).map(|pattern| pattern.to_string()) else {
            merged.left_out.push(server.key.clone());
            continue;
        };
        if let Some((name, line)) = by_key.get(&key) {
            merged.known.push(Known { key, name: (*name).to_owned(), line: *line });
        } else if keys.insert(key.clone()) {
            let name = unique_name(server, &mut names);
            entry(&mut entries, server, &key, &name, terms);
            merged.added.push(name);
        }
    }
    merged.text = if merged.added.is_empty() { text.to_owned() } else { insert(text, &entries)? };
    let after = parsed(&merged.text, file)?;
    let kept = before.all().iter().zip(after.all()).all(|(old, new)| {
        let old = super::Approval { line: new.line, ..old.clone() };
        old == *new
    });
    if !kept || after.all().len() != before.all().len() + merged.added.len() {
        return Err(format!("{file}: cannot be extended without changing what it says; {STYLE}"));
    }
    Ok(merged)
}

/// What a file has to look like.
const STYLE: &str = "write `servers` as a list with a line of its own for each `- name: ...`";

fn parsed(text: &str, file: &str) -> Result<Approvals, String> {
    Approvals::parse(text, file)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Puts entries at the end of `servers`.
fn insert(text: &str, entries: &str) -> Result<String, String> {
    let root = document::parse(text, "").map_err(|problem| problem.to_string())?;
    let (servers, items, next) = servers(&root).ok_or_else(|| STYLE.to_owned())?;
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let index = |line: u64| usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let key_line = index(servers.at.line);
    let (at, indent) = match items.first() {
        None => {
            let line = lines.get_mut(key_line).filter(|line| line.contains("[]"));
            let line = line.ok_or_else(|| STYLE.to_owned())?;
            *line = line.replacen(" []", "", 1).replacen("[]", "", 1);
            (key_line + 1, INDENT)
        }
        Some(first) => {
            let before = lines.get(key_line + 1..=index(first.at.line)).unwrap_or_default();
            let dash = before.iter().rev().find(|line| line.trim_start().starts_with('-'));
            let dash = dash.ok_or_else(|| STYLE.to_owned())?;
            let end = next.map_or(lines.len(), index);
            // Comments above the next key belong to it.
            let own = lines.get(..end).unwrap_or_default().iter().rev();
            let gap =
                own.take_while(|line| line.trim().is_empty() || line.starts_with('#')).count();
            let end = if next.is_some() { end - gap } else { end };
            (end, dash.len() - dash.trim_start().len())
        }
    };
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if let Some(last) = at.checked_sub(1).and_then(|last| lines.get_mut(last))
        && !last.ends_with('\n')
    {
        last.push_str(ending);
    }
    let line = |line: &str| {
        format!("{}{}{ending}", " ".repeat(indent), line.get(INDENT..).unwrap_or_default())
    };
    lines.splice(at..at, entries.lines().map(line));
    Ok(lines.concat())
}

/// The entry `servers` of the root, its items, and the line of the key after it.
fn servers(root: &Node) -> Option<(&Entry, &[Node], Option<u64>)> {
    let Value::Map(entries) = &root.value else { return None };
    let servers = entries.iter().find(|entry| entry.key == "servers")?;
    let Value::List(items) = &servers.node.value else { return None };
    let later = entries.iter().map(|entry| entry.at.line).filter(|line| *line > servers.at.line);
    Some((servers, items, later.min()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Evidence;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn server(key: &str) -> DraftServer {
        DraftServer {
            key: key.to_owned(),
            name: Some("tracker".to_owned()),
            evidence: Evidence::Confirmed,
            addresses: vec!["192.0.2.9".parse().unwrap()],
            clients: vec!["10.1.2.3".parse().unwrap()],
            tools: vec!["search".to_owned()],
            first_seen: Timestamp::from_parts(1_795_334_400, 0),
            last_seen: Timestamp::from_parts(1_795_338_000, 0),
        }
    }

    fn terms() -> Terms {
        Terms {
            owner: "team \"a\"".to_owned(),
            expires: "2027-02-20".parse().unwrap(),
            approved: Some(("ada".to_owned(), "2026-11-22".parse().unwrap())),
        }
    }

    const NEW: &str = r#"# seen 2026-11-22T08:00:00.000000Z to 2026-11-22T09:00:00.000000Z: requests and matching answers
- name: "tracker"
  key: "https://b.example:443/mcp"
  owner: "team \"a\""
  approved: {by: "ada", on: 2026-11-22}
  expires: 2027-02-20
  # everybody may use it; seen:
  # clients: ["10.1.2.3"]
  # any address may answer; seen:
  # addresses: ["192.0.2.9"]
  # every tool may be called; called:
  # tools: {allow: ["search"]}
"#;

    fn indented(by: usize) -> String {
        NEW.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
    }

    fn merged(text: &str) -> Merged {
        merge(text, "a.yaml", &[server("https://b.example/mcp")], &terms()).unwrap()
    }

    #[test]
    fn an_empty_text_begins_a_file() {
        let want = format!("schema: shadowtap/approvals@1\nservers:\n{}", indented(2));
        assert_eq!(merged("").text, want);
        assert_eq!(merged("\n").text, want);
        assert_eq!(merged("schema: shadowtap/approvals@1\nservers: []\n").text, want);
    }

    #[test]
    fn what_stands_there_stays() {
        const ITEM: &str =
            "name: A # mine\n    key: https://a.example/\n    owner: o\n    expires: 2027-01-01\n";
        let head = "# ours\nschema: shadowtap/approvals@1 # x\n\n";
        for (text, want) in [
            (
                format!("{head}servers:\n  - {ITEM}"),
                format!("{head}servers:\n  - {ITEM}{}", indented(2)),
            ),
            (
                format!("{head}servers: # all\n  - {ITEM}  # the end\n"),
                format!("{head}servers: # all\n  - {ITEM}  # the end\n{}", indented(2)),
            ),
            (
                format!("{head}servers:\n  - {ITEM}\n# addresses of ours\nportals: [10.0.0.1]\n"),
                format!(
                    "{head}servers:\n  - {ITEM}{}\n# addresses of ours\nportals: [10.0.0.1]\n",
                    indented(2)
                ),
            ),
            (
                format!("{head}servers:\n  -\n    {ITEM}"),
                format!("{head}servers:\n  -\n    {ITEM}{}", indented(2)),
            ),
            (
                format!("{head}servers:\n- {}", ITEM.replace("    ", "  ")),
                format!("{head}servers:\n- {}{}", ITEM.replace("    ", "  "), indented(0)),
            ),
            (
                format!("{head}servers: []  # none\nportals: []\n"),
                format!("{head}servers:  # none\n{}portals: []\n", indented(2)),
            ),
            (
                format!("{head}servers:\n  - {ITEM}").trim_end().to_owned(),
                format!("{head}servers:\n  - {ITEM}{}", indented(2)),
            ),
        ] {
            assert_eq!(merged(&text).text, want, "{text}");
        }
        let dos = format!("{head}servers:\n  - {ITEM}").replace('\n', "\r\n");
        assert_eq!(merged(&dos).text, dos.clone() + &indented(2).replace('\n', "\r\n"));
    }

    #[test]
    fn names_and_keys_that_are_taken_are_not_taken_twice() {
        let text = "schema: shadowtap/approvals@1\nservers:\n  - {name: Tracker, key: https://a.example/x, owner: o, expires: 2027-01-01}\n";
        let servers = [
            server("https://A.example/x"),
            server("https://b.example/x"),
            server("https://b.example:443/x"),
            server("https://b.example:443/**"),
        ];
        let merged = merge(text, "a.yaml", &servers, &terms()).unwrap();
        assert_eq!(merged.added, ["tracker 2"]);
        let key = "https://a.example:443/x".to_owned();
        assert_eq!(merged.known, [Known { key, name: "Tracker".to_owned(), line: 3 }]);
        assert_eq!(merged.left_out, ["https://b.example:443/**"]);
        assert!(merged.text.starts_with(text));
        let nothing = merge(text, "a.yaml", &servers[..1], &terms()).unwrap();
        assert_eq!((nothing.text.as_str(), nothing.added.len()), (text, 0));
    }

    #[test]
    fn a_file_that_cannot_be_extended_is_refused_with_a_reason() {
        for (text, want) in [
            ("servers: []\n", "`schema` is missing"),
            (
                "schema: shadowtap/approvals@1\nservers: [{name: a, key: https://a.example/, owner: o, expires: 2027-01-01}]\n",
                "a line of its own",
            ),
            ("{schema: shadowtap/approvals@1, servers: [\n]}\n", "a line of its own"),
        ] {
            let error = merge(text, "a.yaml", &[server("https://b.example/mcp")], &terms());
            let error = error.unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_server_and_owner_gives_a_file_that_parses(
            name in ".{0,40}",
            owner in ".{1,20}",
            path in "[ -~]{0,20}",
            twice in any::<bool>(),
        ) {
            let server = DraftServer { name: Some(name), ..server(&format!("https://a.example/{path}")) };
            let terms = Terms { owner, ..terms() };
            if let Ok(first) = merge("", "x", std::slice::from_ref(&server), &terms) {
                prop_assert!(Approvals::parse(&first.text, "x").is_ok());
                if twice {
                    let again = merge(&first.text, "x", &[server], &terms).unwrap();
                    prop_assert_eq!(again.text, first.text);
                    prop_assert!(again.added.is_empty());
                }
            }
        }
    }
}
