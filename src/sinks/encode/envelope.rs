//! What stands around a record: a syslog header (RFC 5424), or the envelope of Splunk's collector.
//!
//! Envelopes are made with the record, before it is stored: every try sends the same bytes.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::Deserialize;
use serde_json::Value;

use super::{EventType, Facts};
use crate::sinks::rows::Micros;

/// What stands around a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing.
    #[default]
    None,
    /// A syslog header.
    Syslog(SyslogHeader),
    /// An event of Splunk's HTTP event collector.
    Splunk(SplunkEnvelope),
}

/// Syslog's facilities (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "names of the standard")]
pub enum Facility {
    User = 1,
    Daemon = 3,
    Auth = 4,
    Authpriv = 10,
    #[default]
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

/// What the header of syslog messages says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyslogHeader {
    /// Facility.
    pub facility: Facility,
    /// HOSTNAME: the sensor's name.
    pub hostname: String,
}

/// What the envelope of Splunk says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplunkEnvelope {
    /// `host`: the sensor's name.
    pub host: String,
    /// `source`.
    pub source: String,
    /// `sourcetype`; `:` and the type of the event are added.
    pub sourcetype: String,
    /// `index`; that of the token when empty.
    pub index: String,
}

impl Envelope {
    /// The record in its envelope. `json` says whether the record is JSON; other records become
    /// text in an envelope that is JSON.
    pub(super) fn wrap<'o>(
        &self,
        facts: &Facts<'_>,
        json: bool,
        record: &'o [u8],
        out: &'o mut Vec<u8>,
    ) -> &'o [u8] {
        out.clear();
        match self {
            Self::None => return record,
            Self::Syslog(header) => header.write(facts, out),
            Self::Splunk(envelope) => envelope.begin(facts, out),
        }
        match self {
            Self::Splunk(_) if json => {
                out.extend_from_slice(record);
                out.push(b'}');
            }
            Self::Splunk(_) => {
                let text = String::from_utf8_lossy(record).into_owned();
                // Writing to memory does not fail.
                _ = write!(out, "{}}}", Value::String(text));
            }
            _ => out.extend_from_slice(record),
        }
        out
    }
}

impl SyslogHeader {
    /// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME - MSGID - `: no process id (it says nothing of the
    /// sensor), no structured data (it needs a registered number, and the message has it all), no
    /// byte order mark (readers of CEF and JSON stumble over it).
    fn write(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let priority = (self.facility as u8) * 8 + severity(facts);
        let mut head = format!("<{priority}>1 ");
        match facts.timestamp.as_ref() {
            "" => head.push('-'),
            time => head.extend(time.chars().filter(char::is_ascii_graphic).take(32)),
        }
        head.push(' ');
        let before = head.len();
        // PRINTUSASCII, at most 255 (section 6.2.4).
        head.extend(self.hostname.chars().filter(char::is_ascii_graphic).take(255));
        if head.len() == before {
            head.push('-');
        }
        _ = write!(head, " shadowtap - {} - ", facts.event.name());
        out.extend_from_slice(head.as_bytes());
    }
}

/// Syslog's severity (RFC 5424 section 6.2.1): 2 critical to 6 informational.
const fn severity(facts: &Facts<'_>) -> u8 {
    match (facts.event, facts.severity) {
        (EventType::Finding, Some(5..)) => 2,
        (EventType::Finding, Some(4)) => 3,
        (EventType::Finding, Some(3)) => 4,
        (EventType::Finding, Some(2)) => 5,
        _ => 6,
    }
}

impl SplunkEnvelope {
    /// All up to the value of `event`.
    fn begin(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Ok(Micros(micros)) = facts.timestamp.parse() {
            let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            // Of negative times the fraction counts the other way; nothing was captured then.
            _ = write!(out, "\"time\":{seconds}.{rest:06},");
        }
        let sourcetype = format!("{}:{}", self.sourcetype, facts.event.name());
        for (key, value) in [
            ("host", &self.host),
            ("source", &self.source),
            ("sourcetype", &sourcetype),
            ("index", &self.index),
        ] {
            if !value.is_empty() {
                _ = write!(out, "\"{key}\":{},", Value::String(value.clone()));
            }
        }
        out.extend_from_slice(b"\"event\":");
    }
}
