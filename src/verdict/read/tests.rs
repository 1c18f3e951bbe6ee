use super::*;

fn problems(text: &str) -> String {
    let problems = Approvals::parse(text, "approvals.yaml").unwrap_err();
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn a_full_entry_is_read() {
    let text = "
schema: shadowtap/approvals@1
portals: [10.0.0.7]
servers:
  - name: tracker
    key: HTTPS://MCP.Tracker.example/v1/mcp
    owner: team-itsm
    approved: {by: sec-review, on: 2026-09-01, ticket: SEC-1182}
    expires: 2027-03-01
    via: portal
    clients: [10.20.0.0/16, 192.0.2.1, '2001:db8::/32']
    tools: {allow: ['get_*'], deny: [get_secret]}
    addresses: [198.51.100.0/24]
    notes: |
      two
      lines
";
    let approvals = Approvals::parse(text, "approvals.yaml").unwrap();
    let approval = &approvals.all()[0];
    assert_eq!(approval.name, "tracker");
    assert_eq!(approval.pattern.to_string(), "https://mcp.tracker.example:443/v1/mcp");
    assert_eq!(approval.owner, "team-itsm");
    let approved = approval.approved.as_ref().unwrap();
    assert_eq!(
        (approved.by.as_str(), approved.on.to_string()),
        ("sec-review", "2026-09-01".into())
    );
    assert_eq!(approved.ticket.as_deref(), Some("SEC-1182"));
    assert_eq!(approval.expires.to_string(), "2027-03-01");
    assert_eq!(approval.via, Via::Portal);
    assert_eq!(approval.clients.len(), 3);
    assert_eq!(approval.tools.deny[0].as_str(), "get_secret");
    assert_eq!(approval.line, 5);
    assert_eq!(approvals.portals().len(), 1);
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "\
schema: shadowtap/approvals@2
portal: [10.0.0.7]
servers:
  - name: tracker
    key: https://*.com/mcp
    onwer: team-a
    expires: 01.03.2027
    via: portl
    clients: [10.20.0.5/16, everybody]
    tools: {alow: [x], deny: x}
  - name: Tracker
    name: twice
    key: https://a.example/mcp
    owner: 17
    expires: 2027-03-01
    approved: {by: me, on: 2027-04-01}
    tools: {allow: []}
  - name: third
    key: HTTPS://A.EXAMPLE:443/mcp
    owner:
    expires: 2027-02-30
  - just text
";
    let want = "\
approvals.yaml:1:9: unknown schema `shadowtap/approvals@2`
  | schema: shadowtap/approvals@2
  |         ^
  = begin the file with `schema: shadowtap/approvals@1`
approvals.yaml:2:1: unknown key `portal`
  | portal: [10.0.0.7]
  | ^
  = did you mean `portals`?
";
    let got = problems(text);
    assert!(got.starts_with(want), "{got}");
    for line in [
        "4:5: `owner` is missing",
        "5:10: wildcard over `com` covers too much",
        "6:5: unknown key `onwer`",
        "7:14: `expires` is not a date",
        "8:10: unknown way `portl`",
        "9:15: `10.20.0.5/16` has bits beyond its prefix",
        "9:29: `everybody` is not an address or a network",
        "10:13: unknown key `alow`",
        "10:30: `deny` is text, but must be a list",
        "11:11: name `Tracker` is taken",
        "12:5: key `name` stands here twice",
        "14:12: `owner` is a number, but must be text",
        "16:15: expires before it was approved",
        "17:20: `allow` is empty: all tools or none?",
        "19:10: key `https://a.example:443/mcp` is approved twice",
        "20:10: `owner` is empty, but must be text",
        "21:14: `expires` is not a date",
        "22:5: `servers[]` is text, but must be a map",
    ] {
        assert!(got.contains(line), "{line} not in\n{got}");
    }
    assert!(got.contains("did you mean `owner`?"));
    assert!(got.contains("did you mean `portal`?"));
    assert!(got.contains("write 10.20.0.0/16 or one address"));
    assert!(got.contains("first by the server in line 11"));
}

#[test]
fn broken_yaml_names_line_and_column() {
    let got = problems("schema: shadowtap/approvals@1\nservers: [\n  {name: a\n");
    assert!(got.starts_with("approvals.yaml:"), "{got}");
    assert!(got.contains("not valid YAML"), "{got}");
}

#[test]
fn portal_without_portals_is_refused() {
    let text = "
schema: shadowtap/approvals@1
servers:
  - {name: a, key: 'https://a.example/', owner: o, expires: 2027-01-01, via: portal}
";
    assert!(problems(text).contains("names no portals"), "{}", problems(text));
}

#[test]
fn empty_and_odd_files_are_refused_with_a_reason() {
    for (text, want) in [
        ("", "`the file` is empty, but must be a map"),
        ("[]", "`the file` is a list"),
        ("schema: shadowtap/approvals@1\n", "`servers` is missing"),
        ("servers: []\n", "`schema` is missing"),
        ("schema: shadowtap/approvals@1\nservers: []\n---\nx: 1\n", "not valid YAML"),
        ("<<: {a: 1}\nschema: shadowtap/approvals@1\nservers: []", "unknown key `<<`"),
    ] {
        assert!(problems(text).contains(want), "{text:?}: {}", problems(text));
    }
    assert!(Approvals::parse("schema: shadowtap/approvals@1\nservers: []\n", "x").is_ok());
}

#[test]
fn bombs_are_refused() {
    let nest = format!("schema: {}", "[".repeat(200_000));
    assert!(problems(&nest).contains("not valid YAML"));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        let refs = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    assert!(problems(&bomb).contains("not valid YAML"));
    let long = "x".repeat(MAX_FILE_BYTES + 1);
    assert!(problems(&long).contains("longer than"));
}

#[test]
fn problems_are_bounded() {
    let text = format!(
        "schema: shadowtap/approvals@1\nservers:\n{}",
        "  - {nam: x}\n".repeat(MAX_PROBLEMS)
    );
    assert_eq!(Approvals::parse(&text, "x").unwrap_err().len(), MAX_PROBLEMS);
}

#[test]
fn clients_are_networks_and_groups_of_networks() {
    let text = "
schema: shadowtap/approvals@1
groups:
  engineering: [10.30.0.0/16, 'net:2001:db8:30::/48']
servers:
  - name: a
    key: https://a.example/
    owner: o
    expires: 2027-01-01
    clients: [net:10.20.0.0/16, group:engineering, 192.0.2.1]
";
    let approvals = Approvals::parse(text, "x").unwrap_or_else(|p| panic!("{p:?}"));
    let clients: Vec<String> = approvals.all()[0].clients.iter().map(ToString::to_string).collect();
    assert_eq!(clients, ["10.20.0.0/16", "10.30.0.0/16", "2001:db8:30::/48", "192.0.2.1/32"]);
    for (clients, want) in [
        ("[group:engineers]", "did you mean `group:engineering`?"),
        ("[group:payroll]", "add `groups: {payroll: [10.20.0.0/16]}`"),
        ("[net:10.20.0.1/16]", "has bits beyond its prefix"),
        ("[net:everybody]", "`everybody` is not an address"),
    ] {
        let text = text.replace("[net:10.20.0.0/16, group:engineering, 192.0.2.1]", clients);
        assert!(problems(&text).contains(want), "{}", problems(&text));
    }
    for (groups, want) in [
        ("  engineering: []", "group `engineering` is empty"),
        ("  engineering: 10.0.0.0/8", "`groups` is text, but must be a list"),
        ("  engineering: [x]", "`x` is not an address"),
        ("  'two words': [10.0.0.0/8]", "this is no name for a group"),
        ("  a: [10.0.0.0/8]\n  a: [10.0.0.0/8]", "group `a` stands here twice"),
    ] {
        let full = "  engineering: [10.30.0.0/16, 'net:2001:db8:30::/48']";
        let text = text.replace(full, groups);
        assert!(problems(&text).contains(want), "{}", problems(&text));
    }
}

#[test]
fn a_pin_is_a_digest_and_perhaps_a_day() {
    let digest = "AB".repeat(32);
    let text = |pin: &str| {
        format!(
            "schema: shadowtap/approvals@1\nservers:\n  - {{name: a, key: 'https://a.example/', \
             owner: o, expires: 2027-01-01, data: internal, pin: {pin}}}\n"
        )
    };
    let full = text(&format!("{{tools: 'jcs-sha256:{digest}', accept_until: 2026-12-15}}"));
    let approvals = Approvals::parse(&full, "x").unwrap_or_else(|p| panic!("{p:?}"));
    let approval = &approvals.all()[0];
    let pin = approval.pin().unwrap();
    assert_eq!(pin.tools, "ab".repeat(32));
    assert_eq!(approval.data.as_deref(), Some("internal"));
    let at = |seconds| crate::time::Timestamp::from_parts(seconds, 0);
    let (on_the_day, after) = (at(1_797_379_199), at(1_797_379_200)); // 2026-12-16T00:00:00Z
    assert!(pin.accepts(&digest, after) && pin.accepts(&format!("jcs-sha256:{digest}"), after));
    assert!(pin.accepts("other", on_the_day) && !pin.accepts("other", after));
    let bare = Approvals::parse(&text(&format!("{{tools: 'jcs-sha256:{digest}'}}")), "x").unwrap();
    assert_eq!(bare.all()[0].pin().unwrap().accept_until, None);
    for (pin, want) in [
        (format!("{{tools: '{digest}'}}"), "`tools` is not the digest of a tool list"),
        ("{tools: 'jcs-sha256:12'}".to_owned(), "`tools` is not the digest of a tool list"),
        ("{accept_until: 2026-12-15}".to_owned(), "`tools` is missing"),
        (format!("{{tools: 'jcs-sha256:{digest}', until: x}}"), "unknown key `until`"),
        (format!("{{tools: 'jcs-sha256:{digest}', accept_until: soon}}"), "is not a date"),
        (digest.clone(), "`pin` is text, but must be a map"),
    ] {
        assert!(problems(&text(&pin)).contains(want), "{pin}: {}", problems(&text(&pin)));
    }
}
