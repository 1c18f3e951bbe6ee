//! Findings and other events to the outside: NDJSON, SARIF, JUnit, the terminal; of a running
//! sensor also metrics and the packets behind findings. An I/O edge.

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
