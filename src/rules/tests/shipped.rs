//! The rules that ship: they compile, their examples hold, and they cover what they claim.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::pipeline::Recogniser;
use crate::rules::{
    Lane, Limits, RuleSet, Severity, Source, Want, builtin, builtin_without_tests, check, compile,
    correlation_schema, exceptions_schema, explain, list_schema, load, schema, table,
    thresholds_schema,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

fn shipped() -> RuleSet {
    compile(&builtin(), &Limits::default()).unwrap_or_else(|report| panic!("{report}")).0
}

/// Compares with a file below `rules/`, or rewrites it when `BLESS` is set.
fn same_as_file(name: &str, actual: &str) {
    let path = root().join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} is stale: run this test with BLESS=1");
}

#[test]
fn shipped_rules_pass_their_own_check() {
    let (set, report) = check(&builtin(), &Limits::default(), &Recogniser);
    assert!(report.problems.is_empty(), "{report}");
    assert_eq!(set.unwrap().rules().len(), shipped().rules().len());
}

#[test]
fn without_their_tests_the_rules_are_the_same() {
    let cut = builtin_without_tests();
    assert!(cut.iter().all(|file| file.is_cut || file.name.starts_with("rules/lists/")));
    let cut = compile(&cut, &Limits::default()).unwrap_or_else(|report| panic!("{report}")).0;
    assert_eq!(table(&cut), table(&shipped()));
    for (cut, whole) in cut.rules().iter().zip(shipped().rules()) {
        assert_eq!((cut.tests.len(), whole.tests.len() >= 10), (0, true), "{}", whole.info.id);
        assert_eq!(format!("{:?}", cut.info), format!("{:?}", whole.info));
    }
}

#[test]
fn every_file_is_built_in() {
    let files = load::read(&[root()], &Limits::default()).unwrap();
    let below = |name: &str| {
        let path = Path::new(name).strip_prefix(root()).unwrap();
        format!("rules/{}", path.display())
    };
    let on_disk = files.iter().map(|file| (below(&file.name), file.text.clone()));
    // Imported rules are loaded only when asked for: `--rules rules/cloudflare`.
    let on_disk: BTreeSet<_> =
        on_disk.filter(|(name, _)| !name.starts_with("rules/cloudflare/")).collect();
    let built_in: BTreeSet<_> = builtin().into_iter().map(|file| (file.name, file.text)).collect();
    assert_eq!(on_disk, built_in);
}

#[test]
fn ids_lie_in_the_range_of_their_folder() {
    for rule in shipped().rules() {
        let folder = rule.file.split('/').nth(1).unwrap();
        let digit = match folder {
            "protocol" => '1',
            "discovery" => '2',
            "servers" => '3',
            "tools" => '4',
            "calls" => '5',
            "exposure" => '6',
            "evasion" => '7',
            "clients" => '8',
            other => panic!("the folder {other} has no range"),
        };
        assert_eq!(rule.info.id.chars().nth(5), Some(digit), "{}", rule.file);
    }
}

