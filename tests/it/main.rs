//! End-to-end tests: the program as a user runs it, on real captures.

mod captures;
mod cli;
mod layering;
mod probes;
mod run;
