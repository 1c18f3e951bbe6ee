//! Event lines in the forms that other products read.
//!
//! ```text
//!   event line ── rows ── table ──┬─ ECS, OCSF, EVE (JSON) ──┬─ nothing ─── record
//!        │                        └─ CEF (text) ─────────────┼─ syslog header
//!        └── native, rows ───────────────────────────────────┴─ Splunk envelope
//! ```
//!
//! One table ([`markdown`]) says for each column what the fact is called elsewhere. Findings and
//! messages have a place in all formats; servers, flows and statistics only in `native` and `rows`.
//!
//! Nothing here is bounded on its own: a record has some times the bytes of its row, and rows are
//! bounded ([`crate::sinks::rows::line`]). One record is in memory at a time.

mod cef;
mod convert;
mod ecs;
mod envelope;
mod eve;
mod ocsf;
mod place;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Deserialize;

pub(in crate::sinks) use cef::cut;
pub use envelope::{Envelope, Facility, SplunkEnvelope, SyslogHeader};
pub use table::markdown;

use super::outbox::{Encode, Stream};
use super::rows::line::{Source, rows};
use super::rows::{FindingRow, MessageRow, Row};
use crate::rules::Severity;
use table::{FINDING, Format, MESSAGE};

/// The stream of outputs that know no tables.
pub const EVENTS: Stream = "events";

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As in our own files: one JSON object a line.
    #[default]
    Native,
    /// Rows of the store's tables, as JSON.
    Rows,
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework: Detection Finding, HTTP Activity.
    Ocsf,
    /// Suricata's EVE.
    Eve,
    /// ArcSight's Common Event Format.
    Cef,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Native, Self::Rows, Self::Ecs, Self::Ocsf, Self::Eve, Self::Cef];

    /// Its name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Rows => "rows",
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
            Self::Eve => "eve",
            Self::Cef => "cef",
        }
    }

    /// Whether such events have a form in it.
    #[must_use]
    pub const fn has(self, event: EventType) -> bool {
        matches!(self, Self::Native | Self::Rows)
            || matches!(event, EventType::Finding | EventType::Message)
    }

    /// Whether a record is a JSON object.
    #[must_use]
    pub const fn is_json(self) -> bool {
        !matches!(self, Self::Cef)
    }
}

/// Types of event lines.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A finding.
    Finding,
    /// A server, or a hint of one.
    Server,
    /// A JSON-RPC message.
    Message,
    /// A flow.
    Flow,
    /// What the sensor saw and could not see.
    Stats,
    /// A call through the portal.
    Call,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Finding, Self::Server, Self::Message, Self::Flow, Self::Stats, Self::Call];

    /// The value of `event_type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Server => "server",
            Self::Message => "message",
            Self::Flow => "flow",
            Self::Stats => "stats",
            Self::Call => "call",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Which events an output wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Of these types.
    pub events: Vec<EventType>,
    /// Findings of this severity and above. Events of other types have none.
    pub min_severity: Severity,
}

impl Selection {
    fn wants(&self, facts: &Facts<'_>) -> bool {
        let severe = facts.event != EventType::Finding
            || facts.severity.is_none_or(|severity| severity > self.min_severity as u8);
        self.events.contains(&facts.event) && severe
    }
}

/// What is read of a line before anything else.
#[derive(Deserialize)]
struct Head<'l> {
    #[serde(borrow)]
    event_type: Cow<'l, str>,
    #[serde(borrow, default, rename = "@timestamp")]
    timestamp: Cow<'l, str>,
    #[serde(default)]
    event: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    severity: Option<u8>,
}

/// What envelopes say of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts<'l> {
    event: EventType,
    /// RFC 3339.
    timestamp: Cow<'l, str>,
    /// 1 (info) to 5 (critical), of findings.
    severity: Option<u8>,
}

