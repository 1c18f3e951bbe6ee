//! Which hosts are of interest when only their names are seen: one look-up per name, because most
//! of ten thousands of handshakes per second are of none.

use std::collections::HashMap;
use std::hash::{Hash, RandomState};
use std::sync::Arc;

use super::analysis::Policy;
use crate::exchange::Scheme;
use crate::rules::catalog;

/// Hosts remembered; at the bound all are forgotten and looked up anew. Worst-case memory: 350
/// bytes each.
const MAX_HOSTS: usize = 32_768;

/// What a name alone says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    /// Vendor on the catalog of public MCP services.
    pub(super) vendor: Option<Arc<str>>,
    /// A label says MCP by convention.
    pub(super) named_for_mcp: bool,
    /// Some approval names it, whether it holds or not.
    pub(super) is_approved: bool,
}

impl Interest {
    /// Whether it says anything.
    pub(super) const fn is_any(&self) -> bool {
        self.vendor.is_some() || self.named_for_mcp || self.is_approved
    }
}

/// A host, and its scheme and port where they are known.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name {
    host: Box<str>,
    origin: Option<(Scheme, u16)>,
}

/// The same, borrowed: must hash as [`Name`] does.
#[derive(Hash)]
struct NameRef<'a> {
    host: &'a str,
    origin: Option<(Scheme, u16)>,
}

impl hashbrown::Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, key: &Name) -> bool {
        *self.host == *key.host && self.origin == key.origin
    }
}

/// Interests by name. Few hosts are of any, and vendors are shared.
#[derive(Debug, Default)]
pub(super) struct Interests {
    known: hashbrown::HashMap<Name, Interest, RandomState>,
    vendors: HashMap<String, Arc<str>>,
}

impl Interests {
    /// What a host, in lower case, is.
    pub(super) fn of(
        &mut self,
        policy: &Policy,
        host: &str,
        origin: Option<(Scheme, u16)>,
    ) -> Interest {
        if let Some(known) = self.known.get(&NameRef { host, origin }) {
            return known.clone();
        }
        let interest = self.find_out(policy, host, origin);
        if self.known.len() >= MAX_HOSTS {
            self.known.clear();
        }
        self.known.insert(Name { host: host.into(), origin }, interest.clone());
        interest
    }

    fn find_out(&mut self, policy: &Policy, host: &str, origin: Option<(Scheme, u16)>) -> Interest {
        let vendor = policy.catalog.vendor(host).map(|vendor| {
            let known = self.vendors.entry(vendor);
            let shared = known.or_insert_with_key(|vendor| Arc::from(vendor.as_str()));
            Arc::clone(shared)
        });
        Interest {
            vendor,
            named_for_mcp: catalog::is_named_for_mcp(host),
            is_approved: policy.approvals.names_host(host, origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use super::*;
    use crate::rules::RuleSet;
    use crate::verdict::Approvals;

    #[test]
    fn borrowed_names_hash_as_owned_ones_do() {
        let hasher = RandomState::new();
        let origin = Some((Scheme::Https, 443));
        let owned = Name { host: "a.test".into(), origin };
        assert_eq!(hasher.hash_one(&owned), hasher.hash_one(NameRef { host: "a.test", origin }));
    }

    #[test]
    fn a_name_is_of_interest_by_catalog_convention_or_approval() {
        let approvals = "schema: shadowtap/approvals@1\nservers:\n  - {name: a, key: https://a.test/mcp, owner: o, expires: 2020-01-01}\n";
        let policy = Policy {
            rules: RuleSet::default(),
            approvals: Approvals::parse(approvals, "approvals").unwrap_or_else(|p| panic!("{p:?}")),
            catalog: catalog::Catalog::builtin(),
            lane: crate::rules::Lane::Hunt,
        };
        let mut interests = Interests::default();
        let https = Some((Scheme::Https, 443));
        for (host, origin, vendor, named, approved) in [
            ("mcp.asana.com", https, Some("Asana"), true, false),
            ("mcp.corp.test", https, None, true, false),
            ("a.test", https, None, false, true),
            ("a.test", None, None, false, true),
            ("a.test", Some((Scheme::Https, 8443)), None, false, false),
            ("www.test", https, None, false, false),
        ] {
            for _ in 0..2 {
                let found = interests.of(&policy, host, origin);
                assert_eq!(found.vendor.as_deref(), vendor, "{host}");
                assert_eq!((found.named_for_mcp, found.is_approved), (named, approved), "{host}");
            }
        }
        assert_eq!(interests.known.len(), 6);
    }
}
