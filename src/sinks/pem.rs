//! PEM files. The only place that knows `rustls-pemfile`, which is archived (see `deny.toml`).

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file.
///
/// # Errors
/// What is wrong, with the file's name and what to do.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let certificates: Result<Vec<_>, _> =
        rustls_pemfile::certs(&mut BufReader::new(file)).collect();
    let certificates = certificates.map_err(|error| format!("{name}: {error}"))?;
    if certificates.is_empty() {
        return Err(format!(
            "{name} has no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----"
        ));
    }
    Ok(certificates)
}

/// The private key of a file: the first one, PKCS #8, PKCS #1 or SEC 1.
///
/// # Errors
/// What is wrong, with the file's name and what to do.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let key = rustls_pemfile::private_key(&mut BufReader::new(file));
    key.map_err(|error| format!("{name}: {error}"))?.ok_or_else(|| {
        format!("{name} has no private key; it must be PEM, with -----BEGIN PRIVATE KEY-----")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_certificates_say_what_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        assert!(certificates(&path).unwrap_err().starts_with("cannot read "));
        std::fs::write(&path, "no PEM").unwrap();
        assert!(certificates(&path).unwrap_err().contains("has no certificate"));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(certificates(&path).is_err());
    }
}
