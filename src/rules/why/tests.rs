use serde_json::json;

use super::*;
use crate::pipeline::Recogniser;
use crate::rules::{Limits, Recognise as _, Source, builtin, compile, example};

const RULE: &str = r#"
schema: shadowtap/rule@1
id: SMCP-9001
rev: 3
title: Payroll
status: experimental
lane: alert
severity: low
confidence: 50
why: test
refs: [https://example.com]
on: message
when:
  mcp.method: tools/call
  any:
    - mcp.name: {starts_with: [payroll_, salary_]}
    - mcp.size: {gt: 100000}
  none:
    - client.ip: {in_net: [10.20.0.0/16]}
raise:
  - {if: {reply.kind: result}, severity: high}
report: {text: "{client.ip} called {mcp.name}", keep: [mcp.name]}
tests:
  - {name: a, give: {tls: true}, want: known_miss}
  - {name: b, give: {request: {body: {jsonrpc: "2.0", id: 1, method: tools/call, params: {name: payroll_x}}}, response: {body: {jsonrpc: "2.0", id: 1, result: {}}}}, want: hit}
  - {name: c, give: {tls: true}, want: none}
"#;

fn set() -> RuleSet {
    let mut sources = builtin();
    sources.push(Source::new("own.yaml", RULE));
    compile(&sources, &Limits::default()).unwrap_or_else(|report| panic!("{report}")).0
}

fn subjects(text: &str) -> Vec<OwnedSubject> {
    let source = Source::new("x", text);
    Recogniser.subjects(&example(&source, &Limits::default()).unwrap()).unwrap()
}

fn call(tool: &str) -> String {
    format!(
        r#"{{"request": {{"body": {{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": "{tool}"}}}}}},
           "response": {{"body": {{"jsonrpc": "2.0", "id": 1, "result": {{"content": []}}}}}}}}"#
    )
}

const PLAIN: Mask<'_> = &str::to_owned;

#[test]
fn a_rule_is_shown_condition_by_condition_with_values() {
    let set = set();
    let rule = set.get("SMCP-9001");
    let shown = why(&set, &subjects(&call("payroll_list")), rule, PLAIN);
    for part in [
        "\nSMCP-9001 Payroll: matches message 1 of 2 (request tools/call payroll_list)\n  ✓ evidence is ",
        "; the rule wants parsed or better\n  ✓ prefilter: `tools/call` in mcp.method\n\
         \x20 ✓ mcp.method is `tools/call`: `tools/call`\n\
         \x20 ✓ one of\n\
         \x20   ✓ mcp.name starts with `payroll_` or `salary_`: `payroll_list`\n\
         \x20   ✗ mcp.size is 100001 or more: `",
        "`\n  ✓ none of\n\
         \x20   ✗ client.ip is in `10.20.0.0 to 10.20.255.255`: `10.77.0.10`\n\
         \x20 ✓ raised to high, if\n\
         \x20   ✓ reply.kind is `result`: `result`\n\
         \x20 severity high: 10.77.0.10 called payroll_list\n",
    ] {
        assert!(shown.contains(part), "{part}\nis not in\n{shown}");
    }
    assert!(shown.contains("does not match message 2 of 2 (result)"), "{shown}");
    assert!(shown.starts_with("recognised: "), "{shown}");
    assert!(shown.lines().nth(1).unwrap().contains("SMCP-9001"), "{shown}");
}

#[test]
fn without_a_rule_each_shows_the_subject_that_comes_nearest() {
    let set = set();
    let shown = why(&set, &subjects(&call("other")), None, PLAIN);
    assert!(shown.contains("SMCP-9001 Payroll: does not match message 1 of 2"), "{shown}");
    assert!(shown.contains("✗ mcp.name starts with `payroll_` or `salary_`: `other`"), "{shown}");
    assert!(shown.contains("SMCP-1102 MCP tool methods: matches message 1 of 2"), "{shown}");
    assert!(shown.contains("✗ server.proxy") || shown.contains(": absent"), "{shown}");
    let last = shown.lines().last().unwrap();
    assert!(last.starts_with("Nothing of their kind is given: ") && last.contains("SMCP-2010"));
}

