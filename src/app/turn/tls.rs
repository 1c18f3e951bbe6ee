//! Sides in TLS: records in, the handshake's names and what is inside out.

use super::super::probe::Protocol;
use super::super::state::{self, Lane};
use super::super::tls::decrypt::{Env, Outlook, Receiver, Session};
use super::{Turn, line};
use crate::anomaly::{Anomaly, Layer};
use crate::exchange::{Context, ExchangeSink, TlsAnswer, TlsEvent, TlsHello, Visibility};
use crate::net::Side;

impl<S: ExchangeSink> Turn<'_, S> {
    pub(super) fn is_in_tls(&self, side: Side) -> bool {
        let [originator, responder] = self.state.in_tls;
        match side {
            Side::Originator => originator,
            Side::Responder => responder,
        }
    }

    /// The bytes of a side are records from now on; what is in them is probed afresh.
    pub(super) fn enter_tls(&mut self, side: Side) {
        *state::at(&mut self.state.in_tls, side) = true;
        *self.state.lane(side) = Lane::Probe(Vec::new());
        if self.state.session.is_none() {
            self.state.session = Some(Box::new(Session::new()));
        }
    }

    pub(super) fn records(&mut self, side: Side, bytes: &[u8]) {
        self.with_session(|session, env, turn| session.push(side, bytes, env, turn));
    }

    pub(super) fn records_gap(&mut self, side: Side, len: u64) {
        self.with_session(|session, env, turn| session.gap(side, len, env, turn));
    }

    pub(super) fn records_finish(&mut self, side: Side) {
        self.with_session(|session, env, turn| session.finish(side, env, turn));
    }

    fn with_session(
        &mut self,
        step: impl FnOnce(&mut Session, &mut Env<'_>, &mut Self) -> Outlook,
    ) {
        // Out of the state while it calls back.
        let Some(mut session) = self.state.session.take() else { return };
        let mut scratch = std::mem::take(self.records);
        let (keys, limits) = (self.keyring, self.limits);
        let mut env = Env { keys, limits: &limits.tls, scratch: &mut scratch };
        let outlook = step(&mut session, &mut env, self);
        *self.records = scratch;
        if self.state.shed.is_none() {
            self.state.session = Some(session);
            if outlook == Outlook::Hopeless {
                self.shed(Protocol::Tls);
            }
        }
    }

    /// In the innermost tunnel, and of no body.
    fn handshake(&mut self, event: TlsEvent<'_>) {
        let scheme = self.state.scheme();
        let depth = u8::try_from(self.state.tunnels.len()).unwrap_or(u8::MAX);
        let line = line(self.flow, self.state.client, scheme, self.at, &self.state.tunnels);
        let context = Context { visibility: Visibility::Tls, ..line.context(depth) };
        self.sink.tls(&context, &mut self.state.user, event);
    }
}

impl<S: ExchangeSink> Receiver for Turn<'_, S> {
    fn hello(&mut self, client: Side, hello: &TlsHello) {
        self.state.client.get_or_insert(client);
        self.handshake(TlsEvent::Hello(hello));
    }

    fn answer(&mut self, answer: &TlsAnswer) {
        self.handshake(TlsEvent::Answer(answer));
    }

    fn plain(&mut self, side: Side, bytes: &[u8]) {
        self.state.decrypted = true;
        self.deliver(side, bytes);
    }

    fn plain_gap(&mut self, side: Side, len: u64) {
        self.lane_gap(side, len);
    }

    fn plain_end(&mut self, side: Side) {
        if matches!(self.state.lane(side), Lane::Talk) {
            self.talk_finish(side, crate::flow::Finish::Fin);
            *self.state.lane(side) = Lane::Off;
        }
    }

    fn anomaly(&mut self, kind: &'static str) {
        self.counters.anomalies += 1;
        let context = self.line_context();
        self.sink.anomaly(&context, &mut self.state.user, Anomaly::new(Layer::Tls, kind));
    }
}
