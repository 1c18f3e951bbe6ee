//! The parts of the portal, as the hub wants them: made from the sections of the file at the start
//! and at each reload.
//!
//! What outlives a reload is in [`Lasting`]: who is at which limit, what waits for approval, records
//! on their way to the disk, and connections to servers as long as nothing that says how they are
//! reached has changed.

mod gate;
mod inspect;
mod pages;
mod peers;
mod record;
mod rulings;
mod throttle;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::audit::Audit;
use super::config::{Problem, Sections};
use super::credentials::fetch::Fetch;
use super::credentials::{self, Keyring};
use super::guard::{Guard, Place};
use super::holds::Holds;
use super::hub::parts::Parts;
use super::identity::{Clock, Identity, Limits as IdentityLimits};
use super::limits::Limits;
use super::outbound::{Guarded, Limits as OutboundLimits, Reaching};
use super::pins::Pins;
use super::upstream::Upstreams;
use super::upstream::config::Place as Where;
use crate::sinks::outbox::{Notice, Outbox};

/// Told to the operator: one line.
pub type Told = Arc<dyn Fn(&str) + Send + Sync>;

/// How servers are reached, and what is shown to them.
#[derive(Clone, Debug)]
struct Behind {
    reached: String,
    upstreams: Arc<Upstreams>,
    keyring: Arc<Keyring>,
}

/// Requests that identity refused, by kind.
type Refusals = Arc<Mutex<HashMap<&'static str, u64>>>;

/// What outlives a reload.
pub struct Lasting {
    audit: Arc<Audit>,
    holds: Arc<Holds>,
    limits: Limits,
    behind: Mutex<Option<Behind>>,
    refusals: Refusals,
    clock: Clock,
    replica: Arc<str>,
    told: Told,
}

impl fmt::Debug for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasting").field("replica", &self.replica).finish_non_exhaustive()
    }
}

fn problem(place: &str, text: impl Into<String>) -> Vec<Problem> {
    vec![Problem { place: place.to_owned(), text: text.into() }]
}

impl Lasting {
    /// Starts what outlives a reload. To be called in a runtime.
    ///
    /// # Errors
    /// What cannot be opened, and what to do.
    pub fn start(
        sections: &Sections,
        replica: &str,
        outboxes: Vec<Outbox>,
        told: Told,
    ) -> Result<Self, Vec<Problem>> {
        let tell = Arc::clone(&told);
        let telling: super::audit::Told =
            Arc::new(move |notice: &Notice| tell(&notice.to_string()));
        let audit = Audit::start(sections.audit.clone(), outboxes, telling)
            .map_err(|text| problem("audit", text))?;
        let holds = Holds::open(sections.holds.clone(), Some(sections.state.clone()))
            .map_err(|text| problem("state", text))?;
        Ok(Self {
            audit: Arc::new(audit),
            holds: Arc::new(holds),
            limits: Limits::new(sections.throttle.clone()),
            behind: Mutex::default(),
            refusals: Refusals::default(),
            clock: Clock::system(),
            replica: replica.into(),
            told,
        })
    }

