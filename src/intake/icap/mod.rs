//! An ICAP server that proxies tell of what they decrypt: whole requests and responses.
//!
//! Nothing waits for it, and nothing is changed by it, unless it [enforces](Enforce). What that
//! takes was measured with Squid 5.7 (Debian 12) on one machine: origin, proxy and server on
//! loopback, `icap_preview_enable on`, a client that writes down when each read returned.
//!
//! | answer to RESPMOD | first byte of a chunked SSE response | body that is seen |
//! |---|---|---|
//! | none (no ICAP) | 1 ms | |
//! | 204 at once, `Preview: 0` | 2 ms | nothing |
//! | 204 at once, `Preview: 65535` | 2 ms | the first 64 KiB, to the end if it is shorter |
//! | 204 behind the preview | 2,010 ms: after the last event of a stream of 2 s | 64 KiB |
//! | 100 and the same again, `Preview: 0` | 2 ms, each event as it comes | all |
//!
//! What else was seen, and is why things are as they are:
//!
//! - Squid goes on sending the preview after an early 204, and keeps the connection.
//! - A preview of 65,536 bytes that is answered at its end never ends: Squid's buffer holds one
//!   less. So 65,535 are asked for.
//! - An early 204 without a preview kills Squid if it did not say `Allow: 204` (it does only for
//!   bodies that it knows to be below 64 KiB). There the message is passed through.
//! - If the server is killed, Squid goes on by itself (`bypass=on`) as long as it has no answer, and
//!   when all is said. In between, while it still writes what was answered already, it ends the
//!   *client's* connection. So a wanted message of known length is answered when it is whole (or its
//!   preview is): a moment later, and safe at every moment. One of unknown length, an event stream
//!   above all, is answered at once, and breaks if the server is killed within its first 64 KiB;
//!   with [`Bodies::Head`] nothing ever breaks and no response body is seen.
//! - What is [passed through](Bodies::Whole) breaks if the server is killed before its end.
//!
//! Parts: `connection` reads requests and answers them, `core` is what connections share, `page`
//! is what a refused client sees.

mod connection;
mod core;
mod page;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::core::Core;
use super::listen::{self, Place, Running, Service};
use super::stream::Stream;
use super::tls::Identity;
use super::{Outlet, clock};
use crate::icap::{Counters as PairingCounters, Limits, PairingLimits};
use crate::mcp::TapLimits;
use crate::secret::SecretHasher;

/// How much of the bodies is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bodies {
    /// Nothing of them.
    Head,
    /// Up to 64 KiB of each.
    #[default]
    Preview,
    /// All of those that may be MCP: they are passed through, chunk by chunk. Costs two more ways
    /// through the kernel for each of their bytes, and the safety of `bypass=on` while one is under
    /// way.
    Whole,
}

/// Refuses requests that a rule decides on. Bodies of requests then wait for the decision: up to
/// [`max_body_bytes`](Self::max_body_bytes) are held per connection.
#[derive(Clone, Debug)]
pub struct Enforce {
    /// A decision takes so long at most.
    pub deadline: Duration,
    /// Refuses what was not decided in time; otherwise it is let through.
    pub fail_closed: bool,
    /// Where to ask, as the page says.
    pub contact: Option<String>,
    /// Decided on what has come by then; the rest is passed through.
    pub max_body_bytes: usize,
}

impl Default for Enforce {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(500),
            fail_closed: false,
            contact: None,
            max_body_bytes: 1 << 20,
        }
    }
}

/// How long a proxy may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Between requests.
    pub idle: Duration,
    /// Inside of heads and of request bodies.
    pub request: Duration,
    /// Inside of response bodies: an event stream may have nothing to say for long.
    pub response: Duration,
    /// Until it takes an answer.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(600),
            request: Duration::from_secs(120),
            response: Duration::from_secs(3_600),
            write: Duration::from_secs(30),
        }
    }
}

