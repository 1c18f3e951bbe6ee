//! End-to-end tests: the program as a user runs it, on real captures.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "a test that meets what it does not expect is to fail there"
)]

mod captures;
mod cli;
mod layering;
mod probes;
mod run;
