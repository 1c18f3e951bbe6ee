//! Outputs against receivers on this machine, byte for byte.

mod receiver;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::hmac;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket};

use super::config::{self, Body, Output, SyslogTarget, Transport};
use super::*;
use crate::rules::Source as Text;
use crate::sinks::encode::Facility;
use crate::sinks::outbox::{Deliver, Encode, Segment, Trouble};
use crate::sinks::rows::line::Source;
use receiver::{Receiver, acceptor, ca_file};

const SOURCE: Source<'_> = Source { sensor: "edge-1", run: "watch" };

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn segment(token: &str, records: &[&str]) -> Segment {
    Segment {
        number: 1,
        stream: "events".into(),
        token: token.into(),
        schema: 1,
        records: records.len() as u64,
        body: records.iter().flat_map(|record| [record.as_bytes(), b"\n"].concat()).collect(),
    }
}

/// An output as its configuration says, with secrets in files.
fn configured(output: &str) -> Output {
    let text = format!("schema: shadowtap/outputs@1\noutputs:\n- {{name: out, {output}}}\n");
    match config::parse(&Text::new("outputs.yaml", text)) {
        Ok((outputs, _)) => outputs.into_iter().next().unwrap(),
        Err(report) => panic!("{report}"),
    }
}

fn delivery(output: &str) -> Delivery {
    match build(&configured(output), &SOURCE).unwrap() {
        Built::Network { deliver, .. } => *deliver,
        other => panic!("{other:?}"),
    }
}

struct Secrets {
    folder: tempfile::TempDir,
}

impl Secrets {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "fake-key\n").unwrap();
        std::fs::write(folder.path().join("token"), "00000000-fake-token\n").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[test]
