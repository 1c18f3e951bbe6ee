//! Verdicts: what the approvals say of a client's use of a server. Sans-IO but for loading.

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
