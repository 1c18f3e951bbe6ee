//! What is kept of one client of a server.

use std::collections::{BTreeMap, BTreeSet};

use super::Limits;
use super::server::{add_counts, count, insert_within};
use crate::flow::At;
use crate::observation::{Message, RequestInfo, Software};

/// One client of a server.
#[derive(Clone, Debug)]
pub struct Client {
    /// Names that it gave of itself.
    pub software: BTreeSet<Software>,
    /// `User-Agent` values.
    pub user_agents: BTreeSet<String>,
    /// Kinds of credentials seen: `bearer`, `cookie`, `x-api-key`, `query:access_token`.
    pub auth: BTreeSet<String>,
    /// First seen.
    pub first: At,
    /// Last seen.
    pub last: At,
    /// JSON-RPC messages, both directions.
    pub messages: u64,
    /// HTTP exchanges.
    pub exchanges: u64,
    /// Tools that it called.
    pub tools_called: BTreeMap<String, u64>,
    /// A `tools/list` or `tools/call` without any credential was answered with a result.
    pub unauthenticated_result: bool,
    /// The server took part: it did not only refuse this client.
    pub accepted: bool,
    /// How it asked the server to start a program, if it did.
    pub program_starts: BTreeSet<ProgramStart>,
    /// Something that rules can ask about is known since the contact was last reported.
    pub(super) has_news: bool,
    /// The first method that it called without a handshake (MCP 2026-07-28).
    pub(super) first_call: Option<String>,
}

impl Client {
    pub(super) fn new(at: At) -> Self {
        Self {
            software: BTreeSet::new(),
            user_agents: BTreeSet::new(),
            auth: BTreeSet::new(),
            first: at,
            last: at,
            messages: 0,
            exchanges: 0,
            tools_called: BTreeMap::new(),
            unauthenticated_result: false,
            accepted: false,
            program_starts: BTreeSet::new(),
            has_news: false,
            first_call: None,
        }
    }

    /// Takes in an exchange that begins.
    pub(super) fn enter(&mut self, request: &RequestInfo, limits: &Limits) {
        let max = limits.max_digests_per_definition;
        self.exchanges += 1;
        for kind in auth_kinds(request) {
            self.has_news |= insert_within(&mut self.auth, kind, max);
        }
        for start in ProgramStart::of(request) {
            self.has_news |= self.program_starts.insert(start);
        }
        if let Some(agent) = &request.user_agent
            && !self.user_agents.contains(agent)
        {
            insert_within(&mut self.user_agents, agent.clone(), max);
        }
    }

    /// Takes in a message of either direction. Answers with the names dropped.
    pub(super) fn tally(&mut self, message: &Message, limits: &Limits) -> u64 {
        let mut dropped = 0;
        self.messages += 1;
        if let Some(software) = &message.client
            && !self.software.contains(software)
        {
            self.introduce(software, limits.max_digests_per_definition);
        }
        if let (Some("tools/call"), Some(name)) = (message.method.as_deref(), &message.name) {
            let known = self.tools_called.len();
            count(&mut self.tools_called, &mut dropped, name, limits);
            self.has_news |= self.tools_called.len() > known;
        }
        dropped
    }

    /// The bridge mcp-remote adds itself to the name of the client that it stands for, and probes
    /// a server under a name of its own before.
    fn introduce(&mut self, software: &Software, max: usize) {
        let bridge = |version: &str| Software { name: BRIDGE.into(), version: version.into() };
        if software.name == BRIDGE_PROBE {
            if !self.software.iter().any(|known| known.name == BRIDGE) {
                insert_within(&mut self.software, bridge(""), max);
            }
            return;
        }
        let via = software.name.strip_suffix(')').and_then(|name| name.rsplit_once(BRIDGE_MARK));
        let Some((name, version)) = via else {
            insert_within(&mut self.software, software.clone(), max);
            return;
        };
        self.software.remove(&bridge(""));
        insert_within(&mut self.software, bridge(version.trim()), max);
        let own = Software { name: name.to_owned(), version: software.version.clone() };
        insert_within(&mut self.software, own, max);
    }

