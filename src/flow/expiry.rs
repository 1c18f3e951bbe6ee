//! How flows leave the table: closed, expired by packet time, or pushed out by a bound.
//!
//! Each class of flows has a list in the order of last activity (to about a second) and one idle
//! limit, so whatever is due is in front. A flow whose time is up may sit there for a while when
//! no packet moves the clock; its own next packet finds that out, and it ends at the time at which
//! it was due. So what is seen of a flow does not depend on when the lists are swept.

use super::connection::Env;
use super::entry::{Class, Entry, Fact};
use super::table::Table;
use super::{At, Finish, Handler, Interest};
use crate::decode::Segment;
use crate::net::Side;

/// Flows that one call of [`Table::push`] expires or polls at most.
pub(super) const SWEEP_PER_PUSH: usize = 8;

/// The same for [`Table::advance`].
pub(super) const SWEEP_PER_ADVANCE: usize = 4096;

/// How often connections that wait for missing bytes are looked at, in milliseconds.
const POLL_MILLIS: i64 = 100;

/// A flow moves to the back of its list when this many low bits of its last activity change: once
/// a second and not with every packet.
const STAMP_SHIFT: u32 = 10;

const fn waiting_list(interest: Interest) -> usize {
    match interest {
        Interest::None | Interest::Unknown => 0,
        Interest::Candidate => 1,
        Interest::Mcp => 2,
    }
}

impl<S: Default> Table<S> {
    pub(super) const fn idle_millis(&self, entry: &Entry) -> u32 {
        let idle = self.clock.stamp().wrapping_sub(entry.last);
        if idle > u32::MAX / 2 { 0 } else { idle }
    }

    pub(super) const fn idle_limit(&self, class: Class) -> u32 {
        let limits = &self.limits;
        let seconds = match class {
            Class::Closed | Class::Lingering => return limits.linger_millis,
            Class::HalfOpen => limits.half_open_idle_seconds,
            Class::Quiet => limits.quiet_idle_seconds,
            Class::Unknown => limits.unknown_idle_seconds,
            Class::Candidate => limits.candidate_idle_seconds,
            Class::Mcp => limits.mcp_idle_seconds,
        };
        seconds.saturating_mul(1000)
    }

    /// Expires flows and ends graces, up to `budget` of them.
    pub(super) fn sweep<H: Handler<State = S>>(&mut self, budget: usize, handler: &mut H) {
        let now = self.clock.now();
        if self.swept == now {
            return;
        }
        let mut left = budget;
        self.poll(&mut left, handler);
        for class in Class::ALL {
            let limit = self.idle_limit(class);
            while left > 0 {
                let Some(index) = self.classes.front(class as usize) else { break };
                if self.entries.get(index).is_none_or(|entry| self.idle_millis(entry) < limit) {
                    break;
                }
                self.expire(index, handler);
                left -= 1;
            }
        }
        if left > 0 {
            self.swept = now;
        }
    }

    /// Looks at connections that wait for missing bytes.
    fn poll<H: Handler<State = S>>(&mut self, left: &mut usize, handler: &mut H) {
        let now = self.clock.now();
        for list in 0..3 {
            while *left > 0 {
                let Some(slot) = self.waiting.front(list) else { break };
                let Some(connection) = self.connections.get_mut(slot) else { break };
                if connection.poll_at > now {
                    break;
                }
                *left -= 1;
                let before = connection.charge();
                let (counters, limits) = (&mut self.counters, &self.limits);
                connection.expire_graces(&mut Env { handler, counters, limits, now });
                let (after, entry) = (connection.charge(), connection.entry);
                let at = connection.last;
                self.recharge(before, after);
                self.waiting.unlink(list, slot, &mut self.connections);
                if let Some(connection) = self.connections.get_mut(slot) {
                    connection.waits_as = None;
                }
                self.refile(entry, at, handler);
            }
        }
    }

    pub(super) fn recharge(&mut self, before: usize, after: usize) {
        self.buffered = self.buffered.saturating_sub(before).saturating_add(after);
        self.counters.max_buffered_bytes =
            self.counters.max_buffered_bytes.max(self.buffered as u64);
    }

