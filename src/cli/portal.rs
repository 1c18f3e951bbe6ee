//! `shadowtap portal`.

mod holds;
mod pins;
mod policy;
mod token;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::args::{Portal, PortalApprovals, PortalCommand, PortalRun, PortalToken};
use super::outputs::{Outputs, Run, SHORT, finish, host_name};
use super::{Exit, Failure, complain, load, print};
use crate::portal::adapters::{Lasting, is_child};
use crate::portal::config::{self, Config, MAX_FILE_BYTES, Problem};
use crate::portal::front::{Audience, Front, Listening, Tls};
use crate::portal::hub::{Hub, KeyRing, View};
use crate::sinks::outbox::Outbox;
use crate::verdict::{PortalDraft, PortalServer, portal_approvals};

/// How often signals, files and what nobody uses are looked at.
const TURN: Duration = Duration::from_millis(200);
/// Turns between two looks at files.
const FILE_TURNS: u32 = 10;
/// Connections at a time to the address for operators.
const MAX_OPERATORS: usize = 32;

pub(super) fn run(args: &Portal) -> Result<Exit, Failure> {
    match &args.command {
        Some(PortalCommand::Check { file }) => {
            let config = read(file)?;
            let (servers, address) = (config.sections.servers.len(), config.address);
            let policies = config.sections.policy.len();
            print(&format!(
                "{}: {servers} servers and {policies} policies, at {address}\n",
                file.display()
            ))?;
            Ok(Exit::Clean)
        }
        Some(PortalCommand::Schema) => {
            let text = serde_json::to_string_pretty(&config::schema()).map_err(Failure::new)?;
            print(&format!("{text}\n"))?;
            Ok(Exit::Clean)
        }
        Some(PortalCommand::Policy(command)) => policy::run(command),
        Some(PortalCommand::Pins(command)) => pins::run(command),
        Some(PortalCommand::Holds(command)) => holds::run(command),
        Some(PortalCommand::Token(PortalToken::New { name, groups, expires })) => {
            token::new(name, groups, expires.as_deref())?;
            Ok(Exit::Clean)
        }
        Some(PortalCommand::Approvals(args)) => approvals(args),
        None => serve(&args.run),
    }
}

/// Who decides, for the record: the user that the program runs as.
fn operator() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    let user = user.ok().filter(|user| !user.is_empty() && user.len() <= 128);
    format!("cli:{}", user.as_deref().unwrap_or("unknown"))
}

/// Text of servers and clients on a terminal: no control or invisible character of theirs.
fn shown(text: &str) -> String {
    let show = |c: char| c == '\n' || matches!(c, ' '..='~') || c.is_alphanumeric();
    text.chars().map(|c| if show(c) { c } else { '\u{fffd}' }).collect()
}

fn problems(file: &Path, problems: &[Problem]) -> Failure {
    let lines: Vec<String> = problems.iter().map(|of| format!("\n  {of}")).collect();
    Failure::new(format!("{} has problems:{}", file.display(), lines.concat()))
}

fn read(file: &Path) -> Result<Config, Failure> {
    let text = load::text(file, MAX_FILE_BYTES)?;
    config::parse(&text, file).map_err(|all| problems(file, &all))
}

/// The approvals file by which sensors know the portal.
fn approvals(args: &PortalApprovals) -> Result<Exit, Failure> {
    let sections = read(&args.file)?.sections;
    let servers = sections.servers.iter().map(|(server, _)| PortalServer {
        id: server.id.to_string(),
        url: if is_child(server) { String::new() } else { server.resource.to_string() },
        owner: None,
    });
    let draft = PortalDraft {
        url: Some(sections.place.resource().to_string()),
        addresses: args.addresses.clone(),
        owner: args.owner.clone(),
        expires: args.expires,
        servers: servers.collect(),
    };
    print(&portal_approvals(&draft).map_err(Failure::new)?)?;
    Ok(Exit::Clean)
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

/// Serves until it is told to stop.
fn serve(run: &PortalRun) -> Result<Exit, Failure> {
    let config = read(&run.config)?;
    let signals = Signals::new()?;
    let outboxes = Outputs::open(&run.outputs, Run::Portal)?.into_boxes()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("portal")
        .build()
        .map_err(|error| Failure::new(format!("cannot begin: {error}")))?;
    let outboxes = runtime.block_on(serving(run, config, outboxes, &signals))?;
    // What is still under way after the patience was over ends here.
    drop(runtime);
    for unsent in finish(outboxes, SHORT) {
        complain(&format!("notice: {unsent}"));
    }
    Ok(Exit::Clean)
}

fn bound(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")))
}

async fn serving(
    run: &PortalRun,
    config: Config,
    outboxes: Vec<Outbox>,
    signals: &Signals,
) -> Result<Vec<Outbox>, Failure> {
    let file = &run.config;
    let Config {
        address,
        metrics,
        max_connections,
        drain,
        session_keys,
        hub,
        limits,
        front,
        tls,
        sections,
    } = config;
    let ring = match &session_keys {
        Some(path) => KeyRing::read(path),
        None => KeyRing::random(),
    };
    let ring = ring.map_err(Failure::new)?;
    let tls = tls.map(Tls::new).transpose().map_err(Failure::new)?;
    let listener = bound(address)?;
    let replica = run.replica.clone().unwrap_or_else(host_name);
    let mut sections = sections;
    if let Some(replica) = &run.replica {
        // Replicas that share a volume write files of their own.
        sections.audit.directory.push(replica);
    }
    let started = Lasting::start(&sections, &replica, outboxes, Arc::new(complain));
    let lasting = started.map_err(|all| problems(file, &all))?;
    let parts = lasting.parts(sections).map_err(|all| problems(file, &all))?;
    let hub = Hub::new(View { settings: hub, parts }, ring, &limits);
    let front = Front::new(Arc::clone(&hub), front, address);
    let listen = |listener, audience, tls, max| {
        Listening::start(Arc::clone(&front), listener, audience, tls, max)
            .map_err(|error| Failure::new(format!("cannot listen: {error}")))
    };
    let listening = listen(listener, Audience::Clients, tls.clone(), max_connections)?;
    let operators = metrics
        .map(|address| listen(bound(address)?, Audience::Operators, None, MAX_OPERATORS))
        .transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    complain(&format!("the portal is at {scheme}://{}/mcp", listening.local_addr()));
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
            match reload(file, &lasting, &hub, &front, tls.as_deref()) {
                Ok(()) => complain("reloaded"),
                Err(failure) => {
                    complain(&format!("error: not reloaded, what was stays in force: {failure}"));
                }
            }
        }
    }
    complain("stopping: calls that are under way may finish");
    front.drain();
    listening.stop(drain).await;
    if let Some(operators) = operators {
        operators.stop(Duration::from_secs(1)).await;
    }
    drop((front, hub));
    Ok(lasting.finish().await)
}

/// Takes everything over, or nothing. Address, keys, bounds of sessions and the folder of records
/// stay until a restart.
fn reload(
    file: &Path,
    lasting: &Lasting,
    hub: &Hub,
    front: &Front,
    tls: Option<&Tls>,
) -> Result<(), Failure> {
    let config = read(file)?;
    if let Some(tls) = tls {
        tls.reload().map_err(Failure::new)?;
    }
    let parts = lasting.parts(config.sections).map_err(|all| problems(file, &all))?;
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
