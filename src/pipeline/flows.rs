//! Flows as wholes: which server each one led to, and whether it is told when it is over. Sans-IO.
//!
//! A flow is told if it led to a server that speaks MCP, or to a hint of one. As a rule that is
//! known when the flow ends. Where it is not, the flow is undecided and kept:
//!
//! - one whose handshake waits to be judged, with that handshake (two seconds and 16,384 of them at
//!   most, see `hints`);
//! - one that was read, for [`PATIENCE`]: what was refused may yet turn out to be MCP, and exchanges
//!   of proxies are held back for a while. At most [`MAX_UNDECIDED`]; at the bound the oldest is
//!   decided early.
//!
//! All others were of no interest and are dropped.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::{Application, FlowEnd, TlsHello};
use crate::mcp::inventory::{Inventory, Server, ServerId};
use crate::net::{Endpoint, Scope};
use crate::time::Timestamp;

/// Open flows of which it is remembered where they lead; at the bound the one that began first is
/// forgotten, and not told. About 150 bytes each, and what handshakes say.
const MAX_LEADS: usize = 65_536;
/// Servers remembered of one flow: those that it led to first, and one that speaks MCP.
const MAX_SERVERS: usize = 4;
/// How long a flow that was read stays undecided, in packet time: as long as refusals are kept back.
const PATIENCE: Duration = Duration::from_secs(30);
/// Flows that are undecided at most; about 250 bytes each.
const MAX_UNDECIDED: usize = 16_384;

/// A flow that is over.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Its id.
    pub(super) flow: u64,
    /// Client of its packets.
    pub(super) client: Endpoint,
    /// Server.
    pub(super) server: Endpoint,
    /// VLANs and tunnels around it.
    pub(super) scope: Scope,
    /// What it was.
    pub(super) end: Box<FlowEnd>,
}

impl Ended {
    /// Whether nothing but its handshake could ever be read.
    pub(super) fn is_sealed(&self) -> bool {
        self.end.application.is_some_and(Application::is_sealed)
    }
}

/// Where a flow leads.
#[derive(Debug, Default)]
pub(super) struct Lead {
    servers: [Option<ServerId>; MAX_SERVERS],
    /// One of them speaks MCP.
    has_mcp: bool,
    /// Whom it is for: of a proxy's own leg not who sends its packets.
    pub(super) client: Option<IpAddr>,
    /// The ClientHello.
    pub(super) hello: Option<Arc<TlsHello>>,
}

impl Lead {
    /// The server that the flow is told of: the first that speaks MCP, else the first hint.
    fn server<'i>(&self, inventory: &'i Inventory) -> Option<&'i Server> {
        let servers = || self.servers.iter().flatten().filter_map(|id| inventory.server(*id));
        servers().find(|server| server.is_mcp()).or_else(|| servers().find(|s| s.is_hint()))
    }
}

/// A flow that is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<'a> {
    /// The flow.
    pub(super) ended: &'a Ended,
    /// Where it led.
    pub(super) lead: &'a Lead,
    /// The server.
    pub(super) server: &'a Server,
}

/// Flows that are open, and those that are undecided.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// By the flow's id, which grows with time.
    leads: BTreeMap<u64, Lead>,
    undecided: VecDeque<(Timestamp, Ended)>,
}

impl Flows {
    /// Notes that a flow led to a server, for a client.
    pub(super) fn led(&mut self, flow: u64, client: IpAddr, id: ServerId, is_mcp: bool) {
        let lead = self.lead(flow);
        lead.client.get_or_insert(client);
        let is_first = is_mcp && !lead.has_mcp;
        lead.has_mcp |= is_mcp;
        if lead.servers.contains(&Some(id)) {
            return;
        }
        let [.., last] = &mut lead.servers;
        if last.is_some() {
            if is_first {
                *last = Some(id);
            }
        } else if let Some(free) = lead.servers.iter_mut().find(|server| server.is_none()) {
            *free = Some(id);
        }
    }

    /// Notes the ClientHello of a flow that leads somewhere.
    pub(super) fn greeted(&mut self, flow: u64, hello: Option<&Arc<TlsHello>>) {
        if let Some(hello) = hello {
            self.lead(flow).hello.get_or_insert_with(|| Arc::clone(hello));
        }
    }

    fn lead(&mut self, flow: u64) -> &mut Lead {
        if self.leads.len() >= MAX_LEADS && !self.leads.contains_key(&flow) {
            self.leads.pop_first();
        }
        self.leads.entry(flow).or_default()
    }

    /// Tells of a flow if it is known to have led to a server of interest; gives it back if not.
    pub(super) fn tell(
        &mut self,
        inventory: &Inventory,
        ended: Ended,
        each: &mut dyn FnMut(Whole<'_>),
    ) -> Option<Ended> {
        let lead = self.leads.get(&ended.flow);
        let Some((lead, server)) = lead.and_then(|lead| Some((lead, lead.server(inventory)?)))
        else {
            return Some(ended);
        };
        each(Whole { ended: &ended, lead, server });
        self.leads.remove(&ended.flow);
        None
    }

    /// Keeps a flow that is undecided.
    pub(super) fn wait(&mut self, ended: Ended, now: Timestamp) {
        self.undecided.push_back((now, ended));
    }

    /// The next flow to be decided for good; with `all`, the next one.
    pub(super) fn next(&mut self, now: Timestamp, all: bool) -> Option<Ended> {
        let (since, _) = self.undecided.front()?;
        let is_due = now.since(*since) >= PATIENCE || self.undecided.len() > MAX_UNDECIDED;
        (is_due || all).then(|| self.undecided.pop_front().map(|(_, ended)| ended)).flatten()
    }

    /// Forgets a flow that is not told.
    pub(super) fn forget(&mut self, flow: u64) {
        self.leads.remove(&flow);
    }
}

#[cfg(test)]
mod tests;
