//! A draft of `approvals.yaml` from what the capture shows, for somebody to review.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::civil::Date;

use super::approvals::{NO_OWNER, day_of};
use super::pattern::KeyPattern;
use super::read::SCHEMA;
use super::yaml::{comment, printable, quoted};
use crate::mcp::Evidence;
use crate::time::Timestamp;

/// A drafted approval ends so many days after the server was last seen.
const DRAFT_DAYS: i32 = 90;
/// So many clients and tools are written out per server.
const MAX_LISTED: usize = 64;

/// A server that was seen.
#[derive(Clone, Debug)]
pub struct DraftServer {
    /// Its key, `scheme://host:port/path`.
    pub key: String,
    /// What it calls itself; becomes the name of the approval.
    pub name: Option<String>,
    /// Best evidence that it speaks MCP.
    pub evidence: Evidence,
    /// Addresses that answered.
    pub addresses: Vec<IpAddr>,
    /// Clients that used it.
    pub clients: Vec<IpAddr>,
    /// Tools that were called.
    pub tools: Vec<String>,
    /// First time.
    pub first_seen: Timestamp,
    /// Last time.
    pub last_seen: Timestamp,
}

/// Writes an approvals file with an entry for each server that ends 90 days after it was last
/// seen. It parses as it is, but approves nothing yet: owners are [`NO_OWNER`]. Clients and tools stand in comments, ready to be
/// uncommented. Servers without proof of MCP, or with a key that no pattern can name, are listed
/// in comments only.
#[must_use]
pub fn draft(servers: &[DraftServer]) -> String {
    let mut text = format!(
        "# Drafted from traffic: these servers were used, which is not a reason to approve them.\n\
         # Review each entry, delete what nobody answers for, and put an owner to the rest.\n\
         schema: {SCHEMA}\n"
    );
    let (mut keys, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut left_out = Vec::new();
    let mut entries = String::new();
    for server in servers {
        match own_pattern(&server.key) {
            _ if server.evidence < Evidence::Parsed => {
                left_out.push((server, "only hints of MCP were seen"));
            }
            None => left_out.push((server, "its key cannot be written as a pattern")),
            Some(pattern) if keys.insert(pattern.to_string()) => {
                let name = unique_name(server, &mut names);
                entry(&mut entries, server, &pattern.to_string(), &name, &Terms::draft(server));
            }
            Some(_) => {}
        }
    }
    text.push_str(if entries.is_empty() { "servers: []\n" } else { "servers:\n" });
    text.push_str(&entries);
    for (server, why) in left_out {
        _ = writeln!(text, "# left out, {why}: {}", comment(&server.key));
    }
    text
}

/// The entry of one server alone, as [`draft`] writes it, to be added to an approvals file; `None`
/// when its key cannot be written as a pattern that covers nothing else.
#[must_use]
pub fn draft_entry(server: &DraftServer) -> Option<String> {
    let mut text = String::new();
    let key = own_pattern(&server.key)?.to_string();
    let name = unique_name(server, &mut BTreeSet::new());
    entry(&mut text, server, &key, &name, &Terms::draft(server));
    Some(text)
}

/// The key as a pattern that is exact in host and path: a path on the wire may look like a
/// wildcard, and a key without a path would cover the whole origin.
pub(super) fn own_pattern(key: &str) -> Option<KeyPattern> {
    KeyPattern::parse(key).ok().filter(|pattern| !key.contains('*') && pattern.is_exact())
}

/// The day on which what is drafted from traffic of a moment ends: 90 days later.
#[must_use]
pub fn draft_expiry(seen: Timestamp) -> Date {
    day_of(seen)
        .and_then(|day| day.checked_add(jiff::Span::new().days(DRAFT_DAYS)).ok())
        .unwrap_or(Date::MAX)
}

/// Who answers for a server, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The owner.
    pub owner: String,
    /// Last day of the approval.
    pub expires: Date,
    /// Who approved it and on which day, if somebody did.
    pub approved: Option<(String, Date)>,
}

impl Terms {
    /// Those of a draft: nobody, for 90 days from when the server was last seen.
    fn draft(server: &DraftServer) -> Self {
        let expires = draft_expiry(server.last_seen);
        Self { owner: NO_OWNER.to_owned(), expires, approved: None }
    }
}

