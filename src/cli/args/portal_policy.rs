//! `shadowtap portal policy`, `pins` and `holds` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `shadowtap portal policy`.
#[derive(Debug, Subcommand)]
pub enum PortalPolicy {
    /// Validate rules and Cedar files, and tell of what makes no difference.
    Check {
        /// The portal's file.
        file: PathBuf,
        /// Print the Cedar policies that the rules become.
        #[arg(long)]
        cedar: bool,
    },
    /// Decide test cases, and tell of those that come out otherwise.
    Test {
        /// The portal's file.
        file: PathBuf,
        /// File of cases.
        #[arg(required = true)]
        cases: Vec<PathBuf>,
    },
    /// Say in words who may list and call something, and why.
    Explain(PortalExplain),
    /// Print the schema of the policies, for editors of Cedar files.
    Schema,
}

/// `shadowtap portal policy explain`.
#[derive(Debug, Args)]
pub struct PortalExplain {
    /// The portal's file.
    pub file: PathBuf,
    /// Id of the server.
    #[arg(long, value_name = "ID")]
    pub server: String,
    /// The server's own name of a tool.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["prompt", "resource"],
        conflicts_with_all = ["prompt", "resource"])]
    pub tool: Option<String>,
    /// Name of a prompt.
    #[arg(long, value_name = "NAME", conflicts_with = "resource")]
    pub prompt: Option<String>,
    /// URI of a resource.
    #[arg(long, value_name = "URI")]
    pub resource: Option<String>,
    /// Group that the caller is in; may be given several times.
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Issuer of the caller.
    #[arg(long, value_name = "URL", default_value = "")]
    pub issuer: String,
    /// Subject of the caller.
    #[arg(long, value_name = "ID", default_value = "")]
    pub subject: String,
    /// OAuth client of the caller.
    #[arg(long, value_name = "ID", default_value = "")]
    pub client: String,
    /// Arguments of the call.
    #[arg(long, value_name = "JSON")]
    pub arguments: Option<String>,
    /// The server says `destructiveHint: true` of the tool.
    #[arg(long)]
    pub destructive: bool,
}

/// Where the portal keeps what it remembers.
#[derive(Clone, Debug, Args)]
pub struct PortalState {
    /// State directory of the portal.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
}

/// Which definition.
#[derive(Clone, Debug, Args)]
pub struct PortalDefinition {
    /// Where.
    #[command(flatten)]
    pub state: PortalState,
    /// Id of the server.
    pub server: String,
    /// Its own name of the tool.
    pub name: String,
    /// What it is: tool, prompt, resource or `resource_template`.
    #[arg(long, value_name = "KIND", default_value = "tool",
        value_parser = ["tool", "prompt", "resource", "resource_template"])]
    pub kind: String,
    /// First hex digits of its digest, where several definitions of the name wait.
    #[arg(long, value_name = "HEX")]
    pub digest: Option<String>,
}

/// `shadowtap portal pins`.
#[derive(Debug, Subcommand)]
pub enum PortalPins {
    /// List definitions and their states.
    List {
        /// Where.
        #[command(flatten)]
        state: PortalState,
        /// Only what waits for approval.
        #[arg(long)]
        pending: bool,
    },
    /// Approve a definition that waits.
    Approve(PortalDefinition),
    /// Reject it: it stays refused.
    Reject(PortalDefinition),
    /// Show what changed.
    Diff(PortalDefinition),
}

/// `shadowtap portal holds`.
#[derive(Debug, Subcommand)]
pub enum PortalHolds {
    /// List calls that wait.
    List {
        /// Where.
        #[command(flatten)]
        state: PortalState,
    },
    /// Let a call go on, once.
    Approve(PortalHold),
    /// Refuse it.
    Deny(PortalHold),
}

/// Which call.
#[derive(Clone, Debug, Args)]
pub struct PortalHold {
    /// Where.
    #[command(flatten)]
    pub state: PortalState,
    /// Its id, or the first digits of it.
    pub id: String,
}
