//! Logs that come by syslog over TCP and TLS (RFC 6587, RFC 5425): messages with their length before
//! them, or lines, told apart message by message. The header (RFC 5424, RFC 3164) goes, what is left
//! is a line of the log.
//!
//! When the run has no room, the connection is not read until it has: the sender's own queue holds
//! what comes. There is no acknowledgement in syslog: what was sent and not read when the sensor
//! ends is lost.

mod framing;
mod header;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use self::framing::Framer;
use super::lines::{self, Feed};
use super::listen::{self, Place, Running, Service};
use super::stream::Stream;
use super::tls::Identity;
use super::{Counts, NotTaken, Outlet, Parcel};
use crate::logs::{Format, Line, Record, Spec};
use crate::mcp::TapLimits;
use crate::secret::SecretHasher;

/// Read at once, in bytes.
const READ_BYTES: usize = 64 << 10;
/// After the run had no room, before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// All there is to set. Worst-case memory: `max_connections` × (1 MiB of one message, 64 KiB to read
/// into and their observations).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Syslog over TLS.
    pub tls: Option<Identity>,
    /// The format of what the messages carry; without it each connection's is recognised from its
    /// messages.
    pub format: Option<&'static Spec>,
    /// Formats that are recognised.
    pub formats: &'static [&'static Spec],
    /// Connections at a time; more are closed.
    pub max_connections: usize,
    /// A connection that is silent for so long is closed.
    pub idle: Duration,
    /// Number of the source in the run.
    pub source: u16,
    /// Of recognition.
    pub tap: TapLimits,
    /// Hashes session ids.
    pub hasher: SecretHasher,
}

impl Settings {
    /// Any format, at an address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            format: None,
            formats: crate::logs::format::ALL,
            max_connections: 256,
            idle: Duration::from_secs(3_600),
            source: 0,
            tap: TapLimits::default(),
            hasher: SecretHasher::default(),
        }
    }
}

/// The server.
#[derive(Debug)]
pub struct Server(Running);

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
        let shared = Arc::new(Shared { settings, outlet, lines: AtomicU64::new(0) });
        listen::start(place, shared).map(Self)
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// Ends all connections.
    pub fn stop(self) {
        self.0.stop();
    }
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    outlet: Arc<dyn Outlet>,
    /// Messages of all connections.
    lines: AtomicU64,
}

impl Service for Shared {
    const NAME: &'static str = "syslog";
    const NO_ROOM: &'static [u8] = b"";

    async fn serve(self: Arc<Self>, mut stream: Stream, _: SocketAddr) {
        let mut connection = Connection::new(&self);
        let mut framer = Framer::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let reading = tokio::time::timeout(self.settings.idle, stream.read(&mut buffer));
            let read = match reading.await {
                Ok(Ok(read)) if read > 0 => read,
                _ => break,
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            connection.counts.bytes += read as u64;
            let is_readable = framer.push(bytes, &mut |message| connection.message(message));
            if !connection.hand_over().await || !is_readable {
                return;
            }
        }
        framer.finish(&mut |message| connection.message(message));
        connection.hand_over().await;
    }
}

/// What is known of a connection.
struct Connection<'s> {
    shared: &'s Shared,
    feed: Feed,
    format: Option<(&'static Spec, Box<dyn Format>)>,
    counts: Counts,
}

impl<'s> Connection<'s> {
    fn new(shared: &'s Shared) -> Self {
        let Settings { source, tap, hasher, format, .. } = &shared.settings;
        Self {
            shared,
            feed: Feed::new(*source, *tap, hasher.clone()),
            format: format.map(|spec| (spec, (spec.open)())),
            counts: Counts { source: *source, ..Counts::default() },
        }
    }

    /// One message; `None` stands for one that was too long.
    fn message(&mut self, message: Option<&[u8]>) {
        let number = self.shared.lines.fetch_add(1, Ordering::Relaxed) + 1;
        self.counts.lines += 1;
        let Some(message) = message else {
            self.counts.bad += 1;
            return;
        };
        let (time, line) = header::split(message);
        if line.is_empty() {
            return;
        }
        if self.format.is_none() {
            let seen = lines::recognised(line, self.shared.settings.formats);
            self.format = seen.map(|spec| (spec, (spec.open)()));
        }
        let mut record = Record::default();
        let read =
            self.format.as_mut().map(|(spec, format)| (*spec, format.line(line, &mut record)));
        match read {
            Some((spec, Ok(Line::Record))) => {
                self.counts.records += 1;
                self.feed.record(&*self.shared.outlet, spec, number, time, &record);
            }
            Some((_, Ok(Line::Nothing))) => {}
            Some((_, Err(_))) | None => self.counts.bad += 1,
        }
    }

    /// Hands over what there is, and waits while there is no room; false if the run is over.
    async fn hand_over(&mut self) -> bool {
        let counts = Counts { source: self.counts.source, ..Counts::default() };
        let counts = std::mem::replace(&mut self.counts, counts);
        let mut parcel = Parcel { observations: self.feed.take(), mark: None, counts };
        loop {
            match self.shared.outlet.offer(parcel) {
                Ok(()) => return true,
                Err(NotTaken::Closed) => return false,
                Err(NotTaken::Full(again)) => parcel = again,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
