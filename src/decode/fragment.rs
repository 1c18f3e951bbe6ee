//! Fragments into datagrams (RFC 791 section 3.2, RFC 8200 section 4.5, RFC 5722).
//!
//! Overlaps: in IPv4 the bytes that came first win, as BSD systems do; a later copy that differs
//! is counted. An IPv6 datagram with overlapping fragments is dropped whole (RFC 5722), but for
//! fragments that repeat what is there already (a mirror port may show each packet twice).

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::{IpNumber, TcpHeader, ip_number};

use super::ip::Place;
use super::skip::{Header, Skip};
use super::{Counters, Limits};
use crate::net::Scope;
use crate::time::Timestamp;

/// The largest payload of a datagram, in bytes: a fragment that reaches beyond it is malformed.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// What tells a datagram from others. The family is in the addresses, so that IPv4 and IPv6 never
/// pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) id: u32,
    /// 0 for IPv6, whose fragments may each name another one; the first fragment's counts.
    pub(super) protocol: u8,
    pub(super) scope: Scope,
}

/// One fragment, captured whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    pub(super) place: Place,
    /// Protocol of the datagram's payload, if this is the first fragment.
    pub(super) protocol: IpNumber,
    pub(super) bytes: &'a [u8],
    pub(super) time: Timestamp,
}

impl Fragment<'_> {
    const fn end(&self) -> usize {
        self.place.offset.saturating_add(self.bytes.len())
    }
}

/// The datagram completed last at one depth of encapsulation.
#[derive(Debug, Default)]
pub(super) struct Completed(Option<(Key, Datagram)>);

impl Completed {
    /// Its protocol and its bytes.
    pub(super) fn get(&self) -> Option<(IpNumber, &[u8])> {
        self.0.as_ref().map(|(_, datagram)| (datagram.protocol, datagram.bytes.as_slice()))
    }

    /// Whether it has these very bytes.
    fn has(&self, fragment: &Fragment<'_>) -> bool {
        self.0.as_ref().is_some_and(|(key, done)| {
            *key == fragment.key
                && fragment.place.more == (fragment.end() < done.bytes.len())
                && done.bytes.get(fragment.place.offset..fragment.end()) == Some(fragment.bytes)
        })
    }
}

/// All datagrams that are not complete.
#[derive(Debug, Default)]
pub(super) struct Reassembler {
    limits: Limits,
    pending: BTreeMap<Key, Datagram>,
    /// Pending datagrams in order of their first fragment, with its time.
    by_age: BTreeMap<u64, (Key, Timestamp)>,
    next_serial: u64,
    /// Sum of the buffers' capacities in `pending`.
    stored_bytes: usize,
    pub(super) counters: Counters,
}

impl Reassembler {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Drops the datagrams whose first fragment is older than the limit. A pending datagram of
    /// the future (the clock of the capture stepped back) ages from now on.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some(mut oldest) = self.by_age.first_entry() {
            let (key, first) = oldest.get_mut();
            *first = now.min(*first);
            if now.since(*first) <= self.limits.fragment_timeout {
                return;
            }
            let key = *key;
            oldest.remove();
            self.expire_one(&key);
        }
    }

    /// Drops all datagrams that are still pending, as expired.
    pub(super) fn expire_all(&mut self) {
        while let Some((_, (key, _))) = self.by_age.pop_first() {
            self.expire_one(&key);
        }
    }

    fn expire_one(&mut self, key: &Key) {
        if let Some(datagram) = self.pending.remove(key) {
            self.stored_bytes -= datagram.bytes.capacity();
            self.counters.datagrams_expired += u64::from(!datagram.poisoned);
        }
    }

    /// Takes a fragment; true when it completes its datagram, which is then in `completed`.
    pub(super) fn push(
        &mut self,
        fragment: &Fragment<'_>,
        completed: &mut Completed,
    ) -> Result<bool, Skip> {
        check(fragment)?;
        // A packet captured twice would else begin a datagram that never ends.
        if completed.has(fragment) && !self.pending.contains_key(&fragment.key) {
            self.counters.fragments_duplicate += 1;
            return Ok(false);
        }
        let mut datagram = self.take(fragment);
        let outcome = datagram.insert(fragment, self.limits.max_datagram_holes, &mut self.counters);
        match outcome {
            Ok(true) => {
                self.by_age.remove(&datagram.serial);
                self.counters.datagrams_completed += 1;
                completed.0 = Some((fragment.key, datagram));
                Ok(true)
            }
            Err(Skip::FragmentBound) => {
                self.by_age.remove(&datagram.serial);
                self.counters.datagrams_evicted += 1;
                Err(Skip::FragmentBound)
            }
            outcome => {
                self.stored_bytes += datagram.bytes.capacity();
                let serial = datagram.serial;
                self.pending.insert(fragment.key, datagram);
                self.make_room(serial)?;
                outcome
            }
        }
    }

    /// The datagram of a fragment, a new one if need be, out of the table.
    fn take(&mut self, fragment: &Fragment<'_>) -> Datagram {
        if let Some(datagram) = self.pending.remove(&fragment.key) {
            self.stored_bytes -= datagram.bytes.capacity();
            return datagram;
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.by_age.insert(serial, (fragment.key, fragment.time));
        Datagram { serial, ..Datagram::default() }
    }

    /// Evicts from the oldest on until the limits are met; an error when that hit datagram
    /// `serial` itself.
    fn make_room(&mut self, serial: u64) -> Result<(), Skip> {
        while self.pending.len() > self.limits.max_fragmented_datagrams
            || self.stored_bytes > self.limits.max_fragment_bytes
        {
            let Some((evicted, (key, _))) = self.by_age.pop_first() else { break };
            if let Some(datagram) = self.pending.remove(&key) {
                self.stored_bytes -= datagram.bytes.capacity();
                self.counters.datagrams_evicted += u64::from(!datagram.poisoned);
            }
            if evicted == serial {
                return Err(Skip::FragmentBound);
            }
        }
        Ok(())
    }
}

