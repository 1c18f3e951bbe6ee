//! Servers that are children of the portal (MCP, "stdio"): a process group each, no shell, limits
//! of the kernel, started again when they die and stopped when nobody calls.
//!
//! A child dies with the portal in all cases but one: when the portal is killed by SIGKILL, the
//! child sees the end of its standard input. (Anything stronger needs code between fork and exec,
//! which is `unsafe`; systemd's and containers' control groups do it.)

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as Turn, Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::config::{ChildLimits, Program};
use super::http::messages;
use super::mux::{Mux, Sender};
use super::muxed::{Host, handshake};
use super::site::Site;
use super::{ClientSide, Failure};
use crate::portal::Task;
use crate::sinks::printable;

/// Starts are counted over this time.
const WINDOW: Duration = Duration::from_secs(600);
/// Before a start after a death; doubled each time.
const BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Between the end of its input, SIGTERM, and SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// Lines of standard error that are kept, and their length.
const MAX_LOG_LINES: usize = 50;
const MAX_LOG_LINE_BYTES: usize = 500;
/// Lines on standard output that are no messages: some programs greet. More end the child.
const MAX_STRAY_LINES: u32 = 100;
/// Always passed on.
const PASSED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// The last lines of standard error.
type Log = Arc<Mutex<VecDeque<String>>>;

/// Lines on their way to a child that reads slowly.
const MAX_LINES: usize = 64;

/// Hands lines to the task that writes them: what is half written is never given up.
#[derive(Debug)]
struct Writer(mpsc::Sender<String>);

impl Sender for Writer {
    fn send(&self, mut line: String) -> Task<'_, Result<(), Failure>> {
        Box::pin(async move {
            line.push('\n');
            let sent = self.0.send(line).await;
            sent.map_err(|_| Failure::Broken("its input is closed".into()))
        })
    }
}

