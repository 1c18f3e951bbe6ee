//! The verdict on one client's use of one server.

use std::net::IpAddr;

use super::Verdict;
use super::approvals::{Approval, Approvals, Via, any_contains};
use super::pattern::{KeyParts, normal_host};
use crate::mcp::Evidence;
use crate::time::Timestamp;

/// One client's use of one server. `T` yields the names of the tools that it called.
#[derive(Clone, Debug)]
pub struct Use<'a, T> {
    /// The server's key.
    pub key: KeyParts<'a>,
    /// Address that answered (an explicit proxy's, behind one).
    pub server: IpAddr,
    /// Address of the client.
    pub client: IpAddr,
    /// Tools that this client called here.
    pub tools: T,
    /// When, by the capture's clock.
    pub at: Timestamp,
    /// Best evidence that the server speaks MCP.
    pub evidence: Evidence,
}

/// A verdict and its ground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// The verdict.
    pub verdict: Verdict,
    /// The approval that decided, also when it no longer holds.
    pub approval: Option<&'a Approval>,
    /// One sentence for people.
    pub reason: String,
}

impl Approvals {
    /// Judges a use. The first of these that holds: evidence below
    /// [`Parsed`](Evidence::Parsed) is `Undetermined`; no approval, or nothing but drafts that
    /// nobody has taken on, is `Unapproved`; an approval
    /// past its last day (UTC, by the capture's clock) is `Expired`; reached around the portal is
    /// `PortalBypass`; a client outside `clients` (portals excepted) is `ClientNotAllowed`; a tool
    /// that is denied or not allowed is `ToolNotAllowed`; else `Approved`.
    ///
    /// Of several approvals for one key the most specific decides, so a narrow approval that has
    /// expired is not saved by a broad one. A draft decides only when there is nothing else.
    pub fn judge<'t, T>(&self, usage: Use<'_, T>) -> Judgement<'_>
    where
        T: IntoIterator<Item = &'t str>,
    {
        let Use { key, server, client, tools, at, evidence } = usage;
        let host = normal_host(key.host);
        let covering = self.covering(key.scheme, &host, key.port, key.path);
        let mut at_its_address =
            covering.iter().copied().filter(|a| self.at_its_address(a, server));
        let owned = at_its_address.clone().find(|approval| self.counts(approval));
        let approval = owned.or_else(|| at_its_address.next());
        let judgement = |verdict, reason| Judgement { verdict, approval, reason };
        if evidence < Evidence::Parsed {
            let reason = "only hints of MCP, nothing that proves it".to_owned();
            return judgement(Verdict::Undetermined, reason);
        }
        let Some(approval) = approval else {
            let reason = covering.first().map_or_else(
                || "no approval covers this server".to_owned(),
                |other| {
                    let name = &other.name;
                    format!("named like {name}, but {server} is not one of its addresses")
                },
            );
            return judgement(Verdict::Unapproved, reason);
        };
        let (verdict, reason) = self.under(approval, client, tools, at);
        judgement(verdict, reason)
    }

    /// The verdict under an approval.
    pub(super) fn under<'t, T>(
        &self,
        approval: &Approval,
        client: IpAddr,
        tools: T,
        at: Timestamp,
    ) -> (Verdict, String)
    where
        T: IntoIterator<Item = &'t str>,
    {
        let Approval { name, owner, expires, via, clients, .. } = approval;
        if !self.counts(approval) {
            return (Verdict::Unapproved, format!("approval {name} is a draft without owner"));
        }
        if at >= approval.ends() {
            return (Verdict::Expired, format!("approval {name} ended on {expires}"));
        }
        let portal = any_contains(&self.portals, client);
        if *via == Via::Portal && !portal {
            return (
                Verdict::PortalBypass,
                format!("{name} is approved through the portal only, and {client} is no portal"),
            );
        }
        if !portal && !clients.is_empty() && !any_contains(clients, client) {
            return (
                Verdict::ClientNotAllowed,
                format!("{client} is not among the clients of approval {name}"),
            );
        }
        let refused = tools.into_iter().find_map(|t| Some((t, approval.tools.refusal(t)?)));
        if let Some((tool, why)) = refused {
            return (Verdict::ToolNotAllowed, format!("tool {tool} is {why} ({name})"));
        }
        (Verdict::Approved, format!("approved as {name} until {expires}, owner {owner}"))
    }

    /// Whether the server that answered is the one that was approved: at one of its addresses, or
    /// reached through one of our proxies.
    pub(super) fn at_its_address(&self, approval: &Approval, server: IpAddr) -> bool {
        approval.addresses.is_empty()
            || any_contains(&approval.addresses, server)
            || any_contains(&self.proxies, server)
    }
}

#[cfg(test)]
mod tests;
