use proptest::prelude::*;

use super::*;
use crate::portal::principal::Principal;
use crate::portal::wire::Raw;
use crate::rules::{Level, Report, Source};

#[derive(Deserialize)]
struct Section {
    policy: Config,
}

fn checked(text: &str) -> Result<Checked, Report> {
    let section: Section = serde_saphyr::from_str(text).unwrap();
    section.policy.check(&Source::new("portal.yaml", text))
}

fn policy(text: &str) -> Policy {
    Policy::new(checked(text).unwrap(), &[]).unwrap()
}

fn with_cedar(text: &str, cedar: &str) -> Result<Policy, Report> {
    let source = Source::new("x/extra.cedar", cedar);
    Policy::new(checked(text).unwrap(), &[source])
}

fn who(groups: &[&str]) -> Principal {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    decide::principal("https://idp.example", "alice", "cli", &groups, &["mcp".to_owned()])
}

fn tool<'a>(server: &'a str, name: &'a str) -> Item<'a> {
    Item { server, kind: Kind::Tool, name, hints: Hints::default() }
}

fn raw(text: &str) -> Raw {
    serde_json::from_str(text).unwrap()
}

fn call(policy: &Policy, groups: &[&str], item: Item<'_>, arguments: &str) -> Decision {
    policy.call(&who(groups), &item, Some(&raw(arguments)), &Circumstances::default())
}

fn example() -> Policy {
    policy(include_str!("../../../tests/data/portal/policy.yaml"))
}

#[test]
fn the_example_becomes_the_cedar_that_is_kept() {
    let kept = include_str!("../../../tests/data/portal/policy.cedar");
    let made = example().to_cedar();
    if std::env::var_os("SHADOWTAP_BLESS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/portal/policy.cedar");
        std::fs::write(file, &made).unwrap();
        return;
    }
    assert_eq!(made, kept);
}

