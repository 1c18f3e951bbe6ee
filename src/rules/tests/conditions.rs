//! What each operator accepts, and the example of the README.

use crate::pipeline::Recogniser;
use crate::rules::{
    GivenExchange, Limits, Phase, RuleSet, Severity, Source, Subject, builtin, check, compile,
};

/// A draft rule on servers with these conditions, and what else is given.
fn rule(when: &str, files: &[(&str, &str)]) -> RuleSet {
    let text = format!(
        "{{schema: shadowtap/rule@1, id: SMCP-9001, rev: 1, title: t, status: draft, lane: hunt, \
         severity: info, confidence: 1, why: w, on: server, evidence: hint, when: {when}, \
         report: {{text: x}}}}"
    );
    let mut sources = vec![Source::new("a.yaml", text)];
    let more = files.iter().map(|(name, text)| (name.to_string(), text.to_string()));
    sources.extend(more.map(|(name, text)| Source::new(name, text)));
    compile(&sources, &Limits::default()).unwrap_or_else(|report| panic!("{when}\n{report}")).0
}

const LISTS: [(&str, &str); 3] = [
    ("t.yaml", "{schema: shadowtap/list@1, name: texts, kind: text, items: [/mcp], source: s}"),
    ("n.yaml", "{schema: shadowtap/list@1, name: nets, kind: net, items: [10.0.0.0/8], source: s}"),
    (
        "h.yaml",
        "{schema: shadowtap/list@1, name: hosts, kind: host, items: ['*.example.com'], source: s}",
    ),
];

#[test]
fn operators_accept_and_refuse() {
    let contact = serde_json::json!({"contact": {
        "host": "Mcp.Example.com", "path": "/mcp", "verdict": "expired",
        "auth": ["bearer", "cookie"], "methods": [],
    }, "server": "10.0.0.9:8080"});
    let exchange: GivenExchange = serde_json::from_value(contact).unwrap();
    let (contact, methods) = exchange.bare_contact().unwrap();
    let subject = Subject::server(&contact, &methods);
    for (when, expected) in [
        ("{server.path: /mcp}", true),
        ("{server.path: /MCP}", false),
        ("{server.path: {is: /MCP, nocase: true}}", true),
        ("{server.path: [/a, /mcp]}", true),
        ("{server.host: {contains: Example}}", true),
        ("{server.host: {contains: example}}", false),
        ("{server.host: {contains: [x, example], nocase: true}}", true),
        ("{server.host: {starts_with: Mcp}}", true),
        ("{server.host: {starts_with: mcp}}", false),
        ("{server.host: {starts_with: mcp, nocase: true}}", true),
        ("{server.host: {starts_with: Mcp.Example.com.more}}", false),
        ("{server.host: {ends_with: .com}}", true),
        ("{server.host: {ends_with: .COM}}", false),
        ("{server.host: {ends_with: [.org, .COM], nocase: true}}", true),
        ("{server.host: {matches: '^Mcp[.]'}}", true),
        ("{server.host: {matches: '^mcp[.]'}}", false),
        ("{server.host: {matches: '^mcp[.]', nocase: true}}", true),
        ("{server.host: {starts_with: Mcp, ends_with: .org}}", false),
        ("{server.path: {in_list: $texts}}", true),
        ("{server.host: {in_list: $hosts}}", true),
        ("{server.path: {in_list: $hosts}}", false),
        ("{server.ip: {in_net: $nets}}", true),
        ("{client.ip: {in_net: [192.0.2.0/24, 10.77.0.0/16]}}", true),
        ("{client.ip: 10.77.0.11}", false),
        ("{client.ip: [10.77.0.11, 10.77.0.10]}", true),
        ("{server.port: 8080}", true),
        ("{server.port: [1, 2]}", false),
        ("{server.port: {gt: 8079, lt: 8081}}", true),
        ("{server.port: {gt: 8080}}", false),
        ("{server.port: {gte: 8080, lte: 8080}}", true),
        ("{server.port: {lt: 8080}}", false),
        ("{server.via_proxy: false}", true),
        ("{server.via_proxy: true}", false),
        ("{server.auth: cookie}", true),
        ("{server.auth: basic}", false),
        ("{server.auth: {exists: true}}", true),
        ("{server.methods: {exists: true}}", false),
        ("{server.methods: {exists: false}}", true),
        ("{server.catalogued: {exists: false}}", true),
        ("{not: {server.catalogued: x}}", true),
        ("{all: [{server.port: 8080}, {server.path: /x}]}", false),
        ("{any: [{server.port: 8080}, {server.path: /x}]}", true),
        ("{none: [{server.port: 8080}, {server.path: /x}]}", false),
        ("{none: [{server.port: 80}, {not: {server.path: /mcp}}]}", true),
        ("{server.port: 8080, any: [{server.path: /x}, {all: [{server.path: /mcp}]}]}", true),
    ] {
        let set = rule(when, &LISTS);
        let rule = set.get("SMCP-9001").unwrap();
        assert_eq!(rule.holds(&subject), expected, "{when}");
    }
}

#[test]
fn drafts_are_compiled_but_never_match() {
    let set = rule("{server.path: {exists: true}}", &[]);
    let exchange: GivenExchange = serde_json::from_value(serde_json::json!({})).unwrap();
    let (contact, methods) = exchange.bare_contact().unwrap();
    let subject = Subject::server(&contact, &methods);
    assert!(set.get("SMCP-9001").unwrap().holds(&subject));
    set.evaluate_unfiltered(&subject, |found| panic!("{found:?}"));
    set.evaluate(&subject, &mut crate::rules::Scratch::default(), |found| panic!("{found:?}"));
}

#[test]
fn a_rule_decides_with_the_latest_of_its_fields() {
    let set = compile(&builtin(), &Limits::default()).unwrap().0;
    for (id, phase) in [
        ("SMCP-1003", Phase::RequestHead),
        ("SMCP-1102", Phase::RequestBody),
        ("SMCP-2002", Phase::Response),
        ("SMCP-3001", Phase::Server),
    ] {
        assert_eq!(set.get(id).unwrap().phase, phase, "{id}");
    }
}

#[test]
fn the_example_of_the_readme_passes() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let text = readme.split("```").nth(1).unwrap().strip_prefix("yaml\n").unwrap().to_owned();
    let source = Source::new("README.md", text);
    let (set, report) = check(&[source], &Limits::default(), &Recogniser);
    assert!(report.problems.is_empty(), "{report}");
    assert_eq!(set.unwrap().rules()[0].info.severity, Severity::Medium);
}