    /// The parts by the sections of the file. Nothing changes if there is a problem.
    ///
    /// # Errors
    /// What cannot be made, and what to do.
    pub fn parts(&self, sections: Sections) -> Result<Parts, Vec<Problem>> {
        let asking: Arc<dyn Fetch> = Arc::new(
            Guarded::new(None, Reaching::INSIDE, OutboundLimits::default())
                .map_err(|text| problem("identity", text))?,
        );
        let pins = Pins::open(sections.pins.clone()).map_err(|text| problem("pins", text))?;
        let behind = self.behind(&sections.reached, &sections.servers, |servers| {
            let Sections { credentials, place, .. } = &sections;
            Keyring::new(credentials, servers, place, &self.clock)
        })?;
        let places: HashMap<Arc<str>, Place> = sections
            .servers
            .iter()
            .map(|(server, _)| (Arc::clone(&server.id), Place::of(&server.id, &server.resource)))
            .collect();
        let places = Arc::new(places);
        // Nothing fails from here on.
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some(behind.clone());
        self.limits.replace(sections.throttle);
        self.holds.replace(sections.holds);
        let identity = Arc::new(Identity::new(
            sections.identity,
            sections.place.clone(),
            &asking,
            &self.clock,
            IdentityLimits::default(),
        ));
        let portal = crate::sinks::event::PortalInfo {
            name: sections.title,
            audience: sections.place.resource().to_string(),
            replica: self.replica.to_string(),
            config: sections.version,
        };
        let connect =
            credentials::Pages { identity: Arc::clone(&identity), keyring: behind.keyring };
        Ok(Parts {
            gate: Arc::new(gate::Door { identity, refusals: Arc::clone(&self.refusals) }),
            rulings: Arc::new(rulings::Judge {
                policy: sections.policy,
                pins,
                holds: Arc::clone(&self.holds),
                clock: self.clock.clone(),
                told: Arc::clone(&self.told),
                gone: Mutex::default(),
            }),
            inspect: Arc::new(inspect::Watch {
                guard: Guard::new(sections.guard),
                places: Arc::clone(&places),
                clock: self.clock.clone(),
            }),
            throttle: Arc::new(throttle::Counted(self.limits.clone())),
            record: Arc::new(record::Book {
                audit: Arc::clone(&self.audit),
                portal,
                places,
                clock: self.clock.clone(),
            }),
            peers: Arc::new(peers::Servers(Arc::clone(&behind.upstreams))),
            pages: vec![
                Arc::new(pages::Connect(connect)),
                Arc::new(pages::Waiting(Arc::clone(&self.holds))),
            ],
            metered: vec![Arc::new(record::Numbers {
                audit: Arc::clone(&self.audit),
                limits: self.limits.clone(),
                upstreams: behind.upstreams,
                refusals: Arc::clone(&self.refusals),
            })],
        })
    }

    /// Servers and keyring: those there are, unless how servers are reached has changed.
    fn behind(
        &self,
        reached: &str,
        servers: &[(super::upstream::config::Server, credentials::config::Kind)],
        keyring: impl FnOnce(Vec<credentials::Server>) -> Result<Keyring, Vec<String>>,
    ) -> Result<Behind, Vec<Problem>> {
        let now = self.behind.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(behind) = now.filter(|behind| behind.reached == reached) {
            return Ok(behind);
        }
        let mut shown = Vec::new();
        for (server, kind) in servers {
            let place = format!("servers.{}", server.id);
            let ca_file = server.ca_file.as_deref();
            let guarded = Guarded::new(ca_file, server.reaching, OutboundLimits::default())
                .map_err(|text| problem(&place, text))?;
            shown.push(credentials::Server {
                id: Arc::clone(&server.id),
                resource: Arc::clone(&server.resource),
                kind: kind.clone(),
                fetch: Arc::new(guarded),
            });
        }
        let told = |texts: Vec<String>| {
            texts.into_iter().flat_map(|text| problem("servers", text)).collect::<Vec<_>>()
        };
        let keyring = Arc::new(keyring(shown).map_err(told)?);
        let servers = servers.iter().map(|(server, _)| server.clone()).collect();
        let upstreams = Upstreams::new(servers, Arc::clone(&keyring) as _, &self.told)
            .map_err(|text| problem("servers", text))?;
        Ok(Behind { reached: reached.to_owned(), upstreams: Arc::new(upstreams), keyring })
    }

    /// Ends children, stores what waits for the disk, and hands the outputs back, to be finished in
    /// their own time. To be called when nothing is under way any more.
    pub async fn finish(self) -> Vec<Outbox> {
        let behind = self.behind.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(behind) = behind {
            behind.upstreams.close().await;
        }
        match Arc::try_unwrap(self.audit) {
            Ok(audit) => audit.finish(),
            Err(_) => {
                (self.told)("error: calls were still under way; their records may be missing");
                Vec::new()
            }
        }
    }
}

/// Whether a server is a child of the portal.
#[must_use]
pub const fn is_child(server: &super::upstream::config::Server) -> bool {
    matches!(server.place, Where::Child(_))
}
