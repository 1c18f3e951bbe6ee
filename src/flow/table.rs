//! The flow table: which flow a segment belongs to, and when flows leave.

use hashbrown::HashTable;

use super::buffer::OVERHEAD;
use super::clock::Clock;
use super::connection::{Connection, Env};
use super::connections::Connections;
use super::counters::Counters;
use super::entry::{Class, Entries, Entry, Fact};
use super::expiry::{SWEEP_PER_ADVANCE, SWEEP_PER_PUSH};
use super::key::{End, Key};
use super::limits::Limits;
use super::lru::Lists;
use super::pair::Pair;
use super::seq::Seq;
use super::stream::{Base, PICKUP_WINDOW, Stream};
use super::{At, Finish, FlowInfo, Handler, Interest, Traffic};
use crate::decode::{Checksum, Segment, TcpFlags};
use crate::net::Side;
use crate::time::Timestamp;

/// TCP flows of one worker, with per-flow state `S` of the layers above.
///
/// The same segments give the same calls in every run: nothing depends on hash order, on the seed
/// or on a clock. As long as no bound is reached and flows do not outlive
/// [`Limits::max_time_step_seconds`] of silence of all others, the calls for a flow do not depend
/// on other flows either, so traffic may be spread over several tables by
/// [`shard_of`](super::shard_of).
pub struct Table<S> {
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) slots: HashTable<u32>,
    pub(super) entries: Entries,
    pub(super) classes: Lists<7>,
    pub(super) connections: Connections<S>,
    /// Connections that wait for missing bytes, by interest: the next to be polled in front.
    pub(super) waiting: Lists<3>,
    pub(super) buffered: usize,
    pub(super) swept: i64,
    pub(super) counters: Counters,
}