fn a_webhook_gets_lines_that_are_signed() {
    let secrets = Secrets::new();
    let (key, token) = (secrets.path("key"), secrets.path("token"));
    block_on(async {
        let receiver = Receiver::start(&[]).await;
        let mut webhook = delivery(&format!(
            "kind: webhook, url: '{}/in?x=1', headers: {{X-Team: blue, X-Api-Key: {{file: {token}}}}}, sign: {{file: {key}}}",
            receiver.url()
        ));
        let segment = segment("0a1b", &[r#"{"a":1}"#, r#"{"b":"ü"}"#]);
        assert_eq!(webhook.deliver(&segment).await, Ok(()));
        let [request] = receiver.requests().try_into().unwrap();
        assert_eq!(request.target, "POST /in?x=1");
        assert_eq!(request.body, segment.body);
        assert_eq!(request.header("content-type"), "application/x-ndjson");
        assert_eq!(request.header("idempotency-key"), "0a1b");
        assert_eq!(request.header("x-team"), "blue");
        assert_eq!(request.header("x-api-key"), "00000000-fake-token");
        assert!(request.header("user-agent").starts_with("shadowtap/"));
        // As a receiver checks it.
        let signed =
            [request.header("x-shadowtap-timestamp").as_bytes(), b".", &request.body].concat();
        let signature = request.header("x-shadowtap-signature").strip_prefix("sha256=").unwrap();
        let signature: Vec<u8> = (0..signature.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(signature.get(at..at + 2).unwrap(), 16).unwrap())
            .collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"fake-key");
        hmac::verify(&key, &signed, &signature).unwrap();
    });
}

#[test]
fn a_webhook_gets_an_array() {
    block_on(async {
        let receiver = Receiver::start(&[]).await;
        let mut webhook =
            delivery(&format!("kind: webhook, url: '{}', body: array", receiver.url()));
        webhook.deliver(&segment("t", &[r#"{"a":1}"#, r#"{"b":2}"#])).await.unwrap();
        let [request] = receiver.requests().try_into().unwrap();
        assert_eq!(request.body, br#"[{"a":1},{"b":2}]"#);
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("x-shadowtap-signature"), "");
    });
}

#[test]
fn a_busy_server_gets_the_same_again() {
    block_on(async {
        let busy = (503, "Retry-After: 0", "busy");
        let receiver = Receiver::start(&[busy, (429, "", ""), (200, "", "")]).await;
        let mut webhook = delivery(&format!("kind: webhook, url: '{}'", receiver.url()));
        let segment = segment("t", &[r#"{"a":1}"#]);
        for _ in 0..2 {
            let trouble = webhook.deliver(&segment).await.unwrap_err();
            assert!(matches!(trouble, Trouble::Retry(_)), "{trouble}");
        }
        assert_eq!(webhook.deliver(&segment).await, Ok(()));
        let requests = receiver.requests();
        assert_eq!(requests.len(), 3);
        for request in &requests {
            assert_eq!(request.body, segment.body);
            assert_eq!(request.header("idempotency-key"), "t");
        }
    });
}

#[test]
fn each_record_becomes_a_message_and_a_retry_goes_on_where_it_was() {
    let template = r#"template: '{"text": "{{rule.name}}: {{message|chat}}"}'"#;
    let records = [
        r#"{"rule":{"name":"one"},"message":"<!channel>"}"#,
        r#"{"rule":{"name":"two"},"message":"say \"hi\""}"#,
        r#"{"rule":{"name":"three"}}"#,
    ];
    let texts = [
        r#"{"text": "one: &lt;!channel&gt;"}"#,
        r#"{"text": "two: say \"hi\""}"#,
        r#"{"text": "three: "}"#,
    ];
    block_on(async {
        let receiver = Receiver::start(&[(200, "", ""), (500, "", ""), (200, "", "")]).await;
        let mut webhook =
            delivery(&format!("kind: webhook, url: '{}', {template}", receiver.url()));
        let segment = segment("t", &records);
        let trouble = webhook.deliver(&segment).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Retry(_)), "{trouble}");
        assert_eq!(webhook.deliver(&segment).await, Ok(()));
        let requests = receiver.requests();
        let got: Vec<_> = requests.iter().map(receiver::Request::text).collect();
        assert_eq!(got, [texts[0], texts[1], texts[1], texts[2]]);
        let keys: Vec<_> = requests.iter().map(|r| r.header("idempotency-key")).collect();
        assert_eq!(keys, ["t-0", "t-1", "t-1", "t-2"]);

        // The next segment begins at its beginning; what is refused holds up nothing.
        let receiver = Receiver::start(&[(200, "", ""), (400, "", "no_text")]).await;
        let mut webhook =
            delivery(&format!("kind: webhook, url: '{}', {template}", receiver.url()));
        let trouble = webhook.deliver(&segment).await.unwrap_err();
        let Trouble::Drop(reason) = trouble else { panic!("{trouble}") };
        assert!(
            reason.contains("1 of 3 messages were refused") && reason.contains("no_text"),
            "{reason}"
        );
        let requests = receiver.requests();
        let got: Vec<_> = requests.iter().map(receiver::Request::text).collect();
        assert_eq!(got, texts);
    });
}

#[test]
fn servers_that_are_not_there_or_silent_are_tried_again() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let output = format!("kind: webhook, url: 'http://127.0.0.1:{port}/'");
        let mut configured = configured(&output);
        let config::Target::Webhook(target) = &mut configured.target else { panic!() };
        target.timeout = Duration::from_millis(50);
        let mut webhook = Webhook::new(target).unwrap();
        let trouble = webhook.deliver(&segment("t", &["{}"])).await.unwrap_err();
        assert!(
            matches!(&trouble, Trouble::Retry(text) if text.contains("no answer within")),
            "{trouble}"
        );
        drop(listener);
        for output in [output, format!("kind: syslog, address: '127.0.0.1:{port}', transport: tcp")]
        {
            let trouble = delivery(&output).deliver(&segment("t", &["{}"])).await.unwrap_err();
            assert!(
                matches!(&trouble, Trouble::Retry(text) if text.contains("refused")),
                "{trouble}"
            );
        }
    });
}

#[test]
fn a_certificate_that_nobody_knows_stops_until_somebody_looks() {
    block_on(async {
        let receiver = Receiver::start_tls(&[]).await;
        let url = receiver.url();
        let mut trusting = delivery(&format!(
            "kind: webhook, url: '{url}', tls: {{ca_file: {}}}",
            ca_file().display()
        ));
        assert_eq!(trusting.deliver(&segment("t", &["{}"])).await, Ok(()));
        assert_eq!(receiver.requests().len(), 1);
        let mut strange = delivery(&format!("kind: webhook, url: '{url}'"));
        let trouble = strange.deliver(&segment("t", &["{}"])).await.unwrap_err();
        assert!(matches!(&trouble, Trouble::Stop(text) if text.contains("ca_file")), "{trouble:?}");
    });
}

#[test]
fn splunk_gets_events_gzipped_in_their_envelopes() {
    let secrets = Secrets::new();
    block_on(async {
        let ok = (200, "", r#"{"text":"Success","code":0}"#);
        let busy = (503, "", r#"{"text":"Server is busy","code":9}"#);
        let receiver = Receiver::start(&[busy, ok]).await;
        let output = format!(
            "kind: splunk_hec, url: '{}', token: {{file: {}}}, index: main, events: [stats], encoding: native",
            receiver.url(),
            secrets.path("token")
        );
        let built = build(&configured(&output), &SOURCE).unwrap();
        let Built::Network { mut encoder, mut deliver } = built else { panic!() };
        let line = br#"{"event_type":"stats","@timestamp":"2026-11-22T08:00:00.5Z"}"#;
        let mut records = Vec::new();
        let mut put =
            |_: &str, record: &[u8]| records.push(String::from_utf8(record.to_vec()).unwrap());
        encoder.encode(line, &mut put).unwrap();
        encoder.encode(line, &mut put).unwrap();
        let records: Vec<_> = records.iter().map(String::as_str).collect();
        let segment = segment("t", &records);
        assert!(matches!(deliver.deliver(&segment).await, Err(Trouble::Retry(_))));
        assert_eq!(deliver.deliver(&segment).await, Ok(()));
        let [first, second] = receiver.requests().try_into().unwrap();
        assert_eq!(first.body, second.body, "the same on every try");
        assert_eq!(second.target, "POST /services/collector/event");
        assert_eq!(second.header("authorization"), "Splunk 00000000-fake-token");
        assert_eq!(second.header("content-encoding"), "gzip");
        let mut text = String::new();
        flate2::bufread::GzDecoder::new(second.body.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text.as_bytes(), segment.body);
        let event: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let want = serde_json::json!({
            "time": 1_795_334_400.5, "host": "edge-1", "source": "shadowtap", "index": "main",
            "sourcetype": "shadowtap:stats",
            "event": {"event_type": "stats", "@timestamp": "2026-11-22T08:00:00.5Z"},
        });
        assert_eq!(event, want);
    });
}

fn syslog(port: u16, transport: Transport, ca_file: Option<PathBuf>) -> Syslog {
    Syslog::new(&SyslogTarget {
        host: "localhost".into(),
        port,
        transport,
        facility: Facility::Local0,
        ca_file,
        timeout: Duration::from_secs(10),
    })
    .unwrap()
}

/// `1 a12 bcdefghijklm` for what syslog frames as `a` and `bcdefghijklm`.
const FRAMED: &str = "1 a12 bcdefghijklm3 \u{fc}x";

fn letters() -> Segment {
    segment("t", &["a", "bcdefghijklm", "\u{fc}x"])
}

#[test]
fn syslog_counts_its_messages_and_begins_anew_when_the_receiver_left() {
    block_on(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = tokio::spawn(async move {
            let mut got = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; FRAMED.len()];
                stream.read_exact(&mut bytes).await.unwrap();
                got.push(String::from_utf8(bytes).unwrap());
            }
            got
        });
        let mut syslog = syslog(port, Transport::Tcp, None);
        let segment = letters();
        syslog.deliver(&segment).await.unwrap();
        // The receiver closes after one batch; until that is seen, what is sent is lost.
        while !receiver.is_finished() {
            tokio::task::yield_now().await;
            drop(syslog.deliver(&segment).await);
        }
        assert_eq!(receiver.await.unwrap(), [FRAMED, FRAMED]);
    });
}

