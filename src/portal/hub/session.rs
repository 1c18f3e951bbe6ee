//! Sessions of clients that have them (MCP 2025-03-26 to 2025-11-25, "Session Management").
//!
//! The id of a session is a sealed text with all that another replica needs to go on with it. It is
//! no authentication: it opens for its owner only, and who that is was proved before.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use super::clock::{self, Instant};
use super::parts::Call;
use super::seal::{Broken, KeyRing, Purpose};
use super::stream::Stream;
use crate::mcp::methods::Revision;
use crate::portal::principal::Owner;
use crate::portal::radix::base64_url;
use crate::portal::upstream::{ClientSide, Peer, Ticket};
use crate::portal::wire::{Id, Raw, Response};

/// Longest token, in characters: upstream sessions that do not go into it are begun anew by other
/// replicas.
const MAX_TOKEN_CHARS: usize = 6 << 10;
/// Streams that have ended and are kept for resumption, of one session.
const MAX_ENDED_STREAMS: usize = 8;
/// Requests of servers that wait for the client's answer, of one session.
const MAX_ASKED: usize = 64;
/// For how long ended streams are kept.
const STREAM_LIFE: Duration = Duration::from_secs(60);
/// Sessions whose end is remembered; beyond, the oldest are forgotten.
const MAX_ENDED: usize = 100_000;

/// What is in a token.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    /// 128 random bits.
    id: String,
    route: String,
    revision: String,
    /// Seconds since 1970.
    issued: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Raw>,
    capabilities: Raw,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tickets: BTreeMap<String, Ticket>,
}

/// A request that the client was asked, and who wants the answer.
pub(super) enum Asker {
    /// A server, that asked by its own id, within a call or outside of one.
    Server(Arc<dyn Peer>, Id, Option<Arc<Call>>),
    /// The portal, for a call that is to be made again with the answer.
    Turn(oneshot::Sender<Response>),
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(..) => "Server",
            Self::Turn(_) => "Turn",
        })
    }
}

/// A session, on this replica.
#[derive(Debug)]
pub struct Session {
    /// Random; not the token.
    pub id: Arc<str>,
    /// Whose it is.
    pub owner: Owner,
    /// Name of the route that it was begun at.
    pub route: Arc<str>,
    /// The client.
    pub client: Arc<ClientSide>,
    /// Spoken with it.
    pub revision: Revision,
    /// When the token ends, in seconds since 1970.
    pub expires: u64,
    tickets: BTreeMap<String, Ticket>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) peers: Vec<(Arc<str>, Arc<dyn Peer>)>,
    /// Calls under way, to be cancelled.
    pub(super) calls: HashMap<Id, Arc<Notify>>,
    asked: HashMap<i64, Asker>,
    streams: VecDeque<Arc<Stream>>,
    next_stream: u32,
    next_asked: i64,
    /// Set by `logging/setLevel`.
    pub(super) level: Option<Box<str>>,
    /// What listens to servers for the session.
    pub(super) listeners: Option<JoinSet<()>>,
    /// Resource subscriptions at servers that have no `resources/subscribe`.
    pub(super) subscriptions: HashMap<Box<str>, tokio::task::AbortHandle>,
    last_used: Instant,
}

