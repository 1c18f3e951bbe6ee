//! One record for each call: to files, to whatever outputs there are, and as spans.
//!
//! ```text
//! Record ─ line ─┬─► files (one flush to the disk for all that wait) ─► ready()
//!                ├─► outboxes (ClickHouse and other outputs of the sensor)
//!                └─► counters ─► metrics
//! Record ─ span ───► OTLP (sampled, bounded, what finds no room is counted)
//! ```
//!
//! A record is no part of the call's time: it is taken at the end, and on the disk some
//! milliseconds later. Before a call is sent, [`Audit::ready`] says whether records reach the disk;
//! where they do not, the call is refused before anything happened (`on_failure: refuse`). So a
//! crash can lose the records of the last [`max_delay`](config::Checked::max_delay) at worst.
//!
//! Records hold no values of arguments unless the configuration asks for them, and then masked.

mod arguments;
pub mod config;
mod counters;
mod file;
mod otlp;
#[cfg(test)]
mod tests;
mod trace;

use std::fmt;
use std::net::SocketAddr;

use serde_json::value::RawValue;

use super::guard::{self, Found, Place};
use super::principal::Principal;
use super::wire::{Raw, RpcError, code};
use crate::finding;
use crate::mcp::jcs;
use crate::secret::SecretHasher;
use crate::sinks::event::{
    Address, CallArguments, CallClient, CallFinding, CallServer, CallUser, Event,
};
use crate::sinks::ndjson::write_event;
use crate::sinks::outbox::Outbox;

pub use arguments::{arguments, shape};
pub use config::{Checked, OnFailure, Spec};
pub use file::Told;
pub use otlp::{Exporter, Sent};
pub use trace::Trace;

pub use crate::sinks::event::CallEvent as Record;
pub use crate::sinks::metrics::PortalCalls as Counters;

/// Why no record can be promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The last try to write failed.
    Failed,
    /// Too many records wait for the disk.
    Full,
    /// The disk is too slow.
    Late,
}

impl Unready {
    /// The error that the client gets: nothing was sent.
    #[must_use]
    pub fn error(self) -> RpcError {
        let text = "refused: the call could not be recorded, so it was not sent; try again later";
        RpcError::with_data(code::REFUSED, text, &serde_json::json!({"kind": "audit"}))
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "records of calls cannot be written",
            Self::Full => "too many records of calls wait for the disk",
            Self::Late => "the disk takes too long for records of calls",
        })
    }
}

/// What did not work at the start.
pub type StartError = String;

/// The audit, at work.
#[derive(Debug)]
pub struct Audit {
    files: file::Files,
    checked: Checked,
    outboxes: Vec<Outbox>,
    exporter: Option<Exporter>,
    counters: counters::Shared,
}

impl Audit {
    /// Opens the files and starts. Spans are sent by tasks of the runtime that this is called in.
    ///
    /// # Errors
    /// When nothing can be written there, and what to do.
    pub fn start(checked: Checked, outboxes: Vec<Outbox>, told: Told) -> Result<Self, StartError> {
        let options = file::Options {
            directory: checked.directory.clone(),
            rotate_bytes: checked.rotate_bytes,
            keep_bytes: checked.keep_bytes,
            max_waiting_bytes: checked.max_waiting_bytes,
            // So that a healthy disk is never late.
            gather: file::GATHER.min(checked.max_delay / 4),
        };
        let files = file::Files::start(options, told)?;
        let exporter = checked.traces.as_ref().map(Exporter::start).transpose()?;
        let counters = counters::Shared::default();
        Ok(Self { files, checked, outboxes, exporter, counters })
    }

    /// Whether the record of a call that is sent now can be stored. To be asked before it is sent.
    ///
    /// # Errors
    /// Why not; never with `on_failure: serve`.
    pub fn ready(&self) -> Result<(), Unready> {
        match self.checked.on_failure {
            OnFailure::Serve => Ok(()),
            OnFailure::Refuse => self.health(),
        }
    }

    /// The same, whatever happens to calls: for health pages.
    ///
    /// # Errors
    /// Why no record can be stored.
    pub fn health(&self) -> Result<(), Unready> {
        match self.files.trouble(self.checked.max_delay) {
            None => Ok(()),
            Some(file::Trouble::Failed) => Err(Unready::Failed),
            Some(file::Trouble::Full) => Err(Unready::Full),
            Some(file::Trouble::Late) => Err(Unready::Late),
        }
    }

    /// Takes the record of a call that is over. Never waits.
    pub fn record(&self, record: &Record) {
        self.counters.count(record);
        let mut line = Vec::with_capacity(2_048);
        // A record is strings and numbers: it can always be written to memory.
        if write_event(&mut line, &Event::Call(record)).is_err() {
            return;
        }
        let _counted = self.files.put(&line);
        self.outboxes.iter().for_each(|outbox| outbox.offer(&line));
        if let Some(exporter) = &self.exporter {
            exporter.offer(record);
        }
    }

