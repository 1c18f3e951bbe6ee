//! Where the store is, and a client for it.

use std::fmt;
use std::path::PathBuf;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;

use crate::sinks::connector::connector;

/// Where a store is and how it is spoken with.
#[derive(Clone)]
pub struct Address {
    /// `http://` or `https://`, host and port.
    pub url: String,
    /// Database of the tables.
    pub database: String,
    /// User; the server's default without.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// PEM file with roots beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Of what is sent and, where the server is asked, of answers.
    pub compression: Compression,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("url", &self.url)
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Compression of bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: cheap.
    #[default]
    Lz4,
    /// Zstandard: smaller.
    Zstd,
}

impl From<Compression> for clickhouse::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Lz4 => Self::Lz4,
            Compression::Zstd => Self::zstd(),
        }
    }
}

/// A client of the store. Nothing is sent yet.
///
/// # Errors
/// What is wrong with the file of roots.
pub fn client(address: &Address) -> Result<clickhouse::Client, String> {
    let http =
        HttpClient::builder(TokioExecutor::new()).build(connector(address.ca_file.as_deref())?);
    let mut client = clickhouse::Client::with_http_client(http)
        .with_url(&address.url)
        .with_database(&address.database)
        .with_compression(address.compression.into())
        .with_product_info("shadowtap", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &address.user {
        client = client.with_user(user);
    }
    if let Some(password) = &address.password {
        client = client.with_password(password);
    }
    Ok(client)
}
