//! `shadowtap ask` as typed.

use std::path::PathBuf;

use clap::Args;

use super::{EngineArgs, StoreAddress};

/// Said at the end of `ask --help`.
pub const ASK_HELP: &str = "\
What is asked: the NDJSON files of --files; without it the store at --url or $SHADOWTAP_STORE_URL;
without that the files in the folder `findings`. Files are read by a ClickHouse on this machine,
which `shadowtap store up --help` tells how to get; it ends with the answer.

Examples:
  shadowtap ask findings-triage --files findings
  shadowtap ask server-users --set server=mcp.example --since 30d --url https://ch.example:8443";

/// `shadowtap ask`.
#[derive(Debug, Args)]
pub struct Ask {
    /// The question; without, all questions are listed.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// What the question leaves open; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting, requires = "name")]
    pub set: Vec<(String, String)>,
    /// Only what is newer: 7d, 12h, 2026-11-16, 2026-11-16T08:00:00Z or `all` (default: as the
    /// question says; of files, all).
    #[arg(long, value_name = "TIME", requires = "name")]
    pub since: Option<String>,
    /// Print a JSON object for each row.
    #[arg(long, requires = "name")]
    pub json: bool,
    /// Print the question's SQL, and ask nothing.
    #[arg(long, requires = "name", conflicts_with = "json")]
    pub sql: bool,
    /// NDJSON files that `replay` or `watch` wrote: a folder, a file, or a pattern in quotes.
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    pub files: Option<PathBuf>,
    /// The store.
    #[command(flatten)]
    pub store: StoreAddress,
    /// Which ClickHouse reads files.
    #[command(flatten)]
    pub engine: EngineArgs,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("KEY=VALUE, as server=mcp.example".to_owned()),
    }
}
