//! `shadowtap store`: the tables in ClickHouse.

mod load;
mod migrate;
mod sql;
mod status;
mod up;

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};

use tokio::runtime::{Builder, Runtime};

use super::args::{Store, StoreAddress};
use super::{Exit, Failure, complain};
use crate::sinks::store::client::{Address, client};

/// Where the store is when nothing is said.
const URL: &str = "http://127.0.0.1:8123";
/// Variable that names another place.
pub(super) const URL_VARIABLE: &str = "SHADOWTAP_STORE_URL";
/// Credential of a systemd unit that holds the password.
const CREDENTIAL: &str = "clickhouse-password";
/// Bytes of a password.
const MAX_PASSWORD_BYTES: usize = 4_096;

pub(super) fn run(command: &Store) -> Result<Exit, Failure> {
    match command {
        Store::Load(args) => load::run(args),
        Store::Migrate(args) => migrate::run(args),
        Store::Status(args) => status::run(args),
        Store::Sql(args) => sql::run(args),
        Store::Up(args) => up::run(args),
    }
}

/// What waits for the network.
#[derive(Debug)]
pub(super) struct Waiting(Runtime);

impl Waiting {
    /// # Errors
    /// When the system has nothing left.
    pub(super) fn new() -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map(Self).map_err(|error| Failure::new(format!("cannot use the network: {error}")))
    }

    /// The outcome of what was waited for.
    pub(super) fn on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

/// A client of the store that was named.
pub(super) fn connect(typed: &StoreAddress) -> Result<(Address, clickhouse::Client), Failure> {
    let address = address(typed)?;
    let client = client(&address).map_err(Failure::new)?;
    Ok((address, client))
}

/// The store that was named, with its password.
///
/// # Errors
/// What is wrong with the address or the file of the password, and what to do.
pub(super) fn address(typed: &StoreAddress) -> Result<Address, Failure> {
    let variable = || std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty());
    let url = typed.url.clone().or_else(variable).unwrap_or_else(|| URL.to_owned());
    let is_open = check_url(&url).map_err(Failure::new)?;
    let password = password(typed.password_file.as_deref(), credential().as_deref())?;
    if password.is_some() && is_open {
        complain("warning: the password goes to the store in the clear: use https");
    }
    Ok(Address {
        url,
        database: typed.database.clone(),
        user: typed.user.clone(),
        password,
        ca_file: typed.ca_file.clone(),
        compression: typed.compression.into(),
    })
}

/// Whether what goes to the address can be read on the way.
fn check_url(url: &str) -> Result<bool, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // The address is not repeated: it may hold a password.
    if host.contains('@') {
        return Err("the store's URL names a user: other users of this machine see it. Name it \
                    with --user, and keep the password in a file: --password-file"
            .to_owned());
    }
    let parsed = url.parse::<hyper::Uri>().ok().filter(|uri| uri.host().is_some());
    let (Some(uri), "http" | "https") = (parsed, scheme) else {
        return Err(format!(
            "`{url}` is no address of a store: write http://HOST:8123 or https://HOST:8443"
        ));
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(format!(
            "`{url}`: only host and port belong into the store's URL; the database has --database"
        ));
    }
    let is_own = matches!(uri.host(), Some("localhost" | "[::1]"))
        || uri.host().is_some_and(|host| host.starts_with("127."));
    Ok(scheme == "http" && !is_own)
}

/// The file of the credential that systemd passes on.
fn credential() -> Option<PathBuf> {
    let file = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
    file.exists().then_some(file)
}

fn password(named: Option<&Path>, credential: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(file) = named.or(credential) else { return Ok(None) };
    let failed = |why: &str| Failure::new(format!("password in {}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(&error.to_string()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(failed("the file is empty"));
    }
    if password.len() > MAX_PASSWORD_BYTES || password.contains(['\r', '\n']) {
        return Err(failed("the file is to hold the password and nothing else"));
    }
    Ok(Some(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_no_users_and_no_paths() {
        for (url, is_open) in [
            ("http://127.0.0.1:8123", false),
            ("http://localhost:8123/", false),
            ("http://[::1]:8123", false),
            ("https://ch.example:8443", false),
            ("http://ch.example:8123", true),
        ] {
            assert_eq!(check_url(url), Ok(is_open), "{url}");
        }
        for (url, why) in [
            ("http://u:hunter2@ch.example", "--password-file"),
            ("http://u@ch.example/@", "--user"),
            ("u:hunter2@ch.example", "--user"),
            ("ch.example:8123", "write http://HOST:8123"),
            ("tcp://ch.example:9000", "write http://HOST:8123"),
            ("http://", "write http://HOST:8123"),
            ("http://ch.example/?database=x", "--database"),
            ("http://ch.example/x", "--database"),
        ] {
            let told = check_url(url).unwrap_err();
            assert!(told.contains(why) && !told.contains("hunter2"), "{url}: {told}");
        }
    }

    #[test]
    fn the_named_file_holds_the_password_or_the_credential_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (named, credential) = (file("a", "hunter2\n"), file("b", "hunter3"));
        let read = |named, credential| password(named, credential).unwrap();
        assert_eq!(read(Some(&named), Some(&credential)).as_deref(), Some("hunter2"));
        assert_eq!(read(None, Some(&credential)).as_deref(), Some("hunter3"));
        assert_eq!(read(None, None), None);
        for (text, why) in [("\n", "empty"), ("a\nb\n", "nothing else")] {
            let told = password(Some(&file("c", text)), None).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
        assert!(password(Some(&folder.path().join("no")), None).is_err());
    }
}