    /// What a record says of the arguments of a call.
    #[must_use]
    pub fn arguments(&self, json: &RawValue) -> CallArguments {
        arguments(json, self.checked.argument_text)
    }

    /// Whether spans are sent anywhere.
    #[must_use]
    pub const fn sends_spans(&self) -> bool {
        self.exporter.is_some()
    }

    /// The trace that a call belongs to.
    #[must_use]
    pub fn trace(&self, params: Option<&RawValue>, header: Option<&str>) -> Trace {
        Trace::of(params, header, self.checked.traces.as_ref().map_or(0, |traces| traces.sample))
    }

    /// What was counted so far, for metrics.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let [written, lost, flushes] = self.files.counts();
        let spans = self.exporter.as_ref().map(Exporter::sent).unwrap_or_default();
        let mut counters = self.counters.read();
        (counters.records_written, counters.records_lost) = (written, lost);
        counters.record_flushes = flushes;
        (counters.spans_sent, counters.spans_lost) = (spans.sent, spans.lost);
        counters.is_audit_ready = self.health().is_ok();
        counters
    }

    /// What the outputs did so far.
    #[must_use]
    pub fn outputs(&self) -> Vec<crate::sinks::outbox::Stats> {
        self.outboxes.iter().map(Outbox::stats).collect()
    }

    /// Stores what waits. The outboxes are handed back, to be finished in their own time.
    #[must_use]
    pub fn finish(self) -> Vec<Outbox> {
        self.files.finish();
        self.outboxes
    }
}

/// Id of a record: 128 random bits, in hexadecimal.
#[must_use]
pub fn fresh_id() -> String {
    let trace = Trace::of(None, None, 0);
    format!("{:032x}", trace.id)
}

/// What a record says of whoever calls.
#[must_use]
pub fn user(who: &Principal) -> CallUser {
    CallUser {
        issuer: who.owner.issuer.to_string(),
        id: who.owner.subject.to_string(),
        name: who.name.as_deref().map(str::to_owned),
        groups: who.groups.iter().map(ToString::to_string).collect(),
        proof: who.proof.as_str().to_owned(),
    }
}

/// What a record says of the client: what it claims is cut and free of secrets.
#[must_use]
pub fn client(who: &Principal, info: Option<&Raw>, user_agent: Option<&str>) -> CallClient {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Info {
        name: String,
        version: String,
    }
    let claimed = info.and_then(|info| serde_json::from_str::<Info>(info.get()).ok());
    let claimed = claimed.filter(|info| !info.name.is_empty());
    let name = claimed.map(|Info { name, version }| format!("{name} {version}"));
    CallClient {
        id: who.owner.client.to_string(),
        unverified_name: name.map(|name| finding::mask(name.trim_end())),
        user_agent: user_agent.map(finding::mask),
    }
}

/// What a record says of the client's address.
#[must_use]
pub fn source(address: Option<SocketAddr>) -> Address {
    Address { ip: address.map(|address| address.ip()), port: address.map(|address| address.port()) }
}

/// What a record says of a server.
#[must_use]
pub fn server(id: &str, place: &Place) -> CallServer {
    CallServer { id: id.to_owned(), key: place.key.clone(), address: place.host.clone() }
}

/// What a record says of finds, of all messages of a call together.
pub fn add_findings(record: &mut Record, found: &[Found]) {
    for found in found {
        let direction = match found.direction {
            guard::config::Way::Request => "request",
            guard::config::Way::Response => "response",
        };
        let same = record.findings.iter_mut().find(|known| {
            known.kind == *found.kind
                && known.direction == direction
                && known.action == found.action.as_str()
        });
        match same {
            Some(known) => known.count = known.count.saturating_add(found.count),
            None => record.findings.push(CallFinding {
                kind: found.kind.to_string(),
                direction: direction.to_owned(),
                count: found.count,
                action: found.action.as_str().to_owned(),
                pointer: found.pointer.to_string(),
            }),
        }
    }
}

/// What a record says of a trace.
#[must_use]
pub fn traced(trace: &Trace) -> crate::sinks::event::CallTrace {
    let parent = if trace.parent == 0 { String::new() } else { format!("{:016x}", trace.parent) };
    crate::sinks::event::CallTrace {
        id: format!("{:032x}", trace.id),
        span: format!("{:016x}", trace.span),
        parent,
        is_sampled: trace.is_sampled,
    }
}

/// What a record says of a session: a keyed hash.
#[must_use]
pub fn session(hasher: &SecretHasher, id: &str) -> String {
    hasher.hash(id.as_bytes()).to_string()
}

/// Version of a configuration: the first twelve hexadecimal digits of the SHA-256 of its text.
#[must_use]
pub fn config_version(text: &str) -> String {
    jcs::digest(text).chars().take(12).collect()
}
