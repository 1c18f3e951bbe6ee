//! Client certificates into principals. That they are signed by a known authority, for clients, and
//! that the client has the key is rustls' to check, at the handshake.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::config::{Known, Says};
use crate::portal::principal::{Owner, Principal, Proof};
use crate::sinks::pem;
use crate::time::Timestamp;

/// Issuer of those who show certificates.
const ISSUER: &str = "certificates";

/// What rustls needs to take client certificates of the authorities in a file. Clients without one
/// pass: they prove who they are in another way, or are refused later.
///
/// # Errors
/// When the file has no authorities.
pub fn client_verifier(ca_file: &Path) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let name = ca_file.display();
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(ca_file)? {
        roots.add(certificate).map_err(|error| format!("{name}: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.allow_unauthenticated().build().map_err(|error| format!("{name}: {error}"))
}

/// Who a certificate is of, and until when it is taken; `None` if it is nobody's, or its time is
/// not now: connections may live longer than certificates.
pub(super) fn principal(
    certificate: &CertificateDer<'_>,
    known: &[Known],
    now: Timestamp,
) -> Option<(Principal, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    let begins = Timestamp::from_parts(validity.not_before.timestamp(), 0);
    let ends = Timestamp::from_parts(validity.not_after.timestamp(), 0);
    if now < begins || now >= ends {
        return None;
    }
    let said = said(&certificate);
    let one = known.iter().find(|one| said.contains(&one.says))?;
    let (Says::Uri(text) | Says::Dns(text) | Says::Email(text) | Says::CommonName(text)) =
        &one.says;
    let owner =
        Owner { issuer: ISSUER.into(), subject: text.as_str().into(), client: Arc::default() };
    let principal = Principal {
        owner,
        name: Some(Arc::clone(&one.name)),
        groups: Arc::clone(&one.groups),
        scopes: Arc::default(),
        proof: Proof::Certificate,
        expires: Some(ends),
        shown: None,
    };
    Some((principal, ends))
}

/// What a certificate says of its subject. The common name counts only where there are no
/// alternative names (RFC 6125 section 6.4.4).
fn said(certificate: &X509Certificate<'_>) -> Vec<Says> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let Some(names) = names else {
        let common = certificate.subject().iter_common_name();
        let texts = common.filter_map(|name| name.as_str().ok());
        let [one] = texts.collect::<Vec<_>>()[..] else { return Vec::new() };
        return vec![Says::CommonName(one.to_owned())];
    };
    let says = |name: &GeneralName<'_>| match *name {
        GeneralName::URI(text) => Some(Says::Uri(text.to_owned())),
        GeneralName::DNSName(text) => Some(Says::Dns(text.to_owned())),
        GeneralName::RFC822Name(text) => Some(Says::Email(text.to_owned())),
        _ => None,
    };
    names.value.general_names.iter().filter_map(says).collect()
}