#[test]
fn values_are_masked_by_the_caller() {
    let set = set();
    let mask: Mask<'_> = &|text| text.replace("payroll_list", "***");
    let shown = why(&set, &subjects(&call("payroll_list")), set.get("SMCP-9001"), mask);
    assert!(!shown.contains("payroll_list") && shown.contains("called ***"), "{shown}");
}

fn finding(rule: &str) -> serde_json::Value {
    json!({
        "event_type": "finding", "message": "10.9.0.1 called payroll_list",
        "event": {"id": "f1", "count": 2, "severity_name": "high"},
        "rule": {"id": rule, "version": "2"}, "source": {"ip": "10.9.0.1"},
        "server": {"key": "http://x/mcp"}, "verdict": "unapproved", "evidence": "parsed",
        "excerpt": [{"name": "mcp.name", "value": "payroll_list"}],
    })
}

#[test]
fn a_finding_shows_what_it_kept_and_marks_the_rest() {
    let set = set();
    let shown = why_event(&set, &finding("SMCP-9001"), None).unwrap();
    for line in [
        "SMCP-9001 Payroll: matched 2 times, severity high\n",
        "  note      the finding is of revision 2, the rule here is revision 3\n",
        "  ✓ mcp.method is `tools/call`: not kept\n",
        "  ✓ one of\n    ✓ mcp.name starts with `payroll_` or `salary_`: `payroll_list`\n",
        "    ? mcp.size is 100001 or more: not kept\n",
        "  ✓ none of\n    ✗ client.ip is in `10.20.0.0 to 10.20.255.255`: `10.9.0.1`\n",
        "Severity rises to high when\n  ? reply.kind is `result`: not kept\n",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    assert!(why_event(&set, &finding("SMCP-9999"), None).unwrap_err().contains("--rules"));
    let other = set.get("SMCP-3001");
    assert!(why_event(&set, &finding("SMCP-9001"), other).unwrap_err().contains("not of"));
}

#[test]
fn a_message_event_tells_which_rules_could_match() {
    let set = set();
    let event = |name: &str| {
        json!({
            "event_type": "message", "source": {"ip": "10.9.0.1"}, "server": {"key": "http://x/mcp"},
            "mcp": {"direction": "to_server", "kind": "request", "method": "tools/call",
                "name": name, "channel": "request_body", "size": 80, "partial": false,
                "ambiguous": false},
        })
    };
    let shown = why_event(&set, &event("payroll_x"), None).unwrap();
    assert!(shown.contains("SMCP-9001 Payroll: matches, if"), "{shown}");
    assert!(shown.contains("SMCP-1102 MCP tool methods: matches, if"), "{shown}");
    assert!(shown.lines().last().unwrap().contains("SMCP-1010"), "{shown}");
    let shown = why_event(&set, &event("other"), set.get("SMCP-9001")).unwrap();
    assert!(shown.contains("SMCP-9001 Payroll: does not match"), "{shown}");
    assert!(shown.contains("✗ mcp.size is 100001 or more: `80`"), "{shown}");
    let shown = why_event(&set, &event("other"), set.get("SMCP-3001")).unwrap();
    assert!(shown.contains("SMCP-3001 is for on: server"), "{shown}");
    assert!(why_event(&set, &json!({"event_type": "stats"}), None).is_err());
    assert!(why_event(&set, &json!([]), None).is_err());
}

#[test]
fn a_server_event_knows_the_client_where_there_is_one() {
    let set = set();
    let event = |clients: serde_json::Value| {
        json!({
            "event_type": "server", "evidence": "confirmed", "verdict": "unapproved",
            "server": {"key": "http://203.0.113.7:80/mcp", "address": "203.0.113.7", "port": 80,
                "path": "/mcp", "via_proxy": false},
            "methods": {"client_to_server": {"tools/call": 2}}, "protocol_versions": [],
            "auth": ["none"], "clients": clients,
        })
    };
    let one = why_event(&set, &event(json!([{"ip": "10.9.0.1"}])), None).unwrap();
    assert!(one.contains("SMCP-3001 Unapproved MCP server: matches, if"), "{one}");
    let two = event(json!([{"ip": "10.9.0.1"}, {"ip": "10.9.0.2"}]));
    let two = why_event(&set, &two, set.get("SMCP-3001")).unwrap();
    assert!(two.contains("? server.verdict is `unapproved`: not kept"), "{two}");
}
