//! `outputs.yaml`: which events go where, in which form.

mod check;
mod explain;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use explain::explain;

use super::template::Template;
use crate::rules::{Problem, Report, Source};
use crate::sinks::encode::{Encoding, Facility, Selection};
pub use crate::sinks::store::client::Compression;

/// The value of `schema:` in a file of outputs.
pub const SCHEMA: &str = "shadowtap/outputs@1";
/// Longest file that is read: 1 MiB.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// So many outputs can be in a file: each has threads and a spool of its own.
pub const MAX_OUTPUTS: usize = 32;

/// One output.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name: that of its spool, and what messages call it. Lower-case letters, digits, `-`, `_`.
    pub name: String,
    /// How events are written.
    pub encoding: Encoding,
    /// Which events.
    pub selection: Selection,
    /// When a batch is full.
    pub batch: Batch,
    /// Bytes on disk that may wait for delivery; beyond them the oldest are dropped and counted.
    pub spool_bytes: u64,
    /// Where to.
    pub target: Target,
}

/// When a batch is full: whatever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Records.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Age of its first record.
    pub age: Duration,
}

/// Kinds of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Tables of a ClickHouse server.
    Clickhouse,
    /// POST to an address.
    Webhook,
    /// Splunk's HTTP event collector.
    SplunkHec,
    /// Syslog over TCP, TLS or UDP.
    Syslog,
    /// Rotated files.
    File,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Clickhouse, Self::Webhook, Self::SplunkHec, Self::Syslog, Self::File];

    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clickhouse => "clickhouse",
            Self::Webhook => "webhook",
            Self::SplunkHec => "splunk_hec",
            Self::Syslog => "syslog",
            Self::File => "file",
        }
    }
}

/// Where an output goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// ClickHouse.
    Clickhouse(ClickhouseTarget),
    /// A webhook.
    Webhook(WebhookTarget),
    /// Splunk.
    SplunkHec(SplunkTarget),
    /// Syslog.
    Syslog(SyslogTarget),
    /// Files.
    File(FileTarget),
}

impl Target {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Clickhouse(_) => Kind::Clickhouse,
            Self::Webhook(_) => Kind::Webhook,
            Self::SplunkHec(_) => Kind::SplunkHec,
            Self::Syslog(_) => Kind::Syslog,
            Self::File(_) => Kind::File,
        }
    }
}

/// Where a secret is. It never stands in the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The first line of a file.
    File(PathBuf),
    /// A credential that systemd hands to the service (`LoadCredential=`).
    Credential(String),
}

/// A ClickHouse server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickhouseTarget {
    /// `http://` or `https://`, without a password.
    pub url: String,
    /// Database of the tables.
    pub database: String,
    /// User; ClickHouse's `default` when none.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Compression.
    pub compression: Compression,
    /// Further settings of the server, by name.
    pub settings: BTreeMap<String, String>,
}

/// What a webhook is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Records on lines.
    Ndjson,
    /// A JSON array of records.
    Array,
    /// A text for each record, filled in with its fields.
    Template(Template),
}

/// A header field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderText {
    /// As it stands in the file.
    Plain(String),
    /// A secret.
    Secret(Secret),
}

/// A webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookTarget {
    /// Where to.
    pub url: String,
    /// What it is sent.
    pub body: Body,
    /// Header fields.
    pub headers: BTreeMap<String, HeaderText>,
    /// Key of the signature.
    pub sign: Option<Secret>,
    /// Certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Splunk's HTTP event collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplunkTarget {
    /// Its address, without a path.
    pub url: String,
    /// Its token.
    pub token: Secret,
    /// Index; that of the token when empty.
    pub index: String,
    /// `source` of the events.
    pub source: String,
    /// `sourcetype` of the events, to which the type of the event is added.
    pub sourcetype: String,
    /// Certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// How syslog travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TLS (RFC 5425).
    #[default]
    Tls,
    /// TCP with counted messages (RFC 6587).
    Tcp,
    /// One datagram for each message (RFC 5426): nobody says whether it arrived.
    Udp,
}

impl Transport {
    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A syslog receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTarget {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it travels.
    pub transport: Transport,
    /// Facility.
    pub facility: Facility,
    /// Certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long connecting and sending a batch may take.
    pub timeout: Duration,
}

/// Rotated files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTarget {
    /// Folder; files are named after the output.
    pub directory: PathBuf,
    /// A file rotates at so many bytes.
    pub rotate_bytes: u64,
    /// All files of the output together; the oldest go. No bound when none.
    pub keep_bytes: Option<u64>,
}

/// The outputs of a file, with what is odd about them.
///
/// # Errors
/// Everything that is wrong with the file, with places and advice.
pub fn parse(source: &Source) -> Result<(Vec<Output>, Report), Report> {
    let mut report = Report::default();
    if source.text.len() > MAX_FILE_BYTES {
        let message = format!("the file is longer than {MAX_FILE_BYTES} bytes");
        report.push(Problem::of_file(&source.name, "too-long", message));
        return Err(report);
    }
    let file: raw::File = match crate::rules::read_yaml(source) {
        Ok(file) => file,
        Err(mut problem) => {
            if problem.code == "several-documents" {
                problem.message = "a file of outputs is one document".into();
            }
            report.push(*problem);
            return Err(report);
        }
    };
    let outputs = check::outputs(source, &file, &mut report);
    report.sort();
    if report.has_errors() { Err(report) } else { Ok((outputs, report)) }
}

/// JSON Schema of files of outputs, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(raw::File).to_value();
    let rules = Kind::ALL.map(check::keys_of_kind);
    if let Some(output) = schema.pointer_mut("/$defs/Output").and_then(|o| o.as_object_mut()) {
        output.insert("allOf".into(), rules.to_vec().into());
    }
    schema
}
