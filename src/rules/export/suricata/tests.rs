use super::content::escaped;
use super::*;
use crate::rules::{Limits, Source, builtin, compile};

/// Reads a rule as Suricata does, as far as that goes: options end in `;`, quotes close.
fn options(rule: &str) -> Vec<(String, String)> {
    let (head, tail) = rule.split_once(" (").unwrap_or_else(|| panic!("{rule}"));
    let words: Vec<_> = head.split(' ').collect();
    assert_eq!(words.len(), 7, "{head}");
    assert!(["http", "tls", "dns"].contains(&words[1]), "{head}");
    let body = tail.strip_suffix(')').unwrap_or_else(|| panic!("{rule}"));
    let mut options = Vec::new();
    let (mut quoted, mut rest) = (false, String::new());
    for c in body.chars() {
        match c {
            ';' if !quoted => {
                let option = std::mem::take(&mut rest);
                let option = option.trim();
                let (key, value) = option.split_once(':').unwrap_or((option, ""));
                options.push((key.to_owned(), value.to_owned()));
            }
            c => {
                quoted ^= c == '"';
                rest.push(c);
            }
        }
    }
    assert!(!quoted && rest.trim().is_empty(), "{rule}");
    options
}

fn check(rule: &str) -> u32 {
    let options = options(rule);
    let known = "msg flow threshold reference metadata priority sid rev content nocase startswith \
        endswith depth distance within http.method http.uri http.host http.header \
        http.header_names http.response_header http.request_body http.stat_code file.data tls.sni dns.query";
    let mut in_buffer = false;
    for (key, value) in &options {
        assert!(known.split_whitespace().any(|name| name == key), "{key} in {rule}");
        in_buffer |= value.is_empty() && key.contains('.');
        if key == "content" {
            assert!(in_buffer, "{rule}");
            let text = value.trim_start_matches('!').trim_matches('"');
            assert!(!text.is_empty() && text.is_ascii(), "{rule}");
            for (index, part) in text.split('|').enumerate() {
                if index % 2 == 1 {
                    assert!(part.split(' ').all(|b| u8::from_str_radix(b, 16).is_ok()), "{rule}");
                    assert!(part.split(' ').all(|byte| byte.len() == 2), "{rule}");
                } else {
                    assert!(!part.contains([':', ';', '"', '\\']), "{rule}");
                }
            }
        }
    }
    let of = |name: &str| options.iter().filter(|(key, _)| key == name).count();
    assert!(of("content") > 0 && of("msg") == 1 && of("sid") == 1 && of("rev") == 1, "{rule}");
    options.iter().find(|(key, _)| key == "sid").unwrap().1.parse().unwrap()
}

#[test]
fn shipped_rules_give_well_formed_rules_with_ids_of_their_own() {
    let set = compile(&builtin(), &Limits::default()).unwrap().0;
    let exported = suricata(&set, 9_100_000);
    let (_, text) = &exported.files[0];
    let sids: Vec<u32> =
        text.lines().filter(|line| line.starts_with("alert ")).map(check).collect();
    assert!(sids.len() > 40, "{text}");
    assert!(sids.iter().zip(9_100_000..).all(|(sid, expected)| *sid == expected));
    assert!(exported.notes.contains("SMCP-3001: left out: it is about what the inventory knows"));
    for rule in set.rules().iter().filter(|rule| rule.is_active() && !rule.building_block) {
        let there = text.contains(&format!("# {} ", rule.info.id));
        let left_out = exported.notes.contains(&format!("{}: left out", rule.info.id));
        assert!(there != left_out, "{}", rule.info.id);
    }
}

