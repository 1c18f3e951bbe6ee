//! The first draft of a rule: a file to fill in, which `rules check` accepts as it is.

use super::On;
use super::compile::is_id;

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Name of the file, from the title.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// What differs between kinds of subjects.
struct Kind {
    evidence: &'static str,
    why: &'static str,
    when: &'static str,
    report: &'static str,
    tests: &'static str,
}

/// Longest name of a file, in characters, without its ending.
const MAX_FILE_CHARS: usize = 60;

/// Begins a rule. `schema` is where an editor finds the JSON Schema, from the file's folder.
///
/// # Errors
///
/// What is wrong with the id or the title.
pub fn fresh(id: &str, on: On, title: &str, schema: &str) -> Result<Fresh, String> {
    if !is_id(id) {
        return Err(format!(
            "`{id}` is not a rule id: `SMCP-` and four digits; rules of your own: SMCP-9000 and up"
        ));
    }
    let title = title.trim();
    if title.is_empty() || title.chars().count() > 100 || title.contains(char::is_control) {
        return Err("a title is one line of 1 to 100 characters".into());
    }
    let file = slug(title);
    if file.is_empty() {
        return Err("the title needs letters or digits, for the name of the file".into());
    }
    Ok(Fresh { file: format!("{file}.yaml"), text: text(id, on, title, schema) })
}