#[test]
fn generated_policies_fit_the_schema() {
    let policy = example();
    let source = Source::new("made.cedar", policy.to_cedar());
    let mut report = Report::default();
    let read = raw::read(&[source], &raw::schema().unwrap(), &mut report);
    assert_eq!(report.problems, [], "{report}");
    assert_eq!(read.len(), policy.len());
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn calls_of_the_example() {
    let policy = example();
    let good = r#"{"owner":"acme","path":"docs/a.md","limit":5}"#;
    let with = |from: &str, to: &str| good.replace(from, to);
    for (groups, server, name, arguments, ruling, by) in [
        (&["engineering"][..], "github", "get_x", "{}".to_owned(), "allow", "engineers-read#1"),
        (&["engineering"], "github", "Get_x", "{}".into(), "deny", ""),
        (&["engineering"], "gitlab", "get_x", "{}".into(), "deny", ""),
        (&["sales"], "github", "get_x", "{}".into(), "deny", ""),
        (&[], "github", "get_x", "{}".into(), "deny", ""),
        (&["engineering"], "github", "push_files", good.into(), "allow", "engineers-write#1"),
        (&["release"], "github", "push_files", good.into(), "allow", "engineers-write#2"),
        (&["release"], "github", "push_files", "{}".into(), "deny", ""),
        (&["release"], "github", "push_files", with("acme", "evil"), "deny", ""),
        (&["release"], "github", "push_files", with("docs/a", "docs/../a"), "deny", ""),
        (&["release"], "github", "push_files", with("docs/a", "docs/%2e%2E/a"), "deny", ""),
        (&["release"], "github", "push_files", with("docs/a", "xdocs/a"), "deny", ""),
        (&["release"], "github", "push_files", with("5", "101"), "deny", ""),
        (&["release"], "github", "push_files", with("5", "100.5"), "deny", ""),
        (&["release"], "github", "push_files", with("5", "99.5"), "allow", "engineers-write#2"),
        (&["release"], "github", "push_files", with("5", "\"5\""), "deny", ""),
        (&["release"], "github", "push_files", with("5", "1e400"), "deny", ""),
        (
            &["release"],
            "github",
            "push_files",
            with("\"acme\"", "[\"acme\"]"),
            "allow",
            "engineers-write#2",
        ),
        (&["release"], "github", "push_files", with("\"acme\"", "[\"acme\",\"x\"]"), "deny", ""),
        (
            &["release"],
            "github",
            "push_files",
            with("{", r#"{"branch":"main","#),
            "allow",
            "engineers-write#2",
        ),
        (
            &["release"],
            "github",
            "push_files",
            with("{", r#"{"branch":"release/1","#),
            "deny",
            "no-main#1",
        ),
        (
            &["release"],
            "github",
            "push_files",
            with("{", r#"{"branch":["release/1"],"#),
            "deny",
            "no-main#1",
        ),
        (&["release"], "github", "push_files", with("{", r#"{"owner":"acme","#), "deny", ""),
        (
            &["finance"],
            "billing",
            "refund",
            r#"{"amount":1,"options":{"force":false}}"#.into(),
            "hold",
            "pay#1",
        ),
        (
            &["finance"],
            "billing",
            "refund",
            r#"{"amount":0.25,"options":{"force":false}}"#.into(),
            "deny",
            "",
        ),
        (
            &["finance"],
            "billing",
            "refund",
            r#"{"amount":0.5,"options":{"force":false}}"#.into(),
            "hold",
            "pay#1",
        ),
        (
            &["finance"],
            "billing",
            "refund",
            r#"{"amount":5,"options":{"force":true}}"#.into(),
            "deny",
            "",
        ),
        (
            &["finance"],
            "billing",
            "refund",
            r#"{"amount":5,"options":{"force":false},"note":""}"#.into(),
            "deny",
            "",
        ),
        (
            &["finance"],
            "billing",
            "refund",
            r#"{"amount":5,"options":{"force":false},"note":null}"#.into(),
            "hold",
            "pay#1",
        ),
        (
            &["finance"],
            "billing",
            "other",
            r#"{"amount":1,"options":{"force":false}}"#.into(),
            "deny",
            "",
        ),
        (&["engineering"], "github", "delete_x", "{}".into(), "deny", "nobody-deletes#1"),
    ] {
        let Ok(text) = serde_json::from_str::<Raw>(&arguments) else { continue };
        let got =
            policy.call(&who(groups), &tool(server, name), Some(&text), &Circumstances::default());
        let by_got = got.policy.as_deref().unwrap_or_default();
        assert_eq!(
            (got.ruling.as_str(), by_got),
            (ruling, by),
            "{groups:?} {server}/{name} {arguments}: {got:?}"
        );
    }
}

#[test]
fn what_may_not_be_called_is_not_listed_and_what_may_be_is_a_maybe() {
    let policy = example();
    for (groups, server, name, listed) in [
        (&["engineering"][..], "github", "get_x", true),
        (&["engineering"], "github", "push_files", true),
        (&["engineering"], "github", "delete_x", false),
        (&["sales"], "github", "get_x", false),
        (&["finance"], "billing", "refund", true),
        (&["finance"], "billing", "other", false),
    ] {
        let got = policy.list(&who(groups), &tool(server, name), &Circumstances::default());
        assert_eq!(got.is_open(), listed, "{groups:?} {server}/{name}: {got:?}");
    }
}

#[test]
fn deny_wins_over_hold_and_hold_over_allow() {
    let rule = |name: &str, effect: &str| format!("    - {{name: {name}, effect: {effect}}}\n");
    for (effects, expected) in [
        (&["allow"][..], Ruling::Allow),
        (&["allow", "hold"], Ruling::Hold),
        (&["hold", "allow", "deny"], Ruling::Deny),
        (&["deny", "allow"], Ruling::Deny),
    ] {
        let rules: String =
            effects.iter().enumerate().map(|(n, it)| rule(&format!("r{n}"), it)).collect();
        let policy = policy(&format!("policy:\n  rules:\n{rules}"));
        assert_eq!(call(&policy, &[], tool("a", "b"), "{}").ruling, expected, "{effects:?}");
    }
    let nothing = policy("policy: {}");
    let got = call(&nothing, &["root"], tool("a", "b"), "{}");
    assert_eq!((got.ruling, got.kind), (Ruling::Deny, Basis::Default));
}

#[test]
fn the_quarantined_is_refused_whatever_is_allowed() {
    let policy = policy("policy: {rules: [{name: all, effect: allow}]}");
    let circumstances = Circumstances { pin: PinState::Quarantined, ..Circumstances::default() };
    let item = tool("a", "b");
    assert_eq!(policy.list(&who(&[]), &item, &circumstances).kind, Basis::Quarantine);
    assert_eq!(policy.call(&who(&[]), &item, None, &circumstances).kind, Basis::Quarantine);
}

#[test]
fn tiers_hold_what_is_allowed_and_allow_nothing() {
    let policy = policy(
        "policy:\n  hold_tiers: [critical]\n  rules: [{name: a, groups: [g], effect: allow}]\n",
    );
    let worse = Hints { destructive: Some(true), read_only: Some(true) };
    let item = Item { hints: worse, ..tool("a", "b") };
    assert_eq!(call(&policy, &["g"], item, "{}").kind, Basis::Tier);
    assert_eq!(call(&policy, &["g"], tool("a", "b"), "{}").ruling, Ruling::Allow);
    assert_eq!(call(&policy, &[], item, "{}").ruling, Ruling::Deny);
}

#[test]
fn hostile_arguments_are_refused_where_policies_look_at_them() {
    let policy = policy(
        "policy:\n  rules:\n    - {name: all, effect: allow}\n    - {name: no, tools: [b], arguments: {x: {eq: bad}}, effect: deny}\n",
    );
    let long = "y".repeat(2 << 20);
    let medium = "y".repeat(100 << 10);
    for (arguments, ruling) in [
        (r#"{"x":"good"}"#.to_owned(), Ruling::Allow),
        (r#"{"x":"bad"}"#.into(), Ruling::Deny),
        (r#"{"x":"good","x":"bad"}"#.into(), Ruling::Deny),
        (r#"{"x":"good","y":{"a":1,"a":1}}"#.into(), Ruling::Deny),
        ("[]".into(), Ruling::Deny),
        ("null".into(), Ruling::Deny),
        (format!("{{\"y\":\"{long}\"}}"), Ruling::Deny),
        // Too long to compare: it may be what is denied.
        (format!("{{\"x\":\"{medium}\"}}"), Ruling::Deny),
        (r#"{"x":["bad"]}"#.into(), Ruling::Deny),
        (r#"{"x":{"bad":1}}"#.into(), Ruling::Deny),
        (r#"{"x":12345678901234567890}"#.into(), Ruling::Deny),
        (format!("{{\"y\":{}1{}}}", "[".repeat(100), "]".repeat(100)), Ruling::Allow),
    ] {
        let got = call(&policy, &[], tool("a", "b"), &arguments);
        let shown = arguments.get(..arguments.len().min(60)).unwrap();
        assert_eq!(got.ruling, ruling, "{shown}: {got:?}");
        assert_eq!(call(&policy, &[], tool("a", "c"), &arguments).ruling, Ruling::Allow);
    }
    assert_eq!(
        policy.call(&who(&[]), &tool("a", "b"), None, &Circumstances::default()).ruling,
        Ruling::Allow
    );
}

#[test]
fn problems_of_the_section_are_told_with_their_line() {
    for (rules, code, line) in [
        ("    - {name: 'a b', effect: allow}", "bad-name", 3),
        ("    - {name: a, effect: allow}\n    - {name: a, effect: deny}", "duplicate-name", 4),
        ("    - {name: a, groups: [], effect: allow}", "empty-list", 3),
        ("    - {name: a, effect: allow, tools: ['a\\n']}", "bad-name", 3),
        ("    - {name: a, effect: allow, arguments: {x: {}}}", "bad-condition", 3),
        ("    - {name: a, effect: allow, arguments: {/a/b/c/d/e: {eq: 1}}}", "bad-path", 3),
        ("    - {name: a, effect: allow, arguments: {/a~2: {eq: 1}}}", "bad-path", 3),
        ("    - {name: a, effect: allow, arguments: {x: {min: a}}}", "bad-condition", 3),
        ("    - {name: a, effect: allow, arguments: {x: {eq: 0.12345}}}", "bad-condition", 3),
        (
            "    - {name: a, effect: allow, phase: [list], arguments: {x: {eq: 1}}}",
            "list-arguments",
            3,
        ),
    ] {
        let report = checked(&format!("policy:\n  rules:\n{rules}\n")).unwrap_err();
        let first = &report.problems[0];
        assert_eq!((first.code, first.place.map(|it| it.line)), (code, Some(line)), "{report}");
    }
}

#[test]
fn cedar_files_stand_beside_the_rules() {
    let yaml = "policy: {rules: [{name: all, groups: [g], effect: allow}]}";
    let cedar = r#"
@id("office")
forbid (principal, action, resource in Server::"billing")
unless { principal.client == "cli" && principal.issuer like "https://*" };
@ruling("hold")
permit (principal == User::"https://idp.example#alice", action, resource is Prompt);
permit (principal, action == Action::"call", resource)
when { context.longs.hasTag("/n") && context.longs.getTag("/n") > 7 && context.pin == "approved" };
"#;
    let policy = with_cedar(yaml, cedar).unwrap();
    let item = tool("billing", "x");
    assert_eq!(call(&policy, &["g"], item, "{}").ruling, Ruling::Allow);
    let mut other = who(&["g"]);
    other.owner.client = Arc::from("other");
    let got = policy.call(&other, &item, None, &Circumstances::default());
    assert_eq!(got.policy.as_deref(), Some("office"));
    let prompt = Item { kind: Kind::Prompt, ..tool("a", "x") };
    let got = call(&policy, &[], prompt, "{}");
    assert_eq!((got.ruling, got.policy.as_deref()), (Ruling::Hold, Some("extra#2")));
    let approved = Circumstances { pin: PinState::Approved, ..Circumstances::default() };
    for (arguments, ruling) in [("{\"n\":8}", Ruling::Allow), ("{\"n\":7}", Ruling::Deny)] {
        let got = policy.call(&who(&[]), &tool("a", "x"), Some(&raw(arguments)), &approved);
        assert_eq!(got.ruling, ruling, "{arguments} {got:?}");
    }
}

#[test]
fn problems_of_cedar_files_are_told_with_file_and_line() {
    for (cedar, code, line) in [
        ("permit (principal, action, resource)\nwhen { context.nothing };", "cedar-invalid", 2),
        ("\n\npermit (principal, action resource);", "cedar-syntax", 3),
        (
            "permit (principal, action, resource)\n when { context.longs.hasTag(\"/n\") };",
            "cedar-invalid",
            2,
        ),
        (
            "permit (principal, action == Action::\"call\", resource)\nwhen { context.longs.getTag(\"/n\") == 1 };",
            "cedar-invalid",
            2,
        ),
        ("permit (principal, action == Action::\"calls\", resource);", "cedar-invalid", 1),
    ] {
        let report = with_cedar("policy: {}", cedar).unwrap_err();
        let first = report.problems.iter().find(|it| it.level == Level::Error).unwrap();
        assert_eq!(first.code, code, "{report}");
        assert_eq!(first.file, "x/extra.cedar");
        assert_eq!(first.place.map(|place| place.line), Some(line), "{report}");
    }
}

#[test]
fn a_policy_that_cannot_be_evaluated_refuses() {
    let cedar = "permit (principal, action == Action::\"call\", resource)\nwhen { context.longs.hasTag(\"/n\") && context.longs.getTag(\"/n\") * 3 > 0 };";
    let yaml = "policy: {rules: [{name: all, effect: allow}]}";
    let policy = with_cedar(yaml, cedar).unwrap();
    let got = call(&policy, &[], tool("a", "b"), "{\"n\":9223372036854775807}");
    assert_eq!((got.ruling, got.kind), (Ruling::Deny, Basis::Error));
    assert_eq!(got.policy.as_deref(), Some("extra#1"));
    assert!(got.note.unwrap().contains("overflow"));
    assert_eq!(call(&policy, &[], tool("a", "b"), "{\"n\":1}").ruling, Ruling::Allow);
}

#[test]
fn what_makes_no_difference_is_told() {
    let text = "policy:
  rules:
    - {name: no, servers: [billing], effect: deny}
    - {name: shadowed, groups: [g], servers: [billing], tools: [refund], effect: allow}
    - {name: all-get, tools: ['get_*'], effect: allow}
    - {name: some-get, groups: [g], tools: [get_x], effect: allow}
    - {name: seen, servers: [gone], phase: [list], effect: allow}
";
    let known = Known {
        servers: Some(["billing".to_owned(), "goner".to_owned()].into()),
        groups: Some(["h".to_owned()].into()),
    };
    let report = policy(text).lint(&known);
    let codes: Vec<_> =
        report.problems.iter().map(|it| (it.code, it.place.map_or(0, |at| at.line))).collect();
    for wanted in [
        ("shadowed", 4),
        ("unreachable", 6),
        ("unknown-server", 7),
        ("unknown-group", 4),
        ("unknown-group", 6),
    ] {
        assert!(codes.contains(&wanted), "{wanted:?} in {codes:?}");
    }
    assert_eq!(example().lint(&Known::default()).problems, []);
}

#[test]
fn an_explanation_names_what_holds_and_what_does_not() {
    let arguments = raw(r#"{"owner":"acme","path":"docs/a","limit":1,"branch":"release/1"}"#);
    let item = tool("github", "push_files");
    let said = example()
        .explain(&who(&["engineering"]), &item, Some(&arguments), &Circumstances::default())
        .to_string();
    for part in [
        "call: deny (policy `no-main#1`)",
        "list: allow (policy `engineers-write#1/list`)",
        "call: `no-main#1` (portal.yaml:18) denies everybody to call tool `push_files` of server `git*`, where /branch fits \"release/*\"",
        "call: `engineers-write#1`",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let said = example()
        .explain(&who(&["engineering"]), &item, None, &Circumstances::default())
        .to_string();
    assert!(said.contains("its conditions do not hold"), "{said}");
}

#[test]
fn cases_of_a_file() {
    let cases: Cases = serde_saphyr::from_str(
        "tests:
  - {who: {groups: [engineering]}, server: github, tool: get_x, expect: allow, policy: engineers-read#1}
  - {name: wrong, server: github, tool: get_x, expect: allow}
  - {who: {groups: [release]}, server: github, tool: push_files, arguments: {owner: acme, path: docs/x, limit: 1.5}, expect: allow}
  - {server: github, expect: deny}
",
    )
    .unwrap();
    let wrong: Vec<_> = example()
        .test(&cases)
        .into_iter()
        .map(|outcome| (outcome.place.line, outcome.wrong))
        .collect();
    assert_eq!(wrong[0].1, None);
    assert_eq!(wrong[1], (3, Some("allow expected, deny by no policy".to_owned())));
    assert_eq!(wrong[2].1, None);
    assert!(wrong[3].1.as_ref().unwrap().contains("wanted"));
}

#[test]
fn thousands_of_policies_are_reduced_to_few() {
    let rules: String = (0..1_000)
        .map(|n| format!("    - {{name: r{n}, groups: [g{n}], servers: [s{}], tools: ['t{n}_*'], effect: allow}}\n", n % 50))
        .collect();
    let policy = policy(&format!("policy:\n  rules:\n{rules}"));
    let item = tool("s7", "t57_x");
    let asking = decide::Asking {
        principal: &who(&["g57"]),
        item,
        tier: Tier::ContainedWrite,
        phase: Phase::Call,
        circumstances: &Circumstances::default(),
    };
    let slice = policy.slice(&asking, &[Arc::from("g57")]);
    assert_eq!(slice.entries, [57]);
    assert!(slice.fixed.is_some());
    assert_eq!(call(&policy, &["g57"], item, "{}").ruling, Ruling::Allow);
    assert_eq!(call(&policy, &["g58"], item, "{}").ruling, Ruling::Deny);
}

#[test]
fn odd_names_are_asked_for() {
    cases::exercise(&example());
}

/// Any text as YAML on one line.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

const CONDITIONS: [&str; 9] = [
    "",
    ", arguments: {/a: {prefix: docs/}}",
    ", arguments: {/a: {glob: 'docs/*.md'}, '/b/c~1d': {min: 1, max: 2.5}}",
    ", arguments: {/a: {eq: 1}}",
    ", arguments: {/a: {in: [x, docs/a.md, 2]}}",
    ", arguments: {'/b/c~1d': {in: [x, y]}}",
    ", arguments: {/a: {absent: true}}",
    ", arguments: {'/b/c~1d': {absent: false}}",
    ", arguments: {/a: {max: 3}}",
];

fn value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    proptest::sample::select(vec![
        json!("docs/a.md"),
        json!("docs/../a.md"),
        json!("x"),
        json!(1),
        json!(2.5),
        json!(0.1234567),
        json!(true),
        json!(null),
        json!(["x", "y"]),
        json!(["x", "z"]),
        json!([1]),
        json!({}),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_says_more_than_itself(
        group in "[a-z\"\\\\*;(){}/\\u{e9}\\u{202e}\n]{1,12}", name in "[a-z\"\\\\;(){}/\\u{e9}\n']{1,12}",
        value in "[a-z\"\\\\*;(){}/\\u{e9}\n]{0,12}",
    ) {
        let escaped = name.replace('\\', "\\\\");
        let text = format!(
            "policy:\n  rules:\n    - name: r\n      effect: allow\n      groups: [{}]\n      servers: [{}]\n      tools: [{}]\n      arguments: {{x: {{eq: {}}}}}\n",
            quoted(&group), quoted(&escaped), quoted(&escaped), quoted(&value),
        );
        let policy = policy(&text);
        prop_assert_eq!(policy.len(), 2);
        let arguments = serde_json::json!({ "x": value }).to_string();
        let ruling = |groups: &[&str], server: &str, tool_name: &str, arguments: &str| {
            call(&policy, groups, tool(server, tool_name), arguments).ruling
        };
        prop_assert_eq!(ruling(&[&group], &name, &name, &arguments), Ruling::Allow);
        prop_assert_eq!(ruling(&[], &name, &name, &arguments), Ruling::Deny);
        prop_assert_eq!(ruling(&[&group], "other!", &name, &arguments), Ruling::Deny);
        prop_assert_eq!(ruling(&[&group], &name, "other!", &arguments), Ruling::Deny);
        prop_assert_eq!(ruling(&[&group], &name, &name, "{\"x\":\"other!\"}"), Ruling::Deny);
    }

    /// What is decided without scopes and entities is what Cedar decides with them, as it has to
    /// where a policy of a Cedar file could look at anything.
    #[test]
    fn bare_policies_decide_as_whole_ones(
        rules in proptest::collection::vec((0..3_usize, 0..CONDITIONS.len(), 0..3_usize), 1..6),
        value in value(), nested in value(),
    ) {
        let effects = ["allow", "deny", "hold"];
        let scopes = ["servers: [s], tools: [t]", "servers: ['*'], groups: [g]", "servers: [s], groups: [other]"];
        let rules: String = rules.iter().enumerate().map(|(at, (effect, condition, scope))| {
            let (effect, scope, condition) = (effects[*effect], scopes[*scope], CONDITIONS[*condition]);
            format!("    - {{name: r{at}, effect: {effect}, {scope}{condition}}}\n")
        }).collect();
        let text = format!("policy:\n  rules:\n{rules}");
        let never = "forbid (principal, action, resource) when { resource.name == \"never\" };";
        let (bare, whole) = (policy(&text), with_cedar(&text, never).unwrap());
        let arguments = serde_json::json!({"a": value, "b": {"c/d": nested}}).to_string();
        let (ours, theirs) = (call(&bare, &["g"], tool("s", "t"), &arguments), call(&whole, &["g"], tool("s", "t"), &arguments));
        prop_assert_eq!(ours, theirs, "{} {}", text, arguments);
        let list = |policy: &Policy| policy.list(&who(&["g"]), &tool("s", "t"), &Circumstances::default());
        prop_assert_eq!(list(&bare), list(&whole), "{}", text);
    }

    #[test]
    fn no_arguments_make_it_panic(text: String) {
        if let Ok(raw) = serde_json::from_str::<Raw>(&text) {
            drop(call(&example(), &["release"], tool("github", "push_files"), raw.get()));
        }
    }
}