    /// A packet of the flow was processed: it is active, and may have changed class.
    pub(super) fn settle<H: Handler<State = S>>(&mut self, index: u32, at: At, handler: &mut H) {
        let stamp = self.clock.stamp();
        let Some(entry) = self.entries.get_mut(index) else { return };
        let moved = (entry.last >> STAMP_SHIFT) != (stamp >> STAMP_SHIFT);
        entry.last = stamp;
        if moved {
            let class = entry.class() as usize;
            self.classes.unlink(class, index, &mut self.entries);
            self.classes.push_back(class, index, &mut self.entries);
        }
        self.refile(index, at, handler);
    }

    /// Puts the flow where it belongs: its class, the list of those that wait, or out.
    fn refile<H: Handler<State = S>>(&mut self, index: u32, at: At, handler: &mut H) {
        let Some(entry) = self.entries.get(index) else { return };
        if entry.class() == Class::Closed {
            return;
        }
        let slot = entry.connection;
        let over = match self.connections.get(slot) {
            Some(connection) => connection.is_over(),
            None => entry.both(Fact::Fin),
        };
        if over {
            return self.bury(index, at, handler);
        }
        let class = self.class_of(entry);
        self.set_class(index, class);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let wanted = connection.is_waiting().then_some(connection.interest);
        let current = connection.waits_as;
        if wanted == current {
            return;
        }
        connection.waits_as = wanted;
        connection.poll_at = self.clock.now().saturating_add(POLL_MILLIS);
        if let Some(interest) = current {
            self.waiting.unlink(waiting_list(interest), slot, &mut self.connections);
        }
        if let Some(interest) = wanted {
            self.waiting.push_back(waiting_list(interest), slot, &mut self.connections);
        }
    }

    fn class_of(&self, entry: &Entry) -> Class {
        let Some(connection) = self.connections.get(entry.connection) else {
            return if entry.any(Fact::Reset) {
                Class::Lingering
            } else if entry.both(Fact::Seen) {
                Class::Quiet
            } else {
                Class::HalfOpen
            };
        };
        let one_sided_end = !entry.both(Fact::Seen)
            && (connection.has_finished(Side::Originator)
                || connection.has_finished(Side::Responder));
        if connection.is_reset() || one_sided_end {
            Class::Lingering
        } else {
            Class::of(connection.interest)
        }
    }

