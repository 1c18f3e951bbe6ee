//! shadowtap finds Shadow MCP: Model Context Protocol servers that AI agents talk to without
//! anyone having approved them.
//!
//! Data flows one way, and the modules are listed in its order:
//!
//! - [`capture`]: files into packets
//! - [`decode`]: packets into TCP segments
//! - [`flow`]: segments into in-order bytes per flow
//! - [`app`]: bytes into HTTP exchanges
//! - [`exchange`]: the seam where packets, logs and the portal meet
//! - [`content`]: body bytes into plain text and server-sent events
//! - [`observation`]: what recognition hands on
//!
//! From `decode` to `finding` the code is sans-IO: bytes and time in, events out; no clock, file,
//! socket, thread or async.

pub mod anomaly;
pub mod app;
pub mod capture;
pub mod content;
pub mod decode;
pub mod exchange;
pub mod flow;
pub mod net;
pub mod observation;
pub mod time;
