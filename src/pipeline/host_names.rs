//! Names that DNS gave for addresses: what a flow without a name may be called. Sans-IO.
//!
//! Names go by packet time. An answer holds for its time to live, but for [`MIN_LIFE`] at least,
//! because connections and resolvers' caches outlive it. Anybody can claim any address as theirs,
//! and thousands of names share one address: a name learnt here is a hint, and never part of a
//! server's key.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::DnsMessage;
use crate::time::Timestamp;

/// How long a name is kept at least.
const MIN_LIFE: Duration = Duration::from_secs(3_600);
/// How long it is kept at most, whatever the answer says.
const MAX_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Bounds. Worst-case memory: `max_addresses` × (`max_names_per_address` × 300 + 100) bytes,
/// which needs that many addresses with eight names of full length each; 15 MB as a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Addresses remembered; at the bound the one that was not renewed longest makes room.
    pub(super) max_addresses: usize,
    /// Names remembered per address; at the bound the oldest makes room.
    pub(super) max_names_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_addresses: 65_536, max_names_per_address: 8 }
    }
}

/// The names of one address, newest last.
#[derive(Debug, Default)]
struct Known {
    names: Vec<(Arc<str>, Timestamp)>,
    /// Renewed since its turn to make room last came.
    renewed: bool,
}

/// Names by address.
#[derive(Debug)]
pub(super) struct HostNames {
    limits: Limits,
    known: HashMap<IpAddr, Known>,
    /// All addresses, in the order in which they make room.
    turns: VecDeque<IpAddr>,
}

impl HostNames {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, known: HashMap::new(), turns: VecDeque::new() }
    }

    /// Learns what a message answers.
    pub(super) fn learn(&mut self, message: &DnsMessage, now: Timestamp) {
        if !message.response || message.code != 0 {
            return;
        }
        let mut last: Option<Arc<str>> = None;
        for answer in &message.addresses {
            if answer.name.is_empty() || answer.address.is_unspecified() {
                continue;
            }
            let name = match last.take() {
                Some(name) if *name == *answer.name => name,
                _ => Arc::from(answer.name.as_str()),
            };
            let life = Duration::from_secs(answer.ttl.into()).clamp(MIN_LIFE, MAX_LIFE);
            self.add(answer.address, Arc::clone(&name), now.plus(life));
            last = Some(name);
        }
    }

    fn add(&mut self, address: IpAddr, name: Arc<str>, until: Timestamp) {
        let max = self.limits.max_names_per_address;
        if let Some(known) = self.known.get_mut(&address) {
            known.renewed = true;
            known.names.retain(|(old, _)| *old != name);
            if known.names.len() >= max {
                known.names.remove(0);
            }
            known.names.push((name, until));
            return;
        }
        if self.known.len() >= self.limits.max_addresses {
            self.make_room();
        }
        self.turns.push_back(address);
        self.known.insert(address, Known { names: vec![(name, until)], renewed: false });
    }

    /// Amortised constant: an address that was renewed gives its turn away once per renewal.
    fn make_room(&mut self) {
        while let Some(address) = self.turns.pop_front() {
            let known = self.known.get_mut(&address);
            if known.is_some_and(|known| std::mem::take(&mut known.renewed)) {
                self.turns.push_back(address);
            } else {
                self.known.remove(&address);
                return;
            }
        }
    }

    /// The names that an address has now, newest first.
    pub(super) fn of(&self, address: IpAddr, now: Timestamp) -> impl Iterator<Item = &Arc<str>> {
        let known = self.known.get(&address).map(|known| known.names.as_slice());
        let names = known.unwrap_or_default().iter().rev();
        names.filter(move |(_, until)| *until >= now).map(|(name, _)| name)
    }

    /// The names that an address has or had.
    pub(super) fn ever(&self, address: IpAddr) -> impl Iterator<Item = &Arc<str>> {
        let known = self.known.get(&address).map(|known| known.names.as_slice());
        known.unwrap_or_default().iter().rev().map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::DnsAddress;

    fn answer(name: &str, address: &str, ttl: u32) -> DnsMessage {
        let address = DnsAddress { name: name.into(), address: address.parse().unwrap(), ttl };
        DnsMessage { response: true, addresses: vec![address], ..DnsMessage::default() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    fn names(of: &HostNames, address: &str, now: i64) -> Vec<String> {
        of.of(address.parse().unwrap(), at(now)).map(ToString::to_string).collect()
    }

    #[test]
    fn names_live_for_an_hour_at_least_and_a_week_at_most() {
        let mut known = HostNames::new(Limits::default());
        known.learn(&answer("short.test", "192.0.2.1", 30), at(0));
        known.learn(&answer("long.test", "192.0.2.1", u32::MAX), at(0));
        known.learn(&answer("day.test", "192.0.2.1", 86_400), at(0));
        assert_eq!(names(&known, "192.0.2.1", 3_600), ["day.test", "long.test", "short.test"]);
        assert_eq!(names(&known, "192.0.2.1", 3_601), ["day.test", "long.test"]);
        assert_eq!(names(&known, "192.0.2.1", 86_401), ["long.test"]);
        assert_eq!(names(&known, "192.0.2.1", 8 * 86_400), Vec::<String>::new());
        assert_eq!(known.ever("192.0.2.1".parse().unwrap()).count(), 3);
    }

    #[test]
    fn queries_errors_and_blackholes_teach_nothing() {
        let mut known = HostNames::new(Limits::default());
        let good = answer("a.test", "192.0.2.1", 30);
        known.learn(&DnsMessage { response: false, ..good.clone() }, at(0));
        known.learn(&DnsMessage { code: 3, ..good }, at(0));
        known.learn(&answer("a.test", "0.0.0.0", 30), at(0));
        known.learn(&answer("", "192.0.2.1", 30), at(0));
        assert!(known.known.is_empty());
    }

    #[test]
    fn what_was_not_renewed_longest_makes_room() {
        let limits = Limits { max_addresses: 2, max_names_per_address: 2 };
        let mut known = HostNames::new(limits);
        known.learn(&answer("a.test", "192.0.2.1", 30), at(0));
        known.learn(&answer("b.test", "192.0.2.2", 30), at(1));
        known.learn(&answer("a.test", "192.0.2.1", 30), at(2));
        known.learn(&answer("c.test", "192.0.2.3", 30), at(3));
        assert_eq!(names(&known, "192.0.2.1", 4), ["a.test"]);
        assert_eq!(names(&known, "192.0.2.2", 4), Vec::<String>::new());
        assert_eq!(names(&known, "192.0.2.3", 4), ["c.test"]);
        for name in ["d.test", "e.test", "d.test"] {
            known.learn(&answer(name, "192.0.2.3", 30), at(5));
        }
        assert_eq!(names(&known, "192.0.2.3", 6), ["d.test", "e.test"]);
        assert_eq!((known.known.len(), known.turns.len()), (2, 2));
    }
}
