//! Flows of QUIC whose ClientHello was read, until they are silent: nothing else ends them that
//! can be seen.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashTable;

use crate::decode::Datagram;
use crate::exchange::{Application, Context, ExchangeSink, FlowEnd, Scheme, Visibility};
use crate::flow::{At, Finish};
use crate::net::{Endpoint, Scope};

/// Flows at most; at the bound the one that was looked at longest ago is evicted. About 200 bytes
/// each, 1 MiB in all.
pub(super) const MAX_FLOWS: usize = 4_096;
/// A flow that is silent for so long, in packet time, is over.
pub(super) const IDLE: Duration = Duration::from_secs(120);

/// Five-tuple and scope, the lower endpoint first.
pub(super) type Key = (Scope, Endpoint, Endpoint);

/// One flow, from the datagram that completed its ClientHello on.
#[derive(Debug)]
struct Open {
    hash: u64,
    key: Key,
    /// Index of that datagram.
    id: u64,
    client: Endpoint,
    server: Endpoint,
    first: At,
    last: At,
    /// By [`Direction::index`](crate::net::Direction::index).
    packets: [u64; 2],
    bytes: [u64; 2],
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct OpenFlows {
    flows: HashTable<Open>,
    /// When each was looked at, with its hash and id; oldest first.
    turns: VecDeque<(At, u64, u64)>,
}

impl OpenFlows {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.turns.is_empty()
    }

    /// A ClientHello: its sender is the client.
    pub(super) fn begin<S: ExchangeSink>(
        &mut self,
        (hash, key): (u64, Key),
        datagram: &Datagram<'_>,
        sink: &mut S,
    ) {
        let header = &datagram.header;
        let at = At { packet: header.packet, time: header.time };
        if let Ok(old) = self.flows.find_entry(hash, |open| open.key == key) {
            end(&old.remove().0, Finish::Reused, at, sink);
        }
        while self.flows.len() >= MAX_FLOWS
            && let Some((_, hash, id)) = self.turns.pop_front()
        {
            if let Ok(oldest) = self.flows.find_entry(hash, |open| open.id == id) {
                let (oldest, _) = oldest.remove();
                end(&oldest, Finish::Evicted, oldest.last, sink);
            }
        }
        let open = Open {
            hash,
            key,
            id: header.packet,
            client: header.src,
            server: header.dst,
            first: at,
            last: at,
            packets: [0; 2],
            bytes: [0; 2],
        };
        self.turns.push_back((at, hash, open.id));
        self.flows.insert_unique(hash, open, |open| open.hash);
    }

    /// Counts a datagram, if it belongs to one of the flows.
    pub(super) fn count<S: ExchangeSink>(
        &mut self,
        (hash, key): (u64, Key),
        datagram: &Datagram<'_>,
        sink: &mut S,
    ) {
        let header = &datagram.header;
        let Ok(mut entry) = self.flows.find_entry(hash, |open| open.key == key) else { return };
        let open = entry.get_mut();
        if header.time.since(open.last.time) >= IDLE {
            expire(&entry.remove().0, sink);
            return;
        }
        open.last = At { packet: header.packet, time: header.time.max(open.last.time) };
        let ([up, down], [up_bytes, down_bytes]) = (&mut open.packets, &mut open.bytes);
        let is_up = header.src == open.client;
        let (packets, bytes) = if is_up { (up, up_bytes) } else { (down, down_bytes) };
        *packets += 1;
        *bytes += u64::from(header.payload_len);
    }

    /// Ends those that are silent for too long.
    pub(super) fn advance<S: ExchangeSink>(&mut self, now: At, sink: &mut S) {
        while let Some((since, hash, id)) = self.turns.front().copied()
            && now.time.since(since.time) >= IDLE
        {
            self.turns.pop_front();
            let Ok(entry) = self.flows.find_entry(hash, |open| open.id == id) else { continue };
            let last = entry.get().last;
            if now.time.since(last.time) >= IDLE {
                expire(&entry.remove().0, sink);
            } else {
                self.turns.push_back((last, hash, id));
            }
        }
    }

    /// Ends all of them, in the order of their ids.
    pub(super) fn finish<S: ExchangeSink>(&mut self, sink: &mut S) {
        let mut all: Vec<Open> = self.flows.drain().collect();
        all.sort_unstable_by_key(|open| open.id);
        for open in all {
            end(&open, Finish::EndOfCapture, open.last, sink);
        }
        self.turns.clear();
    }
}

fn expire<S: ExchangeSink>(open: &Open, sink: &mut S) {
    let at = At { packet: open.last.packet, time: open.last.time.plus(IDLE) };
    end(open, Finish::Expired, at, sink);
}

fn end<S: ExchangeSink>(open: &Open, finish: Finish, at: At, sink: &mut S) {
    let (scope, _, _) = open.key;
    let context = Context {
        flow: open.id,
        client: open.client,
        server: open.server,
        scope,
        scheme: Scheme::Tls,
        tunnel: None,
        visibility: Visibility::Tls,
        at,
        provenance: None,
    };
    let end = FlowEnd {
        application: Some(Application::Quic),
        opened: open.first.time,
        last: open.last.time,
        packets: open.packets,
        bytes: open.bytes,
        gaps: 0,
        gap_bytes: 0,
        midstream: false,
        finish,
    };
    sink.closed(&context, &mut S::State::default(), &end);
}
