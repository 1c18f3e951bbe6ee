//! What a stream finds, told to the handler and the counters.

use super::counters::Counters;
use super::stream::{Count, Oddity, Sink};
use super::{At, Chunk, FlowInfo, Gap, Handler, Interest};
use crate::anomaly::{Anomaly, Layer};
use crate::net::Side;

/// Passes one direction's events on to the handler.
pub(super) struct Delivery<'a, H: Handler> {
    pub(super) handler: &'a mut H,
    pub(super) info: &'a mut FlowInfo,
    pub(super) state: &'a mut H::State,
    pub(super) interest: &'a mut Interest,
    pub(super) reported: &'a mut u8,
    pub(super) counters: &'a mut Counters,
    pub(super) side: Side,
    pub(super) at: At,
}

impl<H: Handler> Sink for Delivery<'_, H> {
    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> bool {
        if *self.interest == Interest::None {
            return false;
        }
        self.counters.delivered_bytes += bytes.len() as u64;
        let chunk = Chunk { side: self.side, offset, bytes, at: self.at };
        *self.interest = self.handler.chunk(self.info, self.state, chunk);
        *self.interest != Interest::None
    }

    fn gap(&mut self, offset: u64, len: u64, truncated: bool) -> bool {
        if *self.interest == Interest::None {
            return false;
        }
        if !truncated {
            self.counters.gaps += 1;
            self.counters.gap_bytes = self.counters.gap_bytes.saturating_add(len);
            self.info.traffic.gaps += 1;
            self.info.traffic.gap_bytes = self.info.traffic.gap_bytes.saturating_add(len);
        }
        let gap = Gap { side: self.side, offset, len, at: self.at };
        *self.interest = self.handler.gap(self.info, self.state, gap);
        *self.interest != Interest::None
    }

    fn alternate(&mut self, offset: u64, bytes: &[u8]) {
        let chunk = Chunk { side: self.side, offset, bytes, at: self.at };
        self.handler.alternate(self.info, self.state, chunk);
    }

    fn odd(&mut self, oddity: Oddity) {
        let (bit, kind, counter) = match oddity {
            Oddity::OverlapConflict => {
                (0, "overlap-conflict", Some(&mut self.counters.overlap_conflicts))
            }
            Oddity::DataAfterFin => (1, "data-after-fin", None),
            Oddity::DataAfterReset => (2, "data-after-rst", None),
            Oddity::OutOfWindow => (4, "out-of-window", Some(&mut self.counters.out_of_window)),
            Oddity::Resync => (0, "capture-outage", Some(&mut self.counters.resyncs)),
        };
        if let Some(counter) = counter {
            *counter += 1;
        }
        self.report(bit, kind);
    }

    fn count(&mut self, count: Count) {
        let counters = &mut *self.counters;
        match count {
            Count::Duplicate => counters.duplicate_segments += 1,
            Count::DuplicateBytes(bytes) => counters.duplicate_bytes += bytes,
            Count::Probe => counters.probes += 1,
            Count::OutOfOrder => counters.out_of_order_segments += 1,
            Count::AlternateDropped => counters.alternates_dropped += 1,
            Count::Truncated(bytes) => counters.snaplen_truncated_bytes += bytes,
            Count::GapByStreamBound => counters.gaps_by_stream_bound += 1,
        }
    }
}

impl<H: Handler> Delivery<'_, H> {
    /// Reports an anomaly: each time if `bit` is zero, else once per flow.
    pub(super) fn report(&mut self, bit: u8, kind: &'static str) {
        if *self.reported & bit == 0 {
            *self.reported |= bit;
            self.handler.anomaly(self.info, self.at, Anomaly::new(Layer::Flow, kind));
        }
    }
}

pub(super) const RESET_OUT_OF_WINDOW: (u8, &str) = (8, "rst-out-of-window");
pub(super) const SYN_IN_WINDOW: (u8, &str) = (16, "syn-in-window");
pub(super) const BAD_CHECKSUM: (u8, &str) = (32, "bad-checksum");
