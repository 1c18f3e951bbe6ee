//! Where a segment goes: delivered, buffered, known already, or not believed.

use super::super::buffer::{OVERHEAD, Run};
use super::super::history::Recall;
use super::super::limits::Limits;
use super::grace::Hold;
use super::{Base, Count, Incoming, Oddity, PICKUP_WINDOW, Sink, Stream};

impl Stream {
    /// A segment of this direction.
    pub(in crate::flow) fn accept(
        &mut self,
        seg: &Incoming<'_>,
        limits: &Limits,
        sink: &mut impl Sink,
    ) {
        if seg.len() == 0 && !seg.fin {
            if self.is_probe(seg) {
                sink.count(Count::Probe);
            } else {
                self.hint(seg.seq);
            }
            return;
        }
        if seg.lost > 0 {
            sink.count(Count::Truncated(seg.lost));
        }
        self.pick_up(seg);
        let Some(start) = self.near(seg.seq, limits) else {
            return self.out_of_window(seg, limits, sink);
        };
        self.far = None;
        let run = Run { start, bytes: seg.bytes, lost: seg.lost };
        if let Some(run) = self.cut_at_fin(run, seg, sink) {
            self.place(run, seg, limits, sink);
        }
    }

    /// RFC 9293 section 3.8.4: a keep-alive repeats the byte before the next one, or none.
    pub(super) fn is_probe(&self, seg: &Incoming<'_>) -> bool {
        seg.len() <= 1 && !seg.fin && self.base != Base::Unset && seg.seq.minus(self.next) == -1
    }

    /// Data before anything of this direction was delivered may correct where it starts.
    pub(super) fn pick_up(&mut self, seg: &Incoming<'_>) {
        let ahead = seg.seq.minus(self.next);
        match self.base {
            Base::Exact => {}
            Base::Unset => {
                self.set_base(Base::Hint, seg.seq);
                if seg.len() > 0 {
                    self.hold = Some(Hold { since: seg.now, packets: 0 });
                }
            }
            Base::Hint if self.delivered || self.finished || seg.len() == 0 => {}
            Base::Hint if (-PICKUP_WINDOW..0).contains(&ahead) && !self.is_probe(seg) => {
                self.offset = self.offset.saturating_sub(ahead.unsigned_abs());
                (self.next, self.base_seq) = (seg.seq, seg.seq);
            }
            Base::Hint if self.buffer.is_empty() && (ahead == 1 || ahead.abs() > PICKUP_WINDOW) => {
                self.set_base(Base::Hint, seg.seq);
                self.hold = Some(Hold { since: seg.now, packets: 0 });
            }
            Base::Hint => {}
        }
    }

