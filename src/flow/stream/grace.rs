//! How long missing bytes are waited for, and how they are given up.

use super::super::limits::Limits;
use super::{Sink, Stream};

/// First data of a direction, held back for earlier data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) since: i64,
    pub(super) packets: u8,
}

/// A hole that the peer acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grace {
    /// Acknowledged up to here when the clock started.
    pub(super) upto: u64,
    pub(super) since: i64,
    pub(super) packets: u8,
}

impl Stream {
    /// The end of the first hole.
    pub(super) fn hole_end(&self) -> Option<u64> {
        let fin = self.fin.filter(|&fin| fin > self.offset);
        match (self.buffer.first(), fin) {
            (Some((start, _)), Some(fin)) => Some(start.min(fin)),
            (Some((start, _)), None) => Some(start),
            (None, fin) => fin,
        }
    }

    /// Since when bytes behind the first hole have been waiting.
    pub(super) fn waiting_since(&self) -> Option<i64> {
        match self.buffer.first() {
            Some((_, arrived)) => Some(arrived),
            None => self.fin.filter(|&fin| fin > self.offset).map(|_| self.fin_arrived),
        }
    }

    /// Ends the hold: the earliest data seen is the start.
    pub(in crate::flow) fn release(&mut self, sink: &mut impl Sink) {
        if self.hold.take().is_some() {
            self.drain(sink);
        }
    }

    pub(in crate::flow) const fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// Counts a packet of the flow, for the graces that are measured in packets.
    pub(in crate::flow) fn tick(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.packets = hold.packets.saturating_add(1);
        }
        if let Some(grace) = &mut self.grace {
            grace.packets = grace.packets.saturating_add(1);
        }
    }

    /// When the next grace ends, in milliseconds.
    pub(in crate::flow) fn due(&self, limits: &Limits) -> Option<i64> {
        let after = |since: i64, millis: u32| since.saturating_add(millis.into());
        let hold = self.hold.map(|hold| after(hold.since, limits.pickup_hold_millis));
        let far = self.far.as_ref().map(|far| after(far.since, limits.hole_wait_millis));
        let (grace, wait) = if hold.is_some() {
            (None, None)
        } else {
            let waiting = self.waiting_since();
            let grace = self.grace.filter(|_| waiting.is_some());
            (
                grace.map(|grace| after(grace.since, limits.hole_grace_millis)),
                waiting.map(|since| after(since, limits.hole_wait_millis)),
            )
        };
        [hold, far, grace, wait].into_iter().flatten().min()
    }

    /// Ends the graces that are over and starts the one that is due to start.
    pub(in crate::flow) fn run_timers(&mut self, now: i64, limits: &Limits, sink: &mut impl Sink) {
        let wait = i64::from(limits.hole_wait_millis);
        self.far.take_if(|far| now >= far.since.saturating_add(wait));
        if let Some(hold) = self.hold {
            let over = now >= hold.since.saturating_add(limits.pickup_hold_millis.into());
            if over || hold.packets >= limits.pickup_hold_packets {
                self.release(sink);
            } else {
                return;
            }
        }
        if let Some(grace) = self.grace {
            let over = now >= grace.since.saturating_add(limits.hole_grace_millis.into());
            if over || grace.packets >= limits.hole_grace_packets {
                self.grace = None;
                self.settle(grace.upto, sink);
            }
        }
        while let (Some(since), Some(end)) = (self.waiting_since(), self.hole_end()) {
            if now < since.saturating_add(wait) || !self.give_up(end, sink) {
                break;
            }
        }
        self.refresh_grace(now);
    }

    pub(super) fn refresh_grace(&mut self, now: i64) {
        let acked_hole = self.acked > self.offset && self.waiting_since().is_some();
        if !acked_hole || self.grace.is_some_and(|grace| grace.upto <= self.offset) {
            self.grace = None;
        }
        if acked_hole && self.grace.is_none() {
            self.grace = Some(Grace { upto: self.acked, since: now, packets: 0 });
        }
    }

    /// Gives up all holes before `upto`.
    pub(super) fn settle(&mut self, upto: u64, sink: &mut impl Sink) {
        while let Some(end) = self.hole_end() {
            let to = end.min(upto);
            if to <= self.offset || !self.give_up(to, sink) {
                return;
            }
        }
    }

    /// Gives up all holes, and delivers everything that is held.
    pub(in crate::flow) fn flush(&mut self, sink: &mut impl Sink) {
        self.far = None;
        self.release(sink);
        while let Some(end) = self.hole_end() {
            if !self.give_up(end, sink) {
                return;
            }
        }
    }

    /// What the peer acknowledged beyond the last byte seen is missing too. A single byte may
    /// be a FIN that was not captured.
    pub(in crate::flow) fn flush_tail(&mut self, sink: &mut impl Sink) {
        self.flush(sink);
        let missing = self.acked.saturating_sub(self.offset);
        if self.fin.is_none() && missing > 1 && self.is_known() {
            self.lose(missing, false, sink);
        }
    }
}
