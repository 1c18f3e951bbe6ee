//! The portal between real clients and real servers of MCP's SDKs, before its official conformance
//! suite, and before servers that fail in every way.
//!
//! ```text
//!  client (TypeScript, Python; 1.x, 2.x) ──── the portal ──── server (the same) or faulty.rs
//!  conformance suite ─────────────────────┘
//! ```
//!
//! Programs are those of `deploy/portal-tests/install.sh` and `deploy/proxies/test-programs.sh`; what
//! is not there is skipped, and fails where CI runs. Everything is run without the portal too: that
//! tells faults of the programs from faults of the portal.

mod config;
mod conformance;
mod faults;
mod faulty;
mod matrix;
mod replicas;
mod whole;
mod wire;
mod world;
