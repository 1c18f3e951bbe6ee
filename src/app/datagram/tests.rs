use super::*;
use crate::anomaly::Anomaly;
use crate::decode::DatagramHeader;
use crate::exchange::{BodyInterest, DnsMessage, ExchangeEvent, FlowEnd};
use crate::net::Scope;
use crate::time::Timestamp;

/// Keeps what it is told as lines.
#[derive(Debug, Default)]
struct Recorder(Vec<String>);

impl Recorder {
    fn note(&mut self, context: &Context<'_>, what: &str) {
        let Context { flow, client, server, visibility, .. } = context;
        self.0.push(format!("{flow} {client} {server} {visibility:?} {what}"));
    }
}

impl ExchangeSink for Recorder {
    type State = ();

    fn event(
        &mut self,
        _: &Context<'_>,
        (): &mut (),
        _: u32,
        _: ExchangeEvent<'_>,
    ) -> BodyInterest {
        unreachable!()
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        unreachable!()
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), _: Anomaly) {
        unreachable!()
    }

    fn is_mcp(&self, (): &()) -> bool {
        false
    }

    fn tls(&mut self, context: &Context<'_>, (): &mut (), event: TlsEvent<'_>) {
        let TlsEvent::Hello(hello) = event else { unreachable!() };
        let name = hello.sni.as_deref().unwrap_or_default();
        self.note(context, &format!("{:?} {name}", hello.carrier));
    }

    fn closed(&mut self, context: &Context<'_>, (): &mut (), end: &FlowEnd) {
        let FlowEnd { application, packets, bytes, finish, .. } = end;
        let what = application.map(|application| format!("{application:?}")).unwrap();
        self.note(context, &format!("{what} {packets:?} {bytes:?} {finish:?}"));
    }

    fn dns(&mut self, context: &Context<'_>, (): &mut (), message: DnsMessage) {
        self.note(context, &message.questions[0].0);
    }
}

/// Datagrams through the reader.
#[derive(Debug, Default)]
struct Bench {
    datagrams: Datagrams,
    sink: Recorder,
    counters: Counters,
    packet: u64,
    seconds: i64,
}

impl Bench {
    fn push(&mut self, src: &str, dst: &str, payload: &[u8]) {
        let end = |text: &str| text.parse::<std::net::SocketAddr>().unwrap().into();
        let header = DatagramHeader {
            packet: self.packet,
            time: Timestamp::from_parts(self.seconds, 0),
            src: end(src),
            dst: end(dst),
            scope: Scope(0),
            payload_len: u32::try_from(payload.len()).unwrap(),
        };
        self.packet += 1;
        let datagram = Datagram { header, payload };
        self.datagrams.read(&datagram, &mut self.sink, &mut self.counters);
    }

    fn advance(&mut self, seconds: i64) {
        self.seconds += seconds;
        let time = Timestamp::from_parts(self.seconds, 0);
        self.datagrams.advance(At { packet: self.packet, time }, &mut self.sink);
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sink.0)
    }
}

const CLIENT: &str = "192.0.2.1:40000";
const QUERY: &[u8] = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01A\x04test\0\0\x01\0\x01";

#[test]
fn dns_is_told_with_its_client() {
    let mut bench = Bench::default();
    let mut response = QUERY.to_vec();
    response[2] |= 0x80;
    bench.push(CLIENT, "192.0.2.53:53", QUERY);
    bench.push("192.0.2.53:53", CLIENT, &response);
    bench.push("192.0.2.1:5353", "224.0.0.251:5353", QUERY);
    // Neither the port nor the form alone makes it DNS.
    bench.push(CLIENT, "192.0.2.53:54", QUERY);
    bench.push(CLIENT, "192.0.2.53:53", b"no DNS at all");
    let expected = [
        "0 192.0.2.1:40000 192.0.2.53:53 Body a.test",
        "1 192.0.2.1:40000 192.0.2.53:53 Body a.test",
        "2 192.0.2.1:5353 224.0.0.251:5353 Body a.test",
    ];
    assert_eq!(bench.sink.0, expected);
    assert_eq!((bench.counters.dns_messages, bench.counters.udp.flows), (3, 5));
    assert_eq!(bench.counters.quic, super::super::Tally::default());
}

