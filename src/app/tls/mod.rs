//! TLS: what its handshake says in the clear. Sans-IO.
//!
//! [`handshake`] reads handshake messages, out of records as out of the CRYPTO frames of QUIC;
//! [`ja4`] fingerprints a client. [`decrypt`] reads records, and with secrets what is in them.

pub(in crate::app) mod decrypt;
pub(in crate::app) mod handshake;
mod ja4;
