use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::intake::Refusal;
use crate::intake::testing::{Answer, Run, is_ended};
use crate::rules::{Lane, RuleInfo, Severity, Status};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find","arguments":{}}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

struct Bench {
    run: Arc<Run>,
    server: Server,
}

impl Bench {
    fn new(set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new("127.0.0.1:0".parse().unwrap());
        set(&mut settings);
        let run = Run::new();
        let outlet: Arc<dyn Outlet> = Arc::<Run>::clone(&run);
        Self { run, server: Server::start(settings, outlet).unwrap() }
    }

    fn connect(&self) -> Proxy {
        let stream = TcpStream::connect(self.server.local_addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Proxy { stream, read: Vec::new() }
    }
}

/// A proxy's end of a connection.
struct Proxy {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Proxy {
    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until there is this text, and takes all up to its end.
    fn until(&mut self, text: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let found = memchr::memmem::find(&self.read, text.as_bytes());
            if let Some(at) = found {
                let rest = self.read.split_off(at + text.len());
                return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
            }
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "closed after {}", String::from_utf8_lossy(&self.read));
            self.read.extend_from_slice(&buffer[..read]);
        }
    }

    /// The head of an answer.
    fn answer(&mut self) -> String {
        self.until("\r\n\r\n")
    }

    fn closes(&mut self) -> bool {
        self.stream.read(&mut [0; 1]).is_ok_and(|read| read == 0)
    }

    /// Nothing is answered for a while.
    fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let silent = self.stream.read(&mut [0; 1]).is_err();
        self.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        silent
    }
}

fn post(body_len: Option<usize>) -> String {
    let length = body_len.map_or_else(
        || "Transfer-Encoding: chunked".into(),
        |len| format!("Content-Length: {len}"),
    );
    format!(
        "POST https://mcp.example/mcp HTTP/1.1\r\nHost: mcp.example\r\n\
         Content-Type: application/json\r\n{length}\r\n\r\n"
    )
}

fn reqmod(more: &str, head: &str, has_body: bool) -> String {
    let kind = if has_body { "req-body" } else { "null-body" };
    format!(
        "REQMOD icap://h/reqmod ICAP/1.0\r\nHost: h\r\nX-Client-IP: 192.0.2.7\r\n\
         X-Client-Username: alice\r\n{more}Encapsulated: req-hdr=0, {kind}={}\r\n\r\n{head}",
        head.len()
    )
}

fn respmod(more: &str, request: &str, kind: &str, length: &str) -> String {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n");
    let (one, both) = (request.len(), request.len() + head.len());
    format!(
        "RESPMOD icap://h/respmod ICAP/1.0\r\nHost: h\r\nX-Client-IP: 192.0.2.7\r\n{more}\
         Encapsulated: req-hdr=0, res-hdr={one}, res-body={both}\r\n\r\n{request}{head}"
    )
}

fn chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n", body.len())
}

/// The value of a field of an answer.
fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(": ")
}

#[test]
fn options_say_what_each_service_is_for() {
    let bench = Bench::new(|settings| settings.responses = Bodies::Whole);
    let mut proxy = bench.connect();
    for (service, method, preview) in [("reqmod", "REQMOD", "65535"), ("respmod", "RESPMOD", "0")] {
        proxy.send(&format!("OPTIONS icap://h/{service} ICAP/1.0\r\nHost: h\r\n\r\n"));
        let answer = proxy.answer();
        assert!(answer.starts_with("ICAP/1.0 200 OK\r\n"), "{answer}");
        let got = ["Methods", "Preview", "Allow", "Transfer-Preview"].map(|f| field(&answer, f));
        assert_eq!(got, [method, preview, "204", "*"]);
    }
}

