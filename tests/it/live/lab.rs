//! A network namespace with a pair of interfaces, and the program watching one of them.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Where packets are sent to.
pub const SENDER: &str = "va";
/// Where they are watched.
pub const WATCHED: &str = "vb";
/// Nothing takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

static LABS: AtomicUsize = AtomicUsize::new(0);

/// Whether a program is there; if not, that is printed as the reason to skip a test.
pub fn has(tool: &[&str]) -> bool {
    let found = Command::new(tool[0]).args(&tool[1..]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {} is not installed", tool.join(" "));
    }
    found
}

/// A namespace and a folder; both go with it.
pub struct Lab {
    name: String,
    pub folder: TempDir,
}

impl Lab {
    /// A lab with both interfaces up, or the reason why there can be none, printed.
    pub fn new() -> Option<Self> {
        for tool in [&["ip", "-V"][..], &["tcpreplay", "--version"], &["setpriv", "--version"]] {
            if !has(tool) {
                return None;
            }
        }
        let number = LABS.fetch_add(1, Relaxed);
        let name = format!("shadowtap-{}-{number}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output().unwrap();
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr).into_owned();
            println!("skipped: no network namespaces here: {}", why.trim());
            return None;
        }
        let lab = Self { name, folder: tempfile::tempdir().unwrap() };
        // Nothing but what the test sends.
        let quiet = "net.ipv6.conf.default.disable_ipv6=1";
        let _best_effort = lab.command("sysctl", &["-qw", quiet]).output();
        if !lab.ip(&["link", "add", SENDER, "type", "veth", "peer", "name", WATCHED]) {
            println!("skipped: no virtual interfaces here");
            return None;
        }
        lab.bring_up();
        Some(lab)
    }

    /// The name of the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `ip` in the namespace.
    pub fn ip(&self, args: &[&str]) -> bool {
        Command::new("ip").args(["-n", &self.name]).args(args).status().unwrap().success()
    }

    pub fn set(&self, interface: &str, state: &str) {
        assert!(self.ip(&["link", "set", interface, state]));
    }

    /// Makes the pair anew, after it was removed.
    pub fn make_pair(&self) {
        assert!(self.ip(&["link", "add", SENDER, "type", "veth", "peer", "name", WATCHED]));
        self.bring_up();
    }

    /// Captures hold frames that were put together after they were received.
    fn bring_up(&self) {
        for interface in [SENDER, WATCHED] {
            assert!(self.ip(&["link", "set", interface, "mtu", "65535", "up"]));
        }
    }

    /// A program in the namespace, in the lab's folder.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).args(args);
        command.current_dir(self.folder.path()).env("NO_COLOR", "1").env_remove("COLUMNS");
        command
    }

    /// Sends a capture, as fast as that goes.
    pub fn send(&self, capture: &Path) {
        self.send_with(capture, &["-t"]);
    }

    /// Sends a capture, with these options: what tcpreplay says at the end.
    pub fn send_with(&self, capture: &Path, options: &[&str]) -> String {
        let mut args = vec!["-q", "-i", SENDER];
        args.extend_from_slice(options);
        args.push(capture.to_str().unwrap());
        let sent = self.command("tcpreplay", &args).output().unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        String::from_utf8_lossy(&sent.stdout).into_owned()
    }

    /// Watches, and waits until the program says that it does.
    pub fn watch(&self, args: &[&str]) -> Watch {
        let mut all = vec!["watch", "-i", WATCHED];
        all.extend_from_slice(args);
        self.start(self.command(env!("CARGO_BIN_EXE_shadowtap"), &all))
    }

    /// Starts a command that watches.
    pub fn start(&self, mut command: Command) -> Watch {
        let path = |name: &str| self.folder.path().join(name);
        let socket = UnixDatagram::bind(path("notify")).unwrap();
        // The program may run as somebody else.
        let everybody = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777);
        fs::set_permissions(path("notify"), everybody.clone()).unwrap();
        fs::set_permissions(self.folder.path(), everybody).unwrap();
        let child = command
            .env("NOTIFY_SOCKET", path("notify"))
            .stdin(Stdio::null())
            .stdout(File::create(path("stdout")).unwrap())
            .stderr(File::create(path("stderr")).unwrap())
            .spawn()
            .unwrap();
        let folder = self.folder.path().to_owned();
        let mut watch = Watch { child, folder, told: listen(socket), heard: Vec::new() };
        watch.wait_to_hear("READY=1");
        watch
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _best_effort = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Reads what the program tells the service manager all the time, as that would: a socket that
/// nobody reads fills up, and makes the sender wait.
fn listen(socket: UnixDatagram) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(len) = socket.recv(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if text.lines().any(|line| send.send(line.to_owned()).is_err()) {
                return;
            }
        }
    });
    receive
}

/// The program while it watches.
pub struct Watch {
    child: Child,
    folder: PathBuf,
    told: Receiver<String>,
    /// What it told the service manager and nobody has waited for yet.
    heard: Vec<String>,
}

impl Watch {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A line of its status in /proc that is a size, in kilobytes: `VmRSS`, `VmHWM`.
    pub fn kilobytes(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.folder.join("stdout")).unwrap()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap()
    }

    /// Waits until something is so.
    pub fn wait(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        #[expect(clippy::disallowed_methods, reason = "bounds how long a test waits")]
        let deadline = Instant::now() + PATIENCE;
        #[expect(clippy::disallowed_methods, reason = "bounds how long a test waits")]
        while !is_so(self) {
            self.hear();
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "waiting for {what}: {ended:?}\n{}", self.stderr());
            assert!(Instant::now() < deadline, "waiting for {what}:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Takes what it told the service manager since the last look.
    fn hear(&mut self) {
        self.heard.extend(self.told.try_iter());
    }

    /// Waits for a message to the service manager, and forgets those before it.
    pub fn wait_to_hear(&mut self, message: &str) {
        self.wait(message, |watch| {
            watch.hear();
            let found = watch.heard.iter().position(|line| line.starts_with(message));
            found.is_some_and(|at| watch.heard.drain(..=at).count() > 0)
        });
    }

    /// Waits for a line on standard error.
    pub fn wait_for_error_line(&mut self, text: &str) {
        self.wait(text, |watch| watch.stderr().contains(text));
    }

    /// Waits until so many packets were read, as the status tells.
    pub fn wait_for_packets(&mut self, count: u64) {
        self.wait("packets", |watch| {
            watch.signal("USR1");
            let stderr = watch.stderr();
            let last = stderr.lines().rev().find_map(|line| {
                line.contains("statistics after").then(|| line.split(' ').collect::<Vec<_>>())
            });
            let packets = last.and_then(|words| {
                let at = words.iter().position(|word| *word == "packets,")?;
                words[at - 1].parse::<u64>().ok()
            });
            packets.is_some_and(|packets| packets >= count)
        });
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Stops it and waits for its end: the exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal("TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// The events written to files so far, finished files or not.
    pub fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        for entry in fs::read_dir(self.folder.join("findings")).into_iter().flatten() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            // The last line may be half written.
            let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            events.extend(lines);
        }
        events
    }

    /// The events of a type.
    pub fn of_type(&self, event_type: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event_type"] == event_type);
        events
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
