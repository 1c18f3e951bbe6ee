//! Reassembly of one direction: segments into in-order bytes, each once, and explicit gaps.
//!
//! Offsets in here count from an arbitrary base well above zero, as earlier bytes may turn up
//! before the first delivery; `origin` makes them offsets from the first byte delivered.

use super::buffer::{Buffer, OVERHEAD, Run};
use super::history::{History, Recall};
use super::limits::Limits;
use super::seq::Seq;

/// Internal offset of the first byte that was expected.
const BASE_OFFSET: u64 = 1 << 32;

/// How far before the first segment seen an earlier one may still turn up, in bytes.
pub(super) const PICKUP_WINDOW: i64 = 1 << 16;

/// Segments in a row that it takes to believe that the capture missed a lot.
const RESYNC_SEGMENTS: u8 = 3;

/// Bytes of such segments that are kept until then.
const MAX_FAR_BYTES: usize = 256 << 10;

/// Oddities of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    OverlapConflict,
    DataAfterFin,
    DataAfterReset,
    OutOfWindow,
    Resync,
}

/// Things to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Duplicate,
    DuplicateBytes(u64),
    Probe,
    OutOfOrder,
    AlternateDropped,
    Truncated(u64),
    GapByStreamBound,
}

/// Where a stream delivers to. `chunk` and `gap` answer whether more is wanted.
pub(super) trait Sink {
    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> bool;
    fn gap(&mut self, offset: u64, len: u64, truncated: bool) -> bool;
    fn alternate(&mut self, offset: u64, bytes: &[u8]);
    fn odd(&mut self, oddity: Oddity);
    fn count(&mut self, count: Count);
}

/// What is known of the start of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Base {
    /// Nothing.
    #[default]
    Unset,
    /// From the numbers of packets without payload or of the peer: real data may correct it.
    Hint,
    /// A SYN.
    Exact,
}

/// A segment as one direction sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    /// Of the first payload byte.
    pub(super) seq: Seq,
    pub(super) bytes: &'a [u8],
    /// Bytes after these that were on the wire but not captured.
    pub(super) lost: u64,
    pub(super) fin: bool,
    /// Milliseconds.
    pub(super) now: i64,
}

impl Incoming<'_> {
    const fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.lost
    }
}

/// First data of a direction, held back for earlier data.
#[derive(Clone, Copy, Debug)]
struct Hold {
    since: i64,
    packets: u8,
}

/// A hole that the peer acknowledged.
#[derive(Clone, Copy, Debug)]
struct Grace {
    /// Acknowledged up to here when the clock started.
    upto: u64,
    since: i64,
    packets: u8,
}

/// Segments far out of the window that follow each other.
#[derive(Debug)]
struct Far {
    /// Of the first one.
    first: Seq,
    /// Of the first byte kept.
    kept: Seq,
    next: Seq,
    bytes: Vec<u8>,
    segments: u8,
    /// Milliseconds.
    since: i64,
}

/// One direction of a flow.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Sequence number of the byte at `offset`.
    next: Seq,
    /// Everything before is delivered or given up.
    offset: u64,
    origin: u64,
    base: Base,
    base_seq: Seq,
    delivered: bool,
    pub(super) finished: bool,
    fin: Option<u64>,
    fin_arrived: i64,
    acked: u64,
    last_ack: Option<Seq>,
    reset_at: Option<u64>,
    hold: Option<Hold>,
    grace: Option<Grace>,
    buffer: Buffer,
    history: History,
    far: Option<Box<Far>>,
}

impl Stream {
    /// A direction of which so much is known.
    pub(super) fn new(base: Base, next: Seq, peer_seen: bool) -> Self {
        let last_ack = peer_seen.then_some(next);
        let mut stream = Self { last_ack, ..Self::default() };
        if base != Base::Unset {
            stream.set_base(base, next);
        }
        stream
    }

    fn set_base(&mut self, base: Base, next: Seq) {
        self.base = base;
        self.base_seq = next;
        self.next = next;
        self.offset = BASE_OFFSET;
        self.acked = 0;
        self.fin = None;
        self.reset_at = None;
    }

    /// Says that this direction ended where it began, before its flow had payload.
    pub(super) const fn end_here(&mut self) {
        self.fin = Some(self.offset);
    }

