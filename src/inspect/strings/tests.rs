use proptest::prelude::*;

use super::*;

/// Path, text, and whether it is a key.
fn leaves_within(json: &str, limits: &Limits) -> (Vec<(String, String, bool)>, bool) {
    let mut found = Vec::new();
    let whole = strings(json, limits, &mut |leaf| {
        found.push((leaf.path.to_owned(), leaf.text.to_owned(), leaf.is_key));
    });
    (found, whole)
}

fn leaves(json: &str) -> Vec<(String, String, bool)> {
    leaves_within(json, &Limits::default()).0
}

fn values(json: &str) -> Vec<(String, String)> {
    let values = leaves(json).into_iter().filter(|(_, _, is_key)| !is_key);
    values.map(|(path, text, _)| (path, text)).collect()
}

#[track_caller]
fn expect(json: &str, want: &[(&str, &str)]) {
    let want: Vec<_> = want.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    assert_eq!(values(json), want, "{json}");
}

#[test]
fn values_have_their_paths() {
    expect(r#""top""#, &[("", "top")]);
    expect(
        r#"{"a":"1","b":{"c":"2","d":[ "3", {"e":"4"}, ["5"] ]},"f":"6"}"#,
        &[("a", "1"), ("b.c", "2"), ("b.d[]", "3"), ("b.d[].e", "4"), ("b.d[][]", "5"), ("f", "6")],
    );
    expect(r#"["a",{"b":"c"},"d"]"#, &[("[]", "a"), ("[].b", "c"), ("[]", "d")]);
    expect(r#"{"n":1,"t":true,"x":null,"e":{},"l":[],"s":""}"#, &[("s", "")]);
    expect("{\"a\":\"1\"}\n{\"b\":\"2\"}", &[("a", "1"), ("b", "2")]);
}

#[test]
fn keys_are_leaves_of_their_object() {
    let want = [("", "a", true), ("a", "b", true), ("a.b", "c", false), ("", "d", true)];
    let want: Vec<_> = want.map(|(p, t, k)| (p.to_owned(), t.to_owned(), k)).into();
    assert_eq!(leaves(r#"{"a":{"b":"c"},"d":1}"#), want);
}

#[test]
fn escapes_are_decoded() {
    for (json, want) in [
        (r#""tools\/call""#, "tools/call"),
        (r#""\u0074ools\u002Fc\u0061ll""#, "tools/call"),
        (r#""\"\\\b\f\n\r\t""#, "\"\\\u{8}\u{c}\n\r\t"),
        (r#""\ud83d\uDE00""#, "\u{1f600}"),
        (r#""\ud83dx""#, "\u{fffd}x"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ude00""#, "\u{fffd}"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (r#""a\x41""#, r"a\x41"),
        (r#""a\u00zz""#, r"a\u00zz"),
        (r#""\ä""#, r"\ä"),
        ("\"raw\ncontrol\"", "raw\ncontrol"),
    ] {
        expect(json, &[("", want)]);
    }
}

#[test]
fn a_key_with_escapes_is_decoded_in_the_path() {
    expect(r#"{"\u0061":{"b\n":"c"}}"#, &[("a.b\n", "c")]);
}

#[test]
fn what_is_no_json_gives_what_it_seems_to_have() {
    expect(r#"}}]]{"a":"b"}"#, &[("a", "b")]);
    expect(r#"{'a': "b", c: "d"}"#, &[("", "b"), ("", "d")]);
    expect(r#"{"a" "b"}"#, &[]);
    expect(r#"{"a":["b"}"#, &[("a[]", "b")]);
    expect("no strings at all", &[]);
}

#[test]
fn deep_strings_are_reported_under_the_deepest_path() {
    let limits = Limits { max_depth: 2, ..Limits::default() };
    let json = r#"{"a":{"b":{"c":["d",{"e":"f"}],"g":"h"},"i":"j"},"k":"l"}"#;
    let found: Vec<_> = leaves_within(json, &limits).0;
    let texts: Vec<_> = found
        .iter()
        .filter(|(_, _, is_key)| !is_key)
        .map(|(path, text, _)| (path.as_str(), text.as_str()))
        .collect();
    assert_eq!(texts, [("a.b", "d"), ("a.b", "f"), ("a.b", "h"), ("a.i", "j"), ("k", "l")]);
    let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(values(&deep), [("[]".repeat(32), "x".to_owned())]);
}

#[test]
fn bounds_stop_the_reading_and_say_so() {
    let json = r#"["one","two","three"]"#;
    let texts = |limits: Limits| {
        let (found, whole) = leaves_within(json, &limits);
        (found.into_iter().map(|(_, text, _)| text).collect::<Vec<_>>().join("|"), whole)
    };
    let limits = Limits::default();
    assert_eq!(texts(limits), ("one|two|three".to_owned(), true));
    assert_eq!(texts(Limits { max_leaves: 2, ..limits }), ("one|two".to_owned(), false));
    assert_eq!(texts(Limits { max_leaves: 3, ..limits }), ("one|two|three".to_owned(), true));
    assert_eq!(texts(Limits { max_text_bytes: 5, ..limits }), ("one|tw".to_owned(), false));
    assert_eq!(texts(Limits { max_text_bytes: 6, ..limits }), ("one|two".to_owned(), false));
    assert_eq!(texts(Limits { max_text_bytes: 11, ..limits }), ("one|two|three".to_owned(), true));
}

#[test]
fn an_escaped_string_is_cut_at_the_bound_too() {
    let json = format!(r#""{}""#, r"\n\u00e4x".repeat(1000));
    let limits = Limits { max_text_bytes: 10, ..Limits::default() };
    let (found, whole) = leaves_within(&json, &limits);
    assert_eq!(found[0].1, "\n\u{e4}x\n\u{e4}x\n");
    assert!(!whole);
}

#[test]
fn long_keys_are_cut_in_the_path_only() {
    let key = "k".repeat(1000);
    let found = leaves(&format!(r#"{{"{key}":"v"}}"#));
    assert_eq!(found[0].1, key);
    assert_eq!(found[1].0, "k".repeat(MAX_SEGMENT_BYTES));
}

#[test]
fn collected_strings_keep_their_order() {
    let found = Strings::of(r#"{"a":"1","b":["2"]}"#, &Limits::default());
    assert_eq!(found.values, [("a".into(), "1".into()), ("b[]".into(), "2".into())]);
    assert_eq!(found.keys, [("".into(), "a".into()), ("".into(), "b".into())]);
    assert!(!found.truncated);
}

/// The leaves of each beginning of a text are the first ones of the whole, the last one cut.
pub(super) fn check_cuts(json: &str) {
    let whole = leaves(json);
    for end in (0..json.len()).filter(|end| json.is_char_boundary(*end)) {
        let cut = leaves(json.get(..end).unwrap());
        assert!(cut.len() <= whole.len(), "{json} cut at {end}");
        let Some((last, before)) = cut.split_last() else { continue };
        assert_eq!(before, &whole[..before.len()], "{json} cut at {end}");
        let (path, text, is_key) = &whole[before.len()];
        assert_eq!((path, *is_key), (&last.0, last.2), "{json} cut at {end}");
        assert!(text.starts_with(&last.1), "{json} cut at {end}");
    }
}

#[test]
fn a_cut_text_gives_the_first_leaves() {
    check_cuts(
        r#"{"a":{"b\u0062":["\ud83d\ude00x\n","\ud83dy",{"k\"":"v"}],"z":[]},"last":"w\/","n":1.5}"#,
    );
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        "\\PC{0,8}|[\"\\\\\n\u{1}{}:,]{0,6}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::vec(("[a-z\"\\\\\u{e4}]{0,4}", inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn walk(value: &serde_json::Value, path: &str, found: &mut Vec<(String, String, bool)>) {
    match value {
        serde_json::Value::String(text) => found.push((path.to_owned(), text.clone(), false)),
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| walk(item, &format!("{path}[]"), found));
        }
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                found.push((path.to_owned(), key.clone(), true));
                let dot = if path.is_empty() { "" } else { "." };
                walk(member, &format!("{path}{dot}{key}"), found);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn agrees_with_a_parser(value in json()) {
        let mut want = Vec::new();
        walk(&value, "", &mut want);
        prop_assert_eq!(leaves(&value.to_string()), want.clone());
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(leaves(&pretty), want);
        check_cuts(&pretty);
    }

    #[test]
    fn any_text_gives_the_same_leaves_when_cut(text in "[\"{}\\[\\]:,a\\\\u0d8 ]{0,60}") {
        check_cuts(&text);
    }
}
