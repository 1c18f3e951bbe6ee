//! The [`Handler`] that the flow table calls.

use std::sync::Arc;

use super::datagram::Datagrams;
use super::http1::head::Scratch;
use super::state::State;
use super::tls::decrypt::Scratch as Records;
use super::turn::Turn;
use super::{Counters, Keyring, Limits};
use crate::anomaly::Anomaly;
use crate::decode::Datagram;
use crate::exchange::ExchangeSink;
use crate::flow::{At, Chunk, Finish, FlowInfo, Gap, Handler, Interest};
use crate::net::Side;

/// Reads flows and calls an [`ExchangeSink`].
#[derive(Debug)]
pub struct Layer<S> {
    limits: Limits,
    keyring: Arc<Keyring>,
    scratch: Scratch,
    records: Records,
    sink: S,
    counters: Counters,
    datagrams: Datagrams,
}

impl<S: ExchangeSink> Layer<S> {
    /// A layer that decrypts TLS with `keyring` and hands exchanges to `sink`.
    #[must_use]
    pub fn new(limits: Limits, keyring: Arc<Keyring>, sink: S) -> Self {
        Self {
            limits,
            keyring,
            scratch: Scratch::default(),
            records: Records::default(),
            sink,
            counters: Counters::default(),
            datagrams: Datagrams::default(),
        }
    }

    /// The consumer of exchanges.
    #[must_use]
    pub const fn sink(&self) -> &S {
        &self.sink
    }

    /// The consumer of exchanges.
    #[must_use]
    pub const fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// What was seen so far. Bytes of a flow join their tally when it is shed or closed.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes in one UDP datagram.
    pub fn datagram(&mut self, datagram: &Datagram<'_>) {
        self.datagrams.read(datagram, &mut self.sink, &mut self.counters);
    }

    /// Time passes for datagrams: flows of QUIC that are silent for too long are over.
    pub fn advance_datagrams(&mut self, now: At) {
        self.datagrams.advance(now, &mut self.sink);
    }

    /// The capture is over, and all flows of QUIC with it.
    pub fn finish_datagrams(&mut self) {
        self.datagrams.finish(&mut self.sink);
    }

    pub(in crate::app) fn turn<'a>(
        &'a mut self,
        flow: &'a FlowInfo,
        state: &'a mut State<S::State>,
        at: At,
    ) -> Turn<'a, S> {
        Turn {
            limits: &self.limits,
            scratch: &mut self.scratch,
            keyring: &self.keyring,
            records: &mut self.records,
            sink: &mut self.sink,
            counters: &mut self.counters,
            flow,
            state,
            at,
        }
    }

    fn interest(&self, state: &State<S::State>) -> Interest {
        if state.shed.is_some() {
            Interest::None
        } else if self.sink.is_mcp(&state.user) {
            Interest::Mcp
        } else if state.talk.is_some() {
            Interest::Candidate
        } else {
            Interest::Unknown
        }
    }
}

impl<S: ExchangeSink> Handler for Layer<S> {
    type State = State<S::State>;

    fn chunk(&mut self, flow: &FlowInfo, state: &mut Self::State, chunk: Chunk<'_>) -> Interest {
        self.turn(flow, state, chunk.at).chunk(chunk);
        self.interest(state)
    }

    fn alternate(&mut self, flow: &FlowInfo, state: &mut Self::State, chunk: Chunk<'_>) {
        self.turn(flow, state, chunk.at).alternate(chunk);
    }

    fn gap(&mut self, flow: &FlowInfo, state: &mut Self::State, gap: Gap) -> Interest {
        self.turn(flow, state, gap.at).gap(gap);
        self.interest(state)
    }

    fn finish(
        &mut self,
        flow: &FlowInfo,
        state: &mut Self::State,
        side: Side,
        at: At,
        why: Finish,
    ) {
        self.turn(flow, state, at).finish(side, why);
    }

    fn closed(&mut self, flow: &FlowInfo, mut state: Self::State, at: At, why: Finish) {
        self.turn(flow, &mut state, at).close(why);
    }

    fn anomaly(&mut self, flow: &FlowInfo, at: At, anomaly: Anomaly) {
        // The flow layer reports without its handler's state, and the sink wants one: oddities
        // of a flow are about the flow, so that a state of their own loses nothing.
        let mut state = State::default();
        let context = self.turn(flow, &mut state, at).line_context();
        self.sink.anomaly(&context, &mut state.user, anomaly);
    }
}
