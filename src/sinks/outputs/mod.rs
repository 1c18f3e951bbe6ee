//! Outputs beside the program's own files: webhooks, Splunk, syslog, files in other encodings, and
//! the file that says which there are. An I/O edge.
//!
//! ```text
//!   outputs.yaml ── config ── build ──┬─ encoder + deliverer ── outbox (spool, retries)
//!                                     └─ files
//! ```
//!
//! Deliverers run on a tokio runtime with time and I/O enabled. Each holds one connection and one
//! batch in memory (twice where the batch is written anew: arrays, gzip, frames), and reads at most
//! 64 KiB of an answer.

mod build;
pub mod config;
mod file;
mod http;
mod secret;
mod splunk;
mod syslog;
pub mod template;
#[cfg(test)]
mod tests;
mod webhook;

pub use build::{Built, Delivery, build, check_secrets};
pub use config::explain;
pub use file::Files;
pub use splunk::Splunk;
pub use syslog::Syslog;
pub use webhook::Webhook;
