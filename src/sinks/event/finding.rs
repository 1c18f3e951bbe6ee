//! The event of a finding.

use std::net::IpAddr;

use serde::Serialize;

use super::{Address, Packet, ServerKey};
use crate::decode::TunnelLayer;
use crate::exchange::Visibility;
use crate::finding::{Finding, FlowTuple, Matched, News, PacketRef, community_id, silence};
use crate::mcp::Evidence;
use crate::rules::{Lane, Severity, Status};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// A finding, after ECS: `event.kind` is `alert`.
#[derive(Clone, Debug, Serialize)]
pub struct FindingEvent {
    /// Time of the first hit.
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    /// Best evidence that the server speaks MCP.
    pub evidence: Evidence,
    /// ECS `event`.
    pub event: FindingDetails,
    /// The rule.
    pub rule: RuleRef,
    /// What happened.
    pub message: String,
    /// Verdict on the use.
    pub verdict: Verdict,
    /// What the source shows.
    pub visibility: Visibility,
    /// The ground of the verdict.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The approval that decided, also when it no longer holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Named>,
    /// The client.
    pub source: Address,
    /// ECS `user`: who was at the client, where the source tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The client's machine, where the source tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Named>,
    /// Who told of it: `packets`, or formats of logs.
    pub sources: Vec<String>,
    /// What client and server say that they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub software: Vec<String>,
    /// The server.
    pub destination: Address,
    /// The server's key.
    pub server: ServerKey,
    /// Name of the first flow.
    pub network: Network,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub todo: Vec<String>,
    /// Where to read more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<String>,
    /// Masked excerpts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<Excerpt>,
    /// What text matched, and in which view; masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<MatchedText>,
    /// What to write so that it is not told again: YAML, an item of an exceptions file or of
    /// `servers` of an approvals file.
    pub silence: String,
    /// Where to look.
    pub packets: Vec<Packet>,
    /// The flows.
    pub flows: Vec<FlowRef>,
    /// VLANs and tunnels around the first flow, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tunnels: Vec<TunnelRef>,
}

/// ECS `event` of a finding.
#[derive(Clone, Debug, Serialize)]
pub struct FindingDetails {
    /// Always `alert`.
    pub kind: &'static str,
    /// Id of the finding.
    pub id: String,
    /// 1 (info) to 5 (critical).
    pub severity: u8,
    /// The same in a word.
    pub severity_name: Severity,
    /// Number of hits.
    pub count: u64,
    /// First hit.
    pub start: Timestamp,
    /// Last hit.
    pub end: Timestamp,
    /// Why a live run tells it now: `began`, `rose` (it got worse) or `closed` (it will not change
    /// any more). The last line of an id counts. A replay tells each finding once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<News>,
}

/// ECS `rule`.
#[derive(Clone, Debug, Serialize)]
pub struct RuleRef {
    /// Id.
    pub id: String,
    /// Title.
    pub name: String,
    /// Revision.
    pub version: String,
    /// Maturity.
    pub status: Status,
    /// Lane.
    pub lane: Lane,
    /// 0 to 100.
    pub confidence: u8,
}

/// ECS `network`.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// `tcp`, or `udp` for QUIC and DNS.
    pub transport: &'static str,
    /// Community ID v1 of the first flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community_id: Option<String>,
}

/// Something that has a name.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// ECS `user`.
#[derive(Clone, Debug, Serialize)]
pub struct User {
    /// The name.
    pub name: String,
    /// Groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// A text that made the rule match.
#[derive(Clone, Debug, Serialize)]
pub struct MatchedText {
    /// Field in which it stands.
    pub field: String,
    /// `raw`, or the decoded view in which it was found.
    pub view: String,
    /// The text, masked.
    pub text: String,
}

/// A name and a masked value.
#[derive(Clone, Debug, Serialize)]
pub struct Excerpt {
    /// What it is.
    pub name: String,
    /// Its value, masked.
    pub value: String,
}

/// A five-tuple and its name.
#[derive(Clone, Debug, Serialize)]
pub struct FlowRef {
    /// Client.
    pub source: Address,
    /// Server.
    pub destination: Address,
    /// Community ID v1; absent where the source does not have both ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community_id: Option<String>,
}

/// A VLAN or tunnel around a flow. The flow's own addresses are those inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TunnelRef {
    /// Its kind: `vlan`, `vxlan`, `gre` and so on.
    pub kind: &'static str,
    /// Its number: VLAN, VNI, key, session. Where each direction has its own, the one seen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Source of the packet around it, as seen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer_src: Option<IpAddr>,
    /// Destination of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer_dst: Option<IpAddr>,
}

