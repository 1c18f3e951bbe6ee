//! Connections of outputs: HTTP, and HTTPS with the system's roots and those of the operator.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};

use super::pem;

/// Connects to `http://` and `https://` addresses.
pub type Connector = HttpsConnector<HttpConnector>;

/// Connections that take longer have failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silent connections are tested so often.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The system's roots, read when they are first wanted and shared: they take a megabyte.
static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    // Systems have roots that no library can read; the others count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

/// A connector that trusts the system's roots and, if there is one, the certificates of a PEM file.
///
/// # Errors
/// What is wrong with the file, and what to do. A system without roots is an error only when
/// there is no file.
pub fn connector(ca_file: Option<&Path>) -> Result<Connector, String> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEP_ALIVE));
    let tls = client_config(ca_file)?;
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

/// TLS 1.2 and 1.3 for a client, for protocols other than HTTP too.
///
/// # Errors
/// Those of [`connector`].
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = Arc::clone(&SYSTEM);
    if let Some(file) = ca_file {
        let roots = Arc::make_mut(&mut roots);
        for certificate in pem::certificates(file)? {
            roots.add(certificate).map_err(|error| {
                format!("{}: a certificate cannot be a root: {error}", file.display())
            })?;
        }
    }
    // An empty store trusts nobody, and every handshake says so: plain HTTP works without roots.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