    fn set_class(&mut self, index: u32, class: Class) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let current = entry.class();
        if current == class {
            return;
        }
        entry.set_class(class);
        self.classes.unlink(current as usize, index, &mut self.entries);
        self.classes.push_back(class as usize, index, &mut self.entries);
    }

    /// Both sides have ended: the flow closes and lingers, so that late packets of it are known.
    fn bury<H: Handler<State = S>>(&mut self, index: u32, at: At, handler: &mut H) {
        self.counters.closed_by_fin += 1;
        self.disconnect(index, Finish::Fin, at, handler);
        self.set_class(index, Class::Closed);
    }

    /// Closes the flow's connection, if it has one.
    fn disconnect<H: Handler<State = S>>(
        &mut self,
        index: u32,
        why: Finish,
        at: At,
        handler: &mut H,
    ) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let slot = std::mem::replace(&mut entry.connection, super::lru::NONE);
        let waits_as = self.connections.get(slot).and_then(|connection| connection.waits_as);
        if let Some(interest) = waits_as {
            self.waiting.unlink(waiting_list(interest), slot, &mut self.connections);
        }
        let Some(connection) = self.connections.remove(slot) else { return };
        self.recharge(connection.charge(), 0);
        let (counters, limits, now) = (&mut self.counters, &self.limits, self.clock.now());
        connection.close(why, at, &mut Env { handler, counters, limits, now });
    }

    /// Ends a flow for another reason than its own FINs and takes it out of the table. Without
    /// `at`, it ends at its last packet.
    pub(super) fn leave<H: Handler<State = S>>(
        &mut self,
        index: u32,
        why: Finish,
        at: Option<At>,
        handler: &mut H,
    ) {
        let Some(entry) = self.entries.get(index) else { return };
        let connection = self.connections.get(entry.connection);
        let at = at.or_else(|| connection.map(|c| c.last));
        let at = at.unwrap_or(At { packet: entry.id, time: entry.opened });
        let class = entry.class();
        let reset = match connection {
            Some(connection) => connection.is_reset(),
            None => entry.any(Fact::Reset),
        };
        if class != Class::Closed {
            self.count_end(class, if reset { Finish::Reset } else { why });
        }
        self.disconnect(index, why, at, handler);
        self.remove(index);
    }

    const fn count_end(&mut self, class: Class, why: Finish) {
        let counters = &mut self.counters;
        let counter = match (why, class) {
            (Finish::Fin, _) => &mut counters.closed_by_fin,
            (Finish::Reset, _) => &mut counters.closed_by_reset,
            (Finish::Reused, _) => &mut counters.closed_by_reuse,
            (Finish::EndOfCapture, _) => &mut counters.closed_by_end,
            (Finish::Expired, Class::HalfOpen | Class::Closed) => &mut counters.expired_half_open,
            (Finish::Expired, Class::Quiet) => &mut counters.expired_quiet,
            (Finish::Expired, Class::Unknown | Class::Candidate) => &mut counters.expired_unknown,
            (Finish::Expired, Class::Mcp) => &mut counters.expired_mcp,
            (Finish::Expired, Class::Lingering) => &mut counters.closed_one_sided,
            (Finish::Evicted, Class::HalfOpen | Class::Closed) => &mut counters.evicted_half_open,
            (Finish::Evicted, Class::Quiet | Class::Lingering) => &mut counters.evicted_quiet,
            (Finish::Evicted, Class::Unknown) => &mut counters.evicted_unknown,
            (Finish::Evicted, Class::Candidate) => &mut counters.evicted_candidate,
            (Finish::Evicted, Class::Mcp) => &mut counters.evicted_mcp,
        };
        *counter += 1;
    }

    /// Takes an entry, already disconnected, out of the table.
    pub(super) fn remove(&mut self, index: u32) {
        let Some(entry) = self.entries.get(index) else { return };
        let (class, hash) = (entry.class(), entry.key.hash(self.limits.hash_seed));
        if let Ok(slot) = self.slots.find_entry(hash, |&other| other == index) {
            slot.remove();
        }
        self.classes.unlink(class as usize, index, &mut self.entries);
        self.entries.remove(index);
        self.counters.active = self.counters.active.saturating_sub(1);
    }

    /// The flow was idle for too long. It ends at the time when it was.
    pub(super) fn expire<H: Handler<State = S>>(&mut self, index: u32, handler: &mut H) {
        let Some(entry) = self.entries.get(index) else { return };
        let limit = self.idle_limit(entry.class());
        let slot = entry.connection;
        if let Some(connection) = self.connections.get_mut(slot) {
            let before = connection.charge();
            let (counters, limits, now) = (&mut self.counters, &self.limits, self.clock.now());
            connection.expire_graces(&mut Env { handler, counters, limits, now });
            let after = connection.charge();
            self.recharge(before, after);
        }
        let at = self.connections.get(slot).map(|c| c.after_last(i64::from(limit)));
        self.leave(index, Finish::Expired, at, handler);
    }

    /// Pushes out the oldest idle flow of the least interesting class; false if there is none.
    pub(super) fn evict<H: Handler<State = S>>(&mut self, handler: &mut H) -> bool {
        let victim = Class::ALL.iter().find_map(|&class| self.classes.front(class as usize));
        let Some(index) = victim else { return false };
        self.leave(index, Finish::Evicted, None, handler);
        true
    }

    /// All buffers together are full: connections that wait give their holes up, the least
    /// interesting first, until the segment fits.
    pub(super) fn make_room<H: Handler<State = S>>(
        &mut self,
        segment: &Segment<'_>,
        handler: &mut H,
    ) {
        let at = At { packet: segment.header.packet, time: segment.header.time };
        let needed = segment.payload.len().saturating_add(super::buffer::OVERHEAD);
        while self.buffered.saturating_add(needed) > self.limits.max_buffered_bytes {
            let Some(list) = (0..3).find(|&list| self.waiting.front(list).is_some()) else {
                return;
            };
            let Some(slot) = self.waiting.front(list) else { return };
            let Some(connection) = self.connections.get_mut(slot) else { return };
            let before = connection.charge();
            let (counters, limits, now) = (&mut self.counters, &self.limits, self.clock.now());
            counters.gaps_by_total_bound += 1;
            connection.flush(at, &mut Env { handler, counters, limits, now });
            connection.waits_as = None;
            let (after, entry) = (connection.charge(), connection.entry);
            self.recharge(before, after);
            self.waiting.unlink(list, slot, &mut self.connections);
            self.refile(entry, at, handler);
        }
    }
}
