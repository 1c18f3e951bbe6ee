use super::*;
use crate::sinks::encode::EventType;

fn source(text: &str) -> Source {
    Source::new("outputs.yaml", text)
}

fn good(outputs: &str) -> Vec<Output> {
    let text = format!("schema: shadowtap/outputs@1\noutputs:\n{outputs}");
    match parse(&source(&text)) {
        Ok((outputs, _)) => outputs,
        Err(report) => panic!("{report}"),
    }
}

fn bad(outputs: &str) -> String {
    let text = format!("schema: shadowtap/outputs@1\noutputs:\n{outputs}");
    parse(&source(&text)).unwrap_err().to_string()
}

const WEBHOOK: &str = "- {name: a, kind: webhook, url: 'https://example.com/x'";

const EXAMPLE: &str = include_str!("../../../../deploy/outputs/outputs.yaml");

#[test]
fn the_example_is_read_and_explained() {
    let (outputs, report) = parse(&source(EXAMPLE)).unwrap();
    assert!(report.problems.is_empty(), "{report}");
    let kinds: Vec<_> = outputs.iter().map(|output| output.target.kind()).collect();
    assert!(Kind::ALL.iter().all(|kind| kinds.contains(kind)), "one of each kind");
    let text = explain(&outputs);
    for want in [
        "warehouse: clickhouse\n  to        https://clickhouse.example.com:8443, database shadowtap",
        "  user      shadowtap, password from the credential clickhouse-password",
        "  spool     4 GiB on disk while it is away",
        "  events    findings, messages, as ocsf",
        "  to        siem.example.com:6514 over tls",
        "  events    findings; findings from high on, as native",
        "  batch     500 records, 1 MiB or 10 s, whatever comes first",
        "  signed    HMAC-SHA256, key from the credential lake-signing-key",
        "  files     64 MiB each, 1 GiB are kept",
    ] {
        assert!(text.contains(want), "{want}\n{text}");
    }
}

#[test]
fn what_is_absent_has_its_default() {
    let outputs = good(
        "- {name: ch, kind: clickhouse, url: 'http://127.0.0.1:8123'}\n\
         - {name: sl, kind: syslog, address: '[2001:db8::1]:6514'}\n\
         - {name: hook, kind: webhook, url: 'http://127.0.0.1/x'}\n\
         - {name: f, kind: file, directory: /tmp/x, encoding: ocsf}\n",
    );
    let [ch, syslog, hook, file] = outputs.as_slice() else { panic!() };
    assert_eq!(ch.encoding, Encoding::Rows);
    assert_eq!(ch.selection.events, EventType::ALL);
    assert_eq!((ch.batch.rows, ch.spool_bytes), (50_000, 1 << 30));
    let Target::Clickhouse(target) = &ch.target else { panic!() };
    assert_eq!((target.database.as_str(), target.compression), ("shadowtap", Compression::Lz4));
    assert_eq!(syslog.encoding, Encoding::Cef);
    assert_eq!(syslog.selection.events, [EventType::Finding]);
    let Target::Syslog(target) = &syslog.target else { panic!() };
    assert_eq!((target.host.as_str(), target.port), ("2001:db8::1", 6514));
    assert_eq!((target.transport, target.facility), (Transport::Tls, Facility::Local0));
    assert_eq!(hook.encoding, Encoding::Native);
    assert_eq!((hook.batch.rows, hook.batch.age), (100, Duration::from_secs(5)));
    assert_eq!(file.selection.events, [EventType::Finding, EventType::Message]);
}

#[test]
fn values_are_read() {
    let outputs = good(
        "- name: ch\n  kind: clickhouse\n  url: https://ch.example:8443\n  compression: zstd\n\
         \x20 settings: {max_memory_usage: 1000000, insert_quorum: auto, x: true}\n\
         \x20 batch: {rows: 10, bytes: 64KiB, seconds: 0.5}\n  spool_size: 2GB\n  events: [flow]\n",
    );
    let Target::Clickhouse(target) = &outputs[0].target else { panic!() };
    let settings: Vec<_> =
        target.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(settings, [("insert_quorum", "auto"), ("max_memory_usage", "1000000"), ("x", "1")]);
    assert_eq!(target.compression, Compression::Zstd);
    let age = Duration::from_millis(500);
    assert_eq!(outputs[0].batch, Batch { rows: 10, bytes: 64 << 10, age });
    assert_eq!(outputs[0].spool_bytes, 2_000_000_000);
}

