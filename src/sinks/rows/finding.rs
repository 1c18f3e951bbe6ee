//! A row of `findings`.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::Micros;

/// A finding. In a live run a finding is told up to three times; the row with the highest `version` of an id counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clickhouse::Row)]
#[serde(default)]
pub struct FindingRow {
    /// First hit.
    pub ts: Micros,
    /// Last hit.
    pub last_seen: Micros,
    /// Stable id: the same finding of the same traffic has the same id in every run.
    pub finding_id: String,
    /// `hits` times four plus the rank of `state`: grows each time the finding is told.
    pub version: u64,
    /// `began`, `rose`, `closed`; empty of a replay, which tells each finding once.
    pub state: String,
    /// Name of the sensor.
    pub sensor: String,
    /// Rule.
    pub rule_id: String,
    /// Its title.
    pub rule_name: String,
    /// Its revision.
    pub rule_version: String,
    /// Its maturity.
    pub rule_status: String,
    /// `hunt`, `alert`, `enforce`.
    pub lane: String,
    /// 1 (info) to 5 (critical).
    pub severity: u8,
    /// The same in a word.
    pub severity_name: String,
    /// 0 to 100.
    pub confidence: u8,
    /// Number of hits.
    pub hits: u64,
    /// Best evidence that the server speaks MCP.
    pub evidence: String,
    /// What the source shows: `tls`, `log`, `head`, `body`.
    pub visibility: String,
    /// Verdict on the use.
    pub verdict: String,
    /// The ground of the verdict.
    pub reason: String,
    /// The approval that decided; empty when none did.
    pub approval: String,
    /// Client; IPv4 is stored mapped.
    pub client_ip: Ipv6Addr,
    /// Its port; 0 when not known.
    pub client_port: u16,
    /// Server.
    pub server_ip: Ipv6Addr,
    /// Its port.
    pub server_port: u16,
    /// `scheme://host:port/path`.
    pub server_key: String,
    /// Host of the key.
    pub server_host: String,
    /// `tcp`, `udp`.
    pub transport: String,
    /// Community ID v1 of the first flow.
    pub community_id: String,
    /// Who was at the client, where the source tells.
    pub user: String,
    /// What client and server say that they are.
    pub software: Vec<String>,
    /// What happened.
    pub message: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub todo: Vec<String>,
    /// Where to read more.
    pub refs: Vec<String>,
    /// `field@view: text` of what matched, masked.
    pub matched: Vec<String>,
    /// `file:number`, where to look.
    pub packets: Vec<String>,
    /// Community IDs of all flows that are named.
    pub flows: Vec<String>,
    /// The whole event, as the NDJSON line has it; masked, and bounded.
    pub document: String,
    /// The client's machine, where the source tells.
    pub device: String,
    /// Groups of the user, likewise.
    pub groups: Vec<String>,
    /// Who told: `packets`, or formats of logs.
    pub sources: Vec<String>,
}

impl Default for FindingRow {
    fn default() -> Self {
        Self {
            ts: Default::default(),
            last_seen: Default::default(),
            finding_id: Default::default(),
            version: Default::default(),
            state: Default::default(),
            sensor: Default::default(),
            rule_id: Default::default(),
            rule_name: Default::default(),
            rule_version: Default::default(),
            rule_status: Default::default(),
            lane: Default::default(),
            severity: Default::default(),
            severity_name: Default::default(),
            confidence: Default::default(),
            hits: Default::default(),
            evidence: Default::default(),
            visibility: Default::default(),
            verdict: Default::default(),
            reason: Default::default(),
            approval: Default::default(),
            client_ip: Ipv6Addr::UNSPECIFIED,
            client_port: Default::default(),
            server_ip: Ipv6Addr::UNSPECIFIED,
            server_port: Default::default(),
            server_key: Default::default(),
            server_host: Default::default(),
            transport: Default::default(),
            community_id: Default::default(),
            user: Default::default(),
            software: Default::default(),
            message: Default::default(),
            why: Default::default(),
            todo: Default::default(),
            refs: Default::default(),
            matched: Default::default(),
            packets: Default::default(),
            flows: Default::default(),
            document: Default::default(),
            device: Default::default(),
            groups: Default::default(),
            sources: Default::default(),
        }
    }
}
