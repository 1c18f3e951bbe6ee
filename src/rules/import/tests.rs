use std::path::Path;

use super::cloudflare::{Pattern, patterns};
use super::*;
use crate::pipeline::Recogniser;
use crate::rules::{Limits, Source, check, format};

const PROFILE: &str = include_str!("../../../rules/cloudflare/profile.json");

fn sources(imported: &Imported) -> Vec<Source> {
    let source = |(name, text): &(String, String)| Source::new(name.clone(), text.clone());
    imported.files.iter().map(source).collect()
}

#[test]
fn the_tutorial_gives_ten_rules_that_ship() {
    let imported = cloudflare_dlp(PROFILE, "SMCP-9100").unwrap();
    assert_eq!(imported.files.len(), 10);
    assert_eq!(imported.notes.len(), 10, "{:?}", imported.notes);
    assert!(imported.notes.iter().all(|note| note.contains("`luhn`")), "{:?}", imported.notes);
    let first = &imported.files[0];
    assert_eq!(first.0, "mcp-initialize-method.yaml");
    assert!(
        first.1.contains(r#"matches: "\"method\"\\s{0,5}:\\s{0,5}\"initialize\""}"#),
        "{}",
        first.1
    );
    let sources = sources(&imported);
    let (set, report) = check(&sources, &Limits::default(), &Recogniser);
    assert!(report.problems.is_empty(), "{report}");
    let set = set.unwrap();
    assert!(set.rules().len() == 10 && set.rules().iter().all(|rule| rule.is_active()));
    assert!(set.reads_body_head());
    assert!(set.rules().iter().all(|rule| rule.tests.len() == 10));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/cloudflare");
    for source in sources {
        let path = folder.join(&source.name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &source.text).unwrap();
        }
        let shipped = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(shipped == source.text, "{} is stale: BLESS=1", source.name);
    }
}

#[test]
fn the_bodies_of_tests_are_requests_that_the_patterns_match() {
    for (pattern, (_, text)) in
        patterns(PROFILE).unwrap().iter().zip(cloudflare_dlp(PROFILE, "SMCP-9100").unwrap().files)
    {
        let line = text.lines().find(|line| line.contains("request: {body: ")).unwrap();
        let json = line.split_once("body: ").unwrap().1.strip_suffix('}').unwrap();
        let body: String = serde_json::from_str(json).unwrap();
        assert!(regex::Regex::new(&pattern.regex).unwrap().is_match(&body), "{body}");
        let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(parsed["jsonrpc"], "2.0", "{body}");
    }
}

#[test]
fn imported_rules_are_formatted() {
    for source in sources(&cloudflare_dlp(PROFILE, "SMCP-9100").unwrap()) {
        let text =
            format(&source, &Limits::default()).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(text, source.text);
    }
}

#[test]
fn every_form_of_a_profile_is_read() {
    let one = |name: &str, regex: &str| Pattern {
        name: name.into(),
        regex: regex.into(),
        enabled: true,
        validation: None,
    };
    for text in [
        r#"{"result": [{"entries": [{"name": "a b", "pattern": {"regex": "x{2}"}}]}]}"#,
        r#"{"values": {"root_module": {"resources": [{"values": {"entry": [{"name": "a b", "enabled": true, "pattern": [{"regex": "x{2}", "validation": ""}]}]}}]}}}"#,
        "# c\na b\tx{2}\n\n",
        "a b: x{2}\n",
        "\"a b\": 'x{2}'\n",
        "entries:\n  - name: a b\n    pattern: {regex: \"x{2}\"}\n",
    ] {
        assert_eq!(patterns(text).unwrap(), [one("a b", "x{2}")], "{text}");
    }
    for text in ["", "[]", "{}", "5", "a: [b]", "{\"a\": 5}"] {
        assert!(patterns(text).is_err(), "{text}");
    }
}

#[test]
fn what_cannot_be_imported_is_said_and_takes_no_id() {
    let text = "ahead\tx(?=y)\nback\t(a)\\1\nfine\tAKIA[0-9]{16}\nany\t[^a]{3}\n";
    let imported = cloudflare_dlp(text, "SMCP-9990").unwrap();
    let names: Vec<_> = imported.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["fine.yaml", "any.yaml"]);
    assert!(imported.files[0].1.contains("id: SMCP-9990\n"));
    let notes = imported.notes.join("\n");
    for part in [
        "`ahead` is left out: its expression cannot be used: look-around",
        "`back` is left out: its expression cannot be used: backreferences",
        "SMCP-9991: no text was found that `any` matches, so the rule is a draft",
        "SMCP-9991: `any` has no literal",
    ] {
        assert!(notes.contains(part), "{part} is not in\n{notes}");
    }
    let off = r#"[{"name": "o", "enabled": false, "pattern": {"regex": "abcd"}}]"#;
    assert!(cloudflare_dlp(off, "SMCP-9100").unwrap().files[0].1.contains("status: draft"));
    assert!(cloudflare_dlp(text, "SMCP-9998").is_err());
    assert!(cloudflare_dlp(text, "9100").is_err());
}

#[test]
fn names_of_files_are_unique_and_safe() {
    let imported = cloudflare_dlp("a/../b\tabcd\na b\tabcd\na b\tefgh\n…\tabcd\n", "SMCP-9100");
    let names: Vec<_> = imported.unwrap().files.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a-b.yaml", "a-b-smcp-9101.yaml", "a-b-smcp-9102.yaml", "smcp-9103.yaml"]);
}
