//! shadowtap finds Shadow MCP: Model Context Protocol servers that AI agents talk to without
//! anyone having approved them.
//!
//! Data flows one way, and the modules are listed in its order:
//!
//! - [`capture`]: files and interfaces into packets
//! - [`decode`]: packets into TCP segments and UDP datagrams, through tunnels
//! - [`flow`]: segments into in-order bytes per flow
//! - [`app`]: bytes into HTTP exchanges, streams of messages, handshakes and names
//! - [`logs`]: lines of proxies' logs into exchanges
//! - [`icap`]: what proxies ask by ICAP into exchanges
//! - [`exchange`]: the seam where packets, logs and the portal meet
//! - [`content`]: body bytes into plain text and server-sent events
//! - [`inspect`]: what a text holds: secrets, personal data, hidden characters, addresses, views
//! - [`mcp`]: exchanges into MCP messages, and messages into an inventory of servers
//! - [`observation`]: what recognition hands on
//! - [`verdict`]: what the approvals say
//! - [`memory`]: what the lists of servers taught, across runs
//! - [`rules`]: observations into matches
//! - [`finding`]: matches and verdicts into findings
//! - [`sinks`]: findings to the outside
//! - [`intake`]: what a live run takes in beside packets
//! - [`portal`]: approved servers behind one endpoint, enforced inline
//!
//! From `decode` to `finding` the code is sans-IO: bytes and time in, events out; no clock, file,
//! socket, thread or async.

#![forbid(unsafe_code)]

pub mod anomaly;
pub mod app;
pub mod capture;
pub mod cli;
pub mod content;
pub mod decode;
pub mod exchange;
pub mod finding;
pub mod flow;
mod fnv;
mod html;
pub mod icap;
pub mod inspect;
pub mod intake;
pub mod logs;
pub mod mcp;
pub mod memory;
pub mod net;
pub mod observation;
pub mod pipeline;
pub mod portal;
pub mod rules;
pub mod secret;
pub mod sinks;
pub mod time;
pub mod verdict;
