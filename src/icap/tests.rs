use super::*;
use crate::anomaly::Anomaly;
use crate::app::HeadReader;
use crate::exchange::{
    BodyInterest, Context, End, ExchangeEvent, ExchangeSink, Scheme, TlsEvent, Visibility,
};
use crate::flow::At;
use crate::time::Timestamp;
use proptest::prelude::*;

const REQUEST: &str = "POST http://h.example/mcp HTTP/1.1\r\nHost: h.example\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";

fn reqmod(more: &str, body: &str) -> String {
    let (len, kind) = (REQUEST.len(), if body.is_empty() { "null-body" } else { "req-body" });
    format!(
        "REQMOD icap://h/reqmod ICAP/1.0\r\nHost: h\r\nX-Client-IP: 192.0.2.7\r\n{more}\
         Encapsulated: req-hdr=0, {kind}={len}\r\n\r\n{REQUEST}{body}"
    )
}

fn respmod(more: &str, body: &str) -> String {
    let (request, both) = (REQUEST.len(), REQUEST.len() + RESPONSE.len());
    format!(
        "RESPMOD icap://h/respmod ICAP/1.0\r\nX-Client-IP: 192.0.2.7\r\n{more}\
         Encapsulated: req-hdr=0, res-hdr={request}, res-body={both}\r\n\r\n\
         {REQUEST}{RESPONSE}{body}"
    )
}

/// What a parser tells of bytes in pieces; adjacent pieces of a body are one. The previews are
/// answered with `100 Continue` or a final answer.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, goes_on: bool) -> Vec<String> {
    let mut parser = Parser::new(Limits::default());
    let mut events: Vec<String> = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        while let Some(event) = parser.next(&mut rest) {
            let text = match event {
                Event::Head(head) => {
                    format!("{:?} {} {:?}", head.method, head.service, head.preview)
                }
                Event::Http(http) => {
                    let len = |part: Option<&[u8]>| part.map(<[u8]>::len);
                    format!("http {:?} {:?}", len(http.request), len(http.response))
                }
                Event::Body(bytes) => {
                    assert!(!bytes.is_empty());
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    match events.last_mut().filter(|last| last.starts_with("body ")) {
                        Some(last) => last.push_str(&text),
                        None => events.push(format!("body {text}")),
                    }
                    continue;
                }
                Event::PreviewEnd => "preview end".to_owned(),
                Event::End => "end".to_owned(),
                Event::Malformed(malformed) => malformed.kind().to_owned(),
            };
            if text == "preview end" {
                if goes_on { parser.resume() } else { parser.finish() }
            }
            events.push(text);
        }
    }
    events
}

fn read_whole(text: &str, goes_on: bool) -> Vec<String> {
    read(std::iter::once(text.as_bytes()), goes_on)
}