#[test]
fn every_mistake_says_where_and_what_to_write() {
    for (outputs, wants) in [
        (
            "- {name: a, kind: webhok, url: x}",
            &["`webhok` is not one of", "did you mean `webhook`?", ":3:"][..],
        ),
        (
            "- {name: a, kind: webhook, ulr: x}",
            &["there is no key `ulr` here", "did you mean `url`?", ":3:"],
        ),
        ("- {kind: file, directory: /x}", &["the key `name` is missing", "outputs.yaml:3:3"]),
        ("- {name: a}", &["the key `kind` is missing", "clickhouse, webhook"]),
        ("- {name: A b, kind: file, directory: /x}", &["lower-case letters"]),
        ("- {name: a, kind: file}", &["the key `directory` is missing; `file` needs it"]),
        (
            "- {name: a, kind: file, directory: /x, url: 'http://x'}",
            &["an output of kind `file` has no key `url`", "rotate_size"],
        ),
        (
            "- {name: a, kind: file, directory: /x}\n- {name: a, kind: file, directory: /x}",
            &["another output `a`", "the first is in line 3", "outputs.yaml:4:"],
        ),
        ("- {name: a, kind: webhook, url: 'ftp://x/'}", &["begins with http:// or https://"]),
        (
            "- {name: a, kind: webhook, url: 'https://u:fake@x/'}",
            &["a password does not stand in an address"],
        ),
        ("- {name: a, kind: webhook, url: 'not an url'}", &["no address"]),
        ("- {name: a, kind: clickhouse, url: 'https://x', encoding: ecs}", &["take `rows` only"]),
        (
            "- {name: a, kind: file, directory: /x, encoding: rows}",
            &["only `clickhouse` takes them"],
        ),
        (
            "- {name: a, kind: file, directory: /x, encoding: cef, events: [stats]}",
            &["`stats` events have no form in `cef`"],
        ),
        ("- {name: a, kind: file, directory: /x, events: []}", &["an output without events"]),
        ("- {name: a, kind: file, directory: /x, events: [weather]}", &["`weather` is not one of"]),
        ("- {name: a, kind: file, directory: /x, min_severity: loud}", &["`loud` is not one of"]),
        ("- {name: a, kind: file, directory: /x, rotate_size: much}", &["a size is wanted here"]),
        ("- {name: a, kind: file, directory: /x, rotate_size: 1KiB}", &["1 MiB are the least"]),
        ("- {name: a, kind: file, directory: /x, keep_size: 64MiB}", &["twice `rotate_size`"]),
        ("- {name: a, kind: splunk_hec, url: 'https://x'}", &["the key `token` is missing"]),
        (
            "- {name: a, kind: splunk_hec, url: 'https://x/services', token: {file: /t}}",
            &["has no path"],
        ),
        ("- {name: a, kind: splunk_hec, url: 'https://x', token: {}}", &["one of the two"]),
        (
            "- {name: a, kind: splunk_hec, url: 'https://x', token: {file: /t, credential: t}}",
            &["one of the two"],
        ),
        (
            "- {name: a, kind: splunk_hec, url: 'https://x', token: {credential: ../t}}",
            &["is no path"],
        ),
        ("- {name: a, kind: splunk_hec, url: 'https://x', token: fake}", &["outputs.yaml:3:"]),
        ("- {name: a, kind: syslog, address: siem}", &["`siem` is no `host:port`"]),
        ("- {name: a, kind: syslog, address: '2001:db8::1:514'}", &["no `host:port`"]),
        ("- {name: a, kind: syslog, address: 'x:0'}", &["no `host:port`"]),
        (
            "- {name: a, kind: syslog, address: 'x:514', transport: udp, tls: {ca_file: /x}}",
            &["`tls` has no effect"],
        ),
        (
            "- {name: a, kind: clickhouse, url: 'https://x', settings: {async_insert: 1}}",
            &["`async_insert` is the sink's own"],
        ),
        ("- {name: a, kind: file, directory: /x, batch: {rows: 1}}", &["has no key `batch`"]),
    ] {
        let report = bad(outputs);
        for want in wants {
            assert!(report.contains(want), "{outputs}\nlacks {want}:\n{report}");
        }
    }
}

