//! One call of the flow table, and what it does to the flow.
//!
//! Bytes of a side that is in TLS go to the flow's session first; what comes out of it, and bytes
//! of all other sides, go to the side's lane: probe, search, or the parser of what is talked.
//! Who is the client follows from what is said: the side that sends requests, or the one that
//! does not send responses. In a `CONNECT` tunnel both sides are probed afresh, and the exchanges
//! in it count on.

mod lanes;
mod switch;
mod talking;
mod tls;

use super::http1::feed::Line;
use super::http1::half::Env;
use super::http1::head::Scratch;
use super::probe::Protocol;
use super::state::{self, Lane, State};
use super::talk::Talk;
use super::tls::decrypt::Scratch as Records;
use super::{Counters, Keyring, Limits};
use crate::exchange::{Context, ExchangeSink, FlowEnd, Scheme};
use crate::flow::{At, Chunk, Finish, FlowInfo, Gap, Traffic};
use crate::net::Side;

/// A call in progress.
#[derive(Debug)]
pub(in crate::app) struct Turn<'a, S: ExchangeSink> {
    pub(in crate::app) limits: &'a Limits,
    pub(in crate::app) scratch: &'a mut Scratch,
    pub(in crate::app) keyring: &'a Keyring,
    pub(in crate::app) records: &'a mut Records,
    pub(in crate::app) sink: &'a mut S,
    pub(in crate::app) counters: &'a mut Counters,
    pub(in crate::app) flow: &'a FlowInfo,
    pub(in crate::app) state: &'a mut State<S::State>,
    pub(in crate::app) at: At,
}

/// Until a role is known, the originator stands for the client.
pub(in crate::app) fn line<'l>(
    flow: &FlowInfo,
    client: Option<Side>,
    scheme: Scheme,
    at: At,
    tunnels: &'l [Box<str>],
) -> Line<'l> {
    let (client, server) = match client {
        None | Some(Side::Originator) => (flow.originator, flow.responder),
        Some(Side::Responder) => (flow.responder, flow.originator),
    };
    Line { flow: flow.id, client, server, scope: flow.scope, scheme, at, tunnels }
}

