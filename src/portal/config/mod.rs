//! The portal's file: the sections of all parts, read and checked together.

mod check;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::front::{self, TlsFiles};
use super::upstream::config::OverrideSpec;
use super::{audit, credentials, guard, holds, hub, identity, limits, pins, policy, upstream};
use crate::rules::Source;

/// Longest file that is read: 1 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Something that is wrong in the file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `servers[2].id`, or a line and column.
    pub place: String,
    /// What, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// `portal.yaml`. Paths are relative to it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Name of the portal, as clients and people see it (default: "shadowtap portal").
    #[serde(default)]
    pub title: Option<String>,
    /// Where to listen, and how.
    #[serde(default)]
    pub listen: Listen,
    /// Folder for what the portal remembers: pinned definitions, calls that wait for approval
    /// (default: `state`). Replicas share it, or have the same pins in each.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// Sessions of clients.
    #[serde(default)]
    pub sessions: Sessions,
    /// Lists and calls.
    #[serde(default)]
    pub calls: Calls,
    /// Programs that the `command` of a server may begin with, to the letter; none else is run.
    /// Default: those that the servers name.
    #[serde(default)]
    pub programs: Option<Vec<String>>,
    /// Servers behind the portal, in the order of their lists.
    pub servers: Vec<upstream::config::Spec>,
    /// More endpoints: `/mcp/{name}` with some of the servers.
    #[serde(default)]
    pub portals: BTreeMap<String, PortalEntry>,
    /// Who may call, and how they prove who they are.
    #[serde(default)]
    pub identity: identity::config::Section,
    /// What is kept for people whose own accounts the portal uses at servers.
    #[serde(default)]
    pub credentials: credentials::config::Section,
    /// What somebody may list and call.
    #[serde(default)]
    pub policy: policy::Config,
    /// What servers may offer.
    #[serde(default)]
    pub pins: pins::Config,
    /// Calls that wait for somebody's approval.
    #[serde(default)]
    pub holds: holds::Config,
    /// What must not pass.
    #[serde(default)]
    pub guard: guard::config::Spec,
    /// How much, how often, how many at once.
    #[serde(default)]
    pub limits: limits::Spec,
    /// Records of calls.
    #[serde(default)]
    pub audit: audit::Spec,
}

fn state() -> PathBuf {
    "state".into()
}

/// `listen`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Address and port (default: 127.0.0.1:8808).
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Address that clients know the portal by, as `https://mcp.example.com`: its endpoint is `/mcp`
    /// there, and tokens are for that. Needed unless the portal listens on loopback.
    pub public_url: Option<String>,
    /// Origins of web pages that may call the portal, as `https://app.example.com`.
    pub origins: Vec<String>,
    /// Names that the `Host` header may have; empty: any, unless listening on loopback.
    pub hosts: Vec<String>,
    /// HTTPS.
    pub tls: Option<TlsEntry>,
    /// Address and port for `/metrics` and health alone, in the clear; without it metrics are shown
    /// to this machine only.
    #[schemars(with = "Option<String>")]
    pub metrics: Option<SocketAddr>,
    /// Whether clients of 2025-03-26 to 2025-11-25 are served (default: true).
    pub sessions: bool,
    /// Whether clients of 2024-11-05 are served at `/sse` (default: false).
    pub sse: bool,
    /// Connections at a time (default: 4096); more are closed.
    pub max_connections: usize,
    /// Seconds for a request's head (default: 10).
    pub header_seconds: u64,
    /// Seconds for a request's body (default: 30).
    pub body_seconds: u64,
    /// Seconds for calls to finish when the portal stops (default: 30).
    pub drain_seconds: u64,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8808),
            public_url: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            tls: None,
            metrics: None,
            sessions: true,
            sse: false,
            max_connections: 4096,
            header_seconds: 10,
            body_seconds: 30,
            drain_seconds: 30,
        }
    }
}

