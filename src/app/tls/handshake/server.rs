//! ServerHello (RFC 8446 section 4.1.3) and EncryptedExtensions (section 4.3.1).

use super::read::Reader;
use super::{alpn_names, each_extension, extension, lossy};

/// `random` of a HelloRetryRequest (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A ServerHello or HelloRetryRequest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct ServerHello {
    pub(in crate::app) legacy_version: u16,
    pub(in crate::app) random: [u8; 32],
    /// At most 255 bytes.
    pub(in crate::app) session_id: Vec<u8>,
    pub(in crate::app) cipher_suite: u16,
    /// The version chosen: of `supported_versions`, else the legacy field.
    pub(in crate::app) version: u16,
    /// TLS 1.2 and older.
    pub(in crate::app) alpn: Option<String>,
    /// RFC 7627.
    pub(in crate::app) extended_master_secret: bool,
    /// RFC 7366.
    pub(in crate::app) encrypt_then_mac: bool,
    /// It is a HelloRetryRequest: another ClientHello follows.
    pub(in crate::app) hello_retry: bool,
    /// A pre-shared key of TLS 1.3 was accepted.
    pub(in crate::app) psk: bool,
}

/// Reads the body of a ServerHello, without its handshake header. `None` if it is none; a broken
/// extension ends the list.
pub(in crate::app) fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let mut reader = Reader(body);
    let legacy_version = reader.u16().filter(|version| version >> 8 == 3)?;
    let random = reader.array()?;
    let session_id = reader.vector8()?.to_vec();
    let cipher_suite = reader.u16()?;
    // Compression method.
    reader.u8()?;
    let mut hello = ServerHello {
        legacy_version,
        random,
        session_id,
        cipher_suite,
        version: legacy_version,
        hello_retry: random == RETRY,
        ..ServerHello::default()
    };
    each_extension(reader.lenient_vector16(), |kind, body| match kind {
        extension::SUPPORTED_VERSIONS => {
            hello.version = Reader(body).u16().unwrap_or(hello.version);
        }
        extension::ALPN => hello.alpn = chosen(body),
        extension::EXTENDED_MASTER_SECRET => hello.extended_master_secret = true,
        extension::ENCRYPT_THEN_MAC => hello.encrypt_then_mac = true,
        extension::PRE_SHARED_KEY => hello.psk = true,
        _ => {}
    });
    Some(hello)
}

/// The ALPN protocol chosen, from the body of EncryptedExtensions (TLS 1.3).
pub(in crate::app) fn encrypted_extensions_alpn(body: &[u8]) -> Option<String> {
    let mut alpn = None;
    each_extension(Reader(body).lenient_vector16(), |kind, body| {
        if kind == extension::ALPN {
            alpn = chosen(body);
        }
    });
    alpn
}

fn chosen(alpn: &[u8]) -> Option<String> {
    alpn_names(alpn).next().filter(|name| !name.is_empty()).map(lossy)
}