/// Names, what is sent, whether previews are continued, and what is read.
#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(&'static str, String, bool, Vec<&'static str>)> {
    let options = "OPTIONS icap://h/reqmod ICAP/1.0\r\nHost: h\r\n\r\n";
    let head = "Reqmod reqmod None";
    let http = "http Some(55) None";
    vec![
        (
            "options, twice",
            options.repeat(2),
            true,
            ["Options reqmod None", "http None None", "end"].repeat(2),
        ),
        ("no body", reqmod("", ""), true, vec![head, http, "end"]),
        (
            "a body in chunks",
            reqmod("", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"),
            true,
            vec![head, http, "body abcde", "end"],
        ),
        (
            "a trailer",
            reqmod("", "3\r\nabc\r\n0\r\nA: b\r\n\r\n") + &reqmod("", ""),
            true,
            vec![head, http, "body abc", "end", head, http, "end"],
        ),
        (
            "a whole preview",
            reqmod("Preview: 9\r\n", "3\r\nabc\r\n0; ieof\r\n\r\n"),
            true,
            vec!["Reqmod reqmod Some(9)", http, "body abc", "end"],
        ),
        (
            "a preview that goes on",
            reqmod("Preview: 3\r\n", "3\r\nabc\r\n0\r\n\r\n2\r\nde\r\n0\r\n\r\n"),
            true,
            vec!["Reqmod reqmod Some(3)", http, "body abc", "preview end", "body de", "end"],
        ),
        (
            "a preview that is answered",
            reqmod("Preview: 3\r\n", "3\r\nabc\r\n0\r\n\r\n") + &reqmod("", ""),
            false,
            vec!["Reqmod reqmod Some(3)", http, "body abc", "preview end", head, http, "end"],
        ),
        (
            "an empty preview of a response",
            respmod("Preview: 0\r\n", "0\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            true,
            vec![
                "Respmod respmod Some(0)",
                "http Some(55) Some(51)",
                "preview end",
                "body abc",
                "end",
            ],
        ),
        (
            "line ends without CR",
            reqmod("", "").replace("ICAP/1.0\r\n", "ICAP/1.0\n"),
            true,
            vec![head, http, "end"],
        ),
        (
            "empty lines before",
            format!("\r\n\r\n{}", reqmod("", "")),
            true,
            vec![head, http, "end"],
        ),
        ("no ICAP", "GET / HTTP/1.1\r\n\r\n".into(), true, vec!["icap-request-line-malformed"]),
        ("a field without colon", reqmod("x\r\n", ""), true, vec!["icap-header-line-invalid"]),
        ("a preview of words", reqmod("Preview: x\r\n", ""), true, vec!["icap-preview-invalid"]),
        (
            "nothing encapsulated",
            "REQMOD icap://h/r ICAP/1.0\r\n\r\n".into(),
            true,
            vec!["icap-encapsulated-missing"],
        ),
        ("a bad size", reqmod("", "x\r\n"), true, vec![head, http, "icap-chunk-size-invalid"]),
        (
            "a size of 65 bits",
            reqmod("", "10000000000000000\r\n"),
            true,
            vec![head, http, "icap-chunk-size-invalid"],
        ),
        (
            "no line end behind a chunk",
            reqmod("", "1\r\nabc"),
            true,
            vec![head, http, "body a", "icap-chunk-unterminated"],
        ),
    ]
}

#[test]
fn requests_read_as_they_were_sent() {
    for (name, text, goes_on, expected) in table() {
        assert_eq!(read_whole(&text, goes_on), expected, "{name}");
    }
}

#[test]
fn every_cut_gives_the_same_events() {
    for (name, text, goes_on, expected) in table() {
        let bytes = text.as_bytes();
        assert_eq!(read(bytes.chunks(1), goes_on), expected, "{name}, byte by byte");
        for cut in 0..bytes.len() {
            let (before, after) = bytes.split_at(cut);
            assert_eq!(read([before, after].into_iter(), goes_on), expected, "{name} at {cut}");
        }
    }
}

#[test]
fn everything_that_is_held_has_a_bound() {
    let limits = Limits {
        max_head_bytes: 400,
        max_encapsulated_bytes: 60,
        max_line_bytes: 20,
        max_trailer_bytes: 20,
    };
    let x = "x".repeat(500);
    for (text, expected) in [
        (reqmod(&format!("A: {x}\r\n"), ""), "icap-head-too-long"),
        (x.clone(), "icap-head-too-long"),
        (respmod("", "0\r\n\r\n"), "icap-encapsulated-too-long"),
        (reqmod("", &format!("1;{x}\r\n")), "icap-chunk-line-too-long"),
        (reqmod("", &format!("0\r\nA: {x}\r\n\r\n")), "icap-trailer-too-long"),
    ] {
        for size in [1, 7, text.len()] {
            let mut parser = Parser::new(limits);
            let mut last = String::new();
            for piece in text.as_bytes().chunks(size) {
                let mut rest = piece;
                while let Some(event) = parser.next(&mut rest) {
                    last = match event {
                        Event::Malformed(malformed) => malformed.kind().to_owned(),
                        other => format!("{other:?}"),
                    };
                }
            }
            assert_eq!(last, expected, "by {size}");
            assert!(parser.buffer_len() <= 400);
        }
    }
}

#[test]
fn kinds_are_unique_and_hyphenated() {
    let kinds: std::collections::BTreeSet<_> = Malformed::ALL.iter().map(|m| m.kind()).collect();
    assert_eq!(kinds.len(), Malformed::ALL.len());
    assert!(kinds.iter().all(|kind| kind.bytes().all(|b| b == b'-' || b.is_ascii_lowercase())));
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_read_alike(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        size in 1_usize..40,
        goes_on: bool,
        row in 0_usize..17,
        at in 0_usize..300,
    ) {
        // Noise inside of what is well-formed gets further than noise alone.
        let (_, text, _, _) = table().swap_remove(row);
        let mut text = text.into_bytes();
        let at = at.min(text.len());
        text.splice(at..(at + bytes.len() / 16).min(text.len()), bytes);
        prop_assert_eq!(
            read(text.chunks(size), goes_on),
            read(std::iter::once(text.as_slice()), goes_on)
        );
    }
}

/// Writes down what comes.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl ExchangeSink for Notes {
    type State = ();

    fn event(
        &mut self,
        context: &Context<'_>,
        _: &mut (),
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        assert_eq!((number, context.visibility), (0, Visibility::Body));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = match event {
            ExchangeEvent::RequestHead(head) => text(head.target),
            ExchangeEvent::RequestBody(bytes) => format!("> {}", text(bytes)),
            ExchangeEvent::RequestEnd(end) => format!("> {end:?}"),
            ExchangeEvent::ResponseHead(head) => head.status.to_string(),
            ExchangeEvent::ResponseBody(bytes) => format!("< {}", text(bytes)),
            ExchangeEvent::ResponseEnd(end) => format!("< {end:?}"),
            other => format!("{other:?}"),
        };
        self.0.push(format!("{} {said}", context.flow));
        BodyInterest::Wanted
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        BodyInterest::Unwanted
    }

    fn tls(&mut self, context: &Context<'_>, (): &mut (), event: TlsEvent<'_>) {
        let TlsEvent::Hello(hello) = event else { return };
        assert_eq!(context.scheme, Scheme::Tls);
        let name = hello.sni.clone().unwrap();
        self.0.push(format!("{} tls {name} {}", context.flow, context.tunnel.unwrap()));
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), _: Anomaly) {}

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