#[test]
fn a_whole_exchange_is_observed_and_answered_when_it_is_safe() {
    let bench = Bench::new(|_| {});
    let (mut requests, mut responses) = (bench.connect(), bench.connect());
    let head = post(Some(CALL.len()));
    let preview = format!("Allow: 204\r\nPreview: {}\r\n", CALL.len());
    requests.send(&reqmod(&preview, &head, true));
    assert!(requests.is_silent(), "the body is wanted, and not whole");
    requests.send(&format!("{}0; ieof\r\n\r\n", chunk(CALL)));
    let answer = requests.answer();
    assert!(answer.starts_with("ICAP/1.0 204 "), "{answer}");
    let mark = field(&answer, "X-Shadowtap-Exchange").to_owned();
    assert!(!mark.is_empty());

    let more = format!("Preview: 65535\r\nX-Shadowtap-Exchange: {mark}\r\n");
    responses.send(&respmod(&more, &head, "text/event-stream", "Transfer-Encoding: chunked\r\n"));
    assert!(responses.answer().starts_with("ICAP/1.0 204 "), "before any of the stream");
    responses.send(&chunk(&format!("data: {RESULT}\n\n")));
    let seen = bench.run.wait(2, |o| matches!(o.event, crate::observation::Event::Message { .. }));
    assert!(seen.contains(&"message Request tools/call mcp.example alice".to_owned()), "{seen:?}");
    assert!(seen.contains(&"message Result  mcp.example alice".to_owned()), "{seen:?}");
    responses.send("0; ieof\r\n\r\n");
    let seen = bench.run.wait(1, is_ended);
    assert!(seen.last().unwrap().ends_with("Some(Complete)"), "{seen:?}");

    // The connections go on.
    requests.send(&reqmod("Allow: 204\r\n", "GET https://h/ HTTP/1.1\r\n\r\n", false));
    assert!(requests.answer().starts_with("ICAP/1.0 204 "));
    let counters = bench.server.counters();
    assert_eq!((counters.reqmods, counters.respmods, counters.pairing.marked), (2, 1, 1));
    assert_eq!((counters.cut_bodies, counters.malformed), (0, 0));
}

#[test]
fn bodies_beyond_the_preview_are_cut_and_nothing_waits() {
    let bench = Bench::new(|_| {});
    let mut proxy = bench.connect();
    // Nobody wants it: answered at once.
    proxy.send(&reqmod("Preview: 65535\r\n", "PUT http://h/x HTTP/1.1\r\n\r\n", true));
    assert!(proxy.answer().starts_with("ICAP/1.0 204 "));
    proxy.send(&format!("{}0\r\n\r\n", chunk("not JSON")));
    // Wanted, of known length: at the end of the preview.
    let head = post(Some(100_000));
    proxy.send(&reqmod("Preview: 4\r\n", &head, true));
    proxy.send(&format!("{}0\r\n\r\n", chunk(CALL.get(..4).unwrap())));
    assert!(proxy.answer().starts_with("ICAP/1.0 204 "));
    // Of unknown length: at once.
    proxy.send(&reqmod("Preview: 65535\r\n", &post(None), true));
    assert!(proxy.answer().starts_with("ICAP/1.0 204 "));
    proxy.send(&format!("{}0; ieof\r\n\r\n", chunk(CALL)));
    let seen = bench.run.wait(1, |o| matches!(o.event, crate::observation::Event::Message { .. }));
    assert_eq!(seen, ["message Request tools/call mcp.example alice"]);
    assert_eq!(bench.server.counters().cut_bodies, 2);
}

#[test]
fn what_may_not_be_left_alone_is_passed_through() {
    let bench = Bench::new(|_| {});
    let mut proxy = bench.connect();
    let head = post(None);
    // Neither a preview nor 204: only the message itself is an answer.
    proxy.send(&reqmod("", &head, true));
    let expected = format!("Encapsulated: req-hdr=0, req-body={}\r\n\r\n{head}", head.len());
    assert!(proxy.until(&expected).starts_with("ICAP/1.0 200 OK\r\n"));
    proxy.send(&chunk(CALL));
    proxy.until(&chunk(CALL));
    proxy.send("0\r\n\r\n");
    proxy.until("0\r\n\r\n");
}