impl<S: ExchangeSink> Turn<'_, S> {
    /// The context of what belongs to no exchange.
    pub(in crate::app) fn line_context(&self) -> Context<'static> {
        line(self.flow, self.state.client, self.state.scheme(), self.at, &[]).context(0)
    }

    pub(in crate::app) fn chunk(&mut self, chunk: Chunk<'_>) {
        let len = chunk.bytes.len() as u64;
        if let Some(protocol) = self.state.shed {
            self.counters.of_mut(protocol).bytes += len;
            return;
        }
        self.state.untallied += len;
        *state::at(&mut self.state.bytes, chunk.side) += len;
        self.feed_alternate(chunk.side, chunk.offset, chunk.bytes);
        *state::at(&mut self.state.next, chunk.side) = chunk.offset + len;
        if self.is_in_tls(chunk.side) {
            self.records(chunk.side, chunk.bytes);
        } else {
            self.deliver(chunk.side, chunk.bytes);
        }
        self.give_up_if_silent();
    }

    pub(in crate::app) fn gap(&mut self, gap: Gap) {
        if self.state.shed.is_some() {
            return;
        }
        self.counters.gap_bytes += gap.len;
        *state::at(&mut self.state.next, gap.side) = gap.offset.saturating_add(gap.len);
        self.close_alternate(gap.side);
        if self.is_in_tls(gap.side) {
            self.records_gap(gap.side, gap.len);
        } else {
            self.lane_gap(gap.side, gap.len);
        }
    }

    pub(in crate::app) fn finish(&mut self, side: Side, why: Finish) {
        let finished = std::mem::replace(state::at(&mut self.state.finished, side), true);
        if finished || self.state.shed.is_some() {
            return;
        }
        self.close_alternate(side);
        if self.is_in_tls(side) {
            self.records_finish(side);
        }
        if self.state.shed.is_some() {
            return;
        }
        if matches!(self.state.lane(side), Lane::Talk) {
            self.talk_finish(side, why);
        }
        if self.state.finished == [true, true] {
            self.conclude();
        }
    }

    /// No more bytes come from either side.
    fn conclude(&mut self) {
        if let Some(talked) = self.end_all() {
            self.tally(if self.is_opaque() { Protocol::Tls } else { talked });
        }
    }

    /// Everything open ends; answers with what was talked.
    fn end_all(&mut self) -> Option<Protocol> {
        self.close_alternate(Side::Originator);
        self.close_alternate(Side::Responder);
        let talked = self.state.talk.as_deref().map(Talk::protocol)?;
        self.end_talk();
        self.state.lanes = [Lane::Off, Lane::Off];
        Some(talked)
    }

    /// In TLS, of which nothing could be read.
    fn is_opaque(&self) -> bool {
        self.state.is_in_tls() && !self.state.decrypted
    }

    fn tally(&mut self, protocol: Protocol) {
        if protocol != Protocol::Other {
            self.state.talked = Some(protocol);
        }
        let bytes = std::mem::take(&mut self.state.untallied);
        let tally = self.counters.of_mut(protocol);
        tally.flows += 1;
        tally.bytes += bytes;
        if self.state.decrypted {
            self.counters.tls_decrypted.flows += u64::from(!self.state.tallied);
            self.counters.tls_decrypted.bytes += bytes;
        }
        self.state.tallied = true;
    }

    /// Nothing more of this flow is read.
    pub(in crate::app) fn shed(&mut self, protocol: Protocol) {
        let talked = self.end_all();
        if let Some(talked) = talked {
            self.tally(talked);
        }
        if talked != Some(protocol) {
            self.tally(protocol);
        }
        self.state.shed = Some(protocol);
        self.state.lanes = [Lane::Off, Lane::Off];
        self.state.session = None;
    }

    /// The flow leaves the table.
    pub(in crate::app) fn close(&mut self, why: Finish) {
        self.conclude();
        if !self.state.tallied {
            self.tally(if self.is_opaque() { Protocol::Tls } else { Protocol::Other });
        }
        let protocol = self.state.shed.unwrap_or(Protocol::Other);
        self.counters.of_mut(protocol).bytes += self.flow.shed_bytes;
        let (context, end) = (self.line_context(), self.flow_end(why));
        self.sink.closed(&context, &mut self.state.user, &end);
    }

    /// The flow as a whole.
    fn flow_end(&self, finish: Finish) -> FlowEnd {
        let Traffic { packets, bytes, gaps, gap_bytes, last } = self.flow.traffic;
        let swapped = self.state.client == Some(Side::Responder);
        let directed = |[originator, responder]: [u64; 2]| {
            if swapped { [responder, originator] } else { [originator, responder] }
        };
        FlowEnd {
            application: self.state.talked.and_then(Protocol::application),
            opened: self.flow.opened,
            last,
            packets: directed(packets),
            bytes: directed(bytes),
            gaps,
            gap_bytes,
            midstream: self.flow.midstream,
            finish,
        }
    }

    /// Both sides speak something else, or one does and the other says nothing.
    fn give_up_if_silent(&mut self) {
        if self.state.shed.is_some() {
            return;
        }
        let [bytes, other_bytes] = self.state.bytes;
        let patience = self.limits.max_probe_bytes as u64;
        let over = match &self.state.lanes {
            [Lane::Off, Lane::Off] => true,
            [Lane::Off, Lane::Unseen] => bytes >= patience,
            [Lane::Unseen, Lane::Off] => other_bytes >= patience,
            _ => false,
        };
        if over {
            self.shed(Protocol::Other);
        }
    }

    pub(in crate::app) fn parts(&mut self) -> (Env<'_>, &mut S, &mut State<S::State>) {
        (Env { scratch: self.scratch, limits: self.limits }, self.sink, self.state)
    }
}