    /// Bytes held, overhead included.
    pub(super) fn charge(&self) -> usize {
        self.buffer.charge() + self.far.as_ref().map_or(0, |far| far.bytes.capacity())
    }

    /// Bytes are held back or missing.
    pub(super) fn is_waiting(&self) -> bool {
        self.hold.is_some() || self.far.is_some() || self.waiting_since().is_some()
    }

    /// Whether data with this sequence number would have to be buffered.
    pub(super) fn would_buffer(&self, seq: Seq, limits: &Limits) -> bool {
        let ahead = seq.minus(self.next);
        self.base == Base::Unset
            || self.hold.is_some()
            || ahead > 0
            || ahead < -i64::from(limits.max_ahead_bytes)
    }

    /// FIN came, and everything before it was delivered or given up.
    pub(super) fn has_ended(&self) -> bool {
        self.fin.is_some_and(|fin| fin <= self.offset)
    }

    /// The sender reset the connection, and nothing it sent since proves otherwise.
    pub(super) const fn is_reset(&self) -> bool {
        self.reset_at.is_some()
    }

    /// Something is known of this direction.
    pub(super) fn is_known(&self) -> bool {
        self.base != Base::Unset
    }

    fn position(&self, seq: Seq) -> Option<u64> {
        self.offset.checked_add_signed(seq.minus(self.next))
    }

    /// Position of a number that is neither ancient nor far ahead.
    fn near(&self, seq: Seq, limits: &Limits) -> Option<u64> {
        let distance = seq.minus(self.next).unsigned_abs();
        self.position(seq).filter(|_| distance <= u64::from(limits.max_ahead_bytes))
    }

    /// What an acknowledgment by the peer says. `Hint` may still move, as long as nothing came.
    pub(super) fn acknowledged(&mut self, ack: Seq, limits: &Limits) {
        self.last_ack = Some(ack);
        self.hint(ack);
        if let Some(position) = self.near(ack, limits) {
            self.acked = self.acked.max(position);
        }
    }

    /// The next sequence number, as a segment without payload or the peer tells it.
    fn hint(&mut self, seq: Seq) {
        let open = !self.delivered && self.hold.is_none() && self.buffer.is_empty();
        match self.base {
            Base::Unset => self.set_base(Base::Hint, seq),
            Base::Hint if open && self.fin.is_none() && seq.minus(self.next) > 0 => {
                self.set_base(Base::Hint, seq);
            }
            Base::Hint | Base::Exact => {}
        }
    }

    /// A SYN or a SYN-ACK of this direction that is not taken for a new connection. `first` is
    /// the sequence number after it. Answers whether the stream now starts there; the
    /// caller then ends the hold.
    pub(super) fn synchronise(&mut self, first: Seq) -> bool {
        if self.base == Base::Exact || self.delivered {
            return self.base_seq == first;
        }
        let ahead = self.next.minus(first);
        if self.base == Base::Unset || (self.buffer.is_empty() && self.fin.is_none()) {
            self.set_base(Base::Exact, first);
        } else if (0..=PICKUP_WINDOW).contains(&ahead) {
            self.offset = self.offset.saturating_sub(ahead.unsigned_abs());
            (self.base, self.base_seq, self.next) = (Base::Exact, first, first);
        } else {
            return false;
        }
        true
    }

    /// Whether a SYN with these numbers can only be that of a new connection.
    pub(super) fn is_superseded_by(&self, first: Seq, limits: &Limits) -> bool {
        if self.base == Base::Unset || self.base_seq == first {
            return false;
        }
        let ahead = first.minus(self.next);
        if self.base == Base::Hint && self.offset.saturating_sub(BASE_OFFSET) < 1 << 16 {
            let before_base = self.base_seq.minus(first);
            if (0..=PICKUP_WINDOW).contains(&before_base) {
                return false;
            }
        }
        self.finished
            || self.is_reset()
            || !(0..=i64::from(limits.max_ahead_bytes)).contains(&ahead)
    }

    /// A RST of this direction; false if it is out of the window.
    pub(super) fn reset(&mut self, seq: Seq, limits: &Limits) -> bool {
        if self.base == Base::Unset {
            self.set_base(Base::Hint, seq);
        }
        let ahead = seq.minus(self.next);
        if !(0..=i64::from(limits.max_ahead_bytes)).contains(&ahead) {
            return false;
        }
        self.reset_at = self.reset_at.or_else(|| self.position(seq));
        true
    }