impl<S> std::fmt::Debug for Table<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("flows", &self.entries.len())
            .field("buffered_bytes", &self.buffered)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl<S: Default> Table<S> {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let max_step_millis = i64::from(limits.max_time_step_seconds) * 1000;
        Self {
            limits,
            clock: Clock::new(max_step_millis),
            slots: HashTable::new(),
            entries: Entries::new(),
            classes: Lists::EMPTY,
            connections: Connections::new(),
            waiting: Lists::EMPTY,
            buffered: 0,
            swept: i64::MIN,
            counters: Counters::default(),
        }
    }

    /// What the table did so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes in a segment. Its time moves the table's clock; up to eight flows whose time is up
    /// leave with each call.
    pub fn push<H: Handler<State = S>>(&mut self, segment: &Segment<'_>, handler: &mut H) {
        self.counters.segments += 1;
        self.counters.payload_bytes += segment.payload.len() as u64;
        self.clock.observe(segment.header.time);
        self.sweep(SWEEP_PER_PUSH, handler);
        if segment.header.flags.has(TcpFlags::URG) {
            self.counters.urgent += 1;
        }
        if !segment.header.flags.has(TcpFlags::ACK | TcpFlags::SYN | TcpFlags::RST) {
            self.counters.without_ack += 1;
            return;
        }
        let (key, end) = Key::of(&segment.header);
        let hash = key.hash(self.limits.hash_seed);
        match self.find(hash, &key) {
            Some(index) => self.known(index, key, end, segment, handler),
            None => self.open(key, end, segment, handler),
        }
    }

    /// Tells the table what time it is, for spans without segments. Up to 4096 flows whose time
    /// is up leave with each call.
    pub fn advance<H: Handler<State = S>>(&mut self, now: Timestamp, handler: &mut H) {
        self.clock.observe(now);
        self.sweep(SWEEP_PER_ADVANCE, handler);
    }

    /// The capture ends: delivers what is buffered, and finishes and closes all flows in the
    /// order of their ids. The table is empty afterwards, and counts on.
    pub fn finish<H: Handler<State = S>>(&mut self, handler: &mut H) {
        let mut open: Vec<(u64, u32)> =
            self.slots.iter().filter_map(|&i| Some((self.entries.get(i)?.id, i))).collect();
        open.sort_unstable();
        for (_, index) in open {
            let at = self.entries.get(index).and_then(|e| self.connections.get(e.connection));
            let at = at.map(|connection| connection.last);
            self.leave(index, Finish::EndOfCapture, at, handler);
        }
    }

    fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        let same = |&index: &u32| self.entries.get(index).is_some_and(|entry| entry.key == *key);
        self.slots.find(hash, same).copied()
    }

    /// A segment of a tuple that is not in the table.
    fn open<H: Handler<State = S>>(
        &mut self,
        key: Key,
        end: End,
        segment: &Segment<'_>,
        handler: &mut H,
    ) {
        let header = &segment.header;
        if header.flags.has(TcpFlags::RST) {
            self.counters.stray_resets += 1;
            return;
        }
        while self.entries.len() >= self.limits.max_flows.max(1) {
            if !self.evict(handler) {
                return;
            }
        }
        let mut entry = Entry::new(key, header.packet, header.time, self.clock.stamp());
        let is_reply =
            header.flags.0 & (TcpFlags::SYN | TcpFlags::ACK) == TcpFlags::SYN | TcpFlags::ACK;
        entry.set_opener(if is_reply { end.other() } else { end });
        let Some(index) = self.entries.insert(entry) else { return };
        let (entries, seed) = (&self.entries, self.limits.hash_seed);
        let hash_of = |&i: &u32| entries.get(i).map_or(0, |entry| entry.key.hash(seed));
        self.slots.insert_unique(key.hash(seed), index, hash_of);
        self.classes.push_back(Class::HalfOpen as usize, index, &mut self.entries);
        self.counters.opened += 1;
        self.counters.active += 1;
        self.known(index, key, end, segment, handler);
    }

    /// A segment of a tuple that is in the table.
    fn known<H: Handler<State = S>>(
        &mut self,
        index: u32,
        key: Key,
        end: End,
        segment: &Segment<'_>,
        handler: &mut H,
    ) {
        let Some(entry) = self.entries.get(index) else { return };
        if self.idle_millis(entry) >= self.idle_limit(entry.class()) {
            self.expire(index, handler);
            return self.open(key, end, segment, handler);
        }
        if entry.class() == Class::Closed {
            if !is_new_syn(entry, end, segment) {
                self.counters.after_close += 1;
                return;
            }
            self.remove(index);
            return self.open(key, end, segment, handler);
        }
        if !self.verify(index, end, segment, handler) {
            return;
        }
        if self.is_superseded(index, end, segment) {
            let at = At { packet: segment.header.packet, time: segment.header.time };
            self.leave(index, Finish::Reused, Some(at), handler);
            return self.open(key, end, segment, handler);
        }
        self.process(index, end, segment, handler);
    }

    /// Whether the checksum lets the segment through (R9). A direction that never showed a right
    /// checksum leaves them to the network card of the capturing host.
    fn verify<H: Handler<State = S>>(
        &mut self,
        index: u32,
        end: End,
        segment: &Segment<'_>,
        handler: &mut H,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(index) else { return false };
        let connection = self.connections.get_mut(entry.connection);
        if connection.as_ref().is_some_and(|c| c.interest == Interest::None) {
            return true;
        }
        match segment.checksum() {
            Checksum::Unverifiable => return true,
            Checksum::Good => {
                if !segment.header.checksum.offloaded {
                    entry.set(end, Fact::Good);
                }
                return true;
            }
            Checksum::Bad if !entry.is(end, Fact::Good) => {
                self.counters.offloaded_checksums += 1;
                return true;
            }
            Checksum::Bad => self.counters.bad_checksums += 1,
        }
        let side = side_of(entry, end);
        if let Some(connection) = connection {
            connection.count(side, segment);
            let at = at(segment);
            let (counters, limits, now) = (&mut self.counters, &self.limits, self.clock.now());
            connection.bad_checksum(side, at, &mut Env { handler, counters, limits, now });
        } else {
            entry.count_quiet(end);
        }
        false
    }

    /// Whether a segment is the SYN of a new connection on the tuple of an old one (R20).
    ///
    /// A SYN of the same number is a retransmission, and one inside the receive window of an open
    /// connection is ambiguous and ignored. All others begin a new flow.
    fn is_superseded(&self, index: u32, end: End, segment: &Segment<'_>) -> bool {
        let flags = segment.header.flags;
        if !flags.has(TcpFlags::SYN) || flags.has(TcpFlags::ACK | TcpFlags::RST) {
            return false;
        }
        let Some(entry) = self.entries.get(index) else { return false };
        let first = Seq(segment.header.seq).plus(1);
        if let Some(connection) = self.connections.get(entry.connection) {
            return connection.is_superseded_by(side_of(entry, end), first, &self.limits);
        }
        let distance = entry.next(end).minus(first);
        match entry.base(end) {
            Base::Unset => false,
            Base::Hint => entry.any(Fact::Fin) || distance.abs() > PICKUP_WINDOW,
            Base::Exact => distance != 0,
        }
    }

    /// A segment that belongs to the flow.
    fn process<H: Handler<State = S>>(
        &mut self,
        index: u32,
        end: End,
        segment: &Segment<'_>,
        handler: &mut H,
    ) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        entry.set(end, Fact::Seen);
        if self.connections.get(entry.connection).is_none() {
            let missing = note_quiet(entry, end, segment);
            if segment.header.payload_len > 0 || !segment.payload.is_empty() || missing {
                self.promote(index, end, segment, handler);
            } else {
                entry.count_quiet(end);
            }
        }
        self.deliver(index, end, segment, handler);
        self.settle(index, at(segment), handler);
    }

    /// The first payload: the flow gets its connection.
    fn promote<H: Handler<State = S>>(
        &mut self,
        index: u32,
        end: End,
        segment: &Segment<'_>,
        handler: &mut H,
    ) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let (there, back) = (entry.opener(), entry.opener().other());
        let info = FlowInfo {
            id: entry.id,
            originator: entry.key.endpoint(there),
            responder: entry.key.endpoint(back),
            scope: entry.key.scope(),
            opened: entry.opened,
            midstream: !entry.any(Fact::Syn),
            shed_bytes: 0,
            traffic: Traffic {
                packets: [there, back].map(|end| entry.quiet_packets(end)),
                ..Traffic::NONE
            },
        };
        self.counters.midstream += u64::from(info.midstream);
        let stream = |end: End| {
            let peer_seen = entry.is(end.other(), Fact::Seen);
            Stream::new(entry.base(end), entry.next(end), peer_seen)
        };
        let both = Pair { originator: stream(there), responder: stream(back) };
        let mut connection = Connection::new(info, index, both, at(segment), self.clock.now());
        let (counters, limits, now) = (&mut self.counters, &self.limits, self.clock.now());
        let mut env = Env { handler, counters, limits, now };
        let ended = [there, back].map(|end| entry.is(end, Fact::Fin));
        connection.resume(
            ended,
            entry.any(Fact::Reset),
            side_of(entry, end),
            at(segment),
            &mut env,
        );
        entry.connection = self.connections.insert(Box::new(connection));
    }

    /// Hands the segment to the flow's connection, if it has one.
    fn deliver<H: Handler<State = S>>(
        &mut self,
        index: u32,
        end: End,
        segment: &Segment<'_>,
        handler: &mut H,
    ) {
        let Some(entry) = self.entries.get(index) else { return };
        let (slot, side) = (entry.connection, side_of(entry, end));
        let Some(connection) = self.connections.get(slot) else { return };
        let full = self.buffered.saturating_add(segment.payload.len() + OVERHEAD)
            > self.limits.max_buffered_bytes;
        if full
            && !segment.payload.is_empty()
            && connection.would_buffer(side, Seq(segment.header.seq), &self.limits)
        {
            self.make_room(segment, handler);
        }
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.count(side, segment);
        if connection.interest == Interest::None {
            connection.info.shed_bytes += segment.payload.len() as u64;
        }
        let before = connection.charge();
        let (counters, limits, now) = (&mut self.counters, &self.limits, self.clock.now());
        connection.segment(side, segment, &mut Env { handler, counters, limits, now });
        let after = connection.charge();
        self.recharge(before, after);
    }
}

