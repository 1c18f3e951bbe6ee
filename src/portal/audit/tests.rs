use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::portal::guard::config::{Action, Way};
use crate::portal::principal::{Owner, Proof};
use crate::sinks::event::{
    CallDecision, CallError, CallHold, CallMcp, CallOutcome, CallPin, CallRequest, CallResponse,
    PortalInfo,
};
use crate::sinks::rows::Row;
use crate::sinks::rows::line::{Source, rows};
use crate::time::Timestamp;

fn checked(directory: &Path, more: &str) -> Checked {
    let yaml = format!("directory: {}\n{more}", directory.display());
    let spec: Spec = serde_saphyr::from_str(&yaml).unwrap();
    spec.check(Path::new("/")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn nobody() -> Told {
    Arc::new(|_| {})
}

/// A record with something in each field.
fn record() -> Record {
    let who = Principal {
        owner: Owner {
            issuer: "https://login.corp.example".into(),
            subject: "u-1".into(),
            client: "desktop".into(),
        },
        name: Some("ada@corp.example".into()),
        groups: Arc::from([Arc::from("dev"), Arc::from("staff")]),
        scopes: Arc::from([]),
        proof: Proof::Token,
        expires: None,
        shown: None,
    };
    let info = RawValue::from_string(r#"{"name":"agent-x","version":"1.2"}"#.to_owned()).unwrap();
    let params = RawValue::from_string(
        r#"{"_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}"#
            .to_owned(),
    )
    .unwrap();
    let mut trace = Trace::of(Some(&params), None, 0);
    trace.span = 0x1234;
    let given = RawValue::from_string(r#"{"path":"/a","n":1}"#.to_owned()).unwrap();
    let mut record = Record {
        timestamp: Timestamp::from_parts(1_794_816_000, 123_456_000),
        event: CallOutcome {
            id: "0f".repeat(16),
            outcome: "failure",
            duration_us: 1_500,
            upstream_us: Some(1_000),
            first_byte_us: Some(900),
        },
        portal: PortalInfo {
            name: "main".into(),
            audience: "https://mcp.corp.example/".into(),
            replica: "r1".into(),
            config: config_version("x"),
        },
        source: source(Some("10.0.0.7:40000".parse().unwrap())),
        user: user(&who),
        client: client(&who, Some(&info), Some("agent/1")),
        server: server("files", &Place::of("files", "https://files.example/mcp")),
        mcp: CallMcp {
            method: "tools/call".into(),
            kind: "tool",
            name: Some("read_file".into()),
            uri: None,
            id: Some("7".into()),
            session: Some(session(&SecretHasher::default(), "s")),
            protocol_version: Some("2025-11-25".into()),
            server_protocol_version: Some("2025-06-18".into()),
        },
        arguments: Some(arguments(&given, false)),
        decision: CallDecision {
            ruling: "hold".into(),
            policy: Some("files#1".into()),
            kind: None,
            tier: Some("contained_write".into()),
            hold: Some(CallHold {
                id: "h1".into(),
                outcome: "released".into(),
                approver: Some("bob".into()),
            }),
        },
        findings: Vec::new(),
        rules: vec!["SMCP-4002".into()],
        pin: Some(CallPin { state: "approved".into(), digest: Some("d".into()) }),
        request: CallRequest { bytes: 100 },
        response: CallResponse { bytes: 200, upstream_status: Some(200) },
        error: Some(CallError { code: Some(-32_603), message: "no".into() }),
        trace: Some(traced(&trace)),
    };
    let found = Found {
        kind: "card".into(),
        direction: Way::Response,
        count: 2,
        pointer: "/content/0/text".into(),
        action: Action::Redact,
    };
    add_findings(&mut record, &[found.clone(), found]);
    record
}

fn line(record: &Record) -> Value {
    let mut line = Vec::new();
    write_event(&mut line, &Event::Call(record)).unwrap();
    serde_json::from_slice(&line).unwrap()
}

/// P34: the record has the user (`sub` of the token), the client's name as unverified, server,
/// tool, decision, and the trace ids of `_meta`.
#[test]
fn p34_a_record_says_who_with_what_where_to_and_what_was_decided() {
    let line = line(&record());
    for (pointer, want) in [
        ("/event_type", json!("call")),
        ("/user/id", json!("u-1")),
        ("/user/issuer", json!("https://login.corp.example")),
        ("/user/proof", json!("token")),
        ("/client/unverified_name", json!("agent-x 1.2")),
        ("/server/id", json!("files")),
        ("/server/key", json!("https://files.example:443/mcp")),
        ("/mcp/name", json!("read_file")),
        ("/decision/ruling", json!("hold")),
        ("/decision/policy", json!("files#1")),
        ("/decision/hold/approver", json!("bob")),
        ("/trace/id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("/trace/parent", json!("b7ad6b7169203331")),
        ("/arguments/shape", json!("{path:string,n:number}")),
        ("/findings/0/count", json!(4)),
    ] {
        assert_eq!(line.pointer(pointer), Some(&want), "{pointer}");
    }
    assert!(line.pointer("/arguments/text").is_none());
    assert_eq!(line["arguments"]["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn a_record_becomes_a_row_that_loses_nothing() {
    let mut text = Vec::new();
    write_event(&mut text, &Event::Call(&record())).unwrap();
    let mut put = Vec::new();
    rows(&text, &Source { sensor: "host", run: "" }, &mut |row| put.push(row)).unwrap();
    let [Row::Call(row)] = put.as_slice() else { panic!("{put:?}") };
    assert_eq!(row.findings, ["response card 4 redact /content/0/text"]);
    assert_eq!((row.user_id.as_str(), row.approver.as_str()), ("u-1", "bob"));
    let row = serde_json::to_value(row).unwrap();
    let mut empty: Vec<&String> = row
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| matches!(value.as_str(), Some("")) || value.is_null())
        .map(|(name, _)| name)
        .collect();
    empty.sort();
    assert_eq!(empty, ["arguments_text", "refused_kind", "uri"]);
}

#[test]
fn records_are_in_the_files_when_the_audit_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::start(checked(folder.path(), ""), Vec::new(), nobody()).unwrap();
    assert_eq!(audit.ready(), Ok(()));
    for _ in 0..100 {
        audit.record(&record());
    }
    let counters = audit.counters();
    assert_eq!(counters.calls[&("files".to_owned(), "failure")], 100);
    assert_eq!(counters.durations.buckets[1], 100);
    assert_eq!(counters.own_durations.sum_micros, 50_000);
    drop(audit.finish());
    let text = std::fs::read_to_string(folder.path().join("calls.ndjson")).unwrap();
    assert_eq!(text.lines().count(), 100);
}

#[test]
fn where_records_cannot_be_written_calls_are_refused_until_they_can() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a");
    let said = Arc::new(Mutex::new(Vec::new()));
    let told: Told = {
        let said = Arc::clone(&said);
        Arc::new(move |notice| said.lock().unwrap().push(notice.to_string()))
    };
    // Each record fills a file, so that each begins another one.
    let small = checked(&directory, "rotate_bytes: 4096\nmax_delay: 1h");
    let small = Checked { rotate_bytes: 1, ..small };
    let audit = Audit::start(small, Vec::new(), told).unwrap();
    audit.record(&record());
    wait_until(|| audit.counters().records_written == 1);
    std::fs::remove_dir_all(&directory).unwrap();
    std::fs::write(&directory, "in the way").unwrap();
    audit.record(&record());
    wait_until(|| audit.ready() == Err(Unready::Failed));
    assert!(said.lock().unwrap()[0].starts_with("error: records of calls cannot be stored"));
    std::fs::remove_file(&directory).unwrap();
    wait_until(|| audit.ready().is_ok());
    assert_eq!(audit.counters().records_written, 2);
    assert_eq!(audit.counters().records_lost, 0);
    drop(audit.finish());
}

fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not happen");
}

#[test]
fn serving_in_spite_of_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Checked { max_waiting_bytes: 1, ..checked(folder.path(), "on_failure: serve") };
    let audit = Audit::start(serving, Vec::new(), nobody()).unwrap();
    audit.record(&record());
    assert_eq!((audit.ready(), audit.health()), (Ok(()), Err(Unready::Full)));
    assert_eq!(audit.counters().records_lost, 1);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let yaml = "
max_delay: soon
max_waiting_bytes: 1
rotate_bytes: 1
traces: {url: nowhere, sample: 2, headers: {x-key: /nonexistent/key}}
";
    let spec: Spec = serde_saphyr::from_str(yaml).unwrap();
    let all = spec.check(Path::new("/")).unwrap_err().join("\n");
    for part in [
        "audit.max_delay",
        "audit.max_waiting_bytes",
        "audit.rotate_bytes",
        "audit.traces.url",
        "audit.traces.sample",
        "audit.traces.headers.x-key: cannot read /nonexistent/key",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

/// A collector that takes one request and answers with a status.
fn collector(
    status: &'static str,
    requests: usize,
) -> (String, std::thread::JoinHandle<Vec<String>>) {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            let mut piece = [0; 4_096];
            let body = loop {
                let read = stream.read(&mut piece).unwrap();
                text.extend_from_slice(&piece[..read]);
                let all = String::from_utf8_lossy(&text).into_owned();
                if let Some((head, body)) = all.split_once("\r\n\r\n") {
                    let head = head.to_ascii_lowercase();
                    let length = head.split("content-length: ").nth(1).unwrap();
                    let length: usize = length.lines().next().unwrap().parse().unwrap();
                    if body.len() >= length {
                        break body.to_owned();
                    }
                }
            };
            bodies.push(body);
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
        bodies
    });
    (url, thread)
}

fn export(url: &str) -> Sent {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let traces =
        config::Traces { url: url.to_owned(), sample: 0, headers: Vec::new(), ca_file: None };
    runtime.block_on(async {
        let exporter = Exporter::start(&traces).unwrap();
        exporter.offer(&record());
        let mut unsampled = record();
        unsampled.trace.as_mut().unwrap().is_sampled = false;
        exporter.offer(&unsampled);
        loop {
            let sent = exporter.sent();
            if sent.sent + sent.lost > 0 {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

#[test]
fn spans_have_the_names_of_the_conventions() {
    let (url, thread) = collector("200 OK", 1);
    assert_eq!(export(&url), Sent { sent: 2, lost: 0 });
    let bodies = thread.join().unwrap();
    let body: Value = serde_json::from_str(&bodies[0]).unwrap();
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let [own, upstream] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(own["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (&own["spanId"], &own["parentSpanId"]),
        (&json!("0000000000001234"), &json!("b7ad6b7169203331"))
    );
    assert_eq!((&own["kind"], &own["name"]), (&json!(2), &json!("tools/call read_file")));
    assert_eq!(own["endTimeUnixNano"], "1794816000124956000");
    let value = |span: &Value, key: &str| {
        let all = span["attributes"].as_array().unwrap();
        all.iter().find(|one| one["key"] == key).map(|one| one["value"].clone())
    };
    for (key, want) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "read_file"),
        ("jsonrpc.request.id", "7"),
        ("mcp.protocol.version", "2025-11-25"),
        ("error.type", "-32603"),
    ] {
        assert_eq!(value(own, key), Some(json!({"stringValue": want})), "{key}");
    }
    assert_eq!((&upstream["kind"], &upstream["parentSpanId"]), (&json!(3), &own["spanId"]));
    assert_eq!(value(upstream, "http.response.status_code"), Some(json!({"intValue": "200"})));
}

#[test]
fn spans_that_a_collector_refuses_are_counted_and_gone() {
    let (url, thread) = collector("400 Bad Request", 1);
    assert_eq!(export(&url), Sent { sent: 0, lost: 2 });
    assert_eq!(thread.join().unwrap().len(), 1);
}
