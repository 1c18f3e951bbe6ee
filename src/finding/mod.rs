//! Rule matches and verdicts into findings: identity, windows, masking. Sans-IO.
//!
//! Every hit of a rule is a [`Draft`]; [`Findings`] rolls the hits that are the same into one
//! [`Finding`].
//!
//! Two hits are the same when rule, server key, client and what the rule groups by are the same.
//! The first one begins a finding and opens its window, an hour unless the rule says otherwise
//! (`group: {for: ...}`). The window does not slide: a hit inside it raises the count and, if it is
//! worse, the severity; the first one after it begins a new finding. So 10,000 repeats in an hour
//! are one finding with a count of 10,000, and something that goes on for a day is told once an
//! hour. What is not counted is not lost either: at [`Limits::max_findings`] the hits that would
//! begin another finding are counted as dropped, and the report says so.
//!
//! - [`learn`] collects the findings of the first days for one review.
//! - [`ruling`] is what people said of findings, and how often each rule was right.
//! - [`severity`] is how the circumstances of a hit change its severity.
//! - [`silence()`] writes what it takes not to be told again.

mod collector;
mod community_id;
pub mod learn;
mod masking;
pub mod ruling;
pub mod severity;
mod silence;

pub use collector::{Draft, Findings, Hit, Limits, News, PACKETS, Recorded};
pub use community_id::community_id;
pub use masking::{MASK, MAX_OUTPUT_CHARS, mask, mask_value};
pub use silence::{exception, silence};

/// In a [`Finding`] the texts are masked.
pub use crate::rules::Matched;

use std::net::IpAddr;
use std::sync::Arc;

use crate::decode::TunnelPath;
use crate::exchange::Visibility;
use crate::mcp::Evidence;
use crate::net::{Endpoint, Scope};
use crate::rules::{RuleInfo, Severity};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// A five-tuple whose client and server are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowTuple {
    /// Client.
    pub client: Endpoint,
    /// Server.
    pub server: Endpoint,
    /// IP protocol number; 6 for TCP.
    pub protocol: u8,
}

impl FlowTuple {
    /// Both ends are known, with their ports: a log need not have them.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.client.port > 0
            && self.server.port > 0
            && !self.client.ip.is_unspecified()
            && !self.server.ip.is_unspecified()
    }
}

/// A packet as Wireshark names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketRef {
    /// The capture file.
    pub file: Arc<str>,
    /// Number in the file, from 1: `frame.number`.
    pub number: u64,
}

/// From the index of a packet over the whole run to its file and number, and from a scope to what
/// it stands for.
pub trait PacketNames {
    /// The name of a packet; `None` when it came from no file.
    fn name(&self, packet: u64) -> Option<PacketRef>;

    /// The VLANs and tunnels of a scope; `None` when there are none, or they are not known.
    fn path(&self, scope: Scope) -> Option<&TunnelPath> {
        let _ = scope;
        None
    }
}

/// What somebody should look at: all hits of one rule on one server by one client within one
/// window. Text is masked; it may still hold control characters, which each output escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// 32 hex digits: the same capture gives the same ids.
    pub id: String,
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// Highest severity of the hits.
    pub severity: Severity,
    /// Best evidence of the hits.
    pub evidence: Evidence,
    /// Verdict of the hits with the best evidence; the worst of those.
    pub verdict: Verdict,
    /// Key of the server.
    pub server_key: String,
    /// Server of the first hit.
    pub server: Endpoint,
    /// The client; of a finding about a server, whoever uses it, the first.
    pub client: IpAddr,
    /// It is about the server: clients do not tell findings apart.
    pub per_server: bool,
    /// Who was at the client, where the source tells: no packet does.
    pub user: Option<String>,
    /// The client's machine, where the source tells.
    pub device: Option<String>,
    /// Groups of that user.
    pub groups: Vec<String>,
    /// Who told of it: [`PACKETS`], or formats of logs; bounded.
    pub sources: Vec<Arc<str>>,
    /// Name of the approval that decided, also when it no longer holds.
    pub approval: Option<String>,
    /// The ground of the verdict, one sentence; empty where only names were seen.
    pub reason: String,
    /// Names and versions that client and server gave of themselves: `client agent 0.9`.
    pub software: Vec<String>,
    /// What the source showed of the first hit.
    pub visibility: Visibility,
    /// What happened, as the first hit of the highest severity tells it.
    pub text: String,
    /// Excerpts of the first hit: name and masked value.
    pub excerpt: Vec<(String, String)>,
    /// Texts that made the rule match, as the first hit of the highest severity had them.
    pub matched: Vec<Matched>,
    /// What tells it apart from other findings of the rule, beside server and client: field and
    /// masked value.
    pub told_apart: Vec<(String, String)>,
    /// Number of hits.
    pub count: u64,
    /// Time of the first hit.
    pub first_seen: Timestamp,
    /// Time of the last hit.
    pub last_seen: Timestamp,
    /// Index over the whole run of the packet of the first hit.
    pub first_packet: u64,
    /// Distinct five-tuples, in the order seen; bounded.
    pub flows: Vec<FlowTuple>,
    /// Distinct packets, in the order seen; bounded.
    pub packets: Vec<PacketRef>,
    /// VLANs and tunnels around the flow of the first hit.
    pub tunnels: TunnelPath,
}
