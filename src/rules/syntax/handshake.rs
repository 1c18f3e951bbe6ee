//! Examples as written: what an encrypted flow or a DNS message shows.

use std::net::IpAddr;

use serde::Deserialize;

use crate::exchange::{Carrier, DnsAddress, DnsMessage, Ech, TlsAnswer, TlsHello};

/// TLS version, as rules name it.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
pub enum Version {
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.1.
    #[serde(rename = "1.1")]
    Tls11,
    /// TLS 1.0.
    #[serde(rename = "1.0")]
    Tls10,
}

impl Version {
    const fn number(self) -> u16 {
        match self {
            Self::Tls13 => 0x0304,
            Self::Tls12 => 0x0303,
            Self::Tls11 => 0x0302,
            Self::Tls10 => 0x0301,
        }
    }
}

/// A ClientHello.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hello {
    /// Host name in the clear.
    pub sni: Option<String>,
    /// Application protocols offered.
    pub alpn: Vec<String>,
    /// Versions offered, best first; `1.3` when absent.
    pub versions: Vec<Version>,
    /// JA4 fingerprint.
    pub ja4: String,
    /// It has an Encrypted Client Hello.
    pub ech: bool,
    /// It comes in QUIC.
    pub quic: bool,
}

/// What a server answers.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// Version chosen; `1.2` when absent.
    pub version: Option<Version>,
    /// Application protocol chosen.
    pub alpn: Option<String>,
    /// DNS names of its certificate.
    pub names: Vec<String>,
}

/// Type of a DNS record.
#[derive(Clone, Copy, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 address.
    #[default]
    A,
    /// IPv6 address.
    Aaaa,
    /// Text.
    Txt,
    /// Parameters of HTTPS (RFC 9460).
    Https,
}

/// A DNS message.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name asked for.
    pub question: String,
    /// The type asked for.
    #[serde(default, rename = "type")]
    pub record_type: RecordType,
    /// Addresses in the answer; with them, or `code`, it is a response.
    #[serde(default)]
    pub answers: Vec<IpAddr>,
    /// Response code.
    #[serde(default)]
    pub code: Option<u16>,
    /// The answer carries keys for Encrypted Client Hello.
    #[serde(default)]
    pub ech: bool,
}

impl Hello {
    /// As a handshake has it.
    #[must_use]
    pub fn hello(&self) -> TlsHello {
        let versions = if self.versions.is_empty() {
            vec![Version::Tls13.number()]
        } else {
            self.versions.iter().map(|version| version.number()).collect()
        };
        TlsHello {
            carrier: if self.quic { Carrier::Quic } else { Carrier::Tcp },
            random: [0; 32],
            sni: self.sni.clone(),
            alpn: self.alpn.clone(),
            versions,
            ja4: self.ja4.clone(),
            ech: if self.ech { Ech::Offered } else { Ech::Absent },
        }
    }
}

impl Answer {
    /// As a handshake has it.
    #[must_use]
    pub fn answer(&self) -> TlsAnswer {
        TlsAnswer {
            version: self.version.unwrap_or(Version::Tls12).number(),
            cipher_suite: 0,
            alpn: self.alpn.clone(),
            names: self.names.clone(),
        }
    }
}

impl Dns {
    /// As a message says it.
    #[must_use]
    pub fn message(&self) -> DnsMessage {
        let number = match self.record_type {
            RecordType::A => 1,
            RecordType::Txt => 16,
            RecordType::Aaaa => 28,
            RecordType::Https => 65,
        };
        let address = |address: &IpAddr| DnsAddress {
            name: self.question.clone(),
            address: *address,
            ttl: 300,
        };
        DnsMessage {
            response: self.code.is_some() || !self.answers.is_empty(),
            code: self.code.unwrap_or(0),
            questions: vec![(self.question.clone(), number)],
            addresses: self.answers.iter().map(address).collect(),
            ech: self.ech,
        }
    }
}
