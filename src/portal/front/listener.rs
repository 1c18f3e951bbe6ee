//! Connections: up to a bound, TLS with certificates that can be read again, and an end that lets
//! what is under way finish.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::{Caller, Front};
use crate::portal::identity::client_verifier;
use crate::sinks::pem;

/// A TLS handshake that takes longer has failed.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After the system gave no connection (it is out of descriptors), before asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest head of HTTP/1.1, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Requests of one HTTP/2 connection at a time.
const MAX_STREAMS: u32 = 200;

/// Files of the portal's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM with the certificate and those between it and a root.
    pub certificate: PathBuf,
    /// PEM with its private key.
    pub key: PathBuf,
    /// PEM with the roots of clients' certificates; they are asked for one then, and may have none.
    pub client_ca: Option<PathBuf>,
}

/// TLS, whose files can be read again.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with one, and what to do.
    pub fn new(files: TlsFiles) -> Result<Arc<Self>, String> {
        let config = RwLock::new(Arc::new(read(&files)?));
        Ok(Arc::new(Self { files, config }))
    }

    /// Reads them again, for connections from now on.
    ///
    /// # Errors
    /// What is wrong; the ones before stay then.
    pub fn reload(&self) -> Result<(), String> {
        let config = Arc::new(read(&self.files)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = &self.files;
        [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, String> {
    let certificates = pem::certificates(&files.certificate)?;
    let key = pem::private_key(&files.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(client_verifier(path)?),
    };
    let mut config = builder.with_single_cert(certificates, key).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("{certificate} and {key} do not go together: {error}")
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whom a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everything but metrics, which only this machine is shown.
    Clients,
    /// Health and metrics, and nothing else.
    Operators,
}

/// A portal that listens.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Listening {
    /// Listens. To be called in a runtime. `front` was made for the same address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(
        front: Arc<Front>,
        listener: std::net::TcpListener,
        audience: Audience,
        tls: Option<Arc<Tls>>,
        max_connections: usize,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run((front, audience), listener, tls, max_connections, stopped));
        Ok(Self { address, stop, task })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, and lets those that are there finish what is under way, for so
    /// long at most.
    pub async fn stop(self, patience: Duration) {
        // An error means that it has ended already.
        self.stop.send(true).ok();
        let mut task = self.task;
        if tokio::time::timeout(patience, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn run(
    (front, audience): (Arc<Front>, Audience),
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    max_connections: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    // Ends with this future, and connections with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // With no room the connection is closed at once.
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        // Without it answers wait for acknowledgements; it fails on sockets that are gone.
        stream.set_nodelay(true).ok();
        let acceptor = tls.as_ref().map(|tls| tls.acceptor());
        let front = (Arc::clone(&front), audience);
        connections.spawn(connection(front, stream, peer, slot, acceptor, graceful.watcher()));
    }
    drop(listener);
    graceful.shutdown().await;
    while connections.join_next().await.is_some() {}
}

async fn connection(
    (front, audience): (Arc<Front>, Audience),
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
) {
    let address = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    match tls {
        None => {
            let caller = Caller { address, certificates: None, tls: false, audience };
            serve(front, stream, caller, watcher).await;
        }
        Some(tls) => {
            let handshake = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await;
            if let Ok(Ok(stream)) = handshake {
                let shown = stream.get_ref().1.peer_certificates();
                let certificates = shown.map(|shown| {
                    let owned: Vec<CertificateDer<'static>> = shown.to_vec();
                    Arc::from(owned)
                });
                let caller = Caller { address, certificates, tls: true, audience };
                serve(front, stream, caller, watcher).await;
            }
        }
    }
    drop(slot);
}

async fn serve<S>(front: Arc<Front>, stream: S, caller: Caller, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    front.connections.fetch_add(1, Relaxed);
    let header_timeout = front.view().settings.header_timeout;
    let has_begun = Arc::new(AtomicBool::new(false));
    let (own, begun) = (Arc::clone(&front), Arc::clone(&has_begun));
    let service = service_fn(move |request| {
        begun.store(true, Relaxed);
        Arc::clone(&own).serve(request, caller.clone())
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let mut connection = std::pin::pin!(watcher.watch(connection));
    // Which HTTP it is has no time limit of its own: a connection without a request is closed.
    let first = tokio::time::timeout(header_timeout, &mut connection).await;
    if first.is_err() && has_begun.load(Relaxed) {
        // What goes wrong here is the client's business.
        drop(connection.await);
    }
    front.connections.fetch_sub(1, Relaxed);
}
