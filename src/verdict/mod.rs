//! Verdicts: what the approvals say of a client's use of a server. Sans-IO: the caller loads the
//! file.
//!
//! `approvals.yaml` → [`Approvals::parse`] → [`Approvals::judge`] a [`Use`] → [`Judgement`].
//! [`draft()`] writes a first file from what was seen, [`approvals_schema`] describes it to editors.

mod approvals;
mod document;
mod draft;
mod host;
mod judge;
mod merge;
mod pattern;
mod portal;
mod problem;
mod read;
mod schema;
mod yaml;

pub use approvals::{
    Approval, Approvals, Approved, NO_OWNER, Pin, Tools, Via, WARN_DAYS, Warning, WarningKind,
};
pub use draft::{DraftServer, Terms, draft, draft_entry, draft_expiry};
pub use host::HostUse;
pub use judge::{Judgement, Use};
pub use merge::{Known, Merged, merge};
pub use pattern::{BadPattern, Glob, KeyParts, KeyPattern};
pub use portal::{PortalDraft, PortalServer, portal_approvals};
pub use problem::{Position, Problem};
pub use read::{MAX_FILE_BYTES, MAX_PROBLEMS, SCHEMA};
pub use schema::approvals_schema;
pub use yaml::quoted;

use serde::{Deserialize, Serialize};

/// The verdict on one client's use of one server.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Approved, and used as approved.
    Approved,
    /// Only hints: nothing can be said.
    Undetermined,
    /// Approved, but a tool was called that the approval does not allow.
    ToolNotAllowed,
    /// Approved, but not for this client.
    ClientNotAllowed,
    /// The approval has expired.
    Expired,
    /// Approved through the portal, but reached around it.
    PortalBypass,
    /// Nobody approved it: a shadow server.
    Unapproved,
}

/// Fuzzes the reader of approvals, the patterns and the draft: any input is refused or read, what
/// is read can be judged by, and every draft can be read.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    use crate::exchange::Scheme;
    use crate::mcp::Evidence;
    use crate::time::Timestamp;
    let text = String::from_utf8_lossy(data);
    let address = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let (host, path) = text.split_once('/').unwrap_or((&text, ""));
    if let Ok(approvals) = Approvals::parse(&text, "fuzz") {
        let usage = Use {
            key: KeyParts { scheme: Scheme::Https, host, port: 443, path },
            server: address,
            client: address,
            tools: text.split('\n'),
            at: Timestamp::EPOCH,
            evidence: Evidence::Parsed,
        };
        _ = approvals.judge(usage);
        _ = approvals.warnings(Timestamp::EPOCH);
    }
    if let Ok(pattern) = KeyPattern::parse(&text) {
        assert_eq!(KeyPattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));
    }
    let seen = DraftServer {
        key: text.lines().next().unwrap_or_default().to_owned(),
        name: text.lines().nth(1).map(str::to_owned),
        evidence: Evidence::Parsed,
        addresses: vec![address],
        clients: vec![address],
        tools: text.lines().skip(2).map(str::to_owned).collect(),
        first_seen: Timestamp::EPOCH,
        last_seen: Timestamp::EPOCH,
    };
    assert!(Approvals::parse(&draft(&[seen]), "draft").is_ok(), "a draft must parse");
}
