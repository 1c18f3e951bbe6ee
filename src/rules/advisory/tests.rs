use proptest::prelude::*;

use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn versions_are_in_order() {
    let ascending = [
        "0.0.5",
        "0.1.15",
        "0.1.16",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1",
        "1.0.1",
        "1.2",
        "1.10.0a1",
        "1.10.0b1",
        "1.10rc1",
        "1.10",
        "2025.7.1",
        "2025.12.18",
        "2026.1.14",
    ];
    for (index, low) in ascending.iter().enumerate() {
        for high in &ascending[index + 1..] {
            assert!(version(low) < version(high), "{low} {high}");
        }
    }
    for (a, b) in [("1", "1.0.0"), ("v1.2", "1.2.0"), ("1.2.3+a", "1.2.3+b"), ("1.0.post1", "1.0")]
    {
        assert_eq!(version(a), version(b), "{a} {b}");
    }
}

#[test]
fn what_is_no_version_is_none() {
    for text in ["", "unknown", "v", "latest", ".1", "1..2", "1 2", "1.2.3 (x)", "é", "1,2"] {
        assert!(Version::parse(text).is_none(), "{text}");
    }
    assert!(Version::parse(&"1.".repeat(9)).is_none());
    assert!(Version::parse(&"1".repeat(65)).is_none());
    assert!(Version::parse("99999999999999999999").is_none());
}

#[test]
fn ranges_hold_what_satisfies_all_of_them() {
    for (range, inside, outside) in [
        ("<1.23.0", &["1.22.0", "0.9.1", "1.23.0rc1"][..], &["1.23.0", "1.23", "2.0.0"][..]),
        (">=0.0.5,<=0.1.15", &["0.0.5", "0.1.15"], &["0.0.4", "0.1.16"]),
        (" >0.0.5 , <0.1.16", &["0.1.0"], &["0.0.5", "0.1.16"]),
        ("=1.2", &["1.2.0"], &["1.2.1"]),
    ] {
        let range = Range::parse(range).unwrap();
        assert!(inside.iter().all(|text| range.contains(&version(text))), "{range:?}");
        assert!(!outside.iter().any(|text| range.contains(&version(text))), "{range:?}");
    }
    for text in ["", "1.2", "<", "<1,", "~1.2", "<x"] {
        assert!(Range::parse(text).is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_version_or_none(text in "\\PC{0,80}") {
        if let Some(version) = Version::parse(&text) {
            prop_assert_eq!(version.cmp(&version.clone()), std::cmp::Ordering::Equal);
        }
        _ = Range::parse(&text);
        _ = products(&text).count();
    }
}

const FILE: &str = "schema: shadowtap/advisories@1
source: test
advisories:
  - {id: CVE-1, products: [Tool], affected: ['<2.0'], severity: medium, title: t, url: 'https://a', checked: '2026-11-22'}
  - {id: CVE-2, products: [tool, other], affected: ['<1.0', '=3.0.0'], severity: high, title: t, url: 'https://a', checked: '2026-11-22'}
  - {id: CVE-3, products: ['sdk:sdk'], affected: ['<1.23.0'], severity: critical, title: t, url: 'https://a', checked: '2026-11-22'}
";

fn source(text: &str) -> Source {
    Source::new("file", text)
}

fn advisories() -> Advisories {
    let parsed =
        Advisories::parse(&source(FILE), &source("sdk,version\nsdk,1.22.0\n\nsdk,1.23.0\n"));
    parsed.unwrap_or_else(|report| panic!("{report}"))
}

fn software(names: &[(&str, &str)]) -> BTreeSet<Software> {
    let one = |(name, version): &(&str, &str)| Software {
        name: (*name).into(),
        version: (*version).into(),
    };
    names.iter().map(one).collect()
}

fn fields(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn servers_fall_under_advisories_by_name_and_version() {
    let advisories = advisories();
    for (named, told, want, severity) in [
        (&[("tool", "1.5.0")][..], &[][..], &["CVE-1"][..], Some(Severity::Medium)),
        (&[("TOOL", "0.9")], &[], &["CVE-2", "CVE-1"], Some(Severity::High)),
        (&[("tool", "")], &[], &[], None),
        (&[("tool", "2.0")], &[], &[], None),
        (&[("tools", "1.0")], &[], &[], None),
        // The SDK's version: nothing of the product, and of the SDK only if it is Python.
        (&[("tool", "1.22.0")], &[], &[], None),
        (&[("tool", "1.22.0")], &["nginx/1.25"], &[], None),
        (&[("tool", "1.22.0")], &["uvicorn"], &["CVE-3"], Some(Severity::Critical)),
        (&[("weather", "1.23.0")], &["uvicorn"], &[], None),
        (&[], &["other/3.0.0 (x; tool/0.1)"], &["CVE-2"], Some(Severity::High)),
    ] {
        let found = advisories.of_server(&software(named), &fields(told));
        assert_eq!((found.ids, found.severity), (fields_of(want), severity), "{named:?} {told:?}");
    }
}

fn fields_of(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn clients_fall_under_advisories_by_name_and_agent() {
    let advisories = advisories();
    for (named, agents, want) in [
        (&[("tool", "1.22.0")][..], &[][..], &["CVE-1"][..]),
        (&[], &["Mozilla/5.0 (X11; tool/0.1) Tool/1.9 other/1"], &["CVE-1"]),
        (&[("x", "1")], &["python-httpx/0.28.1", "node"], &[]),
    ] {
        let found = advisories.of_client(&software(named), &fields(agents));
        assert_eq!(found.ids, fields_of(want), "{named:?} {agents:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    let releases = source("sdk,version\n");
    for (from, to, code, at) in [
        ("shadowtap/advisories@1", "shadowtap/advisories@9", "unknown-schema", "file:1:9"),
        ("<2.0", "2.0", "wrong-value", "file:4:"),
        ("CVE-1", "XYZ-1", "wrong-value", "file:4:10"),
        ("CVE-2", "CVE-1", "duplicate-id", "file:5:10"),
        ("['sdk:sdk']", "[]", "wrong-value", "file:6:"),
        ("checked: '2026-11-22'", "checked: 'soon'", "wrong-value", "file:4:"),
        ("'https://a'", "'http://a'", "wrong-value", "file:4:"),
        ("severity: medium", "severity: bad", "unknown-value", "file:4:"),
        ("title: t", "tittle: t", "unknown-key", "file:4:"),
    ] {
        let text = FILE.replacen(from, to, 1);
        let report = Advisories::parse(&source(&text), &releases).unwrap_err().to_string();
        assert!(report.contains(code) && report.contains(at), "{from}\n{report}");
    }
    for (text, at) in [("a,b\n", "file:1:1"), ("sdk,version\nx\n", "file:2:1")] {
        let report = Advisories::parse(&source(FILE), &source(text)).unwrap_err().to_string();
        assert!(report.contains("wrong-row") && report.contains(at), "{report}");
    }
}

#[test]
fn what_ships_is_right() {
    let file = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/data").join(name);
        source(&std::fs::read_to_string(path).unwrap())
    };
    let parsed = Advisories::parse(&file("advisories.yaml"), &file("sdk-releases.csv"));
    let parsed = parsed.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(parsed.all(), Advisories::builtin().all());
    assert!(!parsed.all().is_empty() && parsed.releases.contains_key("1.22.0"));
}
