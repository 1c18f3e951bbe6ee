use std::collections::BTreeSet;

use super::*;

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    parse(text, Path::new("/nonexistent/portal.yaml"))
}

/// Anybody may call; so it is about the rest.
fn open(text: &str) -> Result<Config, Vec<Problem>> {
    read(&format!("identity: {{anonymous: true}}\n{text}"))
}

#[test]
fn p02_without_an_address_it_listens_on_loopback() {
    let config = open("servers: [{id: a, url: 'https://a.example/mcp'}]\n").unwrap();
    assert!(config.address.ip().is_loopback());
    let names: BTreeSet<&str> = config.hub.routes.keys().map(|name| &**name).collect();
    assert_eq!(names, BTreeSet::from(["", "a"]));
    assert!(config.hub.routes["a"].is_transparent && !config.hub.routes[""].is_transparent);
    assert_eq!(&**config.sections.place.resource(), "http://127.0.0.1:8808/mcp");
}

#[test]
fn unknown_keys_are_refused_with_their_place() {
    for text in ["servers: []\nlisten:\n  adress: x\n", "servers: [{id: b, ide: b}]\n"] {
        let problems = open(text).unwrap_err();
        assert!(problems[0].place.starts_with("line "), "{}", problems[0]);
        assert!(problems[0].text.contains("unknown"), "{}", problems[0]);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let a = "{id: a, url: 'https://a.example/mcp'}";
    let b = "id: b, url: 'https://b.example/mcp'";
    for (text, place) in [
        (format!("servers: [{a}, {a}]"), "servers.a.id"),
        (format!("servers: [{a}, {{{b}, alias: a}}]"), "servers.b.alias"),
        ("servers: [{id: a/b, url: 'https://a.example'}]".to_owned(), "servers.a/b.id"),
        (
            format!("servers: [{{{b}, overrides: {{x: {{alias: '-'}}}}}}]"),
            "servers.b.overrides.x.alias",
        ),
        (format!("servers: [{a}]\nportals: {{a: {{servers: [a]}}}}"), "portals.a"),
        (format!("servers: [{a}]\nportals: {{p: {{servers: [b]}}}}"), "portals.p"),
        (format!("servers: [{{{b}, auth: {{kind: person}}}}]"), "servers.b.auth"),
        ("servers: []\nlimits: {max_depth: 1000}".to_owned(), "limits.max_depth"),
        ("servers: []\nlisten: {address: '0.0.0.0:1'}".to_owned(), "listen.public_url"),
        ("servers: []\nholds: {timeout_seconds: 0}".to_owned(), "holds"),
        ("servers: []\npolicy: {cedar: [missing.cedar]}".to_owned(), "policy.cedar"),
        ("servers: []\nguard: {kinds: {nope: block}}".to_owned(), "guard.kinds.nope"),
        ("servers: []\naudit: {max_delay: soon}".to_owned(), "audit.max_delay"),
    ] {
        let problems = open(&text).unwrap_err();
        assert!(problems.iter().any(|of| of.place == place), "{text}: {problems:?}");
    }
}

#[test]
fn p32_programs_that_are_not_listed_are_not_run() {
    let servers =
        "servers: [{id: a, command: [/opt/files, -v]}, {id: b, url: 'https://b.example'}]";
    for (list, is_good) in [
        ("", true),
        ("programs: [/opt/other, /opt/files]\n", true),
        ("programs: [files]\n", false),
        ("programs: [/opt]\n", false),
        ("programs: []\n", false),
    ] {
        match open(&format!("{list}{servers}")) {
            Ok(_) => assert!(is_good, "{list}"),
            Err(problems) => {
                assert!(!is_good && problems[0].place == "servers.a.command", "{problems:?}");
            }
        }
    }
}

#[test]
fn nobody_is_let_in_without_a_proof_from_elsewhere() {
    let far = "servers: []\nlisten: {address: '0.0.0.0:1', public_url: 'https://mcp.example'}\n";
    let problems = open(far).unwrap_err();
    assert_eq!(problems[0].place, "identity.anonymous", "{problems:?}");
    let problems = read("servers: []").unwrap_err();
    assert!(problems[0].place.starts_with("identity"), "{problems:?}");
}

#[test]
fn an_endpoint_has_its_own_servers_and_names() {
    let text = "servers:
  - {id: a, url: 'https://a.example/mcp', overrides: {x: {alias: one, description: d}}}
  - {id: b, command: [b]}
portals: {p: {servers: [a], overrides: {a: {x: {alias: two}}}}}
";
    let config = open(text).unwrap();
    let [server] = config.hub.routes["p"].servers.as_slice() else { panic!() };
    assert_eq!(server.overrides["x"].alias.as_deref(), Some("two"));
    assert_eq!(server.overrides["x"].description.as_deref(), Some("d"));
}
