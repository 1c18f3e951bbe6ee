//! One shard: a flow table of its own with the layers above it, up to observations.

use std::sync::Arc;

use crate::app::{self, Keyring};
use crate::decode::{Datagram, Segment};
use crate::flow::{self, At};
use crate::mcp;
use crate::observation::Observation;
use crate::secret::SecretHasher;

/// How many shards there are, whatever the number of threads. Flows are spread over them by a
/// symmetric hash of the five-tuple; each has its own share of every bound, so that what happens
/// at a bound does not depend on how many threads do the work.
pub const SHARDS: usize = 16;

/// Bounds of the layers in a shard.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Of the flow table, for all shards together.
    pub flow: flow::Limits,
    /// Of the HTTP parsers.
    pub app: app::Limits,
    /// Of recognition.
    pub mcp: mcp::TapLimits,
}

/// An observation and what caused it: what the shards' outputs are merged by. The cause is the
/// packet that was pushed, which for an expiry belongs to some other flow.
#[derive(Debug)]
pub(super) struct Caused {
    /// The cause.
    pub(super) by: Cause,
    /// What was seen.
    pub(super) observation: Observation,
}

/// A packet's index, and what it did: [`PUSHED`] to its flow, or a shard's number when all shards
/// were told the time, or that it was the last. In order of happening.
pub(super) type Cause = (u64, u8);

/// The packet was pushed: after it told the time.
const PUSHED: u8 = u8::MAX;

type Layers = app::Layer<mcp::Tap>;

/// Flow table, HTTP and recognition of one shard.
#[derive(Debug)]
pub(super) struct Shard {
    number: u8,
    table: flow::Table<<Layers as flow::Handler>::State>,
    layers: Layers,
}

impl Shard {
    /// A shard with its share of the bounds; all shards decrypt with the same secrets.
    #[must_use]
    pub(super) fn new(
        number: u8,
        limits: &Limits,
        hasher: SecretHasher,
        keyring: Arc<Keyring>,
    ) -> Self {
        Self {
            number,
            table: flow::Table::new(limits.flow.share(SHARDS)),
            layers: app::Layer::new(limits.app, keyring, mcp::Tap::new(limits.mcp, hasher)),
        }
    }

    /// Takes in one segment.
    pub(super) fn push(&mut self, segment: &Segment<'_>, out: &mut Vec<Caused>) {
        self.table.push(segment, &mut self.layers);
        self.drain((segment.header.packet, PUSHED), out);
    }

    /// Takes in one UDP datagram.
    pub(super) fn push_datagram(&mut self, datagram: &Datagram<'_>, out: &mut Vec<Caused>) {
        self.layers.datagram(datagram);
        self.drain((datagram.header.packet, PUSHED), out);
    }

    /// Time passes: what is due leaves, also in shards that see no packets.
    pub(super) fn advance(&mut self, at: At, out: &mut Vec<Caused>) {
        self.table.advance(at.time, &mut self.layers);
        self.layers.advance_datagrams(at);
        self.drain((at.packet, self.number), out);
    }

    /// The capture is over: closes all flows. Counts as caused after every packet, shard by shard.
    pub(super) fn finish(&mut self, out: &mut Vec<Caused>) {
        self.table.finish(&mut self.layers);
        self.layers.finish_datagrams();
        self.drain((u64::MAX, self.number), out);
    }

    fn drain(&mut self, by: Cause, out: &mut Vec<Caused>) {
        let seen = self.layers.sink_mut().observations();
        if !seen.is_empty() {
            out.extend(seen.drain(..).map(|observation| Caused { by, observation }));
        }
    }

    /// Counters of the flow table.
    #[must_use]
    pub(super) fn flow(&self) -> &flow::Counters {
        self.table.counters()
    }

    /// Counters of the application layer.
    #[must_use]
    pub(super) fn app(&self) -> &app::Counters {
        self.layers.counters()
    }

    /// Counters of recognition.
    #[must_use]
    pub(super) fn mcp(&self) -> &mcp::TapCounters {
        self.layers.sink().counters()
    }
}
