//! Findings and other events to the outside: NDJSON, SARIF, JUnit, the terminal. An I/O edge.

pub mod event;
pub mod junit;
pub mod ndjson;
mod printable;
pub mod report;
pub mod sarif;

pub use junit::write_junit;
pub use ndjson::{Existing, RotatingFile, write_event};
pub use printable::printable;
pub use sarif::write_sarif;
