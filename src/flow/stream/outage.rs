//! Segments far out of the window: junk, or the other end of a long outage of the capture.

use super::super::limits::Limits;
use super::super::seq::Seq;
use super::{Incoming, Oddity, Sink, Stream};

/// Segments in a row that it takes to believe that the capture missed a lot.
const RESYNC_SEGMENTS: u8 = 3;

/// Bytes of such segments that are kept until then.
const MAX_FAR_BYTES: usize = 256 << 10;

/// Segments far out of the window that follow each other.
#[derive(Debug)]
pub(super) struct Far {
    /// Of the first one.
    pub(super) first: Seq,
    /// Of the first byte kept.
    pub(super) kept: Seq,
    pub(super) next: Seq,
    pub(super) bytes: Vec<u8>,
    pub(super) segments: u8,
    /// Milliseconds.
    pub(super) since: i64,
}

impl Stream {
    /// A segment far from what is expected: ignored, unless several in a row agree, and the peer
    /// acknowledges them or was never seen.
    pub(super) fn out_of_window(
        &mut self,
        seg: &Incoming<'_>,
        limits: &Limits,
        sink: &mut impl Sink,
    ) {
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

    pub(super) fn resync(&mut self, seg: &Incoming<'_>, limits: &Limits, sink: &mut impl Sink) {
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