pub(super) fn entry(text: &mut String, server: &DraftServer, key: &str, name: &str, terms: &Terms) {
    let Terms { owner, expires, approved } = terms;
    let owner = if owner == NO_OWNER { owner.clone() } else { quoted(owner) };
    let evidence = match server.evidence {
        Evidence::Confirmed => "requests and matching answers",
        _ => "requests without matching answers",
    };
    _ = writeln!(text, "  # seen {} to {}: {evidence}", server.first_seen, server.last_seen);
    _ = writeln!(text, "  - name: {}", quoted(name));
    _ = writeln!(text, "    key: {}", quoted(key));
    _ = writeln!(text, "    owner: {owner}");
    if let Some((by, on)) = approved {
        _ = writeln!(text, "    approved: {{by: {}, on: {on}}}", quoted(by));
    }
    _ = writeln!(text, "    expires: {expires}");
    addresses(text, "clients", "everybody may use it; seen", &server.clients);
    addresses(text, "addresses", "any address may answer; seen", &server.addresses);
    if server.tools.is_empty() {
        _ = writeln!(text, "    # no tool was called");
        return;
    }
    let tools: BTreeSet<&str> = server.tools.iter().map(String::as_str).collect();
    let listed: Vec<String> = tools.iter().take(MAX_LISTED).map(|tool| quoted(tool)).collect();
    _ = writeln!(text, "    # every tool may be called; called{}:", more(tools.len()));
    _ = writeln!(text, "    # tools: {{allow: [{}]}}", listed.join(", "));
}

fn addresses(text: &mut String, key: &str, what: &str, addresses: &[IpAddr]) {
    let addresses: BTreeSet<&IpAddr> = addresses.iter().collect();
    if addresses.is_empty() {
        return;
    }
    let listed: Vec<String> =
        addresses.iter().take(MAX_LISTED).map(|address| format!("\"{address}\"")).collect();
    _ = writeln!(text, "    # {what}{}:", more(addresses.len()));
    _ = writeln!(text, "    # {key}: [{}]", listed.join(", "));
}

fn more(count: usize) -> String {
    match count.checked_sub(MAX_LISTED) {
        Some(rest) if rest > 0 => format!(" (and {rest} more)"),
        _ => String::new(),
    }
}

