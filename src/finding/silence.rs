//! What to write so that a finding is not told again: text in YAML, ready to be reviewed and
//! added to a file.

use super::{Finding, MASK};
use crate::mcp::Evidence;
use crate::verdict::{DraftServer, NO_OWNER, Verdict, draft_entry, draft_expiry, quoted};

/// Rules of this range are about what the approvals say of a server.
const APPROVAL_RULES: &str = "SMCP-300";
/// So many digits of an id are enough to name a finding among those of a site.
const SHORT_ID_CHARS: usize = 12;

impl Finding {
    /// Whether its rule is about what the approvals say of a server (ids `SMCP-300x`).
    #[must_use]
    pub fn is_about_approval(&self) -> bool {
        self.rule.id.starts_with(APPROVAL_RULES)
    }

    /// The beginning of its id, enough to name it.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..SHORT_ID_CHARS).unwrap_or(&self.id)
    }
}

/// How to silence a finding: for a server that nobody approved an entry of `servers` of an
/// approvals file, for any other finding an item of an exceptions file. Both end 90 days after the
/// finding was last seen, and carry [`NO_OWNER`]: neither works until somebody answers for it.
#[must_use]
pub fn silence(finding: &Finding) -> String {
    let unapproved = finding.is_about_approval() && finding.verdict == Verdict::Unapproved;
    let approval = unapproved.then(|| draft_entry(&as_server(finding))).flatten();
    approval.unwrap_or_else(|| exception(finding))
}

/// The server of a finding, as far as the finding knows it.
fn as_server(finding: &Finding) -> DraftServer {
    DraftServer {
        key: finding.server_key.clone(),
        name: None,
        evidence: finding.evidence.max(Evidence::Parsed),
        // Behind a proxy the address is the proxy's.
        addresses: Vec::new(),
        clients: vec![finding.client],
        tools: Vec::new(),
        first_seen: finding.first_seen,
        last_seen: finding.last_seen,
    }
}

/// An item of an exceptions file (`shadowtap/exceptions@1`): this rule, this client, this server,
/// and what else tells findings of the rule apart, as far as it can be named.
#[must_use]
pub fn exception(finding: &Finding) -> String {
    let rule = &finding.rule.id;
    let client = finding.client.to_string();
    // A look-up in DNS has a name only.
    let server = match finding.server_key.strip_prefix("dns:") {
        Some(host) => ("server.host", host),
        None => ("server.key", finding.server_key.as_str()),
    };
    let mut when: Vec<(&str, &str)> = vec![server];
    if !finding.per_server {
        when.insert(0, ("client.ip", &client));
    }
    for (name, value) in &finding.told_apart {
        if can_be_named(name, value) && when.iter().all(|(known, _)| known != name) {
            when.push((name, value));
        }
    }
    let when: Vec<String> =
        when.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    let when = when.join(", ");
    let expires = draft_expiry(finding.last_seen);
    let name = quoted(&format!("{rule} {}", finding.short_id()));
    format!(
        "- name: {name}\n  rule: {rule}\n  when: {{{when}}}\n  because: {NO_OWNER}\n  owner: \
         {NO_OWNER}\n  expires: {expires}\n"
    )
}

