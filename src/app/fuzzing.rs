//! Arbitrary bytes as a flow.

use super::{Layer, Limits, State};
use crate::anomaly::Anomaly;
use crate::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink};
use crate::flow::{At, Chunk, Finish, FlowInfo, Gap, Handler as _, Traffic};
use crate::net::{Endpoint, Scope, Side};
use crate::time::Timestamp;

/// Checks that every exchange has one last event.
#[derive(Debug, Default)]
struct Checker {
    open: std::collections::HashSet<u32>,
    ended: std::collections::HashSet<u32>,
}

impl ExchangeSink for Checker {
    type State = ();

    fn event(
        &mut self,
        _: &Context<'_>,
        (): &mut (),
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        assert!(!self.ended.contains(&number));
        self.open.insert(number);
        if matches!(event, ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted) {
            self.open.remove(&number);
            self.ended.insert(number);
        }
        BodyInterest::Wanted
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        BodyInterest::Wanted
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), _: Anomaly) {}

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

/// Feeds `data` as a flow. The first byte says whether it was met midstream; then one byte of
/// each piece says its side and kind, the next one its length.
pub fn fuzz(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else { return };
    let flow = FlowInfo {
        id: 0,
        originator: Endpoint::UNKNOWN,
        responder: Endpoint::UNKNOWN,
        scope: Scope(0),
        opened: Timestamp::EPOCH,
        midstream: first & 1 == 1,
        shed_bytes: 0,
        traffic: Traffic::NONE,
    };
    let at = At { packet: 0, time: Timestamp::EPOCH };
    let mut layer = Layer::new(Limits::default(), std::sync::Arc::default(), Checker::default());
    let mut state = State::default();
    let (mut offsets, mut finished) = ([0_u64; 2], [false; 2]);
    while let [kind, len, tail @ ..] = rest {
        let side = if kind & 1 == 0 { Side::Originator } else { Side::Responder };
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let offset = super::state::at(&mut offsets, side);
        let over = super::state::at(&mut finished, side);
        if *over || bytes.is_empty() {
            continue;
        }
        match kind >> 1 {
            0 => {
                let gap = Gap { side, offset: *offset, len: bytes.len() as u64, at };
                *offset += gap.len;
                layer.gap(&flow, &mut state, gap);
            }
            1 => {
                *over = true;
                layer.finish(&flow, &mut state, side, at, Finish::Fin);
            }
            2 => layer.alternate(&flow, &mut state, Chunk { side, offset: *offset, bytes, at }),
            _ => {
                let chunk = Chunk { side, offset: *offset, bytes, at };
                *offset += bytes.len() as u64;
                layer.chunk(&flow, &mut state, chunk);
            }
        }
    }
    layer.closed(&flow, state, at, Finish::EndOfCapture);
    assert!(layer.sink().open.is_empty(), "exchanges without an end");
}

/// Reads `data` as handshake messages of TLS, whole and in pieces.
pub fn fuzz_tls_handshake(data: &[u8]) {
    super::tls::handshake::fuzz(data);
}

/// Feeds `data` as datagrams of QUIC, and as frames inside Initial packets.
pub fn fuzz_quic_initial(data: &[u8]) {
    super::quic::fuzz(data);
}

/// Reads `data` as a DNS message, and as a stream of them.
pub fn fuzz_dns(data: &[u8]) {
    super::dns::fuzz(data);
}

/// Reads `data` as a WebSocket connection.
pub fn fuzz_websocket(data: &[u8]) {
    super::websocket::fuzz::fuzz(data);
}

/// Reads `data` as a connection of lines.
pub fn fuzz_lines(data: &[u8]) {
    super::lines::fuzz::fuzz(data);
}
