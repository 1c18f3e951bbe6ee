//! `shadowtap approvals`.

use super::args::Approvals;
use super::load::{self, Sources};
use super::{Exit, Failure, print};
use crate::finding::mask;
use crate::mcp::Evidence;
use crate::mcp::inventory::Server;
use crate::pipeline;
use crate::time::Timestamp;
use crate::verdict::{DraftServer, draft};

pub(super) fn run(command: Approvals) -> Result<Exit, Failure> {
    match command {
        Approvals::Check { file } => {
            let approvals = load::approvals(&file)?;
            let warnings = approvals.warnings(now());
            let of = |count: usize, noun: &str| {
                format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
            };
            let (name, count) = (file.display(), approvals.all().len());
            let (approved, warned) = (of(count, "approval"), of(warnings.len(), "warning"));
            print(&format!("{name}: {approved}, {warned}\n"))?;
            for warning in warnings {
                print(&format!("{name}:{}: {}\n", warning.line, warning.text))?;
            }
            Ok(Exit::Clean)
        }
        Approvals::Draft { captures } => {
            let inputs = load::inputs(&captures)?;
            let policy = load::policy(&Sources::default())?;
            let outcome = pipeline::replay(&pipeline::Config::default(), &policy, inputs, &mut ())
                .map_err(Failure::new)?;
            for trouble in &outcome.troubles {
                super::complain(&format!("warning: {trouble}"));
            }
            let servers: Vec<_> = outcome.inventory.servers();
            let seen = servers.into_iter().map(|(_, server)| server);
            let drafts: Vec<_> =
                seen.filter(|server| server.evidence > Evidence::Hint).map(draft_of).collect();
            print(&draft(&drafts))?;
            Ok(if outcome.troubles.is_empty() { Exit::Clean } else { Exit::Damaged })
        }
        Approvals::Review(args) => super::review::run(&args),
        Approvals::Schema => {
            let schema = crate::verdict::approvals_schema();
            let text = serde_json::to_string_pretty(&schema).map_err(Failure::new)?;
            print(&format!("{text}\n"))?;
            Ok(Exit::Clean)
        }
    }
}

/// Approvals end by the calendar of whoever checks or makes them.
#[expect(clippy::disallowed_methods, reason = "an edge: what a person asks today")]
pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    Timestamp::from_parts(i64::try_from(seconds).unwrap_or(i64::MAX), 0)
}

fn draft_of(server: &Server) -> DraftServer {
    DraftServer {
        key: pipeline::shown_key(&server.key),
        name: server.software.iter().map(|software| mask(&software.name)).find(|n| !n.is_empty()),
        evidence: server.evidence,
        addresses: server.endpoints.iter().map(|endpoint| endpoint.ip).collect(),
        clients: server.clients.keys().copied().collect(),
        tools: server.tools_called.keys().map(|tool| mask(tool)).collect(),
        first_seen: server.first.time,
        last_seen: server.last.time,
    }
}
