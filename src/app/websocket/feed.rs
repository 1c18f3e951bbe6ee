//! From a stream of messages to calls of the [`ExchangeSink`].

use crate::anomaly::Anomaly;
use crate::app::http1::feed::Line;
use crate::app::{Counters, Limits};
use crate::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink};

/// The way of a stream of messages to the sink; of WebSocket and of lines alike.
#[derive(Debug)]
pub(in crate::app) struct Feed<'a, S: ExchangeSink> {
    pub(in crate::app) limits: &'a Limits,
    pub(in crate::app) sink: &'a mut S,
    pub(in crate::app) user: &'a mut S::State,
    pub(in crate::app) counters: &'a mut Counters,
    /// Its `tunnels` are those that the stream runs in, all of them.
    pub(in crate::app) line: Line<'a>,
}

impl<'a, S: ExchangeSink> Feed<'a, S> {
    fn context(&self) -> Context<'a> {
        let depth = u8::try_from(self.line.tunnels.len()).unwrap_or(u8::MAX);
        self.line.context(depth)
    }

    pub(in crate::app) fn event(&mut self, number: u32, event: ExchangeEvent<'_>) -> BodyInterest {
        let context = self.context();
        self.sink.event(&context, self.user, number, event)
    }

    pub(in crate::app) fn anomaly(&mut self, anomaly: Anomaly) {
        self.counters.anomalies += 1;
        let context = self.context();
        self.sink.anomaly(&context, self.user, anomaly);
    }
}