struct Bench {
    exchanges: Exchanges<()>,
    notes: Notes,
    seconds: i64,
}

impl Bench {
    fn new(limits: PairingLimits) -> Self {
        let exchanges = Exchanges::new(limits, "icap".into(), 7);
        Self { exchanges, notes: Notes::default(), seconds: 0 }
    }

    fn at(&self) -> At {
        At::of_line(0, 1, Timestamp::from_parts(self.seconds, 0))
    }

    fn request(&mut self, flow: u64, text: &str) {
        let icap = Request { client: Some([192, 0, 2, 7].into()), ..Request::default() };
        let mut reader = HeadReader::new(8);
        let (head, _) = reader.request(text.as_bytes()).unwrap();
        let about = About { icap: &icap, at: self.at() };
        self.exchanges.request(&mut self.notes, flow, about, &head);
        self.exchanges.end(&mut self.notes, flow, Side::Request, about.at, End::Complete);
    }

    /// The flow that the response fell to; `fresh` is that of an unknown request.
    fn response(&mut self, fresh: u64, mark: Option<&str>, text: Option<&str>) -> u64 {
        let icap = Request {
            client: Some([192, 0, 2, 7].into()),
            exchange: mark.map(Into::into),
            ..Request::default()
        };
        let (mut one, mut other) = (HeadReader::new(8), HeadReader::new(8));
        let request = text.and_then(|text| one.request(text.as_bytes())).map(|(head, _)| head);
        let (head, _) = other.response(RESPONSE.as_bytes()).unwrap();
        let about = About { icap: &icap, at: self.at() };
        let (flow, _) = self
            .exchanges
            .response(&mut self.notes, || fresh, about, request.as_ref(), &head)
            .unwrap();
        self.exchanges.end(&mut self.notes, flow, Side::Response, about.at, End::Complete);
        flow
    }
}

