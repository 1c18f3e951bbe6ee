//! Reading the values of fields that names alone give: handshakes and DNS messages.

use super::Key;
use super::read::{Each, Value, evidence_name, known_ip, opt_text, text, texts};
use crate::exchange::{Carrier, Ech, Scheme};
use crate::rules::subject::{Encrypted, LookUp, Standing, Subject};

/// What a handshake shows.
pub(super) fn handshake<'a>(key: Key, tls: &'a Encrypted, each: Each<'_, 'a>) -> bool {
    let (hello, answer) = (tls.hello.as_deref(), tls.answer.as_deref());
    match key {
        Key::TlsSni => opt_text(hello.and_then(|hello| hello.sni.as_deref()), each),
        Key::TlsHost => opt_text(tls.host.as_deref(), each),
        Key::TlsHostFrom => opt_text(tls.host.as_ref().map(|_| tls.host_from.as_str()), each),
        Key::TlsHiddenHost => opt_text(tls.hidden_host.as_deref(), each),
        Key::TlsDnsNames => texts(tls.dns_names.iter().map(|name| &**name), each),
        Key::TlsTunnel => opt_text(tls.tunnel.as_deref(), each),
        Key::TlsAlpn => {
            texts(hello.into_iter().flat_map(|hello| &hello.alpn).map(String::as_str), each)
        }
        Key::TlsProtocol => opt_text(answer.and_then(|answer| answer.alpn.as_deref()), each),
        Key::TlsVersions => {
            let versions = hello.into_iter().flat_map(|hello| &hello.versions);
            texts(versions.map(|version| tls_version_name(*version)), each)
        }
        Key::TlsVersion => opt_text(answer.map(|answer| tls_version_name(answer.version)), each),
        Key::TlsJa4 => {
            opt_text(hello.map(|hello| hello.ja4.as_str()).filter(|ja4| !ja4.is_empty()), each)
        }
        Key::TlsEch => opt_text(hello.map(|hello| ech_name(hello.ech)), each),
        Key::TlsCarrier => opt_text(hello.map(|hello| carrier_name(hello.carrier)), each),
        Key::TlsCertificateNames => {
            texts(answer.into_iter().flat_map(|answer| &answer.names).map(String::as_str), each)
        }
        _ => false,
    }
}

/// What a DNS message says.
pub(super) fn look_up<'a>(key: Key, dns: &'a LookUp, each: Each<'_, 'a>) -> bool {
    let message = &dns.message;
    match key {
        Key::DnsQuestion => texts(message.questions.iter().map(|(name, _)| name.as_str()), each),
        Key::DnsType => {
            texts(message.questions.iter().map(|(_, number)| record_type_name(*number)), each)
        }
        Key::DnsAnswers => message.addresses.iter().any(|answer| each(Value::Ip(answer.address))),
        Key::DnsResponse => each(Value::Bool(message.response)),
        Key::DnsCode => message.response && each(Value::Number(message.code.into())),
        Key::DnsEch => each(Value::Bool(message.ech)),
        Key::DnsServer => each(Value::Ip(dns.server.ip)),
        _ => false,
    }
}

/// What is known of a host that was seen by its name only.
pub(super) fn named<'a>(
    key: Key,
    tls: Option<&'a Encrypted>,
    standing: &'a Standing,
    subject: &Subject<'a>,
    each: Each<'_, 'a>,
) -> bool {
    match key {
        Key::ServerUrl => text(&standing.key, each),
        Key::ServerHost => opt_text(standing.host.as_deref(), each),
        Key::ServerCatalogued => opt_text(standing.vendor.as_deref(), each),
        Key::ServerNamedForMcp => each(Value::Bool(standing.named_for_mcp)),
        Key::ServerApproved => each(Value::Bool(standing.approved)),
        Key::ServerEvidence => text(evidence_name(subject.evidence), each),
        Key::ClientIp => {
            let client = tls.map(|tls| tls.client).or_else(|| subject.dns.map(|dns| dns.client));
            client.is_some_and(|client| known_ip(client.ip, each))
        }
        key => tls.is_some_and(|tls| match key {
            Key::ServerPort => each(Value::Number(tls.port.into())),
            Key::ServerIp => known_ip(tls.server.ip, each),
            Key::ServerScheme => text(Scheme::Https.as_str(), each),
            Key::ServerViaProxy => each(Value::Bool(tls.tunnel.is_some())),
            Key::ServerProxy => tls.tunnel.is_some() && known_ip(tls.server.ip, each),
            _ => false,
        }),
    }
}

const fn ech_name(ech: Ech) -> &'static str {
    match ech {
        Ech::Absent => "absent",
        Ech::Offered => "offered",
    }
}

/// The usual name of a record type (IANA registry of DNS parameters).
const fn record_type_name(number: u16) -> &'static str {
    match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        _ => "other",
    }
}

const fn carrier_name(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Tcp => "tcp",
        Carrier::Quic => "quic",
    }
}

/// The usual name of a TLS version (RFC 8446 section 4.1.2).
pub(crate) const fn tls_version_name(version: u16) -> &'static str {
    match version {
        0x0304 => "1.3",
        0x0303 => "1.2",
        0x0302 => "1.1",
        0x0301 => "1.0",
        0x0300 => "ssl3",
        _ => "other",
    }
}
