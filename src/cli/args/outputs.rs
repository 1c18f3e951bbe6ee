//! Where events go beside files, as typed.

use std::path::PathBuf;

use clap::Args;

use super::kept_size;
use super::store::{Kind, StoreAddress, database};

/// Outputs of `watch` and `replay` over a network.
#[derive(Clone, Debug, Args)]
pub struct Outputs {
    /// Also put events into ClickHouse at this address, as http://127.0.0.1:8123; `store migrate`
    /// makes its tables.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Database of the tables.
    #[arg(long, value_name = "NAME", default_value = "shadowtap", value_parser = database)]
    pub store_database: String,
    /// User of ClickHouse.
    #[arg(long, value_name = "NAME", requires = "store")]
    pub store_user: Option<String>,
    /// File with the user's password (default: the systemd credential `clickhouse-password`, if
    /// there is one).
    #[arg(long, value_name = "FILE", requires = "store")]
    pub store_password_file: Option<PathBuf>,
    /// PEM file of authorities to trust beside those of the system.
    #[arg(long, value_name = "FILE", requires = "store")]
    pub store_ca_file: Option<PathBuf>,
    /// Setting of ClickHouse to send with each batch, as NAME=VALUE; may be given several times.
    #[arg(long, value_name = "SETTING", requires = "store", value_parser = setting)]
    pub store_setting: Vec<(String, String)>,
    /// File of further outputs: webhooks, Splunk, syslog, files in other forms; `outputs explain`
    /// says what is in it.
    #[arg(long, value_name = "FILE")]
    pub outputs: Option<PathBuf>,
    /// Folder for what outputs have not taken yet; it survives restarts and crashes.
    #[arg(long, value_name = "DIR", default_value = "spool")]
    pub spool: PathBuf,
    /// Room for what waits for --store, as 1GiB: the oldest goes first, and is counted.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = kept_size)]
    pub spool_size: u64,
    /// Name of this sensor in outputs (default: that of the machine).
    #[arg(long, value_name = "NAME")]
    pub sensor: Option<String>,
}

impl Outputs {
    /// Where the store is, if there is one.
    #[must_use]
    pub fn address(&self) -> Option<StoreAddress> {
        Some(StoreAddress {
            url: Some(self.store.clone()?),
            database: self.store_database.clone(),
            user: self.store_user.clone(),
            password_file: self.store_password_file.clone(),
            ca_file: self.store_ca_file.clone(),
            compression: Kind::default(),
        })
    }
}

/// `shadowtap store load`.
#[derive(Debug, Args)]
pub struct Load {
    /// NDJSON files of earlier runs, also .gz and .zst, or folders of them.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Name of the sensor that wrote them (default: that of this machine).
    #[arg(long, value_name = "NAME")]
    pub sensor: Option<String>,
    /// Folder for the batch under way, so that it is sent again with the same token when this is
    /// killed: keep it until the load is complete.
    #[arg(long, value_name = "DIR", default_value = "spool/load")]
    pub spool: PathBuf,
    /// Setting of ClickHouse to send with each batch, as NAME=VALUE; may be given several times.
    #[arg(long = "setting", value_name = "SETTING", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// Where.
    #[command(flatten)]
    pub address: StoreAddress,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && plain(name) => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("NAME=VALUE, as max_memory_usage=1000000000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_a_name_and_a_value() {
        assert_eq!(setting("a_b=1=2"), Ok(("a_b".to_owned(), "1=2".to_owned())));
        assert_eq!(setting("a="), Ok(("a".to_owned(), String::new())));
        for text in ["", "a", "=1", "a b=1", "a&b=1"] {
            assert!(setting(text).is_err(), "{text}");
        }
    }
}
