//! Records of calls, as the hub makes them, and numbers for metrics.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::Duration;

use super::Refusals;
use crate::finding;
use crate::portal::audit::{self, Audit, Trace};
use crate::portal::guard::Place;
use crate::portal::hub::parts::{Call, Ending, Entry, Kind, Metered, Record, Refusal};
use crate::portal::identity::Clock;
use crate::portal::limits::Limits;
use crate::portal::upstream::Upstreams;
use crate::portal::upstream::counters::KINDS;
use crate::portal::wire::{Raw, code};
use crate::secret::SecretHasher;
use crate::sinks::event::{
    CallDecision, CallError, CallEvent, CallHold, CallMcp, CallOutcome, CallPin, CallRequest,
    CallResponse, CallServer, PortalInfo,
};
use crate::sinks::metrics::{Format, render_portal};

/// Ids of sessions are random: the same one has the same hash in all replicas, and that is all.
static SESSIONS: LazyLock<SecretHasher> =
    LazyLock::new(|| SecretHasher::new(b"shadowtap portal sessions"));

#[derive(Debug)]
pub(super) struct Book {
    pub(super) audit: Arc<Audit>,
    pub(super) portal: PortalInfo,
    pub(super) places: Arc<HashMap<Arc<str>, Place>>,
    pub(super) clock: Clock,
}

impl Record for Book {
    fn ready(&self) -> Result<(), Refusal> {
        self.audit.ready().map_err(|unready| Refusal::new("audit", &unready.error().message))
    }

    fn trace(&self, call: &Call) -> Option<(Trace, Option<Raw>)> {
        let (params, header) = (call.params.as_deref(), call.from.traceparent.as_deref());
        let sends = self.audit.sends_spans();
        let names = |raw: &serde_json::value::RawValue| {
            memchr::memmem::find(raw.get().as_bytes(), b"traceparent").is_some()
        };
        if !sends && header.is_none() && !params.is_some_and(names) {
            return None;
        }
        let trace = self.audit.trace(params, header);
        // Without spans of its own the portal is no part of the trace.
        let changed = sends.then(|| trace.continued(params));
        Some((trace, changed))
    }