/// The packet of a segment.
const fn at(segment: &Segment<'_>) -> At {
    At { packet: segment.header.packet, time: segment.header.time }
}

fn side_of(entry: &Entry, end: End) -> Side {
    if entry.opener() == end { Side::Originator } else { Side::Responder }
}

/// Whether a segment of a tuple that closed a moment ago begins a new connection.
fn is_new_syn(entry: &Entry, end: End, segment: &Segment<'_>) -> bool {
    let flags = segment.header.flags;
    let first = Seq(segment.header.seq).plus(1);
    flags.has(TcpFlags::SYN)
        && !flags.has(TcpFlags::ACK | TcpFlags::RST)
        && !(entry.is(end, Fact::Exact) && entry.next(end) == first)
}

/// Notes what a segment of a flow without payload tells. Answers whether it shows that payload
/// was missed.
fn note_quiet(entry: &mut Entry, end: End, segment: &Segment<'_>) -> bool {
    let header = &segment.header;
    let seq = Seq(header.seq);
    if header.flags.has(TcpFlags::RST) {
        let ahead = seq.minus(entry.next(end));
        let missing = entry.base(end) != Base::Unset && (1..=PICKUP_WINDOW).contains(&ahead);
        if entry.base(end) != Base::Exact || ahead == 0 {
            entry.set(end, Fact::Reset);
        }
        return missing;
    }
    let syn = header.flags.has(TcpFlags::SYN);
    let ack = header.flags.has(TcpFlags::ACK);
    if syn {
        if !ack && !entry.any(Fact::Syn) {
            entry.set_opener(end);
        }
        entry.synchronise(end, seq.plus(1));
    } else if segment.header.payload_len == 0 && !header.flags.has(TcpFlags::FIN) {
        entry.hint(end, seq);
    }
    if ack {
        entry.hint(end.other(), Seq(header.ack));
    }
    if !header.flags.has(TcpFlags::FIN) || header.payload_len > 0 {
        return false;
    }
    let at = seq.plus(u64::from(syn));
    entry.hint(end, at);
    let ahead = at.minus(entry.next(end));
    if ahead == 0 {
        entry.set(end, Fact::Fin);
    }
    ahead > 0
}
