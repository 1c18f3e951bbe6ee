//! What a TLS or QUIC handshake shows in the clear: the only things known of a flow whose keys
//! are not.

use serde::Serialize;

/// Whether the ClientHello has an `encrypted_client_hello` extension (RFC 9849, type 65037).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ech {
    /// No such extension: the name, if there is one, is the real one.
    #[default]
    Absent,
    /// There is one. Browsers send a random one (GREASE) that looks the same, so the name may be
    /// the real one or that of a front.
    Offered,
}

/// What carries the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// TLS on TCP.
    #[default]
    Tcp,
    /// QUIC (RFC 9000, RFC 9369), and so HTTP/3 as a rule.
    Quic,
}

/// A ClientHello (RFC 8446 section 4.1.2), in what tells something. Text is lossy UTF-8, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlsHello {
    /// TCP or QUIC.
    pub carrier: Carrier,
    /// `random`: the same on both legs of a proxy that only relays.
    #[serde(skip)]
    pub random: [u8; 32],
    /// Host of `server_name` (RFC 6066 section 3), lower case.
    pub sni: Option<String>,
    /// Protocols of ALPN (RFC 7301), in the order offered.
    pub alpn: Vec<String>,
    /// Versions offered (`supported_versions`, else the legacy field), best first, GREASE left
    /// out: 0x0304 is TLS 1.3.
    pub versions: Vec<u16>,
    /// JA4 fingerprint of the client.
    pub ja4: String,
    /// Encrypted ClientHello.
    pub ech: Ech,
}

/// What the server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlsAnswer {
    /// Version chosen: 0x0304 is TLS 1.3.
    pub version: u16,
    /// Cipher suite chosen (IANA number).
    pub cipher_suite: u16,
    /// ALPN protocol chosen, where it is in the clear (TLS 1.2) or could be decrypted.
    pub alpn: Option<String>,
    /// DNS names of the server's certificate, lower case; TLS 1.2 and older, or decrypted.
    pub names: Vec<String>,
}

/// A step of a handshake.
#[derive(Clone, Copy, Debug)]
pub enum TlsEvent<'a> {
    /// The ClientHello is complete.
    Hello(&'a TlsHello),
    /// The server's part is complete, as far as it can be read.
    Answer(&'a TlsAnswer),
}
