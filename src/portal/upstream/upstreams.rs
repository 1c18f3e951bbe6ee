//! All servers, and the conversations with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex as Turn;
use tokio::time::{Instant, sleep};

use super::config::{Place, Program, Server, Transport};
use super::counters::{Counts, Health};
use super::envelope::NEWEST;
use super::http::{Core, Fault, HttpPeer};
use super::muxed::{Host, MuxPeer};
use super::old::SseHost;
use super::pool::Pool;
use super::site::{Era, Site};
use super::stdio::ChildHost;
use super::{ClientSide, Credentials, Failure, Peer, Ticket, Told};
use crate::portal::outbound::{Dialer, Target};
use crate::portal::principal::{Owner, Principal, Scope};
use crate::portal::wire::raw;

/// A conversation that nobody used for so long is forgotten here; its ticket goes on with it.
const PEER_IDLE: Duration = Duration::from_secs(30 * 60);
/// Between looks at what is idle.
const SWEEP: Duration = Duration::from_secs(20);

/// Connections are one owner's at one server, or everybody's at a server that is `shared`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Everybody(Arc<str>),
    Only(Scope),
}

/// Children of one owner at one server that are of one conversation each; what goes beyond shares
/// another one.
const MAX_OWN_CHILDREN: usize = 16;

/// Whom a child is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Whom {
    server: Arc<str>,
    /// Of a server that is `shared`, everybody.
    owner: Option<Owner>,
    /// A child that begins with `initialize` has one session: what it asks and says unasked is for
    /// that. `None` where each message says for whom it is, and while that is not known.
    conversation: Option<Box<str>>,
}

/// A conversation: of an owner, for one session of a client or for all that have none and declare
/// the same capabilities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    scope: Scope,
    conversation: Option<Box<str>>,
    capabilities: Option<Box<str>>,
}

#[derive(Clone, Debug)]
enum Live {
    Http(Arc<HttpPeer>),
    Sse(Arc<MuxPeer>, Arc<Core>),
    Child(Arc<MuxPeer>),
}

#[derive(Debug)]
struct Slot {
    live: Turn<Option<Live>>,
    used: Mutex<Instant>,
}

#[derive(Debug)]
struct Entry {
    site: Arc<Site>,
    /// Of servers at a URL.
    dialer: Option<Dialer>,
}

#[derive(Debug)]
struct Inner {
    entries: BTreeMap<Arc<str>, Entry>,
    credentials: Arc<dyn Credentials>,
    peers: Mutex<HashMap<Key, Arc<Slot>>>,
    pools: Mutex<HashMap<Whose, Arc<Pool>>>,
    children: Mutex<HashMap<Whom, Arc<ChildHost>>>,
}

/// All servers. Ends its children when it is dropped.
#[derive(Debug)]
pub struct Upstreams(Arc<Inner>);