/// A name for the approval: what the server calls itself, else its host; numbered when taken.
pub(super) fn unique_name(server: &DraftServer, taken: &mut BTreeSet<String>) -> String {
    let own = server.name.as_deref().map(printable).unwrap_or_default();
    let own: String = own.trim().chars().take(64).collect();
    let host = server.key.split("://").nth(1).unwrap_or_default();
    let host: String = host.split('/').next().unwrap_or_default().chars().take(64).collect();
    let base = if own.is_empty() { host } else { own };
    let candidates = std::iter::once(base.clone()).chain((2_u64..).map(|n| format!("{base} {n}")));
    for candidate in candidates {
        if taken.insert(candidate.to_lowercase()) {
            return candidate;
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::super::Approvals;
    use super::super::judge::Use;
    use super::super::pattern::KeyParts;
    use super::super::{Verdict, approvals::WarningKind};
    use super::*;
    use crate::exchange::Scheme;
    use proptest::prelude::*;

    fn server(key: &str) -> DraftServer {
        DraftServer {
            key: key.to_owned(),
            name: Some("tracker".to_owned()),
            evidence: Evidence::Confirmed,
            addresses: vec!["192.0.2.9".parse().unwrap()],
            clients: vec!["10.1.2.3".parse().unwrap(), "2001:db8::5".parse().unwrap()],
            tools: vec!["search".to_owned(), "get_issue".to_owned(), "search".to_owned()],
            first_seen: Timestamp::from_parts(1_795_334_400, 0),
            last_seen: Timestamp::from_parts(1_795_338_000, 0),
        }
    }

    #[test]
    fn the_draft_reads_well() {
        let mut hint = server("https://x.example:443/mcp");
        hint.evidence = Evidence::Header;
        let got = draft(&[server("http://mcp.corp.example:8000/mcp"), hint]);
        let want = r#"# Drafted from traffic: these servers were used, which is not a reason to approve them.
# Review each entry, delete what nobody answers for, and put an owner to the rest.
schema: shadowtap/approvals@1
servers:
  # seen 2026-11-22T08:00:00.000000Z to 2026-11-22T09:00:00.000000Z: requests and matching answers
  - name: "tracker"
    key: "http://mcp.corp.example:8000/mcp"
    owner: CHANGE-ME
    expires: 2027-02-20
    # everybody may use it; seen:
    # clients: ["10.1.2.3", "2001:db8::5"]
    # any address may answer; seen:
    # addresses: ["192.0.2.9"]
    # every tool may be called; called:
    # tools: {allow: ["get_issue", "search"]}
# left out, only hints of MCP were seen: https://x.example:443/mcp
"#;
        assert_eq!(got, want);
    }

    #[test]
    fn the_draft_approves_what_it_was_drafted_from_once_it_has_an_owner() {
        let seen = server("http://mcp.corp.example:8000/mcp");
        let text = draft(std::slice::from_ref(&seen));
        let approvals = Approvals::parse(&text, "draft").unwrap();
        let owned = Approvals::parse(&text.replace(NO_OWNER, "team"), "draft").unwrap();
        let host = "mcp.corp.example";
        let key = KeyParts { scheme: Scheme::Http, host, port: 8000, path: "/mcp" };
        let usage = Use {
            key,
            server: seen.addresses[0],
            client: seen.clients[0],
            tools: seen.tools.iter().map(String::as_str),
            at: seen.last_seen,
            evidence: seen.evidence,
        };
        assert_eq!(owned.judge(usage.clone()).verdict, Verdict::Approved);
        assert_eq!(approvals.judge(usage).verdict, Verdict::Unapproved);
        let kinds: Vec<WarningKind> =
            approvals.warnings(seen.last_seen).into_iter().map(|warning| warning.kind).collect();
        assert_eq!(kinds, [WarningKind::NoOwner]);
    }

    #[test]
    fn servers_without_http_are_drafted_too() {
        let text = draft(&[server("tcp://192.0.2.9:9000"), server("tls://[2001:db8::1]:9001")]);
        let approvals = Approvals::parse(&text, "draft").unwrap();
        let keys: Vec<String> = approvals.all().iter().map(|a| a.pattern.to_string()).collect();
        assert_eq!(keys, ["tcp://192.0.2.9:9000", "tls://[2001:db8::1]:9001"], "{text}");
    }

    #[test]
    fn uncommented_suggestions_parse() {
        let text = draft(&[server("https://a.example:443/")])
            .lines()
            .map(|line| line.replacen("# clients:", "clients:", 1))
            .map(|line| line.replacen("# addresses:", "addresses:", 1))
            .map(|line| line.replacen("# tools:", "tools:", 1) + "\n")
            .collect::<String>();
        let approvals = Approvals::parse(&text, "draft").unwrap();
        let approval = &approvals.all()[0];
        assert_eq!(approval.clients.len(), 2);
        assert_eq!(approval.addresses.len(), 1);
        assert_eq!(approval.tools.allow.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn wildcards_from_the_wire_are_never_approved() {
        for key in
            ["https://a.example:443/**", "https://*.a.example:443/x", "https://a.example:443"]
        {
            let text = draft(&[server(key)]);
            let approvals = Approvals::parse(&text, "draft").unwrap();
            assert!(approvals.all().is_empty(), "{key}");
            assert!(text.contains("# left out"), "{key}");
        }
    }

    #[test]
    fn same_names_are_numbered_and_same_keys_drafted_once() {
        let text = draft(&[
            server("https://a.example:443/x"),
            server("https://b.example:443/x"),
            server("https://A.example:443/x"),
        ]);
        let approvals = Approvals::parse(&text, "draft").unwrap();
        let names: Vec<&str> = approvals.all().iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["tracker", "tracker 2"]);
    }

    proptest! {
        #[test]
        fn any_names_give_a_file_that_parses(
            name in ".{0,80}",
            path in ".{0,40}",
            tools in prop::collection::vec(".{0,20}", 0..4),
            seconds in any::<i32>(),
        ) {
            let mut seen = server(&format!("https://a.example:443/{path}"));
            seen.name = Some(name);
            seen.tools = tools;
            seen.last_seen = Timestamp::from_parts(i64::from(seconds), 0);
            let text = draft(&[seen]);
            let parsed = Approvals::parse(&text, "draft");
            prop_assert!(parsed.is_ok(), "{:?}\n{}", parsed, text);
        }
    }
}