    /// Notes a FIN and cuts what lies after it. A FIN before data that came earlier is not one.
    pub(super) fn cut_at_fin<'a>(
        &mut self,
        run: Run<'a>,
        seg: &Incoming<'_>,
        sink: &mut impl Sink,
    ) -> Option<Run<'a>> {
        let end = run.end();
        if seg.fin && self.fin.is_none() && end >= self.offset {
            if self.buffer.end().is_some_and(|held| held > end) {
                sink.odd(Oddity::DataAfterFin);
            } else {
                self.fin = Some(end);
                self.fin_arrived = seg.now;
            }
        }
        match self.fin {
            Some(fin) if end > fin => {
                if end > self.offset {
                    sink.odd(Oddity::DataAfterFin);
                }
                (run.start < fin).then(|| run.part(run.start, fin))
            }
            _ => Some(run),
        }
    }

    pub(super) fn place(
        &mut self,
        run: Run<'_>,
        seg: &Incoming<'_>,
        limits: &Limits,
        sink: &mut impl Sink,
    ) {
        if seg.len() == 0 {
            return;
        }
        if run.end() <= self.offset {
            return self.repeated(run, seg, limits, sink);
        }
        if self.reset_at.is_some_and(|at| run.end() > at) {
            self.reset_at = None;
            sink.odd(Oddity::DataAfterReset);
        }
        if self.hold.is_some() {
            self.insert(run, seg, limits, sink);
            return;
        }
        if run.start > self.offset {
            sink.count(Count::OutOfOrder);
            if !self.make_room(run, limits, sink) {
                return;
            }
        }
        if run.start > self.offset {
            self.insert(run, seg, limits, sink);
        } else {
            self.in_order(run, seg, limits, sink);
        }
    }

    /// Nothing new. The copy is compared if its borders are those of a recent segment.
    pub(super) fn repeated(
        &mut self,
        run: Run<'_>,
        seg: &Incoming<'_>,
        limits: &Limits,
        sink: &mut impl Sink,
    ) {
        if self.is_probe(seg) {
            return sink.count(Count::Probe);
        }
        sink.count(Count::Duplicate);
        sink.count(Count::DuplicateBytes(run.bytes.len() as u64));
        if seg.lost > 0 || run.start < self.origin {
            return;
        }
        if self.history.recall(seg.seq, run.bytes, limits.hash_seed) == Recall::Differs {
            sink.odd(Oddity::OverlapConflict);
            sink.alternate(run.start - self.origin, run.bytes);
        }
    }

    pub(super) fn remember(&mut self, seg: &Incoming<'_>, limits: &Limits) {
        if seg.lost == 0 {
            self.history.remember(seg.seq, seg.bytes, limits.hash_seed);
        }
    }

    /// Gives up holes until the run fits; false if the layers above then want no more.
    pub(super) fn make_room(
        &mut self,
        run: Run<'_>,
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> bool {
        let limit = limits.max_stream_buffered_bytes;
        let cost = run.bytes.len() + OVERHEAD;
        while run.start > self.offset
            && self.buffer.charge().saturating_add(cost) > limit
            && !self.buffer.covers(run)
        {
            let first = self.buffer.first().map_or(run.start, |(start, _)| start.min(run.start));
            sink.count(Count::GapByStreamBound);
            if !self.give_up(first, sink) {
                return false;
            }
        }
        true
    }

    pub(super) fn insert(
        &mut self,
        run: Run<'_>,
        seg: &Incoming<'_>,
        limits: &Limits,
        sink: &mut impl Sink,
    ) {
        let done = self.buffer.insert(run, seg.now, limits.max_stream_buffered_bytes);
        if done.fresh == 0 {
            sink.count(Count::Duplicate);
        } else {
            self.remember(seg, limits);
        }
        let repeated = (run.end() - run.start).saturating_sub(done.fresh);
        if repeated > 0 {
            sink.count(Count::DuplicateBytes(repeated));
        }
        if done.conflict {
            sink.odd(Oddity::OverlapConflict);
        }
        if done.dropped {
            sink.count(Count::AlternateDropped);
        }
    }

    /// The run starts at or before `offset` and ends after it.
    pub(super) fn in_order(
        &mut self,
        run: Run<'_>,
        seg: &Incoming<'_>,
        limits: &Limits,
        sink: &mut impl Sink,
    ) {
        if run.start < self.offset {
            sink.count(Count::DuplicateBytes(self.offset - run.start));
        }
        let run = run.part(self.offset, run.end());
        if self.buffer.first().is_some_and(|(first, _)| first < run.end()) {
            self.insert(run, seg, limits, sink);
            self.drain(sink);
            return;
        }
        self.remember(seg, limits);
        let more = self.deliver(run.bytes, sink) && self.lose(run.lost, true, sink);
        if more && !self.buffer.is_empty() {
            self.drain(sink);
        }
    }

    pub(super) fn begin(&mut self) {
        if !self.delivered {
            self.delivered = true;
            self.origin = self.offset;
        }
    }

    pub(super) fn advance(&mut self, len: u64) -> u64 {
        self.begin();
        let at = self.offset - self.origin;
        self.offset = self.offset.saturating_add(len);
        self.next = self.next.plus(len);
        at
    }

    pub(super) fn deliver(&mut self, bytes: &[u8], sink: &mut impl Sink) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let at = self.advance(bytes.len() as u64);
        let more = sink.chunk(at, bytes);
        if !more {
            self.discard();
        }
        more
    }

    pub(super) fn lose(&mut self, len: u64, truncated: bool, sink: &mut impl Sink) -> bool {
        if len == 0 {
            return true;
        }
        let at = self.advance(len);
        let more = sink.gap(at, len, truncated);
        if !more {
            self.discard();
        }
        more
    }

    /// Delivers what the buffer has next.
    pub(super) fn drain(&mut self, sink: &mut impl Sink) -> bool {
        while let Some(extent) = self.buffer.take_at(self.offset) {
            self.begin();
            let end = self.offset.saturating_add(extent.len());
            while let Some((start, copy)) = self.buffer.take_alternate(end) {
                sink.alternate(start.saturating_sub(self.origin), &copy);
            }
            if !self.deliver(&extent.bytes, sink) || !self.lose(extent.lost, true, sink) {
                return false;
            }
        }
        true
    }

    /// Gives up what is missing before `to`, and delivers what follows.
    pub(super) fn give_up(&mut self, to: u64, sink: &mut impl Sink) -> bool {
        self.hold = None;
        self.lose(to.saturating_sub(self.offset), false, sink) && self.drain(sink)
    }
}
