//! ClientHellos out of QUIC Initial packets: version 1 (RFC 9000, RFC 9001) and 2 (RFC 9369).
//! Sans-IO.
//!
//! Initial packets are encrypted with keys that anyone can derive from the connection id in the
//! client's first packet (RFC 9001 section 5.2). Only the client's side is read: what tells more of
//! the server's part lies behind keys that nobody else has.
//!
//! Reads: coalesced packets, CRYPTO frames in any order and over several datagrams, a Retry (which
//! changes the keys), connection ids that change after the server's first packet. Passed over:
//! version negotiation and unknown versions.

mod assembly;
mod flows;
mod frame;
#[cfg(any(fuzzing, test))]
mod fuzzing;
mod keys;
#[cfg(any(fuzzing, test))]
mod make;
mod packet;
#[cfg(test)]
mod tests;

pub(in crate::app) use flows::{Flows, Limits};
pub(in crate::app) use packet::has_known_version;

#[cfg(any(fuzzing, test))]
pub(in crate::app) use fuzzing::fuzz;

#[cfg(test)]
pub(in crate::app) use tests::sample_initial;
