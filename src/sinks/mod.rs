//! Findings and other events to the outside: NDJSON, SARIF, JUnit, the terminal; of a running
//! sensor also metrics and the packets behind findings. An I/O edge.
//!
//! Over a network goes what the NDJSON lines say, and nothing else:
//!
//! ```text
//! event ── line ──┬── files, standard output
//!                 └── outbox: Encode ── spool ── Deliver ──► store (ClickHouse), outputs
//! ```
//!
//! [`rows`] makes rows of lines, [`encode`] the formats of others out of rows, [`outbox`] keeps them
//! until they are taken, [`store`] and [`outputs`] know who takes them.

pub mod connector;
pub mod encode;
pub mod event;
pub mod junit;
pub mod metrics;
pub mod ndjson;
pub mod outbox;
pub mod outputs;
pub mod packets;
pub mod pem;
mod printable;
pub mod report;
pub mod rows;
pub mod sarif;
pub mod store;

pub use junit::write_junit;
pub use ndjson::{Existing, RotatingFile, write_event};
pub use printable::printable;
pub use sarif::write_sarif;
