//! What the servers share: a thread with a runtime of its own, connections up to a bound, TLS, and
//! an end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

use super::stream::Stream;

/// A TLS handshake that takes longer has failed.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After the system gave no connection (it is out of descriptors), before asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a service may do what no connection makes it do.
const TICK: Duration = Duration::from_millis(200);

/// What is served.
pub(super) trait Service: Send + Sync + 'static {
    /// Name of the thread.
    const NAME: &'static str;
    /// Said to a connection for which there is no room (not in TLS).
    const NO_ROOM: &'static [u8];

    /// Serves one connection to its end.
    fn serve(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Every 200 ms, and last of all.
    fn tick(&self) {}
}

/// Where and how.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) max_connections: usize,
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, hands over what is known, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has ended already.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Listens and serves.
///
/// # Errors
/// When the address cannot be listened on, in words that say what to do, or when there is no
/// thread.
pub(super) fn start<S: Service>(place: Place, service: Arc<S>) -> io::Result<Running> {
    let listener = TcpListener::bind(place.address).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there: choose another port",
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: use 127.0.0.1, or 0.0.0.0 for all it has"
            }
            _ => "choose another address",
        };
        let address = place.address;
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}; {advice}"))
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name(S::NAME.to_owned()).spawn(move || {
        runtime.block_on(run(listener, place, Arc::clone(&service), stopped));
        // Connections go with the runtime; what they gave is handed over after them.
        drop(runtime);
        service.tick();
    })?;
    Ok(Running { address, stop: Some(stop), thread: Some(thread) })
}

async fn run<S: Service>(
    listener: TcpListener,
    place: Place,
    service: Arc<S>,
    mut stopped: oneshot::Receiver<()>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let slots = Arc::new(Semaphore::new(place.max_connections));
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ticking = Arc::clone(&service);
    let ticker = tokio::spawn(async move {
        loop {
            ticks.tick().await;
            ticking.tick();
        }
    });
    let accepting = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => accept(stream, peer, &slots, &place, &service),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    });
    // An error means that the server was dropped, which is as good.
    drop((&mut stopped).await);
    accepting.abort();
    ticker.abort();
}

fn accept<S: Service>(
    mut stream: TcpStream,
    peer: SocketAddr,
    slots: &Arc<Semaphore>,
    place: &Place,
    service: &Arc<S>,
) {
    // Without it answers wait for acknowledgements; it fails on sockets that are gone.
    stream.set_nodelay(true).ok();
    let (tls, service) = (place.tls.clone(), Arc::clone(service));
    let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
        if tls.is_none() {
            drop(tokio::spawn(async move {
                drop(tokio::time::timeout(HANDSHAKE, stream.write_all(S::NO_ROOM)).await);
            }));
        }
        return;
    };
    drop(tokio::spawn(connection(stream, peer, slot, tls, service)));
}

async fn connection<S: Service>(
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    tls: Option<TlsAcceptor>,
    service: Arc<S>,
) {
    match tls {
        None => service.serve(Box::new(stream), peer).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                service.serve(Box::new(stream), peer).await;
            }
        }
    }
    drop(slot);
}