async fn write(mut lines: mpsc::Receiver<String>, mut to: ChildStdin) {
    while let Some(line) = lines.recv().await {
        if to.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A process group that ends with its handle.
#[derive(Debug)]
struct Group {
    child: Child,
    pid: Option<Pid>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // It may be gone already.
            let _is_there = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// A child that runs.
#[derive(Debug)]
struct Running {
    mux: Arc<Mux>,
    stop: Arc<Notify>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

/// Runs a program while it is needed.
#[derive(Debug)]
pub(super) struct ChildHost {
    site: Arc<Site>,
    program: Program,
    /// What `initialize` says: of the first client, or of nobody where the child is shared.
    client: Arc<ClientSide>,
    now: Turn<Option<Running>>,
    /// A start that is under way is given up.
    ended: Notify,
    /// Itself: a start goes on when whoever wanted it goes away.
    own: Weak<Self>,
    /// It is of one conversation, and ends with that.
    is_own: AtomicBool,
    starts: Mutex<VecDeque<Instant>>,
    used: Mutex<Instant>,
    log: Log,
}

impl ChildHost {
    pub(super) fn new(
        site: Arc<Site>,
        program: Program,
        client: Arc<ClientSide>,
        is_own: bool,
    ) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            site,
            program,
            client,
            now: Turn::default(),
            ended: Notify::new(),
            own: Weak::clone(own),
            is_own: AtomicBool::new(is_own),
            starts: Mutex::default(),
            used: Mutex::new(Instant::now()),
            log: Log::default(),
        })
    }

    /// It is of one conversation from now on.
    pub(super) fn claim(&self) {
        self.is_own.store(true, Relaxed);
    }

    /// Whether a child runs, or is being started or stopped.
    pub(super) fn runs(&self) -> bool {
        self.now.try_lock().map_or(true, |now| now.is_some())
    }

    /// The last lines of standard error, oldest first.
    pub(super) fn log(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().cloned().collect()
    }

    /// Stops a child that nobody called for long. True: nothing runs.
    pub(super) async fn sweep(&self) -> bool {
        let since = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = self.now.lock().await;
        let is_idle = now.as_ref().is_some_and(|running| running.mux.is_idle());
        if is_idle && since.elapsed() >= self.program.idle_stop {
            *now = None;
            self.starts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        now.is_none() && since.elapsed() >= self.program.idle_stop
    }

    /// How long to wait before the next start.
    fn backoff(&self) -> Result<Duration, Failure> {
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        starts.retain(|start| start.elapsed() < WINDOW);
        let count = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        if count > self.program.max_restarts {
            let last = self.log().pop().unwrap_or_default();
            let why = format!("it was started {count} times and keeps ending: {last}");
            return Err(Failure::Unreachable(why.into()));
        }
        starts.push_back(Instant::now());
        let doubled = BACKOFF.saturating_mul(1 << count.saturating_sub(1).min(16));
        Ok(if count == 0 { Duration::ZERO } else { doubled.min(MAX_BACKOFF) })
    }

    /// The one that runs, or a new one.
    async fn started(&self) -> Result<Arc<Mux>, Failure> {
        let mut now = self.now.lock().await;
        if let Some(running) = now.as_ref().filter(|running| !running.mux.is_over()) {
            return Ok(Arc::clone(&running.mux));
        }
        if now.take().is_some() {
            self.site.counters.reconnects.fetch_add(1, Relaxed);
        }
        let running = tokio::select! {
            running = self.start() => running?,
            () = self.ended.notified() => {
                return Err(Failure::Unreachable("it was stopped".into()));
            }
        };
        let mux = Arc::clone(&running.mux);
        *now = Some(running);
        Ok(mux)
    }

    async fn start(&self) -> Result<Running, Failure> {
        sleep(self.backoff()?).await;
        let mut child = self.spawn()?;
        let broken = || Failure::Unreachable("it has no standard streams".into());
        let stdin = child.child.stdin.take().ok_or_else(broken)?;
        let stdout = child.child.stdout.take().ok_or_else(broken)?;
        let stderr = child.child.stderr.take().ok_or_else(broken)?;
        let (lines, from) = mpsc::channel(MAX_LINES);
        let mux = Mux::new(Box::new(Writer(lines)), self.site.server.is_shared);
        let stop = Arc::new(Notify::new());
        let running = Running { mux: Arc::clone(&mux), stop: Arc::clone(&stop) };
        let writing = tokio::spawn(write(from, stdin)).abort_handle();
        drop(tokio::spawn(logged(stderr, Arc::clone(&self.log))));
        let reading = read(stdout, Arc::downgrade(&mux), self.site.server.max_message_bytes);
        let watched = Arc::downgrade(&mux);
        let site = Arc::clone(&self.site);
        drop(tokio::spawn(async move {
            let failure = tokio::select! {
                failure = reading => failure,
                status = child.child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |s| s.to_string());
                    Failure::Broken(format!("the child ended: {status}").into())
                }
                () = stop.notified() => Failure::Broken("the child was stopped".into()),
            };
            if let Some(mux) = watched.upgrade() {
                mux.end(&failure);
            }
            writing.abort();
            child.signal(Signal::TERM);
            let process = child.pid.map_or(0, Pid::as_raw_pid);
            drop(timeout(GRACE, child.child.wait()).await);
            site.tell(&format!("process {process} has ended"));
        }));
        let client = &self.client;
        match handshake(&mux, &self.site, client, true).await {
            Ok(()) => Ok(running),
            // The call itself was not sent yet.
            Err(Failure::Broken(why)) => Err(Failure::Unreachable(why)),
            Err(failure) => Err(failure),
        }
    }

    fn spawn(&self) -> Result<Group, Failure> {
        let [program, arguments @ ..] = self.program.argv.as_slice() else {
            return Err(Failure::Unreachable("no program".into()));
        };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in PASSED.into_iter().chain(self.program.pass_env.iter().map(String::as_str)) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(&self.program.env);
        if let Some(cwd) = &self.program.cwd {
            command.current_dir(cwd);
        }
        let child = command.spawn().map_err(|error| {
            Failure::Unreachable(format!("{program} cannot be started: {error}").into())
        })?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let group = Group { child, pid };
        limit(pid, self.program.limits).map_err(|error| {
            Failure::Unreachable(format!("the limits of {program} cannot be set: {error}").into())
        })?;
        // Not the arguments: they may hold secrets.
        let (name, process) = (printable(program), pid.map_or(0, Pid::as_raw_pid));
        self.site.tell(&format!("{name} was started as process {process}"));
        Ok(group)
    }
}

