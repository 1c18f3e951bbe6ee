use std::borrow::Cow;

use super::super::super::{Meaning, Record};
use super::{Keys, Notes, Side, read};

const TABLE: &[(&str, Meaning)] = &[
    ("time", Meaning::Time),
    ("host", Meaning::Host),
    ("target", Meaning::Target),
    ("status", Meaning::Status),
    ("groups", Meaning::Group),
    ("deep.er.user", Meaning::User),
    ("list.sni", Meaning::Sni),
    ("body", Meaning::RequestBody),
];

fn keys() -> Keys {
    Keys::of(TABLE)
        .otherwise(&[("best", Meaning::Host), ("good", Meaning::Host)])
        .header(Side::Response, "kind", "content-type")
        .headers(Side::Request, "all")
        .note("note", 0)
        .absent(["nothing"])
}

fn with<T>(line: &str, see: impl FnOnce(&Record<'_>, &mut Notes<'_>) -> T) -> T {
    let (keys, mut record) = (keys(), Record::default());
    let mut notes = read(&keys, line.as_bytes(), &mut record).unwrap().unwrap();
    see(&record, &mut notes)
}

fn is_bad(line: &str) -> bool {
    let mut record = Record::default();
    read(&keys(), line.as_bytes(), &mut record).is_err()
}

#[test]
fn text_without_escapes_is_borrowed() {
    let line = r#"{"host":"mcp.example","target":"\/mcp"}"#;
    with(line, |record, _| {
        assert!(matches!(record.host, Some(Cow::Borrowed("mcp.example"))));
        assert_eq!(record.target.as_deref(), Some("/mcp"));
    });
}

#[test]
fn paths_lead_through_objects_and_arrays() {
    for line in [
        r#"{"deep":{"x":[1],"er":{"user":"ana"}},"list":[{"sni":"a"},{"sni":"h"}]}"#,
        r#"{"deep.er.user":"ana","list.sni":"h"}"#,
    ] {
        with(line, |record, _| {
            assert_eq!(record.user.as_deref(), Some("ana"), "{line}");
            assert_eq!(record.sni.as_deref(), Some("h"), "{line}");
        });
    }
}

#[test]
fn arrays_are_several_values() {
    with(r#"{"groups":["a","b",null,["c"]]}"#, |record, _| {
        assert_eq!(record.groups, ["a", "b", "c"]);
    });
}

#[test]
fn the_best_of_what_is_there_holds() {
    for (line, host) in [
        (r#"{"good":"g","best":"b"}"#, "b"),
        (r#"{"good":"g","best":"-"}"#, "g"),
        (r#"{"good":"g","best":"b","host":"h"}"#, "h"),
        (r#"{"host":"nothing","good":"g"}"#, "g"),
    ] {
        with(line, |record, _| assert_eq!(record.host.as_deref(), Some(host), "{line}"));
    }
}

#[test]
fn header_fields_come_in_every_form() {
    for all in [
        r#"{"Accept":"*/*","X-Two":["1","2"],"X-Null":null}"#,
        r#"[{"name":"Accept","value":"*/*"},{"name":"X-Two","value":1},{"key":"X-Two","value":"2"}]"#,
        r#"[["Accept","*/*"],["X-Two","1"],["X-Two","2","more"],["X-Odd"],"odd",null]"#,
    ] {
        with(&format!(r#"{{"all":{all}}}"#), |record, notes| {
            let expected = [("Accept", "*/*"), ("X-Two", "1"), ("X-Two", "2")];
            assert_eq!(record.request_fields, expected.map(|(n, v)| (n.into(), v.into())), "{all}");
            assert!(notes.has_request_list && !notes.has_response_list);
        });
    }
    for all in ["null", "\"-\"", "0", "false", "{}", "[]"] {
        with(&format!(r#"{{"all":{all},"kind":"text/html"}}"#), |record, _| {
            assert_eq!(record.request_fields, []);
            assert_eq!(record.response_fields, [("content-type".into(), "text/html".into())]);
        });
    }
}

#[test]
fn fields_that_stand_for_the_request_line_are_told_apart() {
    let line = r#"{"all":{":method":"GET",":path":"/a",":status":"200",":other":"x"}}"#;
    with(line, |record, _| {
        assert_eq!((record.method.as_deref(), record.status), (Some("GET"), Some(200)));
        assert_eq!(record.target.as_deref(), Some("/a"));
        assert_eq!(record.request_fields, []);
    });
}

#[test]
fn bodies_are_text_or_json() {
    for (body, expected) in [
        (r#""{\"id\":1}""#, Some(r#"{"id":1}"#)),
        (r#"{"id" : 1}"#, Some(r#"{"id" : 1}"#)),
        (r#"[{"id":1}]"#, Some(r#"[{"id":1}]"#)),
        ("null", None),
        ("\"\"", None),
        ("7", None),
    ] {
        with(&format!(r#"{{"body":{body}}}"#), |record, _| {
            assert_eq!(record.request_body.as_deref(), expected.map(str::as_bytes), "{body}");
        });
    }
}

#[test]
fn times_are_exact_to_the_microsecond() {
    for time in ["1795334400.123456", "\"1795334400.123456\"", "1795334400123456"] {
        with(&format!(r#"{{"time":{time}}}"#), |record, _| {
            assert_eq!(record.time.unwrap().as_nanos(), 1_795_334_400_123_456_000, "{time}");
        });
    }
}

#[test]
fn a_value_that_cannot_be_makes_the_line_bad_when_asked() {
    with(r#"{"status":"OK","host":"h"}"#, |record, notes| {
        assert_eq!(record.host.as_deref(), Some("h"));
        assert!(notes.check().is_err());
    });
    for status in ["-1", "0", "\"-1\"", "null", "\"\""] {
        with(&format!(r#"{{"status":{status}}}"#), |record, notes| {
            assert_eq!((record.status, notes.check()), (None, Ok(())), "{status}");
        });
    }
}

#[test]
fn what_is_no_object_is_bad() {
    for line in ["text", "{", "{}}", "{}{}", "[1]", "\"{\"", "{\"a\":}x", "1 {", "null"] {
        assert!(is_bad(line), "{line}");
    }
    let far = format!("{}{{}}", " x".repeat(200));
    assert!(is_bad(&far));
}

#[test]
fn brackets_and_commas_of_an_array_around_it_are_passed_over() {
    let (keys, mut record) = (keys(), Record::default());
    for line in ["[", "]", " [ "] {
        assert!(read(&keys, line.as_bytes(), &mut record).unwrap().is_none(), "{line}");
    }
    with(r#"  {"host":"h"},"#, |record, _| assert_eq!(record.host.as_deref(), Some("h")));
}

#[test]
fn a_line_that_is_not_utf_8_is_read_all_the_same() {
    let (keys, mut record) = (keys(), Record::default());
    let line = b"{\"host\":\"h\",\"target\":\"/\xff\"}";
    read(&keys, line, &mut record).unwrap();
    assert_eq!(record.host.as_deref(), Some("h"));
    assert_eq!(record.target.as_deref(), Some("/\u{fffd}"));
}

#[test]
fn nesting_has_a_bound() {
    let deep = format!(r#"{{"deep":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(is_bad(&deep));
}
