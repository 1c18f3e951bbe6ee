//! TLS of the servers.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::sinks::pem;

/// Files of a server's own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM with the certificate and those between it and a root.
    pub certificate: PathBuf,
    /// PEM with its private key.
    pub key: PathBuf,
}

impl Identity {
    /// TLS 1.2 and 1.3 with this certificate; clients need none.
    ///
    /// # Errors
    /// What is wrong with a file, and what to do.
    pub fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let certificates = pem::certificates(&self.certificate)?;
        let key = pem::private_key(&self.key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| {
                let (certificate, key) = (self.certificate.display(), self.key.display());
                format!("{certificate} and {key} do not go together: {error}")
            })?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