#[test]
fn quic_hellos_are_told_and_all_else_of_it_counted() {
    let mut bench = Bench::default();
    let hello = quic::sample_initial();
    bench.push(CLIENT, "192.0.2.2:8443", &hello);
    // The server's side, short headers, and another flow of which the start is missing.
    bench.push("192.0.2.2:8443", CLIENT, b"\xe0\0\0\0\x01\0\0\x01x");
    bench.push(CLIENT, "192.0.2.2:443", b"\x41 short");
    bench.push("192.0.2.2:443", CLIENT, b"\x7f short");
    // DTLS on the same port.
    bench.push(CLIENT, "192.0.2.3:443", b"\x16\xfe\xfd\0\0");
    bench.push(CLIENT, "192.0.2.3:443", b"");
    assert_eq!(bench.sink.0, ["0 192.0.2.1:40000 192.0.2.2:8443 Tls Quic example.com"]);
    let quic = bench.counters.quic;
    assert_eq!((quic.flows, quic.bytes), (2, hello.len() as u64 + 9 + 7 + 7));
    assert_eq!(bench.counters.quic_hellos, 1);
    assert_eq!(bench.counters.udp.flows, 6);
}

const SERVER: &str = "192.0.2.2:443";
const SHORT: &[u8] = b"\x41 short";

#[test]
fn flows_of_quic_are_told_when_they_are_over() {
    let hello = quic::sample_initial();
    let opened = "0 192.0.2.1:40000 192.0.2.2:443 Tls Quic example.com".to_owned();
    let closed = |what: &str| format!("0 192.0.2.1:40000 192.0.2.2:443 Tls Quic {what}");
    let sum = hello.len() + SHORT.len();
    let mut bench = Bench::default();
    bench.push(CLIENT, SERVER, &hello);
    bench.push(SERVER, CLIENT, SHORT);
    bench.advance(100);
    bench.push(CLIENT, SERVER, SHORT);
    // Of another flow.
    bench.push(CLIENT, "192.0.2.3:443", SHORT);
    bench.advance(100);
    assert_eq!(bench.told(), [opened.as_str()]);
    bench.advance(20);
    assert_eq!(bench.told(), [closed(&format!("[2, 1] [{sum}, 7] Expired"))]);
    bench.push(CLIENT, SERVER, SHORT);
    bench.datagrams.finish(&mut bench.sink);
    assert!(bench.told().is_empty() && bench.datagrams.open.is_empty());

    // Silence ends a flow at its own time, whenever the shard is told the time.
    let mut bench = Bench::default();
    bench.push(CLIENT, SERVER, &hello);
    bench.seconds += 121;
    bench.push(CLIENT, SERVER, SHORT);
    let expired = closed(&format!("[1, 0] [{}, 0] Expired", hello.len()));
    assert_eq!(bench.told(), [opened.clone(), expired]);

    let mut bench = Bench::default();
    bench.push(CLIENT, SERVER, &hello);
    bench.datagrams.finish(&mut bench.sink);
    let ended = closed(&format!("[1, 0] [{}, 0] EndOfCapture", hello.len()));
    assert_eq!(bench.told(), [opened, ended]);
}

#[test]
fn open_flows_are_bounded() {
    let mut bench = Bench::default();
    let hello = quic::sample_initial();
    for host in 0..=u32::try_from(open::MAX_FLOWS).unwrap() {
        let [_, _, a, b] = host.to_be_bytes();
        bench.push(CLIENT, &format!("10.0.{a}.{b}:443"), &hello);
    }
    let evicted: Vec<_> = bench.told().into_iter().filter(|l| l.ends_with("Evicted")).collect();
    assert_eq!(evicted.len(), 1);
    assert!(evicted[0].starts_with("0 192.0.2.1:40000 10.0.0.0:443 "), "{evicted:?}");
}

#[test]
fn counted_flows_are_bounded() {
    let mut bench = Bench::default();
    for host in 0..40_000_u32 {
        let [_, a, b, c] = host.to_be_bytes();
        bench.push(CLIENT, &format!("10.{a}.{b}.{c}:443"), b"\x41");
    }
    assert_eq!(bench.counters.quic.flows, 40_000);
    assert!(bench.datagrams.counted.seen.len() <= Counted::MAX_FLOWS);
}