/// `listen.tls`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsEntry {
    /// PEM file with the certificate and those between it and a root.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// `sessions`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// File with the keys that seal session ids, the same for all replicas: lines `ID:64-HEX-DIGITS`,
    /// the first one seals. Without it, sessions end with the process.
    pub key_file: Option<PathBuf>,
    /// Hours that a session lasts at most (default: 24).
    pub life_hours: u64,
    /// Minutes after which an unused session leaves memory (default: 30).
    pub idle_minutes: u64,
    /// Sessions in memory (default: 100000).
    pub max: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { key_file: None, life_hours: 24, idle_minutes: 30, max: 100_000 }
    }
}

/// `calls`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Seconds that lists of servers are kept (default: 60).
    pub list_seconds: u64,
    /// Seconds after which a server is left out of a list (default: 10).
    pub list_timeout_seconds: u64,
    /// Things on one page of a list (default: 500).
    pub page_items: usize,
    /// Seconds without any word of a server, and a call is given up (default: 120).
    pub idle_seconds: u64,
    /// Seconds that a call takes at most (default: 3600).
    pub total_seconds: u64,
    /// Seconds that a call waits for input of its client (default and most: 600).
    pub input_seconds: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            list_seconds: 60,
            list_timeout_seconds: 10,
            page_items: 500,
            idle_seconds: 120,
            total_seconds: 3600,
            input_seconds: 600,
        }
    }
}

/// One of `portals`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortalEntry {
    /// Ids of its servers.
    pub servers: Vec<String>,
    /// Other names and descriptions at this endpoint: by server, then by own name.
    #[serde(default)]
    pub overrides: BTreeMap<String, BTreeMap<String, OverrideSpec>>,
}

/// The file, checked.
#[derive(Debug)]
pub struct Config {
    /// Address to listen on.
    pub address: SocketAddr,
    /// Address for operators.
    pub metrics: Option<SocketAddr>,
    /// Connections at a time.
    pub max_connections: usize,
    /// For calls to finish when the portal stops.
    pub drain: Duration,
    /// Keys that seal session ids.
    pub session_keys: Option<PathBuf>,
    /// For the hub.
    pub hub: hub::Settings,
    /// Bounds of the hub.
    pub limits: hub::Limits,
    /// For the front.
    pub front: front::Settings,
    /// For its listener.
    pub tls: Option<TlsFiles>,
    /// For the other parts.
    pub sections: Sections,
}

/// Sections of the other parts, checked.
#[derive(Debug)]
pub struct Sections {
    /// Where the portal is for its clients.
    pub place: identity::Place,
    /// Version of the file, for records.
    pub version: String,
    /// Name of the portal.
    pub title: String,
    /// Folder for what is remembered.
    pub state: PathBuf,
    /// Who may call.
    pub identity: identity::config::Checked,
    /// What is kept for people.
    pub credentials: credentials::config::Section,
    /// Servers, and what is shown to them.
    pub servers: Vec<(upstream::config::Server, credentials::config::Kind)>,
    /// All that says how servers are reached, as text: as long as it stays, so do connections.
    pub reached: String,
    /// What somebody may list and call.
    pub policy: policy::Policy,
    /// What servers may offer.
    pub pins: pins::Checked,
    /// Calls that wait.
    pub holds: holds::Checked,
    /// What must not pass.
    pub guard: guard::Checked,
    /// How much and how often.
    pub throttle: limits::Checked,
    /// Records.
    pub audit: audit::Checked,
}

/// Reads the file's text, and the files that it names. `path`: where it stands.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(text: &str, path: &Path) -> Result<Config, Vec<Problem>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_aliases: 256,
            max_anchors: 256,
            max_nodes: 200_000,
            max_events: 400_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        with_snippet: false,
    };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(
            || "the file".to_owned(),
            |at| format!("line {}, column {}", at.line(), at.column()),
        );
        vec![Problem { place, text: error.without_snippet().to_string() }]
    })?;
    let source = Source::new(path.display().to_string(), text);
    check::file(file, &source, path.parent().unwrap_or_else(|| Path::new("")))
}

/// JSON Schema of the file.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(File)
}

#[cfg(test)]
mod tests;