#[test]
fn syslog_in_tls_trusts_the_named_ca_and_no_other() {
    block_on(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor().accept(stream).await else { continue };
                let mut bytes = vec![0; FRAMED.len()];
                stream.read_exact(&mut bytes).await.unwrap();
                return String::from_utf8(bytes).unwrap();
            }
        });
        let trouble = syslog(port, Transport::Tls, None).deliver(&letters()).await.unwrap_err();
        assert!(matches!(&trouble, Trouble::Stop(text) if text.contains("ca_file")), "{trouble:?}");
        let mut syslog = syslog(port, Transport::Tls, Some(ca_file()));
        syslog.deliver(&letters()).await.unwrap();
        assert_eq!(receiver.await.unwrap(), FRAMED);
    });
}

#[test]
fn syslog_over_udp_is_a_datagram_for_each_message() {
    block_on(async {
        let receiver = UdpSocket::bind("localhost:0").await.unwrap();
        let port = receiver.local_addr().unwrap().port();
        syslog(port, Transport::Udp, None).deliver(&letters()).await.unwrap();
        for want in ["a", "bcdefghijklm", "\u{fc}x"] {
            let mut bytes = [0; 64];
            let length = receiver.recv(&mut bytes).await.unwrap();
            assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), want);
        }
    });
}

