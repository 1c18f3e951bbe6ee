//! Probes: one small capture, one question.
//!
//! Every capture is built in memory, packet by packet, and read by the program as a user would.

mod builder;
mod damage;
mod http;
mod json;
mod link;
mod negative;
mod seen;
mod session;
mod sse;
mod stream;
mod tcp;
mod text;
mod tunnel;