impl Session {
    fn new(sealed: Sealed, owner: Owner, revision: Revision, life: Duration) -> Self {
        let client = ClientSide { info: sealed.info, capabilities: sealed.capabilities };
        Self {
            id: sealed.id.into(),
            owner,
            route: sealed.route.into(),
            client: Arc::new(client),
            revision,
            expires: sealed.issued.saturating_add(life.as_secs()),
            tickets: sealed.tickets,
            inner: Mutex::new(Inner {
                peers: Vec::new(),
                calls: HashMap::new(),
                asked: HashMap::new(),
                streams: VecDeque::new(),
                next_stream: 1,
                next_asked: 1,
                level: None,
                listeners: None,
                subscriptions: HashMap::new(),
                last_used: Instant::now(),
            }),
        }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the token says of the conversation with a server.
    pub(super) fn ticket(&self, server: &str) -> Option<&Ticket> {
        self.tickets.get(server)
    }

    pub(super) fn peer(&self, server: &str) -> Option<Arc<dyn Peer>> {
        let inner = self.inner();
        inner.peers.iter().find(|(id, _)| &**id == server).map(|(_, peer)| Arc::clone(peer))
    }

    pub(super) fn keep_peer(&self, server: &Arc<str>, peer: &Arc<dyn Peer>) {
        let mut inner = self.inner();
        match inner.peers.iter_mut().find(|(id, _)| id == server) {
            Some((_, old)) => *old = Arc::clone(peer),
            None => inner.peers.push((Arc::clone(server), Arc::clone(peer))),
        }
    }

    /// Begins a stream.
    pub(super) fn stream(&self) -> Arc<Stream> {
        let mut inner = self.inner();
        let stream = Stream::new(inner.next_stream);
        inner.next_stream += 1;
        inner.streams.push_back(Arc::clone(&stream));
        let ended = inner.streams.iter().filter(|stream| stream.ended().is_some()).count();
        if ended > MAX_ENDED_STREAMS {
            let first = inner.streams.iter().position(|stream| stream.ended().is_some());
            first.and_then(|at| inner.streams.remove(at));
        }
        stream
    }

    /// The stream for what belongs to no call; its number is 0.
    pub(super) fn general(&self) -> Arc<Stream> {
        let mut inner = self.inner();
        if let Some(stream) = inner.streams.iter().find(|stream| stream.number() == 0) {
            return Arc::clone(stream);
        }
        let stream = Stream::new(0);
        inner.streams.push_front(Arc::clone(&stream));
        stream
    }

    /// Takes a stream for what belongs to no call.
    pub(in crate::portal) fn adopt(&self, stream: &Arc<Stream>) {
        self.inner().streams.push_front(Arc::clone(stream));
    }

    /// A stream of this session by its number.
    pub(super) fn find_stream(&self, number: u32) -> Option<Arc<Stream>> {
        self.inner().streams.iter().find(|stream| stream.number() == number).cloned()
    }

    /// An id for a request to the client; `None` if it has too many unanswered.
    pub(super) fn ask(&self, asker: Asker) -> Option<Id> {
        let mut inner = self.inner();
        if inner.asked.len() >= MAX_ASKED {
            return None;
        }
        let id = inner.next_asked;
        inner.next_asked += 1;
        inner.asked.insert(id, asker);
        Some(Id::Number(id))
    }

    /// Who wanted the answer to a request of this id.
    pub(super) fn asker(&self, id: &Id) -> Option<Asker> {
        let Id::Number(id) = id else { return None };
        self.inner().asked.remove(id)
    }

    /// The id by which the client knows a server's request.
    pub(super) fn asked_as(&self, peer: &Arc<dyn Peer>, id: &Id) -> Option<Id> {
        let inner = self.inner();
        let mut asked = inner.asked.iter();
        asked.find_map(|(own, asker)| match asker {
            Asker::Server(of, theirs, _) if Arc::ptr_eq(of, peer) && theirs == id => {
                Some(Id::Number(*own))
            }
            _ => None,
        })
    }

    fn tend(&self, idle: Duration) -> bool {
        let mut inner = self.inner();
        let is_over = |stream: &Stream| stream.ended().is_some_and(|at| at.elapsed() > STREAM_LIFE);
        inner.streams.retain(|stream| !is_over(stream));
        let is_busy = !inner.calls.is_empty() || inner.streams.iter().any(|of| of.is_read());
        is_busy || inner.last_used.elapsed() < idle
    }

    /// Ends what is under way, and gives the conversations to be closed.
    fn end(&self) -> Vec<Arc<dyn Peer>> {
        let mut inner = self.inner();
        inner.listeners = None;
        for (_, subscription) in inner.subscriptions.drain() {
            subscription.abort();
        }
        for (_, call) in inner.calls.drain() {
            call.notify_one();
        }
        for stream in inner.streams.drain(..) {
            stream.end();
        }
        inner.asked.clear();
        inner.peers.drain(..).map(|(_, peer)| peer).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.end());
    }
}