/// Whether a test on a field with this value holds for the same traffic again: masked, cut,
/// escaped and joined values are not the field's own.
fn can_be_named(name: &str, value: &str) -> bool {
    !name.contains('@')
        && !value.contains(MASK)
        && !value.contains(['…', '\\', '\u{fffd}'])
        && !value.contains(", ")
        && !value.is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::Findings;
    use super::super::collector::tests::{TwoFiles, draft};
    use super::*;
    use crate::finding::Draft;
    use crate::verdict::Approvals;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        name: String,
        rule: String,
        when: BTreeMap<String, String>,
        because: String,
        owner: String,
        expires: String,
    }

    fn finding(draft: Draft) -> Finding {
        let mut findings = Findings::default();
        findings.record(draft);
        findings.finish(&TwoFiles).remove(0)
    }

    fn item(finding: &Finding) -> Item {
        let items: Vec<Item> = serde_saphyr::from_str(&silence(finding)).unwrap();
        items.into_iter().next().unwrap()
    }

    #[test]
    fn an_exception_names_rule_client_and_server_and_ends() {
        let finding = finding(draft(0, 1_795_334_400));
        let want = format!(
            "- name: \"SMCP-1001 {}\"\n  rule: SMCP-1001\n  when: {{client.ip: \"10.0.0.1\", \
             server.key: \"http://192.0.2.1:8000/mcp\"}}\n  because: CHANGE-ME\n  owner: \
             CHANGE-ME\n  expires: 2027-02-20\n",
            finding.short_id()
        );
        assert_eq!(silence(&finding), want);
        let item = item(&finding);
        assert_eq!((item.rule.as_str(), item.expires.as_str()), ("SMCP-1001", "2027-02-20"));
        assert_eq!((item.owner.as_str(), item.because.as_str()), (NO_OWNER, NO_OWNER));
        assert!(item.name.ends_with(finding.short_id()));
    }

    #[test]
    fn what_tells_findings_apart_is_named_where_it_is_whole() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let finding = finding(Draft {
            told_apart: vec![
                pair("mcp.name", "say \"hi\" {x: [1]}"),
                pair("args.value.token", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
                pair("args.url_host", "a.example, b.example"),
                pair("args.text", "long…"),
                pair("args.text@percent", "x"),
            ],
            ..draft(0, 0)
        });
        let item = item(&finding);
        let keys: Vec<&str> = item.when.keys().map(String::as_str).collect();
        assert_eq!(keys, ["client.ip", "mcp.name", "server.key"]);
        assert_eq!(item.when["mcp.name"], "say \"hi\" {x: [1]}");
        assert!(!silence(&finding).contains("ghp_"));
    }

    #[test]
    fn a_look_up_is_named_by_its_host() {
        let finding = finding(Draft { server_key: "dns:mcp.a.test".to_owned(), ..draft(0, 0) });
        assert_eq!(item(&finding).when["server.host"], "mcp.a.test");
    }

    #[test]
    fn an_unapproved_server_is_silenced_by_an_approval() {
        let about = |key: &str, verdict| {
            let mut draft = Draft { server_key: key.to_owned(), verdict, ..draft(0, 0) };
            draft.rule = std::sync::Arc::new(crate::rules::RuleInfo {
                id: "SMCP-3001".to_owned(),
                ..(*draft.rule).clone()
            });
            silence(&finding(draft))
        };
        let text = about("http://192.0.2.1:8000/mcp", Verdict::Unapproved);
        let file = format!("schema: shadowtap/approvals@1\nservers:\n{text}");
        let approvals = Approvals::parse(&file, "x").unwrap_or_else(|p| panic!("{p:?}\n{file}"));
        assert_eq!(approvals.all()[0].pattern.to_string(), "http://192.0.2.1:8000/mcp");
        assert_eq!(approvals.all()[0].owner, NO_OWNER);
        for (key, verdict) in [
            ("http://192.0.2.1:8000/mcp", Verdict::Expired),
            ("http://192.0.2.1:8000/**", Verdict::Unapproved),
        ] {
            assert!(about(key, verdict).contains("rule: SMCP-3001"), "{key}");
        }
    }

    #[test]
    fn keys_from_the_wire_stay_inside_their_quotes() {
        let key = "http://a/\"}\n- rule: x\u{2028}\\";
        let finding = finding(Draft { server_key: key.to_owned(), ..draft(0, 0) });
        let items: Vec<Item> = serde_saphyr::from_str(&silence(&finding)).unwrap();
        assert_eq!(items.len(), 1);
        assert!(items[0].when["server.key"].starts_with("http://a/\"}"));
    }
}