impl Upstreams {
    /// To be made inside of a runtime. `told` hears of each program that is started and ends.
    ///
    /// # Errors
    /// Files of certificates that cannot be read, and ids that are there twice.
    pub fn new(
        servers: Vec<Server>,
        credentials: Arc<dyn Credentials>,
        told: &Told,
    ) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for server in servers {
            let id = Arc::clone(&server.id);
            let dialer = match server.place {
                Place::Url(..) => {
                    let ca_file = server.ca_file.as_deref();
                    Some(Dialer::new(ca_file, server.reaching, server.connect)?)
                }
                Place::Child(_) => None,
            };
            let entry = Entry { site: Site::new(server, Arc::clone(told)), dialer };
            if entries.insert(Arc::clone(&id), entry).is_some() {
                return Err(format!("two servers have the id {id}"));
            }
        }
        let inner = Arc::new(Inner {
            entries,
            credentials,
            peers: Mutex::default(),
            pools: Mutex::default(),
            children: Mutex::default(),
        });
        drop(tokio::spawn(sweeping(Arc::downgrade(&inner))));
        Ok(Self(inner))
    }

    /// Servers by their ids.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.0.entries.values().map(|entry| &entry.site.server)
    }

    /// Canonical URI of a server (RFC 8707), or its command line; empty if there is none.
    #[must_use]
    pub fn resource(&self, server: &str) -> Arc<str> {
        let entry = self.0.entries.get(server);
        entry.map_or_else(Arc::default, |entry| Arc::clone(&entry.site.server.resource))
    }

    /// The conversation with a server: the one there is, or one begun now. `conversation` is the
    /// client's session, where it has one; `ticket` what is known of the upstream's from elsewhere.
    ///
    /// # Errors
    /// Why it cannot be begun.
    pub async fn peer(
        &self,
        principal: &Arc<Principal>,
        server: &str,
        client: &Arc<ClientSide>,
        conversation: Option<&str>,
        ticket: Option<&Ticket>,
    ) -> Result<Arc<dyn Peer>, Failure> {
        let entry = self.0.entries.get(server);
        let entry = entry.ok_or_else(|| Failure::Unreachable("there is no such server".into()))?;
        let site = &entry.site;
        let scope = principal.at(&site.server.id, &site.server.resource);
        // Servers without sessions are told with each request who it is for.
        let is_stateless = site.era() == Some(Era::Modern);
        let whose = conversation;
        let conversation = conversation.filter(|_| !is_stateless).map(Box::from);
        let is_anyones = conversation.is_none() && !is_stateless;
        let capabilities = is_anyones.then(|| client.capabilities.get().into());
        let slot = self.0.slot(Key { scope: scope.clone(), conversation, capabilities });
        let mut live = slot.live.lock().await;
        match live.as_ref() {
            Some(Live::Http(peer)) if !peer.0.is_over() => {
                peer.0.set_principal(principal);
                return Ok(Arc::clone(peer) as _);
            }
            Some(Live::Sse(peer, core)) if !core.is_over() => {
                core.set_principal(principal);
                return Ok(Arc::clone(peer) as _);
            }
            Some(Live::Child(peer)) => return Ok(Arc::clone(peer) as _),
            _ => {}
        }
        let begun = self.0.begin(entry, principal, scope, (client, whose), ticket).await;
        let begun = begun.inspect_err(|failure| site.counters.failed(failure))?;
        let peer: Arc<dyn Peer> = match &begun {
            Live::Http(peer) => Arc::clone(peer) as _,
            Live::Sse(peer, _) | Live::Child(peer) => Arc::clone(peer) as _,
        };
        *live = Some(begun);
        Ok(peer)
    }

    /// Ends all conversations that were for a session of a client.
    pub async fn end(&self, owner: &Owner, conversation: &str) {
        let mut ended = Vec::new();
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, slot| {
            let is_it =
                key.scope.owner == *owner && key.conversation.as_deref() == Some(conversation);
            if is_it {
                ended.push(Arc::clone(slot));
            }
            !is_it
        });
        for slot in ended {
            match slot.live.lock().await.take() {
                Some(Live::Http(peer)) => peer.close().await,
                Some(Live::Sse(peer, _) | Live::Child(peer)) => peer.close().await,
                None => {}
            }
        }
    }

    /// Counts of each server.
    pub fn counters(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.0.entries.iter().map(|(id, entry)| (&**id, entry.site.counters.read()))
    }

    /// How each server is doing.
    pub fn health(&self) -> impl Iterator<Item = (&str, Health)> {
        self.0.entries.iter().map(|(id, entry)| (&**id, entry.site.counters.health()))
    }

    /// The last lines that the children of a server wrote to standard error.
    #[must_use]
    pub fn log(&self, server: &str) -> Vec<String> {
        let children = self.0.children.lock().unwrap_or_else(PoisonError::into_inner);
        let own = children.iter().filter(|(whom, _)| &*whom.server == server);
        own.flat_map(|(_, child)| child.log()).collect()
    }

    /// Ends everything: sessions at servers are left to expire, children are stopped.
    pub async fn close(&self) {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let children: Vec<_> = {
            let mut children = self.0.children.lock().unwrap_or_else(PoisonError::into_inner);
            children.drain().map(|(_, child)| child).collect()
        };
        for child in children {
            child.stop().await;
        }
    }
}

impl Inner {
    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = peers.entry(key).or_insert_with(|| {
            Arc::new(Slot { live: Turn::default(), used: Mutex::new(Instant::now()) })
        });
        *slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Arc::clone(slot)
    }

    fn pool(&self, site: &Site, scope: &Scope, dialer: &Dialer) -> Arc<Pool> {
        let whose = if site.server.is_shared {
            Whose::Everybody(Arc::clone(&site.server.id))
        } else {
            Whose::Only(scope.clone())
        };
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pools.entry(whose).or_insert_with(|| Pool::new(dialer.clone())))
    }

    async fn begin(
        &self,
        entry: &Entry,
        principal: &Arc<Principal>,
        scope: Scope,
        (client, whose): (&Arc<ClientSide>, Option<&str>),
        ticket: Option<&Ticket>,
    ) -> Result<Live, Failure> {
        let site = &entry.site;
        match (&site.server.place, &entry.dialer) {
            (Place::Url(target, transport), Some(dialer)) => {
                let pool = self.pool(site, &scope, dialer);
                let core = |target: &Target| {
                    Core::new(
                        Arc::clone(site),
                        target.clone(),
                        Arc::clone(&pool),
                        Arc::clone(&self.credentials),
                        Arc::clone(principal),
                        scope.clone(),
                        Arc::clone(client),
                    )
                };
                let is_old = *transport == Transport::Sse
                    || *transport == Transport::Auto && site.era() == Some(Era::Sse);
                if !is_old {
                    match HttpPeer::begin(core(target), ticket).await {
                        Ok(peer) => return Ok(Live::Http(Arc::new(peer))),
                        Err(Fault::OtherEra(_)) if *transport == Transport::Auto => {}
                        Err(Fault::OtherEra(why)) => return Err(Failure::Garbled(why)),
                        Err(fault) => return Err(fault.into_failure()),
                    }
                }
                let core = core(target);
                let host = SseHost::new(Arc::clone(&core));
                let begun = muxed(site, host, client).await.inspect_err(|_| site.forget_era())?;
                site.set_era(Era::Sse);
                Ok(Live::Sse(begun, core))
            }
            (Place::Child(program), _) => {
                self.child(site, program, &scope.owner, client, whose).await
            }
            (Place::Url(..), None) => Err(Failure::Unreachable("it cannot be connected to".into())),
        }
    }
}