type Hash = [u8; 32];

fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// Sessions of this replica. Worst-case memory: `max` × (some 2 KiB, and what is under way).
#[derive(Debug)]
pub(super) struct Sessions {
    known: Mutex<Known>,
    pub(super) life: Duration,
    pub(super) idle: Duration,
    pub(super) max: usize,
}

#[derive(Debug, Default)]
struct Known {
    /// By the hash of their token, which names the owner under its seal.
    live: HashMap<Hash, Arc<Session>>,
    /// Ids of those that were ended, until their tokens end.
    ended: BTreeMap<Arc<str>, u64>,
}

/// A session that is to be begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct New<'a> {
    pub(super) id: &'a str,
    pub(super) owner: &'a Owner,
    /// Name of its route.
    pub(super) route: &'a str,
    pub(super) revision: Revision,
    pub(super) client: &'a ClientSide,
}

impl Sessions {
    pub(super) fn new(life: Duration, idle: Duration, max: usize) -> Self {
        Self { known: Mutex::default(), life, idle, max }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one. `peers` are conversations begun for it under its id.
    pub(super) fn begin(
        &self,
        ring: &KeyRing,
        new: &New<'_>,
        peers: Vec<(Arc<str>, Arc<dyn Peer>)>,
    ) -> Result<(String, Arc<Session>), Broken> {
        let New { id, owner, route, revision, client } = *new;
        let mut sealed = Sealed {
            id: id.to_owned(),
            route: route.to_owned(),
            revision: revision.as_str().to_owned(),
            issued: clock::seconds(),
            info: client.info.clone(),
            capabilities: client.capabilities.clone(),
            tickets: BTreeMap::new(),
        };
        let text = |sealed: &Sealed| serde_json::to_vec(sealed).map_err(|_| Broken);
        let mut room = (MAX_TOKEN_CHARS / 4 * 3).saturating_sub(text(&sealed)?.len() + 64);
        for (server, peer) in &peers {
            let Some(ticket) = peer.ticket() else { continue };
            let size = server.len() + ticket.session.as_ref().map_or(0, String::len) + 64;
            if size <= room {
                room -= size;
                sealed.tickets.insert(server.to_string(), ticket);
            }
        }
        let token = ring.seal(Purpose::Session, owner, b"", &text(&sealed)?)?;
        let session = Arc::new(Session::new(sealed, owner.clone(), revision, self.life));
        session.inner().peers = peers;
        self.keep(hash(&token), &session);
        Ok((token, session))
    }

    fn keep(&self, hash: Hash, session: &Arc<Session>) {
        let mut known = self.known();
        if known.live.len() >= self.max {
            // Any other can be had again by its token.
            let victim = known.live.iter().find(|(_, of)| !of.tend(Duration::ZERO));
            let victim = victim.map(|(hash, _)| *hash);
            victim.and_then(|hash| known.live.remove(&hash));
        }
        known.live.insert(hash, Arc::clone(session));
    }

    /// The session of a token, if it is the owner's, not over, and not ended.
    pub(super) fn find(&self, ring: &KeyRing, owner: &Owner, token: &str) -> Option<Arc<Session>> {
        let hash = hash(token);
        let found = self.known().live.get(&hash).cloned();
        let session = match found {
            Some(session) => session,
            None => self.open(ring, owner, token, hash)?,
        };
        if session.owner != *owner || clock::seconds() >= session.expires {
            return None;
        }
        session.inner().last_used = Instant::now();
        Some(session)
    }

    fn open(&self, ring: &KeyRing, owner: &Owner, token: &str, hash: Hash) -> Option<Arc<Session>> {
        let text = ring.open(Purpose::Session, owner, b"", token).ok()?;
        let sealed: Sealed = serde_json::from_slice(&text).ok()?;
        let revision = Revision::ALL.into_iter().find(|of| of.as_str() == sealed.revision)?;
        if self.known().ended.contains_key(&*sealed.id) {
            return None;
        }
        let session = Arc::new(Session::new(sealed, owner.clone(), revision, self.life));
        self.keep(hash, &session);
        Some(session)
    }

    /// Ends one for good, and gives its conversations to be closed.
    pub(super) fn end(&self, session: &Session) -> Vec<Arc<dyn Peer>> {
        let mut known = self.known();
        known.live.retain(|_, of| of.id != session.id);
        known.ended.insert(Arc::clone(&session.id), session.expires);
        while known.ended.len() > MAX_ENDED {
            known.ended.pop_first();
        }
        drop(known);
        session.end()
    }

    /// Lets go of what nobody uses.
    pub(super) fn tend(&self) {
        let now = clock::seconds();
        let mut known = self.known();
        known.live.retain(|_, session| now < session.expires && session.tend(self.idle));
        known.ended.retain(|_, until| now < *until);
    }

    pub(super) fn count(&self) -> usize {
        self.known().live.len()
    }
}

/// An id with 128 random bits.
pub(super) fn random_id(ring: &KeyRing) -> Result<String, Broken> {
    let mut bytes = [0; 16];
    ring.fill(&mut bytes)?;
    Ok(base64_url(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::wire::raw;

    fn owner(subject: &str) -> Owner {
        Owner { issuer: "i".into(), subject: subject.into(), client: "c".into() }
    }

    fn begun(sessions: &Sessions, ring: &KeyRing) -> (String, Arc<Session>) {
        let client =
            ClientSide { info: None, capabilities: raw(&serde_json::json!({"roots": {}})) };
        let id = random_id(ring).unwrap();
        let revision = Revision::V2025_11_25;
        let owner = owner("ann");
        let new = New { id: &id, owner: &owner, route: "", revision, client: &client };
        sessions.begin(ring, &new, Vec::new()).unwrap()
    }

    fn sessions() -> Sessions {
        Sessions::new(Duration::from_secs(3600), Duration::from_secs(60), 10)
    }

    #[tokio::test]
    async fn p13_a_session_is_its_owners_on_any_replica() {
        let ring = KeyRing::random().unwrap();
        let (here, there) = (sessions(), sessions());
        let (token, session) = begun(&here, &ring);
        assert!(token.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        for replica in [&here, &there] {
            let found = replica.find(&ring, &owner("ann"), &token).unwrap();
            assert_eq!(found.id, session.id);
            assert_eq!(found.client.capabilities.get(), r#"{"roots":{}}"#);
            assert!(replica.find(&ring, &owner("bob"), &token).is_none());
        }
        assert!(here.find(&ring, &owner("ann"), "made-up").is_none());
    }

    #[tokio::test]
    async fn p14_an_ended_session_is_not_found_again() {
        let ring = KeyRing::random().unwrap();
        let sessions = sessions();
        let (token, session) = begun(&sessions, &ring);
        sessions.end(&session);
        assert!(sessions.find(&ring, &owner("ann"), &token).is_none());
        assert_eq!(sessions.count(), 0);
    }

    #[tokio::test]
    async fn a_token_ends_with_its_life() {
        let ring = KeyRing::random().unwrap();
        let sessions = Sessions::new(Duration::ZERO, Duration::from_secs(60), 10);
        let (token, _) = begun(&sessions, &ring);
        assert!(sessions.find(&ring, &owner("ann"), &token).is_none());
    }

    #[tokio::test]
    async fn idle_sessions_leave_memory_and_come_back_by_their_token() {
        let ring = KeyRing::random().unwrap();
        let sessions = Sessions::new(Duration::from_secs(3600), Duration::ZERO, 2);
        let (token, _) = begun(&sessions, &ring);
        sessions.tend();
        assert_eq!(sessions.count(), 0);
        assert!(sessions.find(&ring, &owner("ann"), &token).is_some());
        for _ in 0..5 {
            begun(&sessions, &ring);
        }
        assert_eq!(sessions.count(), 2);
    }
}
