//! Names in the server's certificate (RFC 5246 section 7.4.2, RFC 8446 section 4.4.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::read::Reader;

/// Names kept of a certificate.
const MAX_NAMES: usize = 64;
/// Bytes of a name; longer ones are left out.
const MAX_NAME_BYTES: usize = 255;

/// DNS names and addresses that the leaf of a Certificate message is for, in lower case: those of
/// `subjectAltName`, else common names (RFC 6125 section 6.4.4). `body` comes without the handshake
/// header. Nothing is verified.
pub(in crate::app) fn certificate_names(body: &[u8], tls13: bool) -> Vec<String> {
    leaf(body, tls13).and_then(names).unwrap_or_default()
}

fn leaf(body: &[u8], tls13: bool) -> Option<&[u8]> {
    let mut reader = Reader(body);
    if tls13 {
        // certificate_request_context
        reader.vector8()?;
    }
    reader.u24()?;
    reader.vector24()
}

fn names(leaf: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let mut names = Vec::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        names.extend(extension.value.general_names.iter().filter_map(general).take(MAX_NAMES));
    }
    if names.is_empty() {
        let common = certificate.subject().iter_common_name();
        names.extend(common.filter_map(|name| text(name.as_str().ok()?)).take(MAX_NAMES));
    }
    Some(names)
}

fn general(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => text(name),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).to_string())
}

fn text(name: &str) -> Option<String> {
    (1..=MAX_NAME_BYTES).contains(&name.len()).then(|| name.to_ascii_lowercase())
}
