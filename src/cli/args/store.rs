//! `shadowtap store` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::outputs::Load;
use crate::sinks::store::client::Compression;
use crate::sinks::store::schema::Cluster;

/// Said at the end of `store up --help`.
const UP_HELP: &str = "\
Starts a ClickHouse of your own on this machine, reachable from this machine only, without a
password: for a laptop or a demonstration. It needs one of
  - libchdb.so, ClickHouse as a library (0.6 GB), which is looked for at --library, in
    $SHADOWTAP_CHDB and in the folder that the error names
  - a `clickhouse` program of version 26.2 or later in $PATH, or at --engine";

/// Said at the end of `store sql --help`.
const SQL_HELP: &str = "\
Pipe it into `clickhouse client --multiquery` where the program itself may not change tables: its
records are written too, so that `store status` and later `store migrate` know what is there.";

/// Said at the end of `store load --help`.
const LOAD_HELP: &str = "\
What the store has is left out, whichever way it came there: findings by their ids, other events by
time, sensor, connection and packet. So name the sensor that wrote the files, and load a file again
whenever in doubt. Files that are still written (.partial) are not taken out of folders.

Exit codes: 0, or 2 when not everything is loaded; the same command goes on from there.";

/// `shadowtap store`.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Make the tables, or bring them to the version of this program.
    Migrate(Migrate),
    /// Show whether the store can be reached, what is in it, and how it differs from what this
    /// program expects.
    Status(Status),
    /// Put NDJSON output of earlier runs into the store, each event once.
    #[command(after_help = LOAD_HELP)]
    Load(Load),
    /// Print all statements that make the tables and the users.
    #[command(after_help = SQL_HELP)]
    Sql(Sql),
    /// Start a ClickHouse for this machine, with the tables in it, until stopped.
    #[command(after_help = UP_HELP)]
    Up(Up),
}

/// Where the store is.
#[derive(Clone, Debug, Args)]
pub struct StoreAddress {
    /// Address of ClickHouse's HTTP interface (default: $SHADOWTAP_STORE_URL, or
    /// http://127.0.0.1:8123).
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Database of the tables.
    #[arg(long, value_name = "NAME", default_value = "shadowtap", value_parser = database)]
    pub database: String,
    /// User of ClickHouse.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// File with the user's password (default: the systemd credential `clickhouse-password`, if
    /// there is one).
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// PEM file of authorities to trust beside those of the system.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Compression of what is sent.
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    pub compression: Kind,
}

/// `--compression`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// None.
    None,
    /// Cheap.
    #[default]
    Lz4,
    /// Smaller.
    Zstd,
}

impl From<Kind> for Compression {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::None => Self::None,
            Kind::Lz4 => Self::Lz4,
            Kind::Zstd => Self::Zstd,
        }
    }
}

/// The cluster, if there is one.
#[derive(Clone, Debug, Args)]
pub struct ClusterArgs {
    /// Make tables for a cluster: replicated within a shard, spread over the shards. NAME is the
    /// cluster's, by default the macro of the servers that holds it.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "{cluster}")]
    pub cluster: Option<String>,
    /// Path of a table in Keeper, with the macro of the shard.
    #[arg(
        long,
        value_name = "PATH",
        requires = "cluster",
        default_value = "/clickhouse/tables/{shard}/{database}/{table}"
    )]
    pub keeper_path: String,
    /// Name of a replica: a macro of the servers.
    #[arg(long, value_name = "NAME", requires = "cluster", default_value = "{replica}")]
    pub replica: String,
}

impl ClusterArgs {
    /// The cluster, if one was named.
    #[must_use]
    pub fn cluster(&self) -> Option<Cluster> {
        let name = self.cluster.clone()?;
        Some(Cluster { name, keeper_path: self.keeper_path.clone(), replica: self.replica.clone() })
    }
}

/// `shadowtap store migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Only say what would be done (this is what happens without --apply).
    #[arg(long, conflicts_with = "apply")]
    pub dry_run: bool,
    /// Do it.
    #[arg(long)]
    pub apply: bool,
    /// Where.
    #[command(flatten)]
    pub address: StoreAddress,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// `shadowtap store status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Where.
    #[command(flatten)]
    pub address: StoreAddress,
}

/// `shadowtap store sql`.
#[derive(Debug, Args)]
pub struct Sql {
    /// Database of the tables.
    #[arg(long, value_name = "NAME", default_value = "shadowtap", value_parser = database)]
    pub database: String,
    /// In place of it, print views that make NDJSON files into the same tables, for `clickhouse
    /// local`: files as ClickHouse's file() names them.
    #[arg(long, value_name = "GLOB", conflicts_with = "cluster")]
    pub files: Option<String>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Which ClickHouse to run.
#[derive(Clone, Debug, Default, Args)]
pub struct EngineArgs {
    /// ClickHouse as a library, libchdb.so.
    #[arg(long, value_name = "FILE", conflicts_with = "engine")]
    pub library: Option<PathBuf>,
    /// ClickHouse as a program, `clickhouse`.
    #[arg(long, value_name = "FILE")]
    pub engine: Option<PathBuf>,
}

/// `shadowtap store up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Folder for the data (default: shadowtap/store in $XDG_DATA_HOME, or in ~/.local/share).
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Port on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value = "8123",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Database of the tables.
    #[arg(long, value_name = "NAME", default_value = "shadowtap", value_parser = database)]
    pub database: String,
    /// Which ClickHouse.
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// Names that need no quotes anywhere.
pub(super) fn database(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.bytes().all(plain) && text.starts_with(|first: char| !first.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits and underscores, not beginning with a digit".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases_need_no_quotes() {
        assert_eq!(database("shadowtap_2").as_deref(), Ok("shadowtap_2"));
        for name in ["", "2x", "a-b", "a b", "a`", "a.b", "ä"] {
            assert!(database(name).is_err(), "{name}");
        }
    }
}
