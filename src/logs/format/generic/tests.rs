use proptest::prelude::*;

use super::super::tests::told_by;
use super::{Mapping, Problem};
use crate::logs::{Line, Record, Stance};

const JSON: &str = "schema: shadowtap/log-format@1
name: acme
stance: forward
kind: json
fields:
  when: time
  peer.ip: client
  action: action
request_headers:
  agent: user-agent
only_when:
  action: [allow, block, 7, true]
absent: [none]
";

fn problem(text: &str) -> Problem {
    Mapping::parse(text).unwrap_err()
}

/// What a mapping reads of each line.
fn read(mapping: &str, lines: &[&str]) -> Vec<Result<Line, String>> {
    let mut format = Mapping::parse(mapping).unwrap().open();
    let take = |line: &&str| {
        format.line(line.as_bytes(), &mut Record::default()).map_err(|reason| reason.to_string())
    };
    lines.iter().map(take).collect()
}

#[test]
fn json_is_read_as_the_mapping_says() {
    let mut format = Mapping::parse(JSON).unwrap().open();
    let mut record = Record::default();
    let line = br#"{"when":1795334400,"peer":{"ip":"192.0.2.1"},"action":"block","agent":"a/1"}"#;
    assert_eq!(format.line(line, &mut record), Ok(Line::Record));
    assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(record.request_fields, [("user-agent".into(), "a/1".into())]);
    assert!(record.blocked && !record.has_all_fields);
}

#[test]
fn only_lines_with_the_right_values_count() {
    let of = |value: &str| format!(r#"{{"peer.ip":"192.0.2.1","action":{value}}}"#);
    for (value, line) in [
        ("\"allow\"", Line::Record),
        ("7", Line::Record),
        ("true", Line::Record),
        ("\"other\"", Line::Nothing),
        ("8", Line::Nothing),
        ("null", Line::Nothing),
    ] {
        assert_eq!(read(JSON, &[&of(value)]), [Ok(line)], "{value}");
    }
}

const CSV: &str = "schema: shadowtap/log-format@1
name: acme-csv
stance: reverse
kind: csv
";

#[test]
fn the_header_names_the_columns_and_may_come_again() {
    let mapping = format!("{CSV}fields: {{IP: client, Page: target}}\n");
    let found =
        read(&mapping, &["x,IP,Page", "1,192.0.2.1,/a", "x,IP,Page", "1,192.0.2.1", "1,2,/,9"]);
    let short = Err("the line has fewer columns than it should".to_owned());
    let (nothing, record) = (Ok(Line::Nothing), Ok(Line::Record));
    assert_eq!(found, [nothing.clone(), record.clone(), nothing, short, record]);
}

#[test]
fn a_header_of_another_file_is_bad() {
    let mapping = format!("{CSV}fields: {{IP: client}}\n");
    assert!(read(&mapping, &["a,b,c"])[0].is_err());
}

#[test]
fn columns_may_be_given() {
    for (rest, lines) in [
        ("columns: [a, b]", &["192.0.2.1,/x"][..]),
        ("columns: [a, b]\nheader: true", &["some,thing", "192.0.2.1,/x"]),
        ("columns: [a, b]\ndelimiter: \"\\t\"", &["192.0.2.1\t/x"]),
        ("columns: [a, b]\ndelimiter: \" \"", &["192.0.2.1   \"/x\""]),
    ] {
        let mapping = format!("{CSV}fields: {{a: client, b: target}}\n{rest}\n");
        let mut format = Mapping::parse(&mapping).unwrap().open();
        let (last, before) = lines.split_last().unwrap();
        for line in before {
            let read = format.line(line.as_bytes(), &mut Record::default());
            assert_eq!(read, Ok(Line::Nothing), "{rest}");
        }
        let mut record = Record::default();
        assert_eq!(format.line(last.as_bytes(), &mut record), Ok(Line::Record), "{rest}");
        assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()), "{rest}");
        assert_eq!(record.target.as_deref(), Some("/x"), "{rest}");
    }
}