/// All there is to set. Worst-case memory: `max_connections` × (the parser's [`Limits`], 16 KiB to
/// read into, as much to write, and with [`Enforce`] its `max_body_bytes`), [`PairingLimits`], and
/// `max_pending_observations`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// ICAP over TLS (`icaps://`).
    pub tls: Option<Identity>,
    /// Of requests.
    pub requests: Bodies,
    /// Of responses.
    pub responses: Bodies,
    /// Refuses.
    pub enforce: Option<Enforce>,
    /// Connections at a time; more are told 503. An event stream has one to its end, or to the end
    /// of its preview.
    pub max_connections: usize,
    /// Observations that wait for room in the run; more are dropped and counted.
    pub max_pending_observations: usize,
    /// Number of the source in the run.
    pub source: u16,
    /// Tells this run's marks from those of others.
    pub run: u64,
    /// Times.
    pub timeouts: Timeouts,
    /// Of each connection.
    pub limits: Limits,
    /// Of exchanges under way.
    pub pairing: PairingLimits,
    /// Of recognition.
    pub tap: TapLimits,
    /// Hashes session ids.
    pub hasher: SecretHasher,
}

impl Settings {
    /// Observes, at an address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            requests: Bodies::default(),
            responses: Bodies::default(),
            enforce: None,
            max_connections: 2_048,
            max_pending_observations: 65_536,
            source: 0,
            run: clock::now().as_nanos().unsigned_abs(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            pairing: PairingLimits::default(),
            tap: TapLimits::default(),
            hasher: SecretHasher::default(),
        }
    }
}

/// What the server counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections taken.
    pub connections: u64,
    /// `OPTIONS`.
    pub options: u64,
    /// `REQMOD`.
    pub reqmods: u64,
    /// `RESPMOD`.
    pub respmods: u64,
    /// Body bytes.
    pub body_bytes: u64,
    /// Bodies of which not all was seen.
    pub cut_bodies: u64,
    /// Messages that were passed through.
    pub passed_through: u64,
    /// Requests asked about.
    pub asked: u64,
    /// Requests refused.
    pub refused: u64,
    /// Questions without an answer in time.
    pub undecided: u64,
    /// What could not be read.
    pub malformed: u64,
    /// Connections on which the proxy was silent for too long inside of a request.
    pub timeouts: u64,
    /// Observations dropped, because the run could not keep up.
    pub dropped: u64,
    /// Pairing.
    pub pairing: PairingCounters,
}

/// The server.
#[derive(Debug)]
pub struct Server {
    running: Running,
    shared: Arc<Shared>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    outlet: Arc<dyn Outlet>,
    core: Mutex<Core>,
}

impl Server {
    /// Listens, and hands what it recognises to `outlet`.
    ///
    /// # Errors
    /// When the address cannot be listened on or the certificate not be used, in words that say
    /// what to do.
    pub fn start(settings: Settings, outlet: Arc<dyn Outlet>) -> io::Result<Self> {
        let tls = settings.tls.as_ref().map(Identity::acceptor).transpose();
        let place = Place {
            address: settings.address,
            tls: tls.map_err(io::Error::other)?,
            max_connections: settings.max_connections,
        };
        let core = Mutex::new(Core::new(&settings));
        let shared = Arc::new(Shared { settings, outlet, core });
        let running = listen::start(place, Arc::clone(&shared))?;
        Ok(Self { running, shared })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.running.local_addr()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.core().counters()
    }

    /// Ends all connections, hands over what is known, and ends.
    pub fn stop(self) {
        self.running.stop();
    }
}

impl Shared {
    /// Held for moments only, and never across an `await`.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Shared {
    const NAME: &'static str = "icap";
    const NO_ROOM: &'static [u8] =
        b"ICAP/1.0 503 Service overloaded\r\nConnection: close\r\nEncapsulated: null-body=0\r\n\r\n";

    async fn serve(self: Arc<Self>, stream: Stream, _: SocketAddr) {
        self.core().count().connections += 1;
        connection::serve(stream, self).await;
    }

    fn tick(&self) {
        let mut core = self.core();
        core.expire(&*self.outlet);
        core.flush(&*self.outlet);
    }
}