#[test]
fn every_rule_has_five_examples_that_hit_and_five_that_do_not() {
    let set = shipped();
    let few = set.rules().iter().filter_map(|rule| {
        let count = |want| rule.tests.iter().filter(|test| test.want.value == want).count();
        let (hits, none) = (count(Want::Hit), count(Want::None));
        (hits < 5 || none < 5).then(|| format!("{}: {hits} hit, {none} do not", rule.file))
    });
    assert_eq!(few.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn protocol_and_discovery_rules_only_inform() {
    for rule in shipped().rules().iter().filter(|rule| rule.info.id.as_str() < "SMCP-3000") {
        assert_eq!(
            (rule.info.lane, rule.info.severity),
            (Lane::Hunt, Severity::Info),
            "{}",
            rule.info.id
        );
        assert!(rule.raise.is_empty());
    }
}

#[test]
fn every_method_of_every_revision_has_a_rule() {
    let methods = "initialize server/discover ping tools/list tools/call prompts/list prompts/get \
        resources/list resources/templates/list resources/read resources/subscribe \
        resources/unsubscribe subscriptions/listen completion/complete logging/setLevel \
        sampling/createMessage roots/list elicitation/create tasks/get tasks/cancel tasks/list \
        tasks/result tasks/update notifications/initialized notifications/cancelled \
        notifications/progress notifications/message notifications/tools/list_changed \
        notifications/prompts/list_changed notifications/resources/list_changed \
        notifications/resources/updated notifications/roots/list_changed \
        notifications/tasks/status notifications/tasks notifications/elicitation/complete \
        notifications/subscriptions/acknowledged";
    let texts: Vec<String> = builtin()
        .into_iter()
        .filter(|file| file.name.starts_with("rules/protocol/"))
        .map(|file| file.text.split("\ntests:").next().unwrap().to_owned())
        .collect();
    for method in methods.split_whitespace() {
        let named = |text: &String| {
            text.split(|c: char| c.is_whitespace() || "[],".contains(c)).any(|word| word == method)
        };
        assert!(texts.iter().any(named), "{method}");
    }
}

#[test]
fn the_schemas_beside_the_rules_are_current() {
    let pretty = |schema: &_| serde_json::to_string_pretty(schema).unwrap() + "\n";
    same_as_file("schema.json", &pretty(&schema()));
    same_as_file("list.schema.json", &pretty(&list_schema()));
    same_as_file("exceptions.schema.json", &pretty(&exceptions_schema()));
    same_as_file("thresholds.schema.json", &pretty(&thresholds_schema()));
    same_as_file("correlation.schema.json", &pretty(&correlation_schema()));
}

#[test]
fn the_table_of_rules_changes_only_on_purpose() {
    same_as_file("rules.txt", &table(&shipped()));
}

#[test]
fn explain_shows_literals_phase_fields_and_tests() {
    let set = shipped();
    let text = explain(set.get("SMCP-1102").unwrap());
    for part in [
        "SMCP-1102 rev 1: MCP tool methods",
        "`tools/call`",
        "in mcp.method (the longest texts",
        "decides     with the request body",
        "mcp.method (text): `method` of a request or notification.",
        "hit         call",
        "none        other JSON-RPC",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(explain(set.get("SMCP-3001").unwrap()).contains("none: evaluated on every server"));
    assert!(set.get("SMCP-0000").is_none());
}

#[test]
fn every_rule_and_correlation_is_explained() {
    let set = shipped();
    let tuning = set.tuning();
    let rules = set.rules().iter().map(|rule| (rule.info.id.as_str(), explain(rule)));
    let correlations = tuning.correlations().iter().map(|of| (of.info.id.as_str(), of.explain()));
    for (id, text) in rules.chain(correlations) {
        for part in [id, "\nWhy\n", "\nWhat to do\n", "\nTests\n", "\nReferences\n"] {
            assert!(text.contains(part), "{id}: {part}");
        }
        // A correlation reads matches, and says which.
        assert!(text.contains("\nReads\n") || text.contains("matches"), "{id}");
    }
}

#[test]
fn examples_in_the_readme_are_right() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let example =
        |(number, text): (usize, &str)| Source::new(format!("README.md block {number}"), text);
    let mut files: Vec<Source> = blocks.enumerate().map(example).collect();
    for schema in ["rule", "exceptions", "thresholds", "correlation"] {
        let line = format!("schema: shadowtap/{schema}@1\n");
        assert!(files.iter().any(|file| file.text.contains(&line)), "{schema}");
    }
    files.extend(builtin());
    let (set, report) = check(&files, &Limits::default(), &Recogniser);
    assert!(report.problems.is_empty(), "{report}");
    let set = set.unwrap();
    let tuning = set.tuning();
    assert_eq!((tuning.exceptions().len(), tuning.thresholds().len()), (1, 1));
    assert!(tuning.correlation("SMCP-9002").is_some());
    let table = table(&set);
    for line in [
        "EXCEPTION      EXPIRES     OWNER                   RULES",
        "payroll-audit  2027-01-15  finance-it@example.com  SMCP-9001",
        "limit          3  3600 s  source  SMCP-9001",
    ] {
        assert!(table.lines().any(|known| known == line), "{line} is not in:\n{table}");
    }
}

#[test]
fn building_blocks_end_in_nine_hundred_and_feed_something() {
    let set = shipped();
    let blocks = set.rules().iter().filter(|rule| rule.building_block);
    let ids: Vec<_> = blocks.map(|rule| rule.info.id.as_str()).collect();
    assert_eq!(ids, ["SMCP-5900", "SMCP-5901", "SMCP-8900"]);
    for id in &ids {
        let mut correlations = set.tuning().correlations().iter();
        assert!(correlations.any(|one| one.rules.iter().any(|rule| rule == id)), "{id}");
    }
}