    fn record(&self, entry: Entry) {
        self.audit.record(&self.event(entry));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Book {
    fn event(&self, entry: Entry) -> CallEvent {
        let Entry { call, allowed, ending, .. } = &entry;
        let (outcome, error) = outcome(ending);
        let place = self.places.get(&call.server);
        let of_server = |place: &Place| audit::server(&call.server, place);
        let unknown = || CallServer { id: call.server.to_string(), ..CallServer::default() };
        let mut event = CallEvent {
            timestamp: self.clock.now().minus(entry.total),
            event: CallOutcome {
                id: audit::fresh_id(),
                outcome,
                duration_us: micros(entry.total),
                upstream_us: entry.upstream.map(micros),
                first_byte_us: entry.first_byte.map(micros),
            },
            portal: self.portal.clone(),
            source: audit::source(Some(call.from.address)),
            user: audit::user(&call.principal),
            client: audit::client(
                &call.principal,
                call.client.info.as_ref(),
                call.from.user_agent.as_deref(),
            ),
            server: place.map_or_else(unknown, of_server),
            mcp: mcp(call, &entry),
            arguments: call.arguments.as_deref().map(|json| self.audit.arguments(json)),
            decision: decision(&entry),
            findings: Vec::new(),
            rules: entry.rules.iter().map(ToString::to_string).collect(),
            pin: allowed.pin.map(|state| CallPin {
                state: state.to_owned(),
                digest: allowed.digest.as_deref().map(str::to_owned),
            }),
            request: CallRequest { bytes: call.request_bytes as u64 },
            response: CallResponse { bytes: entry.response_bytes as u64, upstream_status: None },
            error,
            trace: entry.trace.as_ref().map(audit::traced),
        };
        audit::add_findings(&mut event, &entry.found);
        event
    }
}

fn mcp(call: &Call, entry: &Entry) -> CallMcp {
    let (kind, name, uri) = match call.kind {
        Kind::Tool | Kind::Prompt => (call.kind.as_str(), Some(call.name.to_string()), None),
        Kind::Resource | Kind::Template => ("resource", None, Some(finding::mask(&call.name))),
        Kind::Method => ("", None, None),
    };
    CallMcp {
        method: call.method.to_string(),
        kind,
        name,
        uri,
        id: Some(entry.id.to_string()),
        session: call.session.as_deref().map(|id| audit::session(&SESSIONS, id)),
        protocol_version: Some(call.revision.as_str().to_owned()),
        server_protocol_version: entry.server_revision.map(|it| it.as_str().to_owned()),
    }
}

fn decision(entry: &Entry) -> CallDecision {
    let allowed = &entry.allowed;
    let hold = allowed.approver.as_deref().map(|approver| CallHold {
        id: String::new(),
        outcome: "released".to_owned(),
        approver: Some(approver.to_owned()),
    });
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let tier = text(&allowed.tier);
    let Ending::Refused(refusal) = &entry.ending else {
        let ruling = if hold.is_some() { "hold" } else { "allow" };
        let policy = text(&allowed.policy);
        return CallDecision { ruling: ruling.to_owned(), policy, kind: None, tier, hold };
    };
    let hold = match &*refusal.kind {
        "approval-denied" => Some("denied"),
        "approval-pending" => Some("expired"),
        _ => None,
    }
    .map(|outcome| CallHold { outcome: outcome.to_owned(), ..CallHold::default() })
    .or(hold);
    CallDecision {
        ruling: "deny".to_owned(),
        policy: text(&refusal.id).or_else(|| text(&allowed.policy)),
        kind: Some(refusal.kind.to_string()),
        tier,
        hold,
    }
}

fn outcome(ending: &Ending) -> (&'static str, Option<CallError>) {
    let error = |code: Option<i64>, message: &str| {
        Some(CallError { code, message: finding::mask(message) })
    };
    match ending {
        Ending::Result(false) | Ending::InputRequired => ("success", None),
        Ending::Result(true) => ("failure", error(None, "the tool says that it failed")),
        Ending::Error(code) => ("failure", error(Some(*code), "the server's error")),
        Ending::Refused(refusal) => ("refused", error(Some(code::REFUSED), &refusal.message)),
        Ending::Failed(why) => ("failure", error(Some(code::INTERNAL), why)),
        Ending::Cancelled => ("failure", error(None, "cancelled")),
    }
}

/// For `/metrics`.
pub(super) struct Numbers {
    pub(super) audit: Arc<Audit>,
    pub(super) limits: Limits,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) refusals: Refusals,
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Numbers")
    }
}

impl Metered for Numbers {
    fn metrics(&self, to: &mut String) {
        let mut counters = self.audit.counters();
        counters.under_way = self.limits.under_way().into();
        to.push_str(&render_portal(&counters, Format::Prometheus));
        let family = |to: &mut String, name: &str, kind: &str, help: &str| {
            // Writing to a string cannot fail.
            _ = write!(
                to,
                "# HELP shadowtap_portal_{name} {help}\n# TYPE shadowtap_portal_{name} {kind}\n"
            );
        };
        let help = "Requests that identity refused, by kind.";
        family(to, "refused_requests_total", "counter", help);
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (kind, count) in refusals {
            _ = writeln!(to, "shadowtap_portal_refused_requests_total{{kind=\"{kind}\"}} {count}");
        }
        let all: Vec<_> = self.upstreams.counters().collect();
        family(to, "upstream_failures_total", "counter", "Requests that a server failed, by kind.");
        for (server, counts) in &all {
            for (kind, count) in KINDS.iter().zip(counts.failures) {
                _ = writeln!(
                    to,
                    "shadowtap_portal_upstream_failures_total{{server=\"{server}\",kind=\"{kind}\"}} \
                     {count}"
                );
            }
        }
        for (name, kind, help) in [
            ("upstream_requests_total", "counter", "Requests to a server."),
            (
                "upstream_reconnects_total",
                "counter",
                "Sessions begun anew, streams resumed, children restarted.",
            ),
            ("upstream_sessions_total", "counter", "Sessions and children begun."),
            ("upstream_streams", "gauge", "Streams open now."),
        ] {
            family(to, name, kind, help);
            for (server, counts) in &all {
                let value = match name {
                    "upstream_requests_total" => counts.calls,
                    "upstream_reconnects_total" => counts.reconnects,
                    "upstream_sessions_total" => counts.sessions,
                    _ => u64::try_from(counts.open_streams).unwrap_or(0),
                };
                _ = writeln!(to, "shadowtap_portal_{name}{{server=\"{server}\"}} {value}");
            }
        }
    }
}
