//! UDP datagrams: DNS by its ports, QUIC by its header.

mod open;

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::{Counters, dns, quic};
use crate::decode::Datagram;
use crate::exchange::{Carrier, Context, ExchangeSink, Scheme, TlsEvent, Visibility};
use crate::flow::At;
use open::{Key, OpenFlows};

const DNS_PORTS: [u16; 2] = [53, 5353];
const QUIC_PORT: u16 = 443;

/// What is kept of datagrams: handshakes of QUIC (see [`quic::Limits`]), flows of QUIC (see
/// [`open`]), and which of these are counted already (see [`Counted`]).
#[derive(Debug)]
pub(in crate::app) struct Datagrams {
    quic: quic::Flows,
    open: OpenFlows,
    counted: Counted,
    hasher: RandomState,
}

impl Default for Datagrams {
    fn default() -> Self {
        Self {
            quic: quic::Flows::new(quic::Limits::default()),
            open: OpenFlows::default(),
            counted: Counted::default(),
            hasher: RandomState::new(),
        }
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
        let is_hello = has_header && self.read_quic(datagram, sink, counters);
        // Short headers have the fixed bit (RFC 9000 section 17.3.1), and DTLS neither.
        let may_be_quic = || datagram.payload.first().is_some_and(|first| first & 0xc0 != 0);
        if has_header || either(QUIC_PORT) && may_be_quic() {
            counters.quic.bytes += u64::from(header.payload_len);
            let name = self.name(datagram);
            counters.quic.flows += u64::from(self.counted.is_new(name.0));
            if is_hello {
                self.open.begin(name, datagram, sink);
            }
            self.open.count(name, datagram, sink);
        }
    }

    /// Time passes: flows of QUIC that are silent for too long are over.
    pub(in crate::app) fn advance<S: ExchangeSink>(&mut self, now: At, sink: &mut S) {
        self.open.advance(now, sink);
    }

    /// The capture is over, and all flows with it.
    pub(in crate::app) fn finish<S: ExchangeSink>(&mut self, sink: &mut S) {
        self.open.finish(sink);
    }

    /// The five-tuple of a datagram, with its hash.
    fn name(&self, datagram: &Datagram<'_>) -> (u64, Key) {
        let header = &datagram.header;
        let (low, high) = (header.src.min(header.dst), header.src.max(header.dst));
        let key = (header.scope, low, high);
        (self.hasher.hash_one(key), key)
    }

    /// Answers whether a ClientHello was told.
    fn read_quic<S: ExchangeSink>(
        &mut self,
        datagram: &Datagram<'_>,
        sink: &mut S,
        counters: &mut Counters,
    ) -> bool {
        let header = &datagram.header;
        let ends = (header.src, header.dst);
        let hello = self.quic.datagram(ends, header.scope, header.time, datagram.payload);
        let Some(hello) = hello else { return false };
        counters.quic_hellos += 1;
        let context =
            Context { scheme: Scheme::Tls, visibility: Visibility::Tls, ..context(datagram, true) };
        let hello = hello.summary(Carrier::Quic);
        sink.tls(&context, &mut S::State::default(), TlsEvent::Hello(&hello));
        true
    }
}

fn read_dns<S: ExchangeSink>(datagram: &Datagram<'_>, sink: &mut S, counters: &mut Counters) {
    if let Some(message) = dns::parse(datagram.payload) {
        counters.dns_messages += 1;
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
        provenance: None,
    }
}

/// Hashes of the five-tuples that were counted. Full, it forgets all of them, and flows that go on
/// are counted once more. At most about 600 KiB.
#[derive(Debug, Default)]
struct Counted {
    seen: HashTable<u64>,
}

impl Counted {
    const MAX_FLOWS: usize = 1 << 15;

    fn is_new(&mut self, hash: u64) -> bool {
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
