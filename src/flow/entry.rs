//! The part of a flow that every flow has, half-open ones included, and the slab they live in.

use super::Interest;
use super::key::{End, Key};
use super::lru::{Link, Links, NONE};
use super::seq::Seq;
use super::stream::Base;
use crate::time::Timestamp;

/// Classes of flows, first to be evicted first. Each has its own idle limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Closed; kept so that late packets open nothing new.
    Closed,
    /// One side seen, no payload.
    HalfOpen,
    /// Reset, or one side ended and the other never seen.
    Lingering,
    /// No payload yet, or of no interest.
    Quiet,
    /// Payload of an unknown protocol.
    Unknown,
    /// May carry MCP.
    Candidate,
    /// Carries MCP.
    Mcp,
}

impl Class {
    pub(super) const ALL: [Self; 7] = [
        Self::Closed,
        Self::HalfOpen,
        Self::Lingering,
        Self::Quiet,
        Self::Unknown,
        Self::Candidate,
        Self::Mcp,
    ];

    pub(super) const fn of(interest: Interest) -> Self {
        match interest {
            Interest::None => Self::Quiet,
            Interest::Unknown => Self::Unknown,
            Interest::Candidate => Self::Candidate,
            Interest::Mcp => Self::Mcp,
        }
    }
}

/// Facts about one end of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fact {
    /// It sent something.
    Seen = 1 << 0,
    /// `next` is known,
    Known = 1 << 1,
    /// from a SYN.
    Exact = 1 << 2,
    /// It sent a right checksum.
    Good = 1 << 3,
    /// It sent a FIN. Only used until there is payload.
    Fin = 1 << 4,
    /// It sent a RST. Only used until there is payload.
    Reset = 1 << 5,
    /// It opened the flow.
    Opener = 1 << 6,
    /// It sent a SYN or a SYN-ACK.
    Syn = 1 << 7,
}

/// A flow in the table. Small on purpose: a million half-open ones have to fit.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) opened: Timestamp,
    next_low: Seq,
    next_high: Seq,
    /// Place in the list of its class.
    pub(super) link: Link,
    /// Last activity: the lower half of the clock's milliseconds.
    pub(super) last: u32,
    /// Where its connection is, if it had payload; before, [`QUIET`] and the packets that each end
    /// sent; the next free entry, if this one is free.
    pub(super) connection: u32,
    pub(super) key: Key,
    class: u8,
    low: u8,
    high: u8,
}

/// Marks a place that is none: connections have smaller indexes. Below it are two counts of
/// packets, of the low end and of the high end.
pub(super) const QUIET: u32 = 1 << 31;
const COUNT_BITS: u32 = 15;
const MAX_COUNT: u32 = (1 << COUNT_BITS) - 1;

/// R25: with at most 11.5 bytes in the hash table, a half-open flow stays below 100 bytes.
const _: () = assert!(size_of::<Entry>() <= 88);

impl Entry {
    pub(super) const fn new(key: Key, id: u64, opened: Timestamp, last: u32) -> Self {
        Self {
            id,
            opened,
            next_low: Seq(0),
            next_high: Seq(0),
            link: Link::UNLINKED,
            last,
            connection: QUIET,
            key,
            class: Class::HalfOpen as u8,
            low: 0,
            high: 0,
        }
    }

    const fn count_shift(end: End) -> u32 {
        match end {
            End::Low => 0,
            End::High => COUNT_BITS,
        }
    }

    /// Counts a packet of a flow that has no connection yet; not beyond [`MAX_COUNT`].
    pub(super) const fn count_quiet(&mut self, end: End) {
        let shift = Self::count_shift(end);
        if self.connection & QUIET != 0 && self.connection >> shift & MAX_COUNT < MAX_COUNT {
            self.connection += 1 << shift;
        }
    }

    /// Packets that an end sent before the flow had a connection.
    pub(super) const fn quiet_packets(&self, end: End) -> u64 {
        if self.connection & QUIET == 0 {
            return 0;
        }
        (self.connection >> Self::count_shift(end) & MAX_COUNT) as u64
    }

    const fn facts(&self, end: End) -> u8 {
        match end {
            End::Low => self.low,
            End::High => self.high,
        }
    }

    pub(super) const fn is(&self, end: End, fact: Fact) -> bool {
        self.facts(end) & fact as u8 != 0
    }

    /// Either end.
    pub(super) const fn any(&self, fact: Fact) -> bool {
        (self.low | self.high) & fact as u8 != 0
    }

    /// Both ends.
    pub(super) const fn both(&self, fact: Fact) -> bool {
        self.low & self.high & fact as u8 != 0
    }

    pub(super) const fn set(&mut self, end: End, fact: Fact) {
        match end {
            End::Low => self.low |= fact as u8,
            End::High => self.high |= fact as u8,
        }
    }

    pub(super) const fn clear(&mut self, fact: Fact) {
        self.low &= !(fact as u8);
        self.high &= !(fact as u8);
    }

    pub(super) const fn next(&self, end: End) -> Seq {
        match end {
            End::Low => self.next_low,
            End::High => self.next_high,
        }
    }

    pub(super) const fn base(&self, end: End) -> Base {
        if self.is(end, Fact::Exact) {
            Base::Exact
        } else if self.is(end, Fact::Known) {
            Base::Hint
        } else {
            Base::Unset
        }
    }

    /// Sets where a direction starts, as a SYN or a SYN-ACK says.
    pub(super) const fn synchronise(&mut self, end: End, next: Seq) {
        self.set(end, Fact::Known);
        self.set(end, Fact::Exact);
        self.set(end, Fact::Syn);
        self.store(end, next);
    }

