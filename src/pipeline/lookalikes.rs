//! Servers that go by the name of an approved one. Sans-IO.
//!
//! Names are what approvals are called, and what approved servers called themselves while they
//! were seen. A server that is not approved and gives itself such a name, or one that looks like
//! it, may want to be taken for the approved one; or it is another copy of the same software.

use std::collections::BTreeMap;

use super::analysis::Policy;
use crate::inspect::confusable::{is_near, skeleton};
use crate::mcp::facts::Likeness;
use crate::mcp::inventory::Server;

/// Names of approved servers that are remembered; further ones are not. About 200 bytes each.
const MAX_NAMES: usize = 4_096;
/// Shorter names are too common to mean anything, in characters: for equal ones, and for those
/// that differ in one character.
const SHORTEST_SAME: usize = 3;
const SHORTEST_NEAR: usize = 5;

/// An approved name.
#[derive(Debug)]
struct Approved {
    name: String,
    skeleton: String,
    /// Where the server is that calls itself so; an approval covers hosts by its pattern.
    host: Option<String>,
}

/// Names of approved servers.
#[derive(Debug, Default)]
pub(super) struct Lookalikes {
    /// By folded name.
    approved: BTreeMap<String, Approved>,
    has_approvals: bool,
    generation: u64,
}

impl Lookalikes {
    /// Grows whenever there is another name.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes in the names of approvals, once.
    pub(super) fn prepare(&mut self, policy: &Policy) {
        if !std::mem::replace(&mut self.has_approvals, true) {
            for approval in policy.approvals.all() {
                self.add(&approval.name, None);
            }
        }
    }

    /// Takes in what an approved server calls itself.
    pub(super) fn learn(&mut self, server: &Server) {
        for software in &server.software {
            self.add(&software.name, Some(&server.key.host));
        }
    }

    fn add(&mut self, name: &str, host: Option<&str>) {
        let folded = fold(name);
        let is_short = folded.chars().count() < SHORTEST_SAME;
        if is_short || self.approved.len() >= MAX_NAMES || self.approved.contains_key(&folded) {
            return;
        }
        let (skeleton, host) = (skeleton(&folded), host.map(str::to_owned));
        self.approved.insert(folded, Approved { name: name.to_owned(), skeleton, host });
        self.generation += 1;
    }

    /// The approved name that a server goes by which is not approved. Other paths and ports of a
    /// host that is approved are nothing of the kind.
    pub(super) fn find(&self, policy: &Policy, server: &Server) -> Option<(String, Likeness)> {
        let host = &server.key.host;
        if !server.is_mcp() || policy.approvals.names_host(host, None) {
            return None;
        }
        let elsewhere = |approved: &&Approved| approved.host.as_ref() != Some(host);
        let folded: Vec<String> = server.software.iter().map(|own| fold(&own.name)).collect();
        let same = folded.iter().find_map(|own| self.approved.get(own).filter(elsewhere));
        if let Some(same) = same {
            return Some((same.name.clone(), Likeness::Same));
        }
        let near = folded.iter().find_map(|own| self.near(own, &elsewhere))?;
        Some((near.name.clone(), Likeness::Near))
    }

    fn near(&self, own: &str, elsewhere: &dyn Fn(&&Approved) -> bool) -> Option<&Approved> {
        let length = own.chars().count();
        if length < SHORTEST_NEAR {
            return None;
        }
        let own_skeleton = skeleton(own);
        let looks_alike = |approved: &Approved, folded: &str| {
            let other = folded.chars().count();
            other >= SHORTEST_NEAR
                && other.abs_diff(length) <= 1
                && (approved.skeleton == own_skeleton || is_near(folded, own))
                && !differs_in_numbers(folded, own)
        };
        let mut alike = self.approved.iter().filter(|(folded, one)| looks_alike(one, folded));
        alike.find_map(|(_, approved)| Some(approved).filter(elsewhere))
    }
}

/// A name without what people write differently without meaning anything by it.
fn fold(name: &str) -> String {
    let plain = |c: char| if matches!(c, ' ' | '_' | '.') { '-' } else { c };
    name.trim().chars().flat_map(char::to_lowercase).map(plain).collect()
}

/// `weather-1` and `weather-2` are two of a row, and neither wants to be taken for the other.
fn differs_in_numbers(a: &str, b: &str) -> bool {
    let words = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let has_digits = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    has_digits(a) && has_digits(b) && words(a) == words(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(names: &[&str]) -> Lookalikes {
        let mut lookalikes = Lookalikes::default();
        names.iter().for_each(|name| lookalikes.add(name, None));
        lookalikes
    }

    #[test]
    fn names_are_near_when_they_look_alike() {
        let lookalikes = known(&["GitHub MCP", "weather-1", "jira", "tracker"]);
        for (own, want) in [
            ("githup-mcp", Some("GitHub MCP")),
            ("githubmcp", Some("GitHub MCP")),
            ("tracker2", None),
            ("weather-2", None),
            ("jirra", None),
            ("trackers-of", None),
            ("tra", None),
        ] {
            let found = lookalikes.near(&fold(own), &|_| true);
            assert_eq!(found.map(|approved| approved.name.as_str()), want, "{own}");
        }
    }

    #[test]
    fn short_and_known_names_are_not_taken_in_again() {
        let lookalikes = known(&["ab", "abc", "A.B C", "a b_c", "abc"]);
        assert_eq!(lookalikes.approved.keys().collect::<Vec<_>>(), ["a-b-c", "abc"]);
        assert_eq!(lookalikes.generation(), 2);
    }

    #[test]
    fn names_past_the_bound_are_left_out() {
        let mut lookalikes = Lookalikes::default();
        (0..=MAX_NAMES).for_each(|number| lookalikes.add(&format!("name-{number}"), None));
        assert_eq!(lookalikes.approved.len(), MAX_NAMES);
    }
}