impl<'l> Facts<'l> {
    fn read(line: &'l [u8]) -> Result<Self, String> {
        let head: Head<'l> = serde_json::from_slice(line).map_err(|error| {
            format!("not an event: {error}").chars().take(200).collect::<String>()
        })?;
        let event = EventType::of_name(&head.event_type).ok_or_else(|| {
            let name: String = head.event_type.chars().take(40).collect();
            format!("the event_type {name:?} is none of ours")
        })?;
        Ok(Self { event, timestamp: head.timestamp, severity: head.event.severity })
    }
}

/// Makes records of one encoding out of event lines, in an envelope where the output wants one.
#[derive(Clone, Debug)]
pub struct EventEncoder {
    encoding: Encoding,
    envelope: Envelope,
    selection: Selection,
    sensor: String,
    run: String,
    /// Room for a record and for its envelope, kept between lines.
    record: Vec<u8>,
    wrapped: Vec<u8>,
}

impl EventEncoder {
    /// An encoder. `source` is what lines do not say themselves.
    #[must_use]
    pub fn new(
        encoding: Encoding,
        selection: Selection,
        envelope: Envelope,
        source: &Source<'_>,
    ) -> Self {
        Self {
            encoding,
            envelope,
            selection,
            sensor: source.sensor.to_owned(),
            run: source.run.to_owned(),
            record: Vec::new(),
            wrapped: Vec::new(),
        }
    }
}

impl Encode for EventEncoder {
    fn encode(&mut self, line: &[u8], put: &mut dyn FnMut(Stream, &[u8])) -> Result<(), String> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let facts = Facts::read(line)?;
        if !self.selection.wants(&facts) {
            return Ok(());
        }
        let Self { encoding, envelope, sensor, run, record, wrapped, .. } = self;
        if *encoding == Encoding::Native {
            put(EVENTS, envelope.wrap(&facts, true, line, wrapped));
            return Ok(());
        }
        let mut failed = None;
        let source = Source { sensor, run };
        let read = rows(line, &source, &mut |row| {
            record.clear();
            let stream = if *encoding == Encoding::Rows { row.table().name() } else { EVENTS };
            match write(*encoding, &row, record) {
                Ok(true) => put(stream, envelope.wrap(&facts, encoding.is_json(), record, wrapped)),
                Ok(false) => {}
                Err(error) => failed = Some(error.to_string()),
            }
        });
        read.map_err(|error| error.to_string())?;
        failed.map_or(Ok(()), Err)
    }
}

/// Appends the record of a row; false when the encoding has none for it.
fn write(encoding: Encoding, row: &Row, out: &mut Vec<u8>) -> serde_json::Result<bool> {
    let format = match encoding {
        Encoding::Native | Encoding::Rows => {
            serde_json::to_writer(out, row)?;
            return Ok(true);
        }
        Encoding::Ecs => Format::Ecs,
        Encoding::Ocsf => Format::Ocsf,
        Encoding::Eve => Format::Eve,
        Encoding::Cef => Format::Cef,
    };
    match row {
        Row::Finding(row) => finding(format, row, out)?,
        Row::Message(row) => message(format, row, out)?,
        Row::Flow(_) | Row::Tool(_) | Row::Stats(_) | Row::Call(_) => return Ok(false),
    }
    Ok(true)
}

fn finding(format: Format, row: &FindingRow, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let fixed = match format {
        Format::Ecs => ecs::FINDING,
        Format::Ocsf => ocsf::FINDING,
        Format::Eve => eve::FINDING,
        Format::Cef => {
            let mut text = String::new();
            cef::write(row, FINDING, cef::FINDING, &mut text);
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
    };
    serde_json::to_writer(out, &place::record(row, FINDING, format, fixed))
}

fn message(format: Format, row: &MessageRow, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let fixed = match format {
        Format::Ecs => ecs::MESSAGE,
        Format::Ocsf => ocsf::MESSAGE,
        Format::Eve => eve::MESSAGE,
        Format::Cef => {
            let mut text = String::new();
            cef::write(row, MESSAGE, cef::MESSAGE, &mut text);
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
    };
    serde_json::to_writer(out, &place::record(row, MESSAGE, format, fixed))
}