    /// A segment of a flow that nobody is interested in: only its end matters.
    pub(super) fn skip(&mut self, incoming: &Incoming<'_>) {
        let end = incoming.seq.plus(incoming.len());
        if self.base == Base::Unset {
            self.set_base(Base::Hint, end);
        }
        let ahead = end.minus(self.next);
        if ahead > 0 {
            self.offset = self.offset.saturating_add(ahead.unsigned_abs());
            self.next = end;
        }
        if self.reset_at.is_some_and(|at| self.offset > at) {
            self.reset_at = None;
        }
        if incoming.fin {
            self.fin = Some(self.offset);
        }
    }

    /// Frees everything held: the layers above want no more. A FIN that came counts at once.
    pub(super) fn discard(&mut self) {
        if let Some(missing) = self.fin.and_then(|fin| fin.checked_sub(self.offset)) {
            self.offset = self.offset.saturating_add(missing);
            self.next = self.next.plus(missing);
        }
        self.buffer = Buffer::default();
        self.history = History::default();
        self.far = None;
        self.hold = None;
        self.grace = None;
    }

    /// A segment of this direction.
    pub(super) fn accept(&mut self, seg: &Incoming<'_>, limits: &Limits, sink: &mut impl Sink) {
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
    fn is_probe(&self, seg: &Incoming<'_>) -> bool {
        seg.len() <= 1 && !seg.fin && self.base != Base::Unset && seg.seq.minus(self.next) == -1
    }

    /// Data before anything of this direction was delivered may correct where it starts.
    fn pick_up(&mut self, seg: &Incoming<'_>) {
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
    fn cut_at_fin<'a>(
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

    fn place(&mut self, run: Run<'_>, seg: &Incoming<'_>, limits: &Limits, sink: &mut impl Sink) {
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
    fn repeated(
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

    fn remember(&mut self, seg: &Incoming<'_>, limits: &Limits) {
        if seg.lost == 0 {
            self.history.remember(seg.seq, seg.bytes, limits.hash_seed);
        }
    }

    /// Gives up holes until the run fits; false if the layers above then want no more.
    fn make_room(&mut self, run: Run<'_>, limits: &Limits, sink: &mut impl Sink) -> bool {
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

    fn insert(&mut self, run: Run<'_>, seg: &Incoming<'_>, limits: &Limits, sink: &mut impl Sink) {
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
    fn in_order(
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

    fn begin(&mut self) {
        if !self.delivered {
            self.delivered = true;
            self.origin = self.offset;
        }
    }

    fn advance(&mut self, len: u64) -> u64 {
        self.begin();
        let at = self.offset - self.origin;
        self.offset = self.offset.saturating_add(len);
        self.next = self.next.plus(len);
        at
    }

    fn deliver(&mut self, bytes: &[u8], sink: &mut impl Sink) -> bool {
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

    fn lose(&mut self, len: u64, truncated: bool, sink: &mut impl Sink) -> bool {
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
    fn drain(&mut self, sink: &mut impl Sink) -> bool {
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
    fn give_up(&mut self, to: u64, sink: &mut impl Sink) -> bool {
        self.hold = None;
        self.lose(to.saturating_sub(self.offset), false, sink) && self.drain(sink)
    }

    /// The end of the first hole.
    fn hole_end(&self) -> Option<u64> {
        let fin = self.fin.filter(|&fin| fin > self.offset);
        match (self.buffer.first(), fin) {
            (Some((start, _)), Some(fin)) => Some(start.min(fin)),
            (Some((start, _)), None) => Some(start),
            (None, fin) => fin,
        }
    }

    /// Since when bytes behind the first hole have been waiting.
    fn waiting_since(&self) -> Option<i64> {
        match self.buffer.first() {
            Some((_, arrived)) => Some(arrived),
            None => self.fin.filter(|&fin| fin > self.offset).map(|_| self.fin_arrived),
        }
    }

    /// Ends the hold: the earliest data seen is the start.
    pub(super) fn release(&mut self, sink: &mut impl Sink) {
        if self.hold.take().is_some() {
            self.drain(sink);
        }
    }

    pub(super) const fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// Counts a packet of the flow, for the graces that are measured in packets.
    pub(super) fn tick(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.packets = hold.packets.saturating_add(1);
        }
        if let Some(grace) = &mut self.grace {
            grace.packets = grace.packets.saturating_add(1);
        }
    }

    /// When the next grace ends, in milliseconds.
    pub(super) fn due(&self, limits: &Limits) -> Option<i64> {
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
    pub(super) fn run_timers(&mut self, now: i64, limits: &Limits, sink: &mut impl Sink) {
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

    fn refresh_grace(&mut self, now: i64) {
        let acked_hole = self.acked > self.offset && self.waiting_since().is_some();
        if !acked_hole || self.grace.is_some_and(|grace| grace.upto <= self.offset) {
            self.grace = None;
        }
        if acked_hole && self.grace.is_none() {
            self.grace = Some(Grace { upto: self.acked, since: now, packets: 0 });
        }
    }

    /// Gives up all holes before `upto`.
    fn settle(&mut self, upto: u64, sink: &mut impl Sink) {
        while let Some(end) = self.hole_end() {
            let to = end.min(upto);
            if to <= self.offset || !self.give_up(to, sink) {
                return;
            }
        }
    }

    /// Gives up all holes, and delivers everything that is held.
    pub(super) fn flush(&mut self, sink: &mut impl Sink) {
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
    pub(super) fn flush_tail(&mut self, sink: &mut impl Sink) {
        self.flush(sink);
        let missing = self.acked.saturating_sub(self.offset);
        if self.fin.is_none() && missing > 1 && self.is_known() {
            self.lose(missing, false, sink);
        }
    }

    /// A segment far from what is expected: ignored, unless several in a row agree, and the peer
    /// acknowledges them or was never seen.
    fn out_of_window(&mut self, seg: &Incoming<'_>, limits: &Limits, sink: &mut impl Sink) {
        sink.odd(Oddity::OutOfWindow);
        if seg.len() == 0 {
            return;
        }
        let end = seg.seq.plus(seg.len());
        match &mut self.far {
            Some(far) if far.next == seg.seq => far.follow(seg),
            Some(far) if far.next == end => return,
            _ => self.far = Some(Box::new(Far::new(seg))),
        }
        let believed = self.far.as_ref().is_some_and(|far| far.is_believable(self.last_ack));
        if believed && !self.finished {
            self.resync(seg, limits, sink);
        }
    }

    fn resync(&mut self, seg: &Incoming<'_>, limits: &Limits, sink: &mut impl Sink) {
        let Some(far) = self.far.take() else { return };
        sink.odd(Oddity::Resync);
        self.fin = None;
        self.reset_at = None;
        self.flush(sink);
        self.acked = 0;
        let missing = far.kept.ahead_of(self.next);
        if !self.lose(missing, false, sink) || !self.deliver(&far.bytes, sink) {
            return;
        }
        self.lose(far.next.ahead_of(self.next).min(limits.max_ahead_bytes.into()), true, sink);
        if seg.fin {
            self.fin = Some(self.offset);
        }
    }
}

impl Far {
    fn new(seg: &Incoming<'_>) -> Self {
        let next = seg.seq.plus(seg.len());
        let (bytes, since) = (Vec::new(), seg.now);
        let mut far = Self { first: seg.seq, kept: seg.seq, next, bytes, segments: 1, since };
        far.keep(seg);
        far
    }

    fn follow(&mut self, seg: &Incoming<'_>) {
        self.next = seg.seq.plus(seg.len());
        self.segments = self.segments.saturating_add(1);
        self.keep(seg);
    }

    /// Keeps the bytes if the run of kept ones has no hole and does not grow too long; else it
    /// begins again with this segment.
    fn keep(&mut self, seg: &Incoming<'_>) {
        let whole = self.kept.plus(self.bytes.len() as u64) == seg.seq;
        if !whole || self.bytes.len() + seg.bytes.len() > MAX_FAR_BYTES {
            self.bytes.clear();
            self.kept = seg.seq;
        }
        self.bytes.extend_from_slice(seg.bytes);
    }

    fn is_believable(&self, last_ack: Option<Seq>) -> bool {
        let acknowledged = last_ack.is_none_or(|ack| {
            let covered = ack.ahead_of(self.first);
            covered > 0 && covered <= self.next.ahead_of(self.first) + 1
        });
        self.segments >= RESYNC_SEGMENTS && acknowledged
    }
}
