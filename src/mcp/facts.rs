//! What a contact is known by beyond its own exchanges.

use super::inventory::ProgramStart;

/// How a name that a server gives of itself is like that of an approved one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// The same, but for case and spaces.
    Same,
    /// It looks the same, or one character makes the difference.
    Near,
}

impl Likeness {
    /// The name that rules use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Near => "near",
        }
    }
}

/// What other exchanges of a server, other servers and the approvals add to a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Client addresses that got a result from the server without any credential.
    pub unauthenticated_clients: usize,
    /// Least estimated randomness of the session ids that the server handed out, in bits.
    pub session_bits: Option<u32>,
    /// Most client addresses that used one session of the server.
    pub session_clients: usize,
    /// Keys of unrelated MCP servers that got a credential which this one got too.
    pub token_shared_with: Vec<String>,
    /// What the server says it is: `name/version`, or the name alone.
    pub software: Vec<String>,
    /// What the client says it is, in the same form.
    pub client_software: Vec<String>,
    /// `User-Agent` values of the client.
    pub user_agents: Vec<String>,
    /// Ports of the server's address on which the same software answers.
    pub same_software_ports: usize,
    /// Name of the approved server whose name this one, which is not approved, goes by.
    pub impersonates: Option<String>,
    /// How like the two names are.
    pub likeness: Option<Likeness>,
    /// Name of the approval that decided on the contact, also when it does not hold.
    pub approval: Option<String>,
    /// Owner that the approval names.
    pub owner: Option<String>,
    /// It is the first exchange that the client had with the server in this run.
    pub is_first: bool,
    /// How the client asked the server to start a program.
    pub program_starts: Vec<ProgramStart>,
    /// Advisories that the server's software falls under, by id.
    pub advisories: Vec<String>,
    /// The highest severity among them: `low` to `critical`.
    pub advisory_severity: Option<&'static str>,
    /// Advisories that the client's software falls under, by id.
    pub client_advisories: Vec<String>,
    /// The highest severity among them.
    pub client_advisory_severity: Option<&'static str>,
}
