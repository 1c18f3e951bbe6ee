//! The way of a connection to the sink.

use super::Limits;
use super::oddity::{Oddities, Oddity};
use crate::app::Counters;
use crate::app::http1::feed::Line;
use crate::exchange::{BodyInterest, ExchangeEvent, ExchangeSink};

/// What a call of a [`Connection`](super::Connection) works with.
#[derive(Debug)]
pub(in crate::app) struct Feed<'a, S: ExchangeSink> {
    pub(in crate::app) limits: &'a Limits,
    pub(in crate::app) sink: &'a mut S,
    pub(in crate::app) user: &'a mut S::State,
    pub(in crate::app) counters: &'a mut Counters,
    pub(in crate::app) line: Line<'a>,
    /// Depth of the `CONNECT` tunnel that the connection runs in, as [`Line::context`] has it.
    pub(in crate::app) tunnel: u8,
    /// Number of the flow's next exchange.
    pub(in crate::app) next: &'a mut u32,
}

impl<S: ExchangeSink> Feed<'_, S> {
    pub(super) fn event(&mut self, number: u32, event: ExchangeEvent<'_>) -> BodyInterest {
        let context = self.line.context(self.tunnel);
        self.sink.event(&context, self.user, number, event)
    }

    /// An event that has no body to be interested in.
    pub(super) fn tell(&mut self, number: u32, event: ExchangeEvent<'_>) {
        let (BodyInterest::Wanted | BodyInterest::Unwanted) = self.event(number, event);
    }

    pub(super) const fn begin(&mut self) -> u32 {
        let number = *self.next;
        *self.next = number.wrapping_add(1);
        self.counters.exchanges += 1;
        number
    }

    /// Reports an oddity, unless it was reported before.
    pub(super) fn odd(&mut self, oddity: Oddity, reported: &mut Oddities) {
        if reported.insert(oddity) {
            self.counters.anomalies += 1;
            let context = self.line.context(self.tunnel);
            self.sink.anomaly(&context, self.user, oddity.anomaly());
        }
    }
}
