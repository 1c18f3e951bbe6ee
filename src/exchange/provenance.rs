//! What a source other than packets knows of an exchange beside its events.

use std::sync::Arc;

/// Who told of an exchange that no packet showed, and what it knows of the client. Text is lossy
/// UTF-8, bounded by the reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Kind of the source, as findings name it: `squid`, `zeek-http`, `icap`.
    pub source: Arc<str>,
    /// Who was at the client: a name or a mail address, as the source has it.
    pub user: Option<Box<str>>,
    /// The client's machine.
    pub device: Option<Box<str>>,
    /// Groups of that user.
    pub groups: Vec<Box<str>>,
    /// Community id (version 1) of the flow, with its prefix `1:`.
    pub community_id: Option<Box<str>>,
    /// The request's id, that the parties gave it (`X-Request-Id` and the like).
    pub request_id: Option<Box<str>>,
    /// The source says that the request was not let through.
    pub blocked: bool,
}