#[test]
fn webhooks_are_checked() {
    for (rest, want) in [
        (", body: template}", "the key `template` is missing"),
        (", body: array, template: '{}'}", "is for `body: template`"),
        (", template: '{\"a\": {{b}}}'}", "inside of quotes"),
        (", body: array, encoding: cef}", "`cef` is no JSON"),
        (", headers: {'a b': c}}", "no name of a header field"),
        (", headers: {Host: c}}", "the request's own"),
        (", headers: {X-Shadowtap-Signature: c}}", "the request's own"),
        (", headers: {A: \"b\\nc\"}}", "has line breaks"),
        (", batch: {rows: 0}}", "1 to 1000000 rows"),
        (", batch: {seconds: 0.01}}", "0.1 to 3600 seconds"),
        (", batch: {bytes: 1}}", "1KiB to 64MiB"),
        (", timeout_seconds: 0}", "1 to 600 seconds"),
    ] {
        let report = bad(&format!("{WEBHOOK}{rest}"));
        assert!(report.contains(want), "{rest}\n{report}");
    }
    let outputs = good(&format!("{WEBHOOK}, template: '{{\"t\": \"{{{{message}}}}\"}}'}}"));
    let Target::Webhook(target) = &outputs[0].target else { panic!() };
    assert!(matches!(target.body, Body::Template(_)), "a template makes the body one");
}

#[test]
fn what_is_odd_but_possible_is_a_warning() {
    for (output, want) in [
        (
            "- {name: a, kind: clickhouse, url: 'http://ch.example', user: u, password: {file: /p}}",
            "in the clear",
        ),
        (
            "- {name: a, kind: clickhouse, url: 'https://ch.example', password: {file: /p}}",
            "without a user",
        ),
        (
            "- {name: a, kind: webhook, url: 'https://x/', headers: {Authorization: fake}}",
            "stands in the file",
        ),
        (" []", "there is no output"),
    ] {
        let text = format!("schema: shadowtap/outputs@1\noutputs:\n{output}");
        let (_, report) = parse(&source(&text)).unwrap();
        assert!(report.to_string().contains(want), "{output}\n{report}");
    }
    let here = "schema: shadowtap/outputs@1\noutputs:\n\
                - {name: a, kind: clickhouse, url: 'http://127.0.0.1:8123', user: u, password: {file: /p}}";
    assert!(parse(&source(here)).unwrap().1.problems.is_empty());
}

#[test]
fn other_files_are_told_apart() {
    for (text, want) in [
        ("outputs: []", "the key `schema` is missing"),
        ("schema: shadowtap/outputs@2\noutputs: []", "this build reads `shadowtap/outputs@1`"),
        ("schema: shadowtap/outputs@1\noutputs: []\n---\na: 1", "one document"),
        ("schema: [", "outputs.yaml"),
        ("schema: shadowtap/outputs@1\noutputs: []\noutput: []", "did you mean `outputs`?"),
    ] {
        let report = parse(&source(text)).unwrap_err().to_string();
        assert!(report.contains(want), "{text}\n{report}");
    }
    let many: String =
        (0..33).map(|n| format!("- {{name: f{n}, kind: file, directory: /x}}\n")).collect();
    assert!(bad(&many).contains("32 outputs are the most"));
    assert!(parse(&source(&"#".repeat(MAX_FILE_BYTES + 1))).is_err());
}

#[test]
fn sizes_with_units() {
    for (text, bytes) in [
        ("0", 0),
        ("64MiB", 64 << 20),
        ("64m", 64 << 20),
        ("1GB", 1_000_000_000),
        ("1 kb", 1_000),
        ("2T", 2 << 40),
    ] {
        assert_eq!(text.parse(), Ok(raw::Size(bytes)), "{text}");
    }
    for text in ["", "MiB", "-1", "1.5G", "1X", "18446744073709551615k"] {
        assert!(text.parse::<raw::Size>().is_err(), "{text}");
    }
}

#[test]
fn the_schema_knows_which_keys_a_kind_has() {
    let schema = schema();
    assert_eq!(schema["properties"]["schema"]["const"], SCHEMA);
    let rules = schema["$defs"]["Output"]["allOf"].as_array().unwrap();
    assert_eq!(rules.len(), Kind::ALL.len());
    let file =
        rules.iter().find(|rule| rule["if"]["properties"]["kind"]["const"] == "file").unwrap();
    assert_eq!(file["then"]["properties"]["url"], false);
    assert!(file["then"]["properties"].get("directory").is_none());
    assert!(file["then"]["required"].as_array().unwrap().iter().any(|key| key == "directory"));
    // All keys of the struct are named in the table of keys.
    let keys = schema["$defs"]["Output"]["properties"].as_object().unwrap();
    assert_eq!(keys.len(), 5 + 24);
    let text = schema.to_string();
    for (kind, encoding) in Kind::ALL.iter().zip(Encoding::ALL) {
        assert!(text.contains(kind.name()) && text.contains(encoding.name()));
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,200}") {
        _ = parse(&source(&text));
        _ = parse(&source(&format!("schema: shadowtap/outputs@1\noutputs:\n{text}")));
    }
}
