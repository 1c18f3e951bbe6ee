//! Reassembly of one direction: segments into in-order bytes, each once, and explicit gaps.
//!
//! Offsets in here count from an arbitrary base well above zero, as earlier bytes may turn up
//! before the first delivery; `origin` makes them offsets from the first byte delivered.

mod grace;
mod outage;
mod reassembly;

use self::grace::{Grace, Hold};
use self::outage::Far;
use super::buffer::Buffer;
use super::history::History;
use super::limits::Limits;
use super::seq::Seq;

/// Internal offset of the first byte that was expected.
const BASE_OFFSET: u64 = 1 << 32;

/// How far before the first segment seen an earlier one may still turn up, in bytes.
pub(super) const PICKUP_WINDOW: i64 = 1 << 16;

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

    /// A grace is running or has to start.
    pub(super) fn is_timed(&self) -> bool {
        self.grace.is_some() || self.is_waiting()
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
    /// caller then ends the hold. The start of a side whose end was told moves no more, even
    /// though it was only guessed: there would be room for bytes in front of that end.
    pub(super) fn synchronise(&mut self, first: Seq) -> bool {
        if self.base == Base::Exact || self.delivered || self.finished {
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
}
