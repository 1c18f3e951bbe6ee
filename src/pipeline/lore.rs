//! What messages taught that later ones are judged by: definitions and how they change, what
//! clients can do, and what servers gave that others must not get.

mod chains;
mod definitions;

use std::collections::HashSet;
use std::net::IpAddr;

use super::recent::Recent;
use crate::flow::At;
use crate::inspect::confusable::skeleton;
use crate::inspect::secrets::secrets;
use crate::mcp::Contact;
use crate::mcp::inventory::ServerId;
use crate::memory::{Memory, baseline};
use crate::net::Direction;
use crate::observation::{Kind, Message, PartName, RequestInfo};
use crate::rules::{Copied, Subject, Tool};
use crate::verdict::Pin;
use chains::Chains;

/// Clients whose capabilities are remembered; the oldest is forgotten.
const MAX_CLIENTS: usize = 16_384;
/// First uses of tools remembered; at the bound all count as first again.
const MAX_USES: usize = 65_536;

/// What a client declared that it can be asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Abilities {
    sampling: bool,
    elicitation: bool,
    roots: bool,
}

/// What messages taught.
#[derive(Debug)]
pub(super) struct Lore {
    memory: Memory,
    abilities: Recent<(ServerId, IpAddr), Abilities, MAX_CLIENTS>,
    used: HashSet<(ServerId, IpAddr, Box<str>)>,
    chains: Chains,
    asked_about: definitions::AskedAbout,
}

impl Default for Lore {
    fn default() -> Self {
        Self::new(Memory::default())
    }
}

/// Whether a definition is not to be kept as it is.
fn holds_secret(text: &str) -> bool {
    let mut found = false;
    secrets(text, &mut |_| found = true);
    found
}

/// A message that is about to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged<'a> {
    pub(super) server: ServerId,
    pub(super) contact: &'a Contact,
    pub(super) request: &'a RequestInfo,
    pub(super) direction: Direction,
    pub(super) message: &'a Message,
    pub(super) at: At,
}

impl Lore {
    /// With what earlier runs taught.
    pub(super) fn new(memory: Memory) -> Self {
        Self {
            memory: memory.with_fold(skeleton).with_secret_check(holds_secret),
            abilities: Recent::default(),
            used: HashSet::new(),
            chains: Chains::default(),
            asked_about: definitions::AskedAbout::default(),
        }
    }

    /// What is to be kept for the next run.
    pub(super) const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The same, for good.
    pub(super) fn into_memory(self) -> Memory {
        self.memory
    }

    /// Takes in what a client declares before it is asked for anything.
    pub(super) fn note_abilities(&mut self, judged: &Judged<'_>) {
        let message = judged.message;
        if judged.direction != Direction::ToServer || message.method.is_none() {
            return;
        }
        let in_meta = message.part(PartName::ClientCapabilities);
        let Some(json) = in_meta.or_else(|| message.part(PartName::Capabilities)) else { return };
        let Ok(serde_json::Value::Object(declared)) = serde_json::from_str(json) else {
            return;
        };
        let has = |name: &str| declared.get(name).is_some_and(serde_json::Value::is_object);
        let abilities = Abilities {
            sampling: has("sampling"),
            elicitation: has("elicitation"),
            roots: has("roots"),
        };
        self.abilities.insert((judged.server, judged.contact.client), abilities);
    }

    /// Whether a server asks for what the client did not declare.
    pub(super) fn undeclared(&self, judged: &Judged<'_>) -> Option<bool> {
        let message = judged.message;
        if judged.direction != Direction::ToClient {
            return None;
        }
        let asked: Vec<&str> = match message.kind {
            Kind::Request => message.method.as_deref().into_iter().collect(),
            Kind::Result => message.input_requests.iter().map(String::as_str).collect(),
            Kind::Notification | Kind::Error => return None,
        };
        let key = (judged.server, judged.contact.client);
        let abilities = self.abilities.entries.get(&key)?;
        let lacks = |method: &str| match method {
            "sampling/createMessage" => Some(!abilities.sampling),
            "elicitation/create" => Some(!abilities.elicitation),
            "roots/list" => Some(!abilities.roots),
            _ => None,
        };
        asked.into_iter().filter_map(lacks).reduce(|a, b| a || b)
    }

    /// What is known of the tool that a message calls.
    pub(super) fn called(&mut self, judged: &Judged<'_>) -> Option<Tool> {
        let message = judged.message;
        let name = message.name.as_deref()?;
        if message.method.as_deref() != Some("tools/call") || message.kind != Kind::Request {
            return None;
        }
        if self.used.len() >= MAX_USES {
            self.used.clear();
        }
        let key = baseline::Key {
            client: judged.contact.client,
            server: &judged.contact.key,
            tool: name,
        };
        // What correlations on bytes add up: `mcp.size`.
        self.memory.baselines.add(key, judged.at.time, 1, message.size);
        let first = self.used.insert((judged.server, judged.contact.client, name.into()));
        let (read_only, destructive) =
            definitions::hints(&self.memory, &judged.contact.key, name).unwrap_or_default();
        Some(Tool {
            kind: "tool",
            name: name.to_owned(),
            read_only,
            destructive,
            first_use: Some(first),
            ..Tool::default()
        })
    }

    /// What other servers gave that the message hands on.
    pub(super) fn copied(&self, judged: &Judged<'_>, subject: &Subject<'_>) -> Vec<Copied> {
        self.chains.follow(judged, subject)
    }

    /// Learns from a message that has been judged; answers with what its list changed.
    /// `pin` is that of the approval of the server.
    pub(super) fn learn(
        &mut self,
        judged: &Judged<'_>,
        asked: Option<&Message>,
        pin: Option<&Pin>,
    ) -> Vec<Tool> {
        if judged.message.kind != Kind::Result || judged.direction != Direction::ToClient {
            return Vec::new();
        }
        let Self { memory, asked_about, .. } = self;
        let mut tools = definitions::learn(memory, asked_about, judged, asked, pin);
        let method = asked.and_then(|asked| asked.method.as_deref());
        if matches!(method, Some("initialize" | "server/discover")) {
            tools.extend(definitions::instructions(judged.message));
        }
        tools
    }

    /// Keeps what a result gave, for the calls that follow.
    pub(super) fn remember(&mut self, judged: &Judged<'_>, subject: &Subject<'_>) {
        self.chains.remember(judged, subject);
    }
}
