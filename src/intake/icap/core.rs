//! What the connections share: recognition, the exchanges under way, and the way to the run.

use tokio::sync::oneshot;

use super::{Counters, Settings};
use crate::app::{BodyFacts, HeadReader};
use crate::exchange::{BodyInterest, End};
use crate::flow::At;
use crate::icap::{About, Exchanges, Http, Request, Side};
use crate::intake::{Counts, NotTaken, Outlet, Parcel, Verdict, clock};
use crate::mcp::{FlowState, Tap};
use crate::observation::ExchangeId;

/// Fields of one head that are read.
const MAX_HEADERS: usize = 256;

/// Which message of which exchange, and where its events stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    pub(super) flow: u64,
    pub(super) side: Side,
    number: u64,
}

/// A message that began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) telling: Telling,
    /// Its body is wanted.
    pub(super) wanted: bool,
    pub(super) facts: BodyFacts,
}

#[derive(Debug)]
pub(super) struct Core {
    tap: Tap,
    exchanges: Exchanges<FlowState>,
    readers: [HeadReader; 2],
    counts: Counts,
    counters: Counters,
    /// Requests of the proxy so far.
    number: u64,
    source: u16,
    max_pending: usize,
}

impl Core {
    pub(super) fn new(settings: &Settings) -> Self {
        let source = settings.source;
        Self {
            tap: Tap::new(settings.tap, settings.hasher.clone()),
            exchanges: Exchanges::new(settings.pairing, "icap".into(), settings.run),
            readers: [HeadReader::new(MAX_HEADERS), HeadReader::new(MAX_HEADERS)],
            counts: Counts { source, ..Counts::default() },
            counters: Counters::default(),
            number: 0,
            source,
            max_pending: settings.max_pending_observations,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { pairing: *self.exchanges.counters(), ..self.counters }
    }

    pub(super) const fn count(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// What could not be read.
    pub(super) const fn malformed(&mut self) {
        self.counters.malformed += 1;
        self.counts.bad += 1;
    }

    /// What ties the response of an exchange to it.
    pub(super) fn mark(&self, flow: u64) -> String {
        self.exchanges.mark(flow)
    }

    /// A request of the proxy.
    pub(super) const fn arrived(&mut self) {
        self.number += 1;
        self.counts.lines += 1;
    }

    /// A message begins. `None` if there is nothing to tell of it: its head is none, or it is about
    /// a tunnel.
    pub(super) fn begin(
        &mut self,
        outlet: &dyn Outlet,
        icap: &Request,
        http: &Http<'_>,
        side: Side,
    ) -> Option<Begun> {
        let number = self.number;
        let about = About { icap, at: outlet.at(self.source, number, clock::now()) };
        let Self { tap, exchanges, readers: [one, other], .. } = self;
        let request = http.request.and_then(|bytes| one.request(bytes));
        let (flow, interest, facts) = match side {
            Side::Request => {
                let Some((head, facts)) = request else {
                    self.malformed();
                    return None;
                };
                let flow = outlet.flow();
                (flow, exchanges.request(tap, flow, about, &head), facts)
            }
            Side::Response => {
                let Some((head, facts)) = http.response.and_then(|bytes| other.response(bytes))
                else {
                    self.malformed();
                    return None;
                };
                let request = request.as_ref().map(|(head, _)| head);
                let (flow, interest) =
                    exchanges.response(tap, || outlet.flow(), about, request, &head)?;
                (flow, interest, facts)
            }
        };
        self.counts.records += 1;
        let telling = Telling { flow, side, number };
        Some(Begun { telling, wanted: interest == BodyInterest::Wanted, facts })
    }

    /// The next bytes of a body; whether more are wanted.
    pub(super) fn body(&mut self, outlet: &dyn Outlet, telling: Telling, bytes: &[u8]) -> bool {
        let at = self.at(outlet, telling);
        let Self { tap, exchanges, .. } = self;
        let interest = exchanges.body(tap, telling.flow, telling.side, at, bytes);
        interest == BodyInterest::Wanted
    }

    /// Counts bytes of a body.
    pub(super) const fn bytes(&mut self, len: usize) {
        self.counters.body_bytes += len as u64;
        self.counts.bytes += len as u64;
    }

    /// A message is over.
    pub(super) fn end(&mut self, outlet: &dyn Outlet, telling: Telling, end: End) {
        if end == End::Truncated {
            self.counters.cut_bodies += 1;
        }
        let at = self.at(outlet, telling);
        let Self { tap, exchanges, .. } = self;
        exchanges.end(tap, telling.flow, telling.side, at, end);
    }

    /// There will be no response.
    pub(super) fn abort(&mut self, outlet: &dyn Outlet, telling: Telling) {
        let at = self.at(outlet, telling);
        let Self { tap, exchanges, .. } = self;
        exchanges.abort(tap, telling.flow, at);
    }

    /// Aborts what has waited too long.
    pub(super) fn expire(&mut self, outlet: &dyn Outlet) {
        let at = outlet.at(self.source, self.number, clock::now());
        let Self { tap, exchanges, .. } = self;
        exchanges.expire(tap, at);
    }

    fn at(&self, outlet: &dyn Outlet, telling: Telling) -> At {
        outlet.at(self.source, telling.number, clock::now())
    }

    /// Observations that were not handed over yet.
    pub(super) fn pending(&mut self) -> usize {
        self.tap.observations().len()
    }

    /// Hands over what there is.
    pub(super) fn flush(&mut self, outlet: &dyn Outlet) {
        let is_idle = Counts { source: self.source, ..Counts::default() } == self.counts;
        if !is_idle || self.pending() > 0 {
            let parcel = self.parcel();
            if let Err(NotTaken::Full(parcel)) = outlet.offer(parcel) {
                self.restore(parcel);
            }
        }
    }

    /// Hands over what there is, and asks about an exchange; `None` if nobody can be asked.
    pub(super) fn ask(
        &mut self,
        outlet: &dyn Outlet,
        flow: u64,
    ) -> Option<oneshot::Receiver<Verdict>> {
        self.counters.asked += 1;
        let (sender, receiver) = oneshot::channel();
        // Whoever asked may have given up.
        let reply = Box::new(move |verdict| drop(sender.send(verdict)));
        let parcel = self.parcel();
        match outlet.ask(parcel, ExchangeId { flow, number: 0 }, reply) {
            Ok(()) => Some(receiver),
            Err(NotTaken::Full(parcel)) => {
                self.restore(parcel);
                None
            }
            Err(NotTaken::Closed) => None,
        }
    }

    fn parcel(&mut self) -> Parcel {
        let counts = Counts { source: self.source, ..Counts::default() };
        Parcel {
            observations: std::mem::take(self.tap.observations()),
            mark: None,
            counts: std::mem::replace(&mut self.counts, counts),
        }
    }

    /// Keeps what was not taken for later, up to the bound.
    fn restore(&mut self, parcel: Parcel) {
        let Parcel { mut observations, counts, .. } = parcel;
        self.counts = counts;
        let excess = observations.len().saturating_sub(self.max_pending);
        observations.truncate(self.max_pending);
        self.counters.dropped += excess as u64;
        self.counts.turned_away += excess as u64;
        *self.tap.observations() = observations;
    }
}