#[test]
fn whole_bodies_are_seen_by_passing_them_through() {
    let bench = Bench::new(|settings| settings.responses = Bodies::Whole);
    let mut proxy = bench.connect();
    let head = post(Some(CALL.len()));
    let kind = "text/event-stream";
    proxy.send(&respmod("Preview: 0\r\n", &head, kind, ""));
    proxy.send("0\r\n\r\n");
    assert_eq!(proxy.answer(), "ICAP/1.0 100 Continue\r\n\r\n");
    assert!(proxy.answer().starts_with("ICAP/1.0 200 OK\r\n"));
    let event = format!("data: {RESULT}\n\n");
    let filler = format!(": {}\n\n", "x".repeat(70_000));
    for text in [&event, &filler, &event] {
        proxy.send(&chunk(text));
    }
    proxy.until(&event);
    proxy.send("0\r\n\r\n");
    proxy.until("0\r\n\r\n");
    let seen = bench.run.wait(1, is_ended);
    assert_eq!(
        seen.iter().filter(|what| what.starts_with("message Result")).count(),
        2,
        "{seen:?}"
    );
    assert_eq!(bench.server.counters().passed_through, 1);
    // What nobody wants is not.
    let image = respmod("Preview: 0\r\n", "GET http://h/ HTTP/1.1\r\n\r\n", "image/png", "");
    proxy.send(&(image + "0\r\n\r\n"));
    assert!(proxy.answer().starts_with("ICAP/1.0 204 "));
}

fn refusal() -> Refusal {
    let rule = RuleInfo {
        id: "SMCP-9001".into(),
        rev: 1,
        title: "Not <approved>".into(),
        status: Status::Stable,
        lane: Lane::Enforce,
        severity: Severity::High,
        confidence: 90,
        why: "w".into(),
        todo: Vec::new(),
        refs: Vec::new(),
    };
    Refusal { rule: Arc::new(rule), severity: Severity::High, text: "it is not on the list".into() }
}

fn enforcing(change: impl FnOnce(&mut Enforce)) -> Bench {
    let mut enforce = Enforce {
        contact: Some("it@corp.example".into()),
        deadline: Duration::from_millis(200),
        ..Enforce::default()
    };
    change(&mut enforce);
    Bench::new(|settings| settings.enforce = Some(enforce))
}

fn ask(proxy: &mut Proxy) -> String {
    let head = post(Some(CALL.len()));
    let preview = format!("Allow: 204\r\nPreview: {}\r\n", CALL.len());
    proxy.send(&reqmod(&preview, &head, true));
    proxy.send(&format!("{}0; ieof\r\n\r\n", chunk(CALL)));
    proxy.answer()
}

#[test]
fn a_rule_may_refuse_and_the_page_says_why() {
    let bench = enforcing(|_| {});
    let mut proxy = bench.connect();
    assert!(ask(&mut proxy).starts_with("ICAP/1.0 204 "), "no rule decides");
    *bench.run.answer.lock().unwrap() = Answer::Refuse(refusal());
    assert!(ask(&mut proxy).starts_with("ICAP/1.0 200 OK\r\n"));
    assert!(proxy.answer().starts_with("HTTP/1.1 403 "));
    let page = proxy.until("\r\n0\r\n\r\n");
    for part in [r#""id":1"#, "SMCP-9001", "it is not on the list", "it@corp.example"] {
        assert!(page.contains(part), "{page}");
    }
    // What recognition does not want is not asked about, and the connection goes on.
    proxy.send(&reqmod("Preview: 65535\r\n", "PUT http://h/x HTTP/1.1\r\n\r\n", true));
    proxy.send(&format!("{}0; ieof\r\n\r\n", chunk("no JSON")));
    assert!(proxy.answer().starts_with("ICAP/1.0 204 "));
    let counters = bench.server.counters();
    assert_eq!((counters.asked, counters.refused, counters.undecided), (2, 1, 0));
}

#[test]
fn a_late_decision_is_none() {
    for (fail_closed, expected) in [(false, "ICAP/1.0 204 "), (true, "ICAP/1.0 200 OK")] {
        let bench = enforcing(|enforce| enforce.fail_closed = fail_closed);
        for (silent, full) in [(true, false), (false, true)] {
            let answer = if silent { Answer::Silence } else { Answer::Pass };
            *bench.run.answer.lock().unwrap() = answer;
            *bench.run.full.lock().unwrap() = full;
            let answer = ask(&mut bench.connect());
            assert!(answer.starts_with(expected), "{answer}");
        }
        assert_eq!(bench.server.counters().undecided, 2);
    }
}

