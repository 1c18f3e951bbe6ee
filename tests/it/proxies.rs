//! Real proxies with the configurations of `deploy/proxies`, clients and servers of MCP's SDK of both
//! eras, and packets captured beside them: what a proxy logged says the same as what the wire showed,
//! as far as the log can show it.
//!
//! ```text
//!  client.py ──── the proxy ──── server.py
//!         └ tcpdump   └ its log
//! ```

mod accepted;
mod compare;
mod forward;
pub mod programs;
mod reverse;
mod scene;
mod templates;
