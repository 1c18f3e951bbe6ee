//! From records to the names that were asked for.

use std::net::IpAddr;

use crate::exchange::DnsAddress;

/// Addresses kept of a message.
pub(super) const MAX_ADDRESSES: usize = 128;
/// Names that a chain of aliases may have, the one asked for included.
const MAX_CHAIN: usize = 16;

/// What the records of a message say.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Owner, target, time to live.
    aliases: Vec<(String, String, u32)>,
    /// Owner, address, time to live.
    addresses: Vec<(String, IpAddr, u32)>,
}

impl Answers {
    pub(super) fn alias(&mut self, owner: String, target: String, ttl: u32) {
        self.aliases.push((owner, target, ttl));
    }

    pub(super) fn address(&mut self, owner: String, address: IpAddr, ttl: u32) {
        if self.addresses.len() < MAX_ADDRESSES {
            self.addresses.push((owner, address, ttl));
        }
    }

    /// The addresses under the names asked for; without questions, as in responses of multicast
    /// DNS, under the names that have them.
    pub(super) fn addresses(self, questions: &[(String, u16)]) -> Vec<DnsAddress> {
        if questions.is_empty() {
            let own = |(name, address, ttl)| DnsAddress { name, address, ttl };
            return self.addresses.into_iter().map(own).collect();
        }
        let mut found: Vec<DnsAddress> = Vec::new();
        for (index, (asked, _)) in questions.iter().enumerate() {
            if questions.iter().take(index).any(|(earlier, _)| earlier == asked) {
                continue;
            }
            let chain = self.chain(asked);
            for (owner, address, ttl) in &self.addresses {
                let Some((_, limit)) = chain.iter().find(|(name, _)| name == owner) else {
                    continue;
                };
                let known = found.iter().any(|one| one.address == *address && one.name == *asked);
                if !known && found.len() < MAX_ADDRESSES {
                    let (name, ttl) = (asked.clone(), *limit.min(ttl));
                    found.push(DnsAddress { name, address: *address, ttl });
                }
            }
        }
        found
    }

    /// The name asked for and all that it is an alias of, each with the smallest time to live on
    /// the way.
    fn chain<'s>(&'s self, asked: &'s str) -> Vec<(&'s str, u32)> {
        let mut chain = vec![(asked, u32::MAX)];
        let mut at = 0;
        while let Some((name, limit)) = chain.get(at).copied() {
            for (owner, target, ttl) in &self.aliases {
                let known = || chain.iter().any(|(known, _)| known == target);
                if owner == name && chain.len() < MAX_CHAIN && !known() {
                    chain.push((target, limit.min(*ttl)));
                }
            }
            at += 1;
        }
        chain
    }
}