/// A title as the name of a file: lower-case words with `-` between them.
pub(super) fn slug(title: &str) -> String {
    let mut name = String::new();
    for c in title.chars().take(MAX_FILE_CHARS) {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.trim_end_matches('-').to_owned()
}

/// A text as a YAML scalar: as it is where that is certain to be read as text, else in double
/// quotes. JSON's escapes are those of YAML too.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_./()".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "nan" | "inf"
    );
    if begins && !word && text.chars().all(plain) && !text.ends_with(' ') {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

fn text(id: &str, on: On, title: &str, schema: &str) -> String {
    let kind = kind(on.as_str());
    let (on_name, title) = (on.as_str(), scalar(title));
    let Kind { evidence, why, when, report, tests } = kind;
    format!(
        "\
# yaml-language-server: $schema={schema}
schema: shadowtap/rule@1
id: {id}
rev: 1
title: {title}
# draft: checked, never loaded. experimental: loaded; needs `refs`, a test that hits and one that
# does not.
status: draft
# hunt: nobody is woken up. alert: to act on. enforce: sure enough to refuse traffic. The last two
# need evidence `parsed` or better.
lane: hunt
# info | low | medium | high | critical
severity: low
# How often it is right, 0 to 100
confidence: 50
why: >-
  {why}
todo:
  - Say what whoever reads the finding should do first
# map: {{owasp_mcp: [MCP09:2025], atlas: [AML.T0053], cwe: [200], safe_mcp: [SAFE-T1003]}}
# refs: [https://example.com/why-it-matters]
on: {on_name}
# Least evidence that the server speaks MCP: hint | header | parsed | confirmed
evidence: {evidence}
# Entries of a map all hold; any, all, none and not nest. `shadowtap rules schema` names all fields.
when:
{when}
report:
{report}
# A finding per value of these fields, beside server and client; repeats are counted
# group: {{by: [server.key], for: 1h}}
# noise: [What else looks like this]
tests:
{tests}"
    )
}

/// What a rule on a kind of subject can look like. By name, so that a kind to come has one too.
fn kind(on: &str) -> Kind {
    match on {
        "exchange" => EXCHANGE,
        "message" => MESSAGE,
        "server" => SERVER,
        "tls" => TLS,
        "dns" => DNS,
        _ => TOOL,
    }
}

const EXCHANGE: Kind = Kind {
    evidence: "parsed",
    why: "Say why it matters that a request of this kind is sent to an MCP server.",
    when: "  http.user_agent: {starts_with: [ExampleAgent/]}",
    report: r#"  text: "{client.ip} uses {http.user_agent} with {server.key}"
  keep: [http.user_agent]"#,
    tests: r#"  - name: what it must match
    give:
      request:
        headers: {User-Agent: ExampleAgent/1.0}
        body: {jsonrpc: "2.0", id: 1, method: tools/list}
      response:
        body: {jsonrpc: "2.0", id: 1, result: {tools: []}}
    want: hit
  - name: what looks like it and must be spared
    give:
      request:
        headers: {User-Agent: Another/1.0}
        body: {jsonrpc: "2.0", id: 1, method: tools/list}
      response:
        body: {jsonrpc: "2.0", id: 1, result: {tools: []}}
    want: none
"#,
};

const MESSAGE: Kind = Kind {
    evidence: "parsed",
    why: "Say why it matters that such a message is sent.",
    when: "  mcp.method: tools/call\n  mcp.name: {starts_with: [example_]}",
    report: r#"  text: "{client.ip} called {mcp.name} of {server.key}"
  keep: [mcp.name]"#,
    tests: r#"  - name: what it must match
    give:
      request:
        body: {jsonrpc: "2.0", id: 1, method: tools/call, params: {name: example_tool}}
      response:
        body: {jsonrpc: "2.0", id: 1, result: {content: []}}
    want: hit
  - name: what looks like it and must be spared
    give:
      request:
        body: {jsonrpc: "2.0", id: 1, method: tools/call, params: {name: another_tool}}
      response:
        body: {jsonrpc: "2.0", id: 1, result: {content: []}}
    want: none
"#,
};

const SERVER: Kind = Kind {
    evidence: "parsed",
    why: "Say why it matters that a client uses such a server.",
    when: "  server.path: {starts_with: [/example]}",
    report: r#"  text: "{client.ip} uses {server.key}"
  keep: [server.verdict, server.methods]"#,
    tests: r#"  - name: what it must match
    give:
      contact: {evidence: parsed, path: /example/mcp}
    want: hit
  - name: what looks like it and must be spared
    give:
      contact: {evidence: parsed, path: /other/mcp}
    want: none
"#,
};

const TLS: Kind = Kind {
    evidence: "hint",
    why: "Say why flows to such a host matter. A name is a hint only.",
    when: "  tls.host: {ends_with: [.example.com]}",
    report: r#"  text: "Hint only: {client.ip} has encrypted flows to {tls.host}"
  keep: [tls.host_from, tls.alpn]"#,
    tests: r#"  - name: what it must match
    give: {server: "203.0.113.7:443", hello: {sni: mcp.example.com}}
    want: hit
  - name: what looks like it and must be spared
    give: {server: "203.0.113.7:443", hello: {sni: mcp.example.org}}
    want: none
"#,
};

const DNS: Kind = Kind {
    evidence: "hint",
    why: "Say why looking up such a host matters. A name is a hint only.",
    when: "  dns.question: {ends_with: [.example.com]}",
    report: r#"  text: "Hint only: {client.ip} looked up {dns.question}"
  keep: [dns.question]"#,
    tests: r#"  - name: what it must match
    give: {server: "10.0.0.53:53", dns: {question: mcp.example.com}}
    want: hit
  - name: what looks like it and must be spared
    give: {server: "10.0.0.53:53", dns: {question: mcp.example.org}}
    want: none
"#,
};

const TOOL: Kind = Kind {
    evidence: "parsed",
    why: "Say why it matters that a server offers such a tool.",
    when: "  tool.name: {starts_with: [example_]}",
    report: r#"  text: "{server.key} offers {tool.name}"
  keep: [tool.name]"#,
    tests: r#"  - name: what it must match
    give:
      request:
        body: {jsonrpc: "2.0", id: 1, method: tools/list}
      response:
        body: {jsonrpc: "2.0", id: 1, result: {tools: [{name: example_tool, inputSchema: {type: object}}]}}
    want: hit
  - name: what looks like it and must be spared
    give:
      request:
        body: {jsonrpc: "2.0", id: 1, method: tools/list}
      response:
        body: {jsonrpc: "2.0", id: 1, result: {tools: [{name: another_tool, inputSchema: {type: object}}]}}
    want: none
"#,
};

#[cfg(test)]
mod tests {
    use super::super::{Limits, Source, check, format};
    use super::*;
    use crate::pipeline::Recogniser;

    #[test]
    fn what_is_begun_passes_its_check_and_is_formatted() {
        for on in On::ALL {
            let fresh = fresh("SMCP-9001", on, "Test: it's # \"new\"", "schema.json").unwrap();
            assert_eq!(fresh.file, "test-it-s-new.yaml");
            let source = Source::new(fresh.file, fresh.text);
            let (set, report) =
                check(std::slice::from_ref(&source), &Limits::default(), &Recogniser);
            assert!(report.problems.is_empty(), "{on:?}: {report}");
            let set = set.unwrap();
            assert_eq!((set.rules()[0].on, set.rules()[0].tests.len()), (on, 2));
            assert_eq!(set.rules()[0].info.title, "Test: it's # \"new\"");
            assert_eq!(format(&source, &Limits::default()).unwrap(), source.text);
        }
    }

    #[test]
    fn bad_ids_and_titles_are_refused() {
        for (id, title) in
            [("SMCP-1", "a"), ("9001", "a"), ("SMCP-9001", " "), ("SMCP-9001", "a\nb")]
        {
            assert!(fresh(id, On::Message, title, "s").is_err(), "{id} {title}");
        }
        assert!(fresh("SMCP-9001", On::Message, "…", "s").is_err());
    }

    #[test]
    fn scalars_are_quoted_unless_they_are_certain() {
        for (text, expected) in [
            ("MCP Tools Call", "MCP Tools Call"),
            ("a: b", "\"a: b\""),
            ("No", "\"No\""),
            ("10", "\"10\""),
            ("a ", "\"a \""),
            ("é\u{7}", "\"é\\u0007\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }
}
