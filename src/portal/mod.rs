//! The portal: approved MCP servers behind one endpoint, with identity, policy, inspection and a
//! record of every call. An I/O edge.
//!
//! ```text
//! client ─► front ─► identity ─► hub ─► limits ─► policy ─► guard ─► upstream ─► server
//!             ▲                   │        (list, call)   (DLP, rules)    │
//!             └───────────────────┴── guard ◄─────────────────────────────┘
//!                                 └─► audit ─► sinks
//! ```
//!
//! - [`config`]: the file, checked; each part has its section
//! - [`adapters`]: the parts as the hub wants them, from the sections of the file
//! - [`wire`]: JSON-RPC messages whose parts stay as they came
//! - [`principal`]: who calls, and the only keys that anything kept for somebody may have
//! - [`front`]: HTTP for clients of all revisions, sessions, streams, pages
//! - [`identity`]: tokens, certificates and assertions into principals
//! - [`hub`]: routes, names, catalogues, and the bridge between revisions
//! - [`policy`], [`pins`], [`holds`]: what somebody may list and call, what a server may offer, and what
//!   waits for somebody's approval
//! - [`guard`]: data-loss prevention and the rules of the enforce lane, in both directions
//! - [`limits`]: rates and concurrency
//! - [`upstream`]: servers of all revisions over HTTP, SSE and stdio
//! - [`outbound`]: connections to others, guarded
//! - [`credentials`]: what the portal shows to servers
//! - [`audit`]: one record for each call
//!
//! A call is decided on its parsed body, never on the headers that mirror it (MCP 2026-07-28,
//! Streamable HTTP, "Server Validation"), and by the server's own name for a tool, never by the
//! name that clients see.

pub mod adapters;
pub mod audit;
pub mod config;
pub mod credentials;
pub mod front;
pub mod guard;
pub mod holds;
mod html;
pub mod hub;
pub mod identity;
pub mod limits;
pub mod outbound;
pub mod pins;
pub mod policy;
pub mod principal;
mod radix;
pub mod upstream;
pub mod wire;

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// A future that a trait's method answers with.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Body of an answer; its stream ends early where the upstream did.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// An answer to a client.
pub type Answer = hyper::Response<Body>;
