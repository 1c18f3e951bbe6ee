//! `shadowtap logs`, and what `watch` is told of logs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{EXIT_CODES, RunOptions};

/// Said at the end of `logs --help`.
pub const LOGS_HELP: &str = EXIT_CODES;

/// `shadowtap logs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Logs {
    /// Something else than reading.
    #[command(subcommand)]
    pub command: Option<LogsCommand>,
    /// Log files (also gzip and zstd), folders, glob patterns, or - for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Format of all files (default: each is recognised by its first lines).
    #[arg(long, value_name = "FORMAT", conflicts_with = "mapping")]
    pub format: Option<String>,
    /// Read all files as this mapping (YAML) says; `logs schema` prints the schema of mappings.
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// What any run that ends is told.
    #[command(flatten)]
    pub run: RunOptions,
}

/// Something else than reading.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum LogsCommand {
    /// List the formats.
    Formats,
    /// Print the JSON Schema of mappings, for logs of other formats.
    Schema,
}

/// `--logs-from`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Beginning {
    /// At the first line of each file.
    #[default]
    Start,
    /// Behind the last line of each file.
    End,
}

/// Logs that are followed.
#[derive(Clone, Debug, Default, Args)]
pub struct Followed {
    /// Follow a log, a folder of logs or a quoted pattern, through rotations; may be given several
    /// times. Goes on where the run before stopped (kept in logs.json of --state). Its format is
    /// recognised, unless named.
    #[arg(long, value_name = "PATH[=FORMAT]")]
    pub logs: Vec<String>,
    /// Mapping (YAML) whose name can be a FORMAT of --logs; may be given several times.
    #[arg(long, value_name = "FILE", requires = "logs")]
    pub logs_mapping: Vec<PathBuf>,
    /// Where to begin in logs that no run before has followed.
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    pub logs_from: Beginning,
}
