//! `shadowtap portal`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::args::{Portal, PortalCommand};
use super::{Exit, Failure, complain, load, print};
use crate::portal::config::{self, Config, MAX_FILE_BYTES};
use crate::portal::front::{Front, Listening, Tls};
use crate::portal::hub::parts::Parts;
use crate::portal::hub::{Hub, KeyRing, View};

/// How often signals, files and what nobody uses are looked at.
const TURN: Duration = Duration::from_millis(200);
/// Turns between two looks at files.
const FILE_TURNS: u32 = 10;

pub(super) fn run(args: &Portal) -> Result<Exit, Failure> {
    match &args.command {
        Some(PortalCommand::Check { file }) => {
            let config = read(file)?;
            let (servers, address) = (config.file.servers.len(), config.file.listen.address);
            print(&format!("{}: {servers} servers at {address}\n", file.display()))?;
            Ok(Exit::Clean)
        }
        Some(PortalCommand::Schema) => {
            let text = serde_json::to_string_pretty(&config::schema()).map_err(Failure::new)?;
            print(&format!("{text}\n"))?;
            Ok(Exit::Clean)
        }
        None => serve(&args.config, &parts),
    }
}

fn read(file: &Path) -> Result<Config, Failure> {
    let text = load::text(file, MAX_FILE_BYTES)?;
    config::parse(&text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|of| format!("\n  {of}")).collect();
        Failure::new(format!("{} has problems:{}", file.display(), lines.concat()))
    })
}

/// The other parts of the portal, by their sections of the file.
fn parts(_: &Config) -> Result<Parts, Failure> {
    Err(Failure::new("this build has no identity, policy and upstream parts to serve with"))
}

/// Signals that have come.
struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let signals = Self { stop: Arc::default(), reload: Arc::default() };
        let failed = |error| Failure::new(format!("cannot handle signals: {error}"));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset, and sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.stop))
                .map_err(failed)?;
            flag::register(signal, Arc::clone(&signals.stop)).map_err(failed)?;
        }
        flag::register(SIGHUP, Arc::clone(&signals.reload)).map_err(failed)?;
        Ok(signals)
    }
}

/// Serves until it is told to stop. `make` builds the other parts, at the start and at each reload.
fn serve(file: &Path, make: &dyn Fn(&Config) -> Result<Parts, Failure>) -> Result<Exit, Failure> {
    let config = read(file)?;
    let signals = Signals::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("portal")
        .build()
        .map_err(|error| Failure::new(format!("cannot begin: {error}")))?;
    runtime.block_on(serving(file, config, make, &signals))
}

async fn serving(
    file: &Path,
    config: Config,
    make: &dyn Fn(&Config) -> Result<Parts, Failure>,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let ring = match &config.file.sessions.key_file {
        Some(path) => KeyRing::read(path),
        None => KeyRing::random(),
    };
    let ring = ring.map_err(Failure::new)?;
    let tls = config.tls.clone().map(Tls::new).transpose().map_err(Failure::new)?;
    let address = config.file.listen.address;
    let listener = TcpListener::bind(address)
        .map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")))?;
    let view = View { settings: config.hub.clone(), parts: make(&config)? };
    let hub = Hub::new(view, ring, &config.limits);
    let front = Front::new(Arc::clone(&hub), config.front.clone(), address);
    let max = config.file.listen.max_connections;
    let listening = Listening::start(Arc::clone(&front), listener, tls.clone(), max)
        .map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    complain(&format!("the portal is at {scheme}://{}/mcp", listening.local_addr()));
    let patience = Duration::from_secs(config.file.listen.drain_seconds);
    let mut files = Files::new(file, tls.as_deref());
    let mut turns = 0_u32;
    while !signals.stop.load(Relaxed) {
        tokio::time::sleep(TURN).await;
        turns = turns.wrapping_add(1);
        let is_look = turns.is_multiple_of(FILE_TURNS);
        if is_look {
            hub.tend();
        }
        if signals.reload.swap(false, Relaxed) || (is_look && files.changed()) {
            match reload(file, make, &hub, &front, tls.as_deref()) {
                Ok(()) => complain("reloaded"),
                Err(failure) => {
                    complain(&format!("error: not reloaded, what was stays in force: {failure}"));
                }
            }
        }
    }
    complain("stopping: calls that are under way may finish");
    front.drain();
    listening.stop(patience).await;
    Ok(Exit::Clean)
}

/// Takes everything over, or nothing. Address, keys and bounds of sessions stay until a restart.
fn reload(
    file: &Path,
    make: &dyn Fn(&Config) -> Result<Parts, Failure>,
    hub: &Hub,
    front: &Front,
    tls: Option<&Tls>,
) -> Result<(), Failure> {
    let config = read(file)?;
    let parts = make(&config)?;
    if let Some(tls) = tls {
        tls.reload().map_err(Failure::new)?;
    }
    hub.replace(View { settings: config.hub, parts });
    front.replace(config.front);
    Ok(())
}

/// Files that are read again when they change.
struct Files(Vec<(PathBuf, Option<SystemTime>)>);

impl Files {
    fn new(file: &Path, tls: Option<&Tls>) -> Self {
        let others = tls.into_iter().flat_map(Tls::paths);
        let all = std::iter::once(file).chain(others);
        Self(all.map(|path| (path.to_owned(), modified(path))).collect())
    }

    /// Whether one is another than it was; asked once for each change.
    fn changed(&mut self) -> bool {
        let mut is_other = false;
        for (path, before) in &mut self.0 {
            let now = modified(path);
            is_other |= now != *before;
            *before = now;
        }
        is_other
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|about| about.modified()).ok()
}