    /// Sets where a direction probably starts: forward only, and not once it is known better.
    pub(super) const fn hint(&mut self, end: End, next: Seq) {
        let known = self.is(end, Fact::Known);
        if self.is(end, Fact::Exact)
            || self.is(end, Fact::Fin)
            || (known && next.minus(self.next(end)) <= 0)
        {
            return;
        }
        self.set(end, Fact::Known);
        self.store(end, next);
    }

    const fn store(&mut self, end: End, next: Seq) {
        match end {
            End::Low => self.next_low = next,
            End::High => self.next_high = next,
        }
    }

    /// The end that opened the flow.
    pub(super) const fn opener(&self) -> End {
        if self.is(End::Low, Fact::Opener) { End::Low } else { End::High }
    }

    pub(super) const fn set_opener(&mut self, end: End) {
        self.clear(Fact::Opener);
        self.set(end, Fact::Opener);
    }

    pub(super) const fn class(&self) -> Class {
        match self.class {
            0 => Class::Closed,
            1 => Class::HalfOpen,
            2 => Class::Lingering,
            3 => Class::Quiet,
            4 => Class::Unknown,
            5 => Class::Candidate,
            _ => Class::Mcp,
        }
    }

    pub(super) const fn set_class(&mut self, class: Class) {
        self.class = class as u8;
    }
}

/// Entries per page of the slab.
const PAGE: usize = 1024;

/// Entries with stable indexes. Grows by pages, so that growing copies nothing; memory is kept
/// for reuse.
#[derive(Debug)]
pub(super) struct Entries {
    pages: Vec<Vec<Entry>>,
    free: u32,
    len: usize,
}

impl Entries {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), free: NONE, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, index: u32) -> Option<&Entry> {
        self.pages.get(index as usize / PAGE)?.get(index as usize % PAGE)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.pages.get_mut(index as usize / PAGE)?.get_mut(index as usize % PAGE)
    }

    /// Stores an entry. None only when 2^32 - 1 are in use.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<u32> {
        let reused = self.free;
        if let Some(slot) = self.get_mut(reused) {
            let next_free = slot.connection;
            *slot = entry;
            self.free = next_free;
            self.len += 1;
            return Some(reused);
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let before = (self.pages.len() - 1) * PAGE;
        let page = self.pages.last_mut()?;
        let index = u32::try_from(before + page.len()).ok().filter(|&index| index != NONE)?;
        page.push(entry);
        self.len += 1;
        Some(index)
    }

    /// Frees an entry. It must be in use.
    pub(super) fn remove(&mut self, index: u32) {
        let free = self.free;
        let Some(entry) = self.get_mut(index) else { return };
        entry.connection = free;
        self.free = index;
        self.len = self.len.saturating_sub(1);
    }
}

impl Links for Entries {
    fn link_mut(&mut self, index: u32) -> Option<&mut Link> {
        self.get_mut(index).map(|entry| &mut entry.link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> crate::decode::SegmentHeader {
        crate::decode::SegmentHeader {
            packet: 0,
            time: Timestamp::EPOCH,
            src: crate::net::Endpoint::UNKNOWN,
            dst: crate::net::Endpoint::UNKNOWN,
            scope: crate::net::Scope(0),
            seq: 0,
            ack: 0,
            flags: crate::decode::TcpFlags(0),
            window: 0,
            payload_len: 0,
            checksum: crate::decode::ChecksumSeed::default(),
        }
    }

    #[test]
    fn classes_survive_packing() {
        let mut entry = Entry::new(Key::of(&header()).0, 0, Timestamp::EPOCH, 0);
        for class in Class::ALL {
            entry.set_class(class);
            assert_eq!(entry.class(), class);
        }
        entry.hint(End::Low, Seq(5));
        entry.hint(End::Low, Seq(3));
        assert_eq!((entry.base(End::Low), entry.next(End::Low)), (Base::Hint, Seq(5)));
        entry.synchronise(End::Low, Seq(3));
        entry.hint(End::Low, Seq(9));
        assert_eq!((entry.base(End::Low), entry.next(End::Low)), (Base::Exact, Seq(3)));
        assert_eq!(entry.base(End::High), Base::Unset);
    }

    #[test]
    fn quiet_packets_are_counted_for_each_end_up_to_their_bound() {
        let mut entry = Entry::new(Key::of(&header()).0, 0, Timestamp::EPOCH, 0);
        for _ in 0..3 {
            entry.count_quiet(End::Low);
        }
        entry.count_quiet(End::High);
        assert_eq!([End::Low, End::High].map(|end| entry.quiet_packets(end)), [3, 1]);
        for _ in 0..40_000 {
            entry.count_quiet(End::Low);
        }
        assert_eq!([End::Low, End::High].map(|end| entry.quiet_packets(end)), [32_767, 1]);
        assert!(entry.connection >= QUIET);
        entry.connection = 7;
        entry.count_quiet(End::Low);
        assert_eq!((entry.connection, entry.quiet_packets(End::Low)), (7, 0));
    }

    // R25: a million half-open flows cost less than 100 bytes each: the entry, and in the hash
    // table 4 bytes and a control byte at a load of at least 7/16.
    #[test]
    fn half_open_flows_stay_below_100_bytes() {
        let slot = 5.0 / (7.0 / 16.0);
        assert!(size_of::<Entry>() as f64 + slot < 100.0);
    }
}
