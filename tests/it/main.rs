//! End-to-end tests: the program as a user runs it, on real captures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    unreachable_pub,
    missing_docs,
    reason = "a test that fails is meant to panic"
)]

mod captures;
mod cli;
mod corpus;
mod deploy;
mod engine;
mod icap;
mod layering;
mod live;
mod logs;
mod packets;
mod portal;
mod probes;
mod proxies;
mod run;
mod store;
mod tail;
mod tshark;
