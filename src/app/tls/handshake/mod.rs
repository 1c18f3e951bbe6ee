//! Handshake messages of TLS 1.0 to 1.3 (RFC 5246 section 7.4, RFC 8446 section 4), read leniently:
//! a broken extension ends the reading of extensions, and what was read before it stays.
//!
//! GREASE values (RFC 8701) are kept in the lists of a [`ClientHello`] and left out of its summary
//! and fingerprint. Hellos in the format of SSL 2.0 are not read.

mod certificate;
mod client;
mod messages;
mod read;
mod server;
#[cfg(test)]
mod tests;

pub(in crate::app) use certificate::certificate_names;
pub(in crate::app) use client::{ClientHello, client_hello};
pub(in crate::app) use messages::{MAX_MESSAGE_BYTES, Messages};
pub(in crate::app) use server::{ServerHello, encrypted_extensions_alpn, server_hello};

use read::Reader;

/// `HandshakeType` values (IANA).
pub(in crate::app) mod kind {
    pub(in crate::app) const HELLO_REQUEST: u8 = 0;
    pub(in crate::app) const CLIENT_HELLO: u8 = 1;
    pub(in crate::app) const SERVER_HELLO: u8 = 2;
    pub(in crate::app) const NEW_SESSION_TICKET: u8 = 4;
    pub(in crate::app) const END_OF_EARLY_DATA: u8 = 5;
    pub(in crate::app) const ENCRYPTED_EXTENSIONS: u8 = 8;
    pub(in crate::app) const CERTIFICATE: u8 = 11;
    pub(in crate::app) const SERVER_HELLO_DONE: u8 = 14;
    pub(in crate::app) const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub(in crate::app) const FINISHED: u8 = 20;
    pub(in crate::app) const KEY_UPDATE: u8 = 24;
}

/// `ExtensionType` values (IANA).
pub(in crate::app) mod extension {
    pub(in crate::app) const SERVER_NAME: u16 = 0;
    pub(in crate::app) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(in crate::app) const ALPN: u16 = 16;
    pub(in crate::app) const ENCRYPT_THEN_MAC: u16 = 22;
    pub(in crate::app) const EXTENDED_MASTER_SECRET: u16 = 23;
    pub(in crate::app) const PRE_SHARED_KEY: u16 = 41;
    pub(in crate::app) const EARLY_DATA: u16 = 42;
    pub(in crate::app) const SUPPORTED_VERSIONS: u16 = 43;
    pub(in crate::app) const ENCRYPTED_CLIENT_HELLO: u16 = 65037;
}

/// Reserved values that clients scatter (RFC 8701 section 2): both bytes alike, ending in `a`.
pub(in crate::app) const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Calls `each` with type and body of every extension, up to the first that is broken.
fn each_extension<'a>(list: &'a [u8], mut each: impl FnMut(u16, &'a [u8])) {
    let mut reader = Reader(list);
    while let Some(kind) = reader.u16()
        && let Some(body) = reader.vector16()
    {
        each(kind, body);
    }
}

/// Protocol names of an ALPN extension (RFC 7301 section 3.1).
fn alpn_names(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut list = Reader(Reader(body).lenient_vector16());
    std::iter::from_fn(move || list.vector8())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads `data` as handshake messages, whole and in pieces of as many bytes as its first says.
#[cfg(any(fuzzing, test))]
pub(in crate::app) fn fuzz(data: &[u8]) {
    let Some((step, data)) = data.split_first() else { return };
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    Messages::default().push(data, |kind, body, _| whole.push((kind, body.to_vec())));
    let mut messages = Messages::default();
    for piece in data.chunks(usize::from(*step).max(1)) {
        messages.push(piece, |kind, body, _| cut.push((kind, body.to_vec())));
    }
    assert_eq!(whole, cut);
    whole.push((kind::CLIENT_HELLO, data.to_vec()));
    for (_, body) in &whole {
        if let Some(hello) = client_hello(body) {
            let summary = hello.summary(crate::exchange::Carrier::Tcp);
            assert_eq!(summary.ja4.len(), 36);
            assert!(summary.ja4.is_ascii());
        }
        let _server = server_hello(body);
        let _alpn = encrypted_extensions_alpn(body);
        for tls13 in [false, true] {
            let names = certificate_names(body, tls13);
            assert!(names.len() <= 64 && names.iter().all(|name| name.len() <= 255));
        }
    }
}