    pub(super) fn absorb(&mut self, other: Self, limits: &Limits) -> u64 {
        let max = limits.max_digests_per_definition;
        let mut dropped = 0;
        for software in other.software {
            insert_within(&mut self.software, software, max);
        }
        for agent in other.user_agents {
            insert_within(&mut self.user_agents, agent, max);
        }
        for kind in other.auth {
            insert_within(&mut self.auth, kind, max);
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.messages += other.messages;
        self.exchanges += other.exchanges;
        add_counts(&mut self.tools_called, other.tools_called, &mut dropped, limits);
        self.unauthenticated_result |= other.unauthenticated_result;
        self.accepted |= other.accepted;
        self.program_starts.extend(other.program_starts);
        self.has_news = true;
        self.first_call = self.first_call.take().or(other.first_call);
        dropped
    }

    pub(super) fn weight(&self) -> usize {
        4 + self.tools_called.len()
    }
}

/// How a client asks the proxy of MCP Inspector to start a program: a query with
/// `transportType=stdio` and a `command`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProgramStart {
    /// With the credential that the proxy has since 0.14.1.
    Guarded,
    /// Without it.
    Open,
    /// Without it, from a page of another host.
    CrossOrigin,
}

impl ProgramStart {
    /// The name that rules use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Open => "open",
            Self::CrossOrigin => "cross_origin",
        }
    }

    fn of(request: &RequestInfo) -> impl Iterator<Item = Self> {
        let asks = request.transport_type.as_deref() == Some("stdio") && request.has_command;
        let is_guarded = request.headers.iter().any(|field| field.name == "x-mcp-proxy-auth")
            || request.query_keys.iter().any(|key| key == "mcp_proxy_auth_token");
        let first = if is_guarded { Self::Guarded } else { Self::Open };
        let second = (!is_guarded && request.cross_origin).then_some(Self::CrossOrigin);
        asks.then_some(first).into_iter().chain(second.filter(|_| asks))
    }
}

const BRIDGE: &str = "mcp-remote";
const BRIDGE_PROBE: &str = "mcp-remote-fallback-test";
const BRIDGE_MARK: &str = " (via mcp-remote";

fn auth_kinds(request: &RequestInfo) -> impl Iterator<Item = String> {
    let auth = &request.auth;
    let cookie = auth.cookie.then(|| "cookie".to_owned());
    let query = auth.in_query.iter().map(|key| format!("query:{key}"));
    auth.scheme.clone().into_iter().chain(auth.api_key_header.clone()).chain(cookie).chain(query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_bridge_is_told_from_the_client_it_stands_for() {
        let at = At { packet: 0, time: Timestamp::EPOCH };
        for (given, want) in [
            (&[("cursor", "1")][..], &[("cursor", "1")][..]),
            (&[(BRIDGE_PROBE, "0.0.0")], &[(BRIDGE, "")]),
            (
                &[(BRIDGE_PROBE, "0.0.0"), ("Cursor (via mcp-remote 0.15.1)", "2")],
                &[("Cursor", "2"), (BRIDGE, "0.15.1")],
            ),
            (
                &[("x (via mcp-remote 0.1)", ""), (BRIDGE_PROBE, "0.0.0")],
                &[(BRIDGE, "0.1"), ("x", "")],
            ),
            (&[("x (via mcp-remote", "")], &[("x (via mcp-remote", "")]),
            (&[("(via mcp-remote 1)", "")], &[("(via mcp-remote 1)", "")]),
        ] {
            let mut client = Client::new(at);
            for (name, version) in given {
                let software = Software { name: (*name).into(), version: (*version).into() };
                client.introduce(&software, 16);
            }
            let found = client.software.iter().map(|s| (s.name.as_str(), s.version.as_str()));
            assert_eq!(found.collect::<Vec<_>>(), want);
        }
    }
}