#[test]
fn pairs_are_read_and_what_has_none_is_bad() {
    let mapping = "schema: shadowtap/log-format@1\nname: l\nstance: observer\nkind: logfmt\n\
                   fields: {ip: client, http.path: target}\ncomplete: true\n";
    let mut format = Mapping::parse(mapping).unwrap().open();
    let mut record = Record::default();
    let line = br#"ip=192.0.2.1 flag http.path="/a b""#;
    assert_eq!(format.line(line, &mut record), Ok(Line::Record));
    assert_eq!(record.target.as_deref(), Some("/a b"));
    assert!(record.has_all_fields);
    assert!(format.line(b"no pairs", &mut Record::default()).is_err());
    assert!(format.line(b"a=\"cut", &mut Record::default()).is_err());
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_way_out() {
    let base = "schema: shadowtap/log-format@1\nname: n\nstance: forward\nkind: csv\n";
    for (text, line, message, hint) in [
        (format!("{base}fields: {{a: clinet}}\n"), 5, "`clinet`", "did you mean `client`?"),
        (format!("{base}feilds: {{a: client}}\n"), 5, "`feilds`", "did you mean `fields`?"),
        (format!("{base}fields: {{a: client}}\ndelimiter: ab\n"), 6, "one ASCII", "write"),
        (format!("{base}fields: {{a: client}}\nheader: false\n"), 6, "columns", "header: true"),
        (format!("{base}fields: {{a: client}}\ncolumns: [b]\n"), 5, "`a`", "columns"),
        (
            format!("{base}fields:\n  a: client\nrequest_headers:\n  b: \"*\"\n"),
            8,
            "JSON",
            "own key",
        ),
        (format!("{base}fields:\n  a: client\nrequest_headers:\n  a: x\n"), 6, "two", "one place"),
        (format!("{base}request_headers:\n  a: \"x y\"\n"), 6, "header field", "user-agent"),
        (base.to_owned(), 0, "no fields", "fields:"),
        (base.replace("name: n", "name: har"), 2, "of its own", "another name"),
        (base.replace("name: n", "name: N_"), 2, "no name", "letters"),
        (base.replace("format@1", "format@2"), 1, "schema", "shadowtap/log-format@1"),
        (base.replace("csv", "json") + "header: true\nfields: {a: client}\n", 5, "csv only", "csv"),
        (base.replace("stance: forward\n", ""), 1, "`stance` is missing", "stance"),
        ("schema: [".to_owned(), 1, "", ""),
    ] {
        let found = problem(&text);
        assert!(found.message.contains(message), "{text}\n{found}");
        assert!(found.hint.clone().unwrap_or_default().contains(hint), "{text}\n{found}");
        assert!(found.line == line || line == 1, "{text}\n{found}");
    }
}

#[test]
fn a_bomb_is_refused() {
    let mut text = "a: &a [x]\n".to_owned();
    for step in 0..50 {
        text.push_str(&format!("b{step}: [*a,*a,*a,*a,*a,*a,*a,*a]\n"));
    }
    assert!(Mapping::parse(&text).is_err());
    assert!(problem(&" ".repeat(super::MAX_MAPPING_BYTES + 1)).message.contains("longer"));
}

#[test]
fn the_mappings_that_we_ship_read_their_logs() {
    for (mapping, log, stance) in [
        ("traefik-json", "mapping-traefik-json.json", Stance::Reverse),
        ("caddy-json", "mapping-caddy-json.json", Stance::Reverse),
        ("gateway-csv", "mapping-gateway-csv.csv", Stance::Forward),
        ("egress-logfmt", "mapping-egress-logfmt.log", Stance::Forward),
    ] {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("deploy/proxies/mappings").join(format!("{mapping}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        let mapping =
            Mapping::parse(&text).unwrap_or_else(|problem| panic!("{mapping}: {problem}"));
        assert_eq!(mapping.stance(), stance);
        told_by(&mapping, log);
    }
}

#[test]
fn the_schema_has_every_key_and_meaning() {
    let schema = Mapping::schema();
    for key in ["schema", "stance", "fields", "only_when", "request_headers", "absent"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    let text = schema.to_string();
    for meaning in ["time_of_day", "response_mcp_session", "dns_address", "unused"] {
        assert!(text.contains(&format!("\"{meaning}\"")), "{meaning}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_mapping_or_a_problem(text in "[a-z:{}\\[\\]\\n ,*&-]{0,200}") {
        if let Err(problem) = Mapping::parse(&text) {
            prop_assert!(!problem.to_string().is_empty());
        }
    }

    #[test]
    fn any_line_is_read_or_bad(line in prop::collection::vec(any::<u8>(), 1..200)) {
        let csv = format!("{CSV}fields: {{a: client, b: status}}\ncolumns: [a, b]\n");
        let logfmt = csv.replace("kind: csv", "kind: logfmt").replace("columns: [a, b]\n", "");
        for mapping in [JSON, &csv, &logfmt] {
            let mut format = Mapping::parse(mapping).unwrap().open();
            if let Err(reason) = format.line(&line, &mut Record::default()) {
                prop_assert!(!reason.to_string().is_empty());
            }
        }
    }
}
