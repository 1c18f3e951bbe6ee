//! Who calls, and the keys of all that is kept for somebody.
//!
//! Nothing that belongs to a person may be found under a key that does not name the person:
//! sessions, tokens, pools, caches and streams are keyed by [`Owner`] or [`Scope`], and by nothing
//! that leaves the owner out.

use std::fmt;
use std::sync::Arc;

use crate::time::Timestamp;

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// An access token of an authorization server (RFC 6750, RFC 9068).
    Token,
    /// A service token of the configuration.
    Service,
    /// A client certificate (RFC 8446 section 4.4.2).
    Certificate,
    /// A signed header of a proxy in front.
    Assertion,
    /// No proof is asked for: `identity: {anonymous: true}`, on loopback only unless said otherwise.
    Nobody,
}

impl Proof {
    /// As in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Service => "service",
            Self::Certificate => "certificate",
            Self::Assertion => "assertion",
            Self::Nobody => "nobody",
        }
    }
}

/// A secret that prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// For the header or form that it is meant for, and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Somebody, and the client software that acts for them. The key of what belongs to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// Who says so: `iss` of a token, or the name of the portal's own list.
    pub issuer: Arc<str>,
    /// `sub` of a token, name of a service token, or subject of a certificate.
    pub subject: Arc<str>,
    /// OAuth client id (`client_id` or `azp`); empty where none is known.
    pub client: Arc<str>,
}

/// What belongs to somebody at one upstream. The key of pools, upstream tokens and caches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Whose it is.
    pub owner: Owner,
    /// Id of the server in the configuration.
    pub server: Arc<str>,
    /// Canonical URI of the upstream (RFC 8707), or the command line of a child.
    pub resource: Arc<str>,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The key of what is theirs.
    pub owner: Owner,
    /// For people: an address or name that the issuer vouches for.
    pub name: Option<Arc<str>>,
    /// Groups that the issuer, or the configuration, says they are in; sorted.
    pub groups: Arc<[Arc<str>]>,
    /// Scopes of the token.
    pub scopes: Arc<[Arc<str>]>,
    /// How they proved it.
    pub proof: Proof,
    /// Until when that holds.
    pub expires: Option<Timestamp>,
    /// The token that they showed, to be exchanged (RFC 8693), never to be sent on.
    pub shown: Option<Secret>,
}

impl Principal {
    /// The key of what is theirs at a server.
    #[must_use]
    pub fn at(&self, server: &Arc<str>, resource: &Arc<str>) -> Scope {
        Scope {
            owner: self.owner.clone(),
            server: Arc::clone(server),
            resource: Arc::clone(resource),
        }
    }

    /// Whether they are in a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| &**own == group)
    }
}
