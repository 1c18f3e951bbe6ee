//! The programs that `deploy/proxies/test-programs.sh` gets, and processes of them.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::root;

pub const SQUID: &str = "root/usr/sbin/squid";
pub const NGINX: &str = "root/usr/sbin/nginx";
pub const HAPROXY: &str = "root/usr/sbin/haproxy";
pub const ENVOY: &str = "programs/bin/envoy";
pub const MITMDUMP: &str = "programs/bin/mitmdump";

/// Nothing takes longer to start or to end, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(20);

#[expect(clippy::disallowed_methods, reason = "tests wait by the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Where the programs are.
pub fn folder() -> PathBuf {
    std::env::var_os("SHADOWTAP_PROXIES")
        .map_or_else(|| root().join("target/proxies"), PathBuf::from)
}

/// Whether all of these are there. If not, the test is skipped and says why; where CI runs, it fails.
pub fn have(programs: &[&str]) -> bool {
    let absent = programs.iter().find(|program| !folder().join(program).exists());
    let Some(absent) = absent else { return true };
    let demanded = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!demanded, "no {absent}: run deploy/proxies/test-programs.sh");
    println!("skipped: no {absent}: run deploy/proxies/test-programs.sh");
    false
}

/// One of the programs, with the libraries that it needs.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(folder().join(program));
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    command.env("LD_LIBRARY_PATH", folder().join("root/usr/lib").join(machine));
    command
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a command says, if it succeeds.
pub fn ask(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// A process, with all that it starts. None of them outlives the test.
pub struct Process {
    child: Child,
    /// What it writes to standard output.
    pub stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    pub fn start(mut command: Command, folder: &Path, name: &str) -> Self {
        let path = |kind: &str| folder.join(format!("{name}.{kind}"));
        let (stdout, stderr) = (path("stdout"), path("stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, stdout, stderr }
    }

    pub fn said(&self) -> String {
        [&self.stdout, &self.stderr].map(|path| fs::read_to_string(path).unwrap()).concat()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn wait(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let until = now() + PATIENCE;
        while !is_so(self) {
            assert!(!self.has_ended(), "ended, waiting for {what}: {}", self.said());
            assert!(now() < until, "waiting for {what}: {}", self.said());
            std::thread::sleep(TICK);
        }
    }

    /// Waits until it says something.
    pub fn wait_for(&mut self, text: &str) {
        self.wait(text, |process| process.said().contains(text));
    }

    /// Waits until it takes connections.
    pub fn wait_for_port(&mut self, port: u16) {
        self.wait("its port", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let _it_may_be_gone = Command::new("kill").args(["-s", signal, "--", &group]).output();
    }

    /// Asks it to end, and waits until it has: what it said.
    pub fn stop(&mut self) -> String {
        self.signal("TERM");
        let until = now() + PATIENCE;
        while !self.has_ended() {
            assert!(now() < until, "does not end: {}", self.said());
            std::thread::sleep(TICK);
        }
        self.said()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
        let _reaped = self.child.wait();
    }
}