#[test]
fn responses_find_their_requests() {
    let mut bench = Bench::new(PairingLimits::default());
    let other = REQUEST.replace("Host", "X: y\r\nHost");
    bench.request(1, REQUEST);
    bench.request(2, &other);
    bench.request(3, &other);
    bench.request(4, &REQUEST.replace("/mcp", "/else"));
    let mark = bench.exchanges.mark(3);
    assert_eq!(bench.response(90, Some(&mark), Some(REQUEST)), 3, "by its mark");
    assert_eq!(bench.response(91, Some("1-2"), Some(&other)), 2, "by its head: a mark of old");
    assert_eq!(bench.response(92, None, Some(&other)), 1, "the only one to that target");
    assert_eq!(bench.response(93, None, Some(REQUEST)), 93, "no request is left");
    assert_eq!(bench.response(94, None, None), 94, "nothing is told of the request");
    assert_eq!(bench.exchanges.len(), 1, "the one to another target waits");
    let counters = bench.exchanges.counters();
    assert_eq!((counters.marked, counters.paired, counters.unpaired), (1, 2, 2));
}

#[test]
fn a_response_without_its_request_tells_the_head_that_it_carries() {
    let mut bench = Bench::new(PairingLimits::default());
    bench.response(5, None, Some(REQUEST));
    bench.response(6, None, Some(&REQUEST.replace("POST", "GET")));
    assert_eq!(
        bench.notes.0,
        [
            "5 http://h.example/mcp",
            "5 > Truncated",
            "5 200",
            "5 < Complete",
            "6 http://h.example/mcp",
            "6 > Complete",
            "6 200",
            "6 < Complete"
        ]
    );
    assert!(bench.exchanges.is_empty());
}

#[test]
fn a_response_that_is_over_first_waits_for_its_request() {
    let mut bench = Bench::new(PairingLimits::default());
    let icap = Request::default();
    let about = About { icap: &icap, at: bench.at() };
    let mut reader = HeadReader::new(8);
    let (head, _) = reader.request(REQUEST.as_bytes()).unwrap();
    bench.exchanges.request(&mut bench.notes, 1, about, &head);
    let mark = bench.exchanges.mark(1);
    bench.response(9, Some(&mark), None);
    bench.exchanges.body(&mut bench.notes, 1, Side::Request, about.at, b"x");
    bench.exchanges.end(&mut bench.notes, 1, Side::Request, about.at, End::Complete);
    let expected = ["1 http://h.example/mcp", "1 200", "1 > x", "1 > Complete", "1 < Complete"];
    assert_eq!(bench.notes.0, expected);
    assert!(bench.exchanges.is_empty());
}

#[test]
fn origin_form_becomes_absolute_and_connect_a_name() {
    let mut bench = Bench::new(PairingLimits::default());
    bench.request(1, "GET /mcp HTTP/1.1\r\nHost: h.example\r\n\r\n");
    bench.request(2, "CONNECT H.example:443 HTTP/1.1\r\nHost: h.example\r\n\r\n");
    assert_eq!(
        bench.notes.0,
        ["1 http://h.example/mcp", "1 > Complete", "2 tls h.example H.example:443"]
    );
}

#[test]
fn waiting_has_bounds_in_number_and_time() {
    let mut bench = Bench::new(PairingLimits { max_open: 2, max_wait_seconds: 10 });
    for flow in 1..=3 {
        bench.request(flow, REQUEST);
    }
    assert_eq!(bench.notes.0.iter().filter(|note| note.ends_with("Aborted")).count(), 1);
    bench.seconds = 9;
    let at = bench.at();
    bench.exchanges.expire(&mut bench.notes, at);
    assert_eq!(bench.exchanges.len(), 2);
    bench.seconds = 10;
    let at = bench.at();
    bench.exchanges.expire(&mut bench.notes, at);
    assert!(bench.exchanges.is_empty());
    assert_eq!(bench.exchanges.counters().given_up, 3);
    assert_eq!(bench.response(9, None, Some(REQUEST)), 9);
}

#[test]
fn what_is_over_takes_no_room() {
    let mut bench = Bench::new(PairingLimits { max_open: 4, max_wait_seconds: 900 });
    for flow in 0..5_000 {
        bench.request(flow, REQUEST);
        assert_eq!(bench.response(u64::MAX, None, Some(REQUEST)), flow);
    }
    assert!(bench.exchanges.is_empty());
    assert!(bench.exchanges.held() < 2_000, "{}", bench.exchanges.held());
}