/// What is wrong with a fragment by itself.
fn check(fragment: &Fragment<'_>) -> Result<(), Skip> {
    let len = fragment.bytes.len();
    let aligned = !fragment.place.more || len.is_multiple_of(8);
    if len == 0 || !aligned || fragment.end() > MAX_DATAGRAM_BYTES {
        return Err(Skip::Malformed(Header::Fragment));
    }
    Ok(())
}

/// A datagram in the making.
#[derive(Debug, Default)]
struct Datagram {
    serial: u64,
    /// Up to the end of the farthest fragment; zero where nothing came yet.
    bytes: Vec<u8>,
    /// What came, as `(start, end)`: sorted, disjoint, and not touching each other.
    present: Vec<(usize, usize)>,
    /// The length, once the last fragment has told it.
    total: Option<usize>,
    protocol: IpNumber,
    /// Dropped by RFC 5722; stays until it expires so that later fragments are dropped as well.
    poisoned: bool,
}

impl Datagram {
    /// Takes a fragment's bytes; true when nothing is missing any more.
    fn insert(
        &mut self,
        fragment: &Fragment<'_>,
        max_holes: usize,
        counters: &mut Counters,
    ) -> Result<bool, Skip> {
        let v6 = fragment.key.src.is_ipv6();
        if self.poisoned {
            return Err(Skip::FragmentOverlap);
        }
        if self.contradicts_end(fragment) {
            counters.fragments_conflicting += 1;
            return Err(if v6 { self.poison(counters) } else { Skip::FragmentConflict });
        }
        let overlap = self.overlap(fragment);
        let repeats = overlap.bytes == fragment.bytes.len() && !overlap.differs;
        counters.fragments_conflicting += u64::from(overlap.differs);
        if v6 && overlap.bytes > 0 && !repeats {
            return Err(self.poison(counters));
        }
        if !fragment.place.more {
            self.total = Some(fragment.end());
        }
        if repeats {
            counters.fragments_duplicate += 1;
            return Ok(self.is_complete());
        }
        if fragment.place.offset == 0 {
            self.protocol = fragment.protocol;
            let is_short = fragment.bytes.len() < TcpHeader::MIN_LEN;
            counters.fragments_tiny += u64::from(is_short && fragment.protocol != ip_number::UDP);
        }
        counters.fragments_stored += 1;
        self.fill(fragment);
        if self.present.len() > max_holes {
            return Err(Skip::FragmentBound);
        }
        Ok(self.is_complete())
    }

    fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| self.present == [(0, total)])
    }

    /// Whether a fragment reaches beyond the known end, or sets one that cannot be.
    fn contradicts_end(&self, fragment: &Fragment<'_>) -> bool {
        let end = fragment.end();
        match (self.total, fragment.place.more) {
            (Some(total), true) => end > total,
            (Some(total), false) => end != total,
            (None, true) => false,
            (None, false) => end < self.bytes.len(),
        }
    }

    /// RFC 5722 section 4.
    fn poison(&mut self, counters: &mut Counters) -> Skip {
        counters.datagrams_overlapping += 1;
        self.poisoned = true;
        (self.bytes, self.present) = (Vec::new(), Vec::new());
        Skip::FragmentOverlap
    }

    /// How a fragment overlaps with what is there.
    fn overlap(&self, fragment: &Fragment<'_>) -> Overlap {
        let mut overlap = Overlap::default();
        for &(start, end) in &self.present {
            let (from, to) = (start.max(fragment.place.offset), end.min(fragment.end()));
            if from < to {
                let offset = fragment.place.offset;
                overlap.bytes += to - from;
                overlap.differs |=
                    self.bytes.get(from..to) != fragment.bytes.get(from - offset..to - offset);
            }
        }
        overlap
    }

    /// Copies a fragment into the holes that it covers, and merges it into `present`.
    fn fill(&mut self, fragment: &Fragment<'_>) {
        let (offset, end) = (fragment.place.offset, fragment.end());
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut hole = offset;
        let first = self.present.partition_point(|range| range.1 < offset);
        let touching = self.present.get(first..).unwrap_or_default();
        let count = touching.partition_point(|range| range.0 <= end);
        let touching = touching.get(..count).unwrap_or_default();
        let mut merged = (offset, end);
        for &(start, stop) in touching.iter().chain(&[(end, end)]) {
            let source =
                fragment.bytes.get(hole.saturating_sub(offset)..start.saturating_sub(offset));
            if let (Some(source), Some(target)) = (source, self.bytes.get_mut(hole..start)) {
                target.copy_from_slice(source);
            }
            hole = hole.max(stop);
            merged = (merged.0.min(start), merged.1.max(stop));
        }
        self.present.splice(first..first + count, [merged]);
    }
}

#[derive(Default)]
struct Overlap {
    /// How many bytes of the fragment are there already.
    bytes: usize,
    /// Some of them are different.
    differs: bool,
}