impl From<&TunnelLayer> for TunnelRef {
    fn from(layer: &TunnelLayer) -> Self {
        let (outer_src, outer_dst) = layer.outer.unzip();
        Self { kind: layer.kind.name(), id: layer.id, outer_src, outer_dst }
    }
}

impl FindingEvent {
    /// The event of a finding in a live run.
    #[must_use]
    pub fn live(finding: &Finding, news: News) -> Self {
        let mut event = Self::from(finding);
        event.event.state = Some(news);
        event
    }
}

impl From<&FlowTuple> for FlowRef {
    fn from(flow: &FlowTuple) -> Self {
        Self {
            source: flow.client.into(),
            destination: flow.server.into(),
            community_id: flow.is_whole().then(|| community_id(flow)),
        }
    }
}

impl From<&Matched> for MatchedText {
    fn from(matched: &Matched) -> Self {
        let Matched { field, view, text } = matched.clone();
        Self { field, view: view.to_owned(), text }
    }
}

impl From<&PacketRef> for Packet {
    fn from(packet: &PacketRef) -> Self {
        Self { file: packet.file.to_string(), number: packet.number }
    }
}

/// 1 for info to 5 for critical.
const fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// IP protocol number.
const UDP: u8 = 17;

impl From<&Finding> for FindingEvent {
    fn from(finding: &Finding) -> Self {
        let flows: Vec<FlowRef> = finding.flows.iter().map(FlowRef::from).collect();
        let (rule, first) = (&finding.rule, finding.flows.first());
        let excerpt =
            |(name, value): &(String, String)| Excerpt { name: name.clone(), value: value.clone() };
        Self {
            timestamp: finding.first_seen,
            evidence: finding.evidence,
            event: FindingDetails {
                kind: "alert",
                id: finding.id.clone(),
                severity: severity_number(finding.severity),
                severity_name: finding.severity,
                count: finding.count,
                start: finding.first_seen,
                end: finding.last_seen,
                state: None,
            },
            rule: RuleRef {
                id: rule.id.clone(),
                name: rule.title.clone(),
                version: rule.rev.to_string(),
                status: rule.status,
                lane: rule.lane,
                confidence: rule.confidence,
            },
            message: finding.text.clone(),
            verdict: finding.verdict,
            reason: finding.reason.clone(),
            approval: finding.approval.clone().map(|name| Named { name }),
            visibility: finding.visibility,
            source: Address {
                ip: Some(finding.client).filter(|ip| !ip.is_unspecified()),
                // Of a proxy's own leg the flow's client is the proxy.
                port: first
                    .filter(|flow| flow.client.ip == finding.client)
                    .map(|flow| flow.client.port)
                    .filter(|port| *port > 0),
            },
            user: finding.user.clone().map(|name| User { name, groups: finding.groups.clone() }),
            device: finding.device.clone().map(|name| Named { name }),
            sources: finding.sources.iter().map(ToString::to_string).collect(),
            software: finding.software.clone(),
            destination: finding.server.into(),
            server: ServerKey { key: finding.server_key.clone() },
            network: Network {
                transport: if first.is_some_and(|flow| flow.protocol == UDP) {
                    "udp"
                } else {
                    "tcp"
                },
                community_id: flows.first().and_then(|flow| flow.community_id.clone()),
            },
            why: rule.why.clone(),
            todo: rule.todo.clone(),
            refs: rule.refs.clone(),
            excerpt: finding.excerpt.iter().map(excerpt).collect(),
            matched: finding.matched.iter().map(MatchedText::from).collect(),
            silence: silence(finding),
            packets: finding.packets.iter().map(Packet::from).collect(),
            flows,
            tunnels: finding.tunnels.0.iter().map(TunnelRef::from).collect(),
        }
    }
}