/// Sets the limits of a child that runs already: what it did in the microseconds before counts.
fn limit(pid: Option<Pid>, limits: ChildLimits) -> std::io::Result<()> {
    let memory = limits.memory_mib.map(|mib| mib.saturating_mul(1 << 20));
    for (resource, most) in [
        (Resource::As, memory),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Nofile, limits.files),
    ] {
        if most.is_some() {
            prlimit(pid, resource, Rlimit { current: most, maximum: most })?;
        }
    }
    Ok(())
}

/// A line without its end, in at most so many bytes. `None`: the end. An error: too long.
async fn line(
    from: &mut (impl AsyncBufRead + Unpin),
    into: &mut Vec<u8>,
    max_bytes: usize,
) -> Result<Option<()>, Failure> {
    into.clear();
    loop {
        let broken = |error: std::io::Error| Failure::Broken(error.to_string().into());
        let held = from.fill_buf().await.map_err(broken)?;
        if held.is_empty() {
            return Ok(None);
        }
        let end = memchr::memchr(b'\n', held);
        let part = held.get(..end.unwrap_or(held.len())).unwrap_or_default();
        if part.len() > max_bytes - into.len() {
            return Err(Failure::Garbled(format!("a line of over {max_bytes} bytes").into()));
        }
        into.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            return Ok(Some(()));
        }
    }
}

async fn read(from: impl AsyncRead + Unpin, mux: Weak<Mux>, max_message_bytes: usize) -> Failure {
    let (mut from, mut held, mut stray) = (BufReader::new(from), Vec::new(), 0);
    loop {
        match line(&mut from, &mut held, max_message_bytes).await {
            Ok(Some(())) => {}
            Ok(None) => return Failure::Broken("its output ended".into()),
            Err(failure) => return failure,
        }
        if held.trim_ascii().is_empty() {
            continue;
        }
        let Some(mux) = mux.upgrade() else {
            return Failure::Broken("nobody wants it".into());
        };
        match messages(held.trim_ascii()) {
            Ok(all) => all.into_iter().for_each(|message| mux.hear(message)),
            Err(failure) => {
                stray += 1;
                if stray > MAX_STRAY_LINES || held.trim_ascii().starts_with(b"{") {
                    return failure;
                }
            }
        }
    }
}

/// Keeps the last lines; of a long one, its beginning.
async fn logged(from: impl AsyncRead + Unpin, log: Log) {
    let mut from = BufReader::new(from);
    let mut held: Vec<u8> = Vec::new();
    loop {
        let Ok(more) = from.fill_buf().await else { return };
        if more.is_empty() {
            return;
        }
        let end = memchr::memchr(b'\n', more);
        let part = more.get(..end.unwrap_or(more.len())).unwrap_or_default();
        let room = MAX_LOG_LINE_BYTES - held.len();
        held.extend_from_slice(part.get(..room).unwrap_or(part));
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            let text = printable(&String::from_utf8_lossy(&held)).to_string();
            held.clear();
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() == MAX_LOG_LINES {
                log.pop_front();
            }
            log.push_back(text);
        }
    }
}

impl Host for ChildHost {
    fn mux(&self) -> Task<'_, Result<Arc<Mux>, Failure>> {
        Box::pin(async move {
            *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            if let Ok(now) = self.now.try_lock()
                && let Some(running) = now.as_ref().filter(|running| !running.mux.is_over())
            {
                return Ok(Arc::clone(&running.mux));
            }
            // A child may need longer to start than anybody waits: the next one finds it started.
            let gone = || Failure::Unreachable("it is not wanted any more".into());
            let own = self.own.upgrade().ok_or_else(gone)?;
            let started = tokio::spawn(async move { own.started().await });
            started.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    fn stop(&self) -> Task<'_, ()> {
        Box::pin(async move {
            self.ended.notify_waiters();
            drop(self.now.lock().await.take());
        })
    }

    fn is_peers_own(&self) -> bool {
        self.is_own.load(Relaxed)
    }
}