fn of(when: &str) -> (Vec<String>, String) {
    let text = format!(
        "schema: shadowtap/rule@1\nid: SMCP-9001\nrev: 1\ntitle: T\nstatus: experimental\n\
         lane: hunt\nseverity: info\nconfidence: 1\nwhy: w\nrefs: [\"https://example.com/a\"]\n\
         on: {}\nwhen: {when}\nreport: {{text: x}}\n\
         tests: [{{name: a, give: {{tls: true}}, want: hit}}, {{name: b, give: {{tls: true}}, want: none}}]\n",
        if when.contains("mcp.") { "message" } else { "exchange" }
    );
    let source = Source::new("x.yaml", text);
    let set = compile(&[source], &Limits::default()).unwrap_or_else(|r| panic!("{r}")).0;
    let exported = suricata(&set, 1);
    let rules = exported.files[0].1.lines().filter(|line| line.starts_with("alert"));
    let parts = |rule: &str| {
        check(rule);
        let (_, rest) = rule.split_once("; flow:").unwrap();
        rest.split_once("; ").unwrap().1.split_once(" threshold:").unwrap().0.to_owned()
    };
    let rules: Vec<_> = rules.map(parts).collect();
    let notes = exported.notes.lines().filter(|line| line.starts_with("SMCP-")).collect();
    (rules, notes)
}

#[test]
fn conditions_become_contents_and_the_rest_is_said() {
    let method = "content:\"|22|method|22|\"; ";
    let call = "content:\"|22|tools/call|22|\"; distance:1; within:17;";
    let first = format!("http.request_body; {method}depth:16; {call}");
    let after = format!(
        "http.request_body; content:\"|22|jsonrpc|22|\"; depth:16; {method}distance:1; within:96; {call}"
    );
    let (rules, notes) = of("{mcp.method: tools/call}");
    assert_eq!((rules, notes.as_str()), (vec![after.clone(), first.clone()], ""));
    let (rules, notes) = of("{mcp.method: tools/call, mcp.is_error: true}");
    assert_eq!(rules, [after, first]);
    assert_eq!(notes, "SMCP-9001: the condition on mcp.is_error");
    let (rules, _) = of("{http.method: POST, http.path: [/a, '/b;c']}");
    let post = "http.method; content:\"POST\"; startswith; endswith;";
    assert_eq!(
        rules,
        [
            format!("{post} http.uri; content:\"/a\"; startswith;"),
            format!("{post} http.uri; content:\"/b|3b|c\"; startswith;"),
        ]
    );
    let (rules, notes) = of("{http.path: /abc, none: [{http.user_agent: {contains: curl}}]}");
    assert_eq!(rules, ["http.uri; content:\"/abc\"; startswith;"]);
    assert!(notes.contains("what must not hold (http.user_agent)"), "{notes}");
    let (rules, notes) = of("{http.path: /abc, http.response.status: 401}");
    assert_eq!(rules, ["http.uri; content:\"/abc\"; startswith;"]);
    assert!(notes.contains("the other side"), "{notes}");
    let (rules, _) = of("{http.request.header.mcp-name: {matches: '^=[?]'}, http.path: /abc}");
    assert_eq!(
        rules,
        [
            "http.header_names; content:\"|0d 0a|mcp-name|0d 0a|\"; nocase; http.uri; content:\"/abc\"; startswith;"
        ]
    );
}

#[test]
fn results_are_looked_for_in_response_bodies_and_header_names_between_line_ends() {
    let (rules, notes) = of("{mcp.kind: result, mcp.body_keys: serverInfo}");
    assert_eq!((rules, notes.as_str()), (vec!["file.data; content:\"serverInfo\";".into()], ""));
    let (rules, _) = of("{http.request.header_names: {starts_with: mcp-param-}}");
    assert_eq!(rules, ["http.header_names; content:\"|0d 0a|mcp-param-\"; nocase;"]);
    let (rules, _) = of("{http.response.header_names: mcp-session-id}");
    assert_eq!(rules, ["http.response_header; content:\"mcp-session-id|3a|\"; nocase;"]);
}

#[test]
fn what_leaves_no_text_is_left_out() {
    for when in [
        "{http.method: POST}",
        "{any: [{http.path: /abc}, {http.via_proxy: true}], http.method: POST}",
    ] {
        let (rules, notes) = of(when);
        assert!(rules.is_empty(), "{when}");
        assert!(notes.contains("left out") && notes.contains("no text is left"), "{notes}");
    }
}

#[test]
fn bytes_that_mean_something_to_suricata_are_written_in_hex() {
    assert_eq!(escaped("a\"b"), "a|22|b");
    assert_eq!(escaped("\";:|\\é\n"), "|22 3b 3a 7c 5c c3 a9 0a|");
    assert_eq!(escaped("tools/call"), "tools/call");
}