#[test]
fn long_bodies_are_decided_on_as_far_as_they_are_held() {
    let long = format!("{}{}", CALL.strip_suffix("}}").unwrap(), " ".repeat(9_000));
    for (refuses, expected) in [(false, "POST https://mcp"), (true, "HTTP/1.1 403 ")] {
        let bench = enforcing(|enforce| enforce.max_body_bytes = 4_096);
        let mut proxy = bench.connect();
        if refuses {
            *bench.run.answer.lock().unwrap() = Answer::Refuse(refusal());
        }
        let head = post(Some(long.len() + 100));
        proxy.send(&reqmod("Preview: 10\r\n", &head, true));
        proxy.send(&format!("{}0\r\n\r\n", chunk(long.get(..10).unwrap())));
        assert_eq!(proxy.answer(), "ICAP/1.0 100 Continue\r\n\r\n");
        proxy.send(&chunk(&format!("{}{CALL}", long.get(10..9_000).unwrap())));
        assert!(proxy.answer().starts_with("ICAP/1.0 200 OK\r\n"));
        let got = proxy.answer();
        assert!(got.starts_with(expected), "{got} instead of {expected}");
        proxy.send("0\r\n\r\n");
        proxy.until("0\r\n\r\n");
    }
}

#[test]
fn what_is_wrong_is_answered_and_the_connection_closed() {
    let bench = Bench::new(|_| {});
    for (text, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("REQMOD icap://h/else ICAP/1.0\r\nEncapsulated: req-hdr=0, null-body=0\r\n\r\n", "404"),
        ("REQMOD icap://h/respmod ICAP/1.0\r\nEncapsulated: req-hdr=0, null-body=0\r\n\r\n", "405"),
        ("REQMOD icap://h/reqmod ICAP/1.0\r\n\r\n", "400"),
        ("LOGMOD icap://h/reqmod ICAP/1.0\r\n\r\n", "501"),
        ("REQMOD icap://h/reqmod ICAP/9.0\r\n\r\n", "505"),
    ] {
        let mut proxy = bench.connect();
        proxy.send(text);
        let answer = proxy.answer();
        assert!(answer.starts_with(&format!("ICAP/1.0 {status} ")), "{text}: {answer}");
        assert!(proxy.closes(), "{text}");
    }
    assert_eq!(bench.server.counters().malformed, 6);
}

#[test]
fn connections_and_silence_have_bounds() {
    let bench = Bench::new(|settings| {
        settings.max_connections = 1;
        settings.timeouts.request = Duration::from_millis(100);
    });
    let mut one = bench.connect();
    one.send("REQMOD icap");
    std::thread::sleep(Duration::from_millis(20));
    let mut other = bench.connect();
    assert!(other.answer().starts_with("ICAP/1.0 503 "));
    assert!(other.closes());
    assert!(one.answer().starts_with("ICAP/1.0 408 "));
    assert!(one.closes());
    assert_eq!(bench.server.counters().timeouts, 1);
}

#[test]
fn what_the_run_does_not_take_is_kept_up_to_a_bound() {
    let bench = Bench::new(|settings| settings.max_pending_observations = 1);
    *bench.run.full.lock().unwrap() = true;
    let mut proxy = bench.connect();
    for _ in 0..3 {
        assert!(ask(&mut proxy).starts_with("ICAP/1.0 204 "), "nobody waits for the run");
    }
    assert_eq!(bench.server.counters().dropped, 2);
    *bench.run.full.lock().unwrap() = false;
    bench.server.stop();
    assert_eq!(bench.run.wait(1, |_| true).len(), 1);
    let turned_away: u64 =
        bench.run.parcels.lock().unwrap().iter().map(|parcel| parcel.counts.turned_away).sum();
    assert_eq!(turned_away, 2);
}