impl Inner {
    async fn child(
        &self,
        site: &Arc<Site>,
        program: &Program,
        owner: &Owner,
        client: &Arc<ClientSide>,
        whose: Option<&str>,
    ) -> Result<Live, Failure> {
        let is_shared = site.server.is_shared;
        loop {
            let is_legacy = site.era() == Some(Era::Legacy);
            let conversation = whose.filter(|_| is_legacy && !is_shared).map(Box::from);
            let owner = (!is_shared).then(|| owner.clone());
            let mut whom = Whom { server: Arc::clone(&site.server.id), owner, conversation };
            let is_one_too_many = self.own_children(&whom) >= MAX_OWN_CHILDREN;
            if is_one_too_many {
                whom.conversation = None;
            }
            let host = {
                let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
                let child = children.entry(whom.clone());
                Arc::clone(child.or_insert_with(|| {
                    let client = if is_shared { nobody() } else { Arc::clone(client) };
                    let is_own = whom.conversation.is_some();
                    ChildHost::new(Arc::clone(site), program.clone(), client, is_own)
                }))
            };
            let peer = muxed(site, Arc::clone(&host) as _, client).await?;
            let is_anyones = is_shared || is_one_too_many || peer.about.revision >= NEWEST;
            if is_anyones || whom.conversation.is_some() || self.claim(whom, whose, &host) {
                return Ok(Live::Child(peer));
            }
            // What it speaks is known now, and this one is somebody else's.
        }
    }

    /// Running children of conversations of the same owner, without this one.
    fn own_children(&self, whom: &Whom) -> usize {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let others = children.iter().filter(|(of, _)| {
            of.server == whom.server
                && of.owner == whom.owner
                && of.conversation != whom.conversation
        });
        others.filter(|(of, child)| of.conversation.is_some() && child.runs()).count()
    }

    /// The child that told what the server speaks is the conversation's that began it. False: it
    /// is another's already.
    fn claim(&self, whom: Whom, whose: Option<&str>, host: &Arc<ChildHost>) -> bool {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        if !children.get(&whom).is_some_and(|child| Arc::ptr_eq(child, host)) {
            return false;
        }
        if whose.is_some() {
            children.remove(&whom);
            host.claim();
            children.insert(Whom { conversation: whose.map(Box::from), ..whom }, Arc::clone(host));
        }
        true
    }
}

async fn muxed(
    site: &Arc<Site>,
    host: Arc<dyn Host>,
    client: &Arc<ClientSide>,
) -> Result<Arc<MuxPeer>, Failure> {
    let about = host.mux().await?.about();
    let about = about.ok_or_else(|| Failure::Garbled("it did not say what it speaks".into()))?;
    let (site, client) = (Arc::clone(site), Arc::clone(client));
    let number = site.number();
    Ok(Arc::new(MuxPeer { site, host, client, number, about }))
}

/// Whom a shared child serves.
fn nobody() -> Arc<ClientSide> {
    Arc::new(ClientSide { info: None, capabilities: raw(&serde_json::json!({})) })
}

async fn sweeping(inner: Weak<Inner>) {
    loop {
        sleep(SWEEP).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.sweep().await;
    }
}

impl Inner {
    async fn sweep(&self) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, slot| {
            let used = *slot.used.lock().unwrap_or_else(PoisonError::into_inner);
            let is_used = Arc::strong_count(slot) > 1 || slot.is_held();
            is_used || used.elapsed() < PEER_IDLE
        });
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, pool| {
            pool.sweep();
            Arc::strong_count(pool) > 1
        });
        let children: Vec<_> = {
            let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
            children.iter().map(|(key, child)| (key.clone(), Arc::clone(child))).collect()
        };
        for (key, child) in children {
            let is_stopped = child.sweep().await;
            drop(child);
            let mut kept = self.children.lock().unwrap_or_else(PoisonError::into_inner);
            // Peers that know it start it again; without any, nobody will.
            if is_stopped && kept.get(&key).is_some_and(|child| Arc::strong_count(child) == 1) {
                kept.remove(&key);
            }
        }
    }
}

impl Slot {
    /// Somebody outside has the conversation.
    fn is_held(&self) -> bool {
        let Ok(live) = self.live.try_lock() else { return true };
        match live.as_ref() {
            Some(Live::Http(peer)) => Arc::strong_count(peer) > 1,
            Some(Live::Sse(peer, _) | Live::Child(peer)) => Arc::strong_count(peer) > 1,
            None => false,
        }
    }
}