const FINDING: &str = r#"{"event_type":"finding","@timestamp":"2026-11-22T08:00:00.000000Z","event":{"id":"00ff","severity":4,"start":"2026-11-22T08:00:00.000000Z","end":"2026-11-22T08:00:01.000000Z"},"rule":{"id":"SMCP-1001","name":"Unapproved server"},"source":{"ip":"10.0.0.1"},"destination":{"ip":"192.0.2.1","port":8000},"server":{"key":"http://mcp.example:8000/mcp"}}"#;

#[test]
fn files_hold_records_in_their_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("eve");
    let output = format!("kind: file, directory: {}, encoding: eve", directory.display());
    for run in 0..2 {
        let Built::Files(mut files) = build(&configured(&output), &SOURCE).unwrap() else {
            panic!()
        };
        files.line(FINDING.as_bytes()).unwrap();
        files.line(b"").unwrap();
        assert!(files.line(b"{}").is_err());
        files.flush().unwrap();
        files.finish().unwrap();
        let name = if run == 0 { "out.ndjson" } else { "out.1.ndjson" };
        let text = std::fs::read_to_string(directory.join(name)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1);
        let value: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(value["alert"]["signature_id"], 9_101_001);
        assert_eq!(value["host"], "edge-1");
    }
}

#[test]
fn what_is_built_is_what_is_configured() {
    let secrets = Secrets::new();
    let token = secrets.path("token");
    let syslog = "kind: syslog, address: '127.0.0.1:514', transport: udp, facility: daemon";
    let Built::Network { mut encoder, deliver } = build(&configured(syslog), &SOURCE).unwrap()
    else {
        panic!()
    };
    assert!(matches!(*deliver, Delivery::Syslog(_)));
    let mut records = Vec::new();
    let mut put =
        |_: &str, record: &[u8]| records.push(String::from_utf8(record.to_vec()).unwrap());
    encoder.encode(FINDING.as_bytes(), &mut put).unwrap();
    let want = "<27>1 2026-11-22T08:00:00.000000Z edge-1 shadowtap - finding - CEF:0|shadowtap|";
    assert!(records[0].starts_with(want), "{records:?}");
    let store = format!("kind: clickhouse, url: 'https://x', user: u, password: {{file: {token}}}");
    let output = configured(&store);
    assert_eq!(check_secrets(&output), Ok(()));
    let Built::Network { mut encoder, deliver } = build(&output, &SOURCE).unwrap() else {
        panic!()
    };
    let mut streams = Vec::new();
    encoder.encode(FINDING.as_bytes(), &mut |stream, _| streams.push(stream)).unwrap();
    assert_eq!(streams, ["findings"]);
    assert!(matches!(*deliver, Delivery::Store(_)));
}

#[test]
fn what_cannot_be_used_is_said_with_the_name_of_the_output() {
    let absent = Path::new("/absent/secret").display();
    for output in [
        format!("kind: webhook, url: 'https://x/', sign: {{file: {absent}}}"),
        format!("kind: webhook, url: 'https://x/', headers: {{A: {{file: {absent}}}}}"),
        format!("kind: webhook, url: 'https://x/', tls: {{ca_file: {absent}}}"),
        format!("kind: splunk_hec, url: 'https://x', token: {{file: {absent}}}"),
        format!("kind: syslog, address: 'x:6514', tls: {{ca_file: {absent}}}"),
    ] {
        let output = configured(&output);
        let error = build(&output, &SOURCE).unwrap_err();
        assert_eq!(check_secrets(&output), Err(error.clone()));
        assert!(error.starts_with("output out: cannot read /absent/secret"), "{error}");
    }
    let store =
        format!("kind: clickhouse, url: 'https://x', user: u, password: {{file: {absent}}}");
    assert!(check_secrets(&configured(&store)).unwrap_err().starts_with("output out: cannot read"));
}

#[test]
fn a_body_of_a_template_is_one_of_its_own() {
    let output = configured("kind: webhook, url: 'https://x/', template: '\"{{a}}\"'");
    let config::Target::Webhook(target) = &output.target else { panic!() };
    let Body::Template(template) = &target.body else { panic!() };
    assert_eq!(template.fill(&serde_json::json!({"a": 1})), "\"1\"");
}
