//! UDP datagrams: DNS by its ports, QUIC by its header.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::{Counters, dns, quic};
use crate::decode::Datagram;
use crate::exchange::{Carrier, Context, ExchangeSink, Scheme, TlsEvent, Visibility};
use crate::flow::At;
use crate::net::Endpoint;

const DNS_PORTS: [u16; 2] = [53, 5353];
const QUIC_PORT: u16 = 443;

/// What is kept of datagrams: handshakes of QUIC (see [`quic::Limits`]), and which flows of QUIC
/// are counted already (see [`Counted`]).
#[derive(Debug)]
pub(in crate::app) struct Datagrams {
    quic: quic::Flows,
    counted: Counted,
}

impl Default for Datagrams {
    fn default() -> Self {
        Self { quic: quic::Flows::new(quic::Limits::default()), counted: Counted::default() }
    }
}

impl Datagrams {
    /// Takes in one datagram.
    pub(in crate::app) fn read<S: ExchangeSink>(
        &mut self,
        datagram: &Datagram<'_>,
        sink: &mut S,
        counters: &mut Counters,
    ) {
        let header = &datagram.header;
        counters.udp.flows += 1;
        counters.udp.bytes += u64::from(header.payload_len);
        let either = |port| header.src.port == port || header.dst.port == port;
        if DNS_PORTS.into_iter().any(either) {
            read_dns(datagram, sink, counters);
        }
        let has_header = quic::has_known_version(datagram.payload);
        if has_header {
            self.read_quic(datagram, sink, counters);
        }
        // Short headers have the fixed bit (RFC 9000 section 17.3.1), and DTLS neither.
        let may_be_quic = || datagram.payload.first().is_some_and(|first| first & 0xc0 != 0);
        if has_header || either(QUIC_PORT) && may_be_quic() {
            counters.quic.bytes += u64::from(header.payload_len);
            counters.quic.flows += u64::from(self.counted.is_new(datagram));
        }
    }

    fn read_quic<S: ExchangeSink>(
        &mut self,
        datagram: &Datagram<'_>,
        sink: &mut S,
        counters: &mut Counters,
    ) {
        let header = &datagram.header;
        let ends = (header.src, header.dst);
        if let Some(hello) = self.quic.datagram(ends, header.scope, header.time, datagram.payload) {
            counters.quic_hellos += 1;
            let context = Context {
                scheme: Scheme::Tls,
                visibility: Visibility::Tls,
                ..context(datagram, true)
            };
            let hello = hello.summary(Carrier::Quic);
            sink.tls(&context, &mut S::State::default(), TlsEvent::Hello(&hello));
        }
    }
}

fn read_dns<S: ExchangeSink>(datagram: &Datagram<'_>, sink: &mut S, counters: &mut Counters) {
    if let Some(message) = dns::parse(datagram.payload) {
        counters.dns += 1;
        let context = context(datagram, !message.response);
        sink.dns(&context, &mut S::State::default(), message);
    }
}

/// A datagram belongs to no flow of the table: what it says has the id that a flow beginning with
/// it would have.
const fn context(datagram: &Datagram<'_>, from_client: bool) -> Context<'static> {
    let header = &datagram.header;
    let (client, server) =
        if from_client { (header.src, header.dst) } else { (header.dst, header.src) };
    Context {
        flow: header.packet,
        client,
        server,
        scope: header.scope,
        scheme: Scheme::Tcp,
        tunnel: None,
        visibility: Visibility::Body,
        at: At { packet: header.packet, time: header.time },
    }
}

/// Hashes of the five-tuples that were counted. Full, it forgets all of them, and flows that go on
/// are counted once more. At most about 600 KiB.
#[derive(Debug, Default)]
struct Counted {
    seen: HashTable<u64>,
    hasher: RandomState,
}

impl Counted {
    const MAX_FLOWS: usize = 1 << 15;

    fn is_new(&mut self, datagram: &Datagram<'_>) -> bool {
        let header = &datagram.header;
        let (low, high): (Endpoint, Endpoint) =
            (header.src.min(header.dst), header.src.max(header.dst));
        let hash = self.hasher.hash_one((low, high, header.scope));
        if self.seen.find(hash, |seen| *seen == hash).is_some() {
            return false;
        }
        if self.seen.len() >= Self::MAX_FLOWS {
            self.seen.clear();
        }
        self.seen.insert_unique(hash, hash, |seen| *seen);
        true
    }
}

#[cfg(test)]
mod tests;
