//! The section `audit` of the portal's file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::span;

/// What happens to calls whose records cannot be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They are refused before they are sent.
    #[default]
    Refuse,
    /// They are served; what finds no room is counted as lost.
    Serve,
}

/// Spans by OTLP over HTTP (OpenTelemetry protocol, JSON encoding).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracesSpec {
    /// Where the collector takes spans: `http://collector:4318/v1/traces`.
    pub url: String,
    /// Which share of the calls that no trace names is told of, 0 to 1; calls that belong to a
    /// trace follow its own decision. Default 0.05.
    #[serde(default = "some")]
    pub sample: f64,
    /// Header fields to be sent, such as an API key, each a file that holds the value.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, PathBuf>,
    /// PEM file of a further authority to be trusted.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

const fn some() -> f64 {
    0.05
}

/// Records of calls.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// Folder for `calls.ndjson` and the files that follow it. Relative to the portal's file.
    /// Default: `audit`.
    pub directory: PathBuf,
    /// Files rotate at this size, in bytes. Default 64 MiB.
    pub rotate_bytes: u64,
    /// Bytes of all files together, beyond which the oldest go. Default: all are kept.
    pub keep_bytes: Option<u64>,
    /// What happens to calls whose records cannot be stored. Default `refuse`.
    pub on_failure: OnFailure,
    /// A record that is not on the disk after this time counts as one that cannot be stored.
    /// Default `2s`.
    pub max_delay: String,
    /// Bytes of records that wait for the disk; beyond them none can be stored. Default 16 MiB.
    pub max_waiting_bytes: usize,
    /// Whether records hold the arguments, with secrets masked and at most 512 characters long.
    /// Default `false`.
    pub argument_text: bool,
    /// Spans for an OpenTelemetry collector. Default: none.
    pub traces: Option<TracesSpec>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            directory: "audit".into(),
            rotate_bytes: 64 << 20,
            keep_bytes: None,
            on_failure: OnFailure::Refuse,
            max_delay: "2s".to_owned(),
            max_waiting_bytes: 16 << 20,
            argument_text: false,
            traces: None,
        }
    }
}

/// Where spans go, checked.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Where the collector takes them.
    pub url: String,
    /// Share of the calls that no trace names, in parts of 2^32.
    pub sample: u64,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// PEM file of a further authority.
    pub ca_file: Option<PathBuf>,
}

/// The section, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Folder of the files.
    pub directory: PathBuf,
    /// Files rotate at this size, in bytes.
    pub rotate_bytes: u64,
    /// Bytes of all files together.
    pub keep_bytes: Option<u64>,
    /// What happens to calls whose records cannot be stored.
    pub on_failure: OnFailure,
    /// A record that is not on the disk after this time cannot be stored.
    pub max_delay: Duration,
    /// Bytes of records that wait for the disk.
    pub max_waiting_bytes: usize,
    /// Whether records hold the arguments, masked.
    pub argument_text: bool,
    /// Where spans go.
    pub traces: Option<Traces>,
}

impl Spec {
    /// Checks it, and reads the files that it names. Paths are relative to `base`.
    ///
    /// # Errors
    /// All that is wrong, each with its place in the section and what to do.
    pub fn check(self, base: &Path) -> Result<Checked, Vec<String>> {
        let mut problems = Vec::new();
        let max_delay = span(&self.max_delay).filter(|delay| !delay.is_zero());
        if max_delay.is_none() {
            problems.push(format!("audit.max_delay: {:?} is no time such as 2s", self.max_delay));
        }
        if self.max_waiting_bytes < 64 << 10 {
            problems.push("audit.max_waiting_bytes: use 65,536 or more".to_owned());
        }
        if self.rotate_bytes < 4_096 {
            problems.push("audit.rotate_bytes: use 4,096 or more".to_owned());
        }
        if self.keep_bytes.is_some_and(|keep| keep < self.rotate_bytes.saturating_mul(2)) {
            problems.push(
                "audit.keep_bytes: less than two files would be kept; use twice rotate_bytes or \
                 more"
                    .to_owned(),
            );
        }
        let traces = self.traces.and_then(|spec| match checked(spec, base) {
            Ok(traces) => Some(traces),
            Err(more) => {
                problems.extend(more);
                None
            }
        });
        match max_delay {
            Some(max_delay) if problems.is_empty() => Ok(Checked {
                directory: base.join(self.directory),
                rotate_bytes: self.rotate_bytes,
                keep_bytes: self.keep_bytes,
                on_failure: self.on_failure,
                max_delay,
                max_waiting_bytes: self.max_waiting_bytes,
                argument_text: self.argument_text,
                traces,
            }),
            _ => Err(problems),
        }
    }
}

fn checked(spec: TracesSpec, base: &Path) -> Result<Traces, Vec<String>> {
    let mut problems = Vec::new();
    let TracesSpec { url, sample, headers, ca_file } = spec;
    let uri = url.parse::<hyper::Uri>().ok();
    if !uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https"))) {
        problems.push(format!(
            "audit.traces.url: {url} is no address such as http://collector:4318/v1/traces"
        ));
    }
    if !(0.0..=1.0).contains(&sample) {
        problems.push(format!("audit.traces.sample: {sample} is not 0 to 1"));
    }
    let mut read = Vec::new();
    for (name, file) in headers {
        match std::fs::read_to_string(base.join(&file)) {
            Ok(value) => read.push((name, value.trim().to_owned())),
            Err(error) => problems.push(format!(
                "audit.traces.headers.{name}: cannot read {}: {error}",
                file.display()
            )),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    #[expect(clippy::cast_possible_truncation, reason = "0 to 2^32, as was checked")]
    let sample = (sample * 4_294_967_296.0) as u64;
    let ca_file = ca_file.map(|file| base.join(file));
    Ok(Traces { url, sample, headers: read, ca_file })
}
