//! A client and a server of MCP's SDK, a place for a proxy between them, and a capture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::programs::{Process, ask, command, folder, free_port, have};
use crate::live::lab::has;
use crate::run::{replay_json, root, run};

/// The two eras of MCP, by the environment that has an SDK of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    Sessions,
    Stateless,
}

pub const ERAS: [Era; 2] = [Era::Sessions, Era::Stateless];

impl Era {
    fn python(self) -> &'static str {
        match self {
            Self::Sessions => "sessions/bin/python",
            Self::Stateless => "stateless/bin/python",
        }
    }
}

/// A path for a command line.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A configuration of `deploy/proxies` with other paths and ports, in `folder`. All that is to be
/// changed has to be there: else the test would run something else than it means.
pub fn placed(name: &str, folder: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let source = root().join("deploy/proxies").join(name);
    let mut config = fs::read_to_string(source).unwrap();
    for (from, to) in changes {
        assert!(config.contains(from), "{name} has no {from}");
        config = config.replace(from, to);
    }
    let path = folder.join(Path::new(name).file_name().unwrap());
    fs::write(&path, config).unwrap();
    path
}

/// Between whom a proxy is put.
pub struct Scene {
    pub era: Era,
    /// Removed at the end. The user `proxy` may read it.
    pub folder: TempDir,
    /// Port of the proxy.
    pub front: u16,
    /// Port of the server.
    pub back: u16,
    is_tls: bool,
    server: Option<Process>,
    capture: Option<Process>,
}

impl Scene {
    /// None where something is missing that all scenes need.
    pub fn new(era: Era, programs: &[&str], is_tls: bool) -> Option<Self> {
        if !have(&[era.python(), "programs/bin/python"]) || !have(programs) {
            return None;
        }
        if !has(&["tcpdump", "--version"]) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), mode).unwrap();
        let mut scene = Self {
            era,
            folder,
            front: free_port(),
            back: free_port(),
            is_tls,
            server: None,
            capture: None,
        };
        if is_tls {
            scene.certificates();
        }
        scene.serve();
        scene.listen().then_some(scene)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn certificates(&self) {
        let mut command = command("programs/bin/python");
        command.arg(root().join("tests/proxies/certificates.py")).arg(self.folder.path());
        ask(command);
    }

    fn serve(&mut self) {
        let mut command = command(self.era.python());
        command.arg(root().join("tests/proxies/server.py")).arg(self.back.to_string());
        if self.is_tls {
            command.args([self.path("server.pem"), self.path("server.key")]);
        }
        self.server = Some(Process::start(command, self.folder.path(), "server"));
    }

    /// Captures what goes to and from the proxy's port. False if that is not allowed here.
    fn listen(&mut self) -> bool {
        let mut command = Command::new("tcpdump");
        let port = self.front.to_string();
        command.args(["-i", "lo", "-s", "0", "-B", "16384", "-U", "--immediate-mode"]);
        command.args(["-Z", "root", "-w", text(&self.path("beside.pcap")), "tcp", "port", &port]);
        let mut capture = Process::start(command, self.folder.path(), "tcpdump");
        while !capture.said().contains("listening on") {
            if capture.has_ended() {
                println!("skipped: no capture here: {}", capture.said());
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.capture = Some(capture);
        true
    }

    /// Where the client finds the server, if the proxy is in front of it.
    pub fn reverse_url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.front)
    }

    /// Where the client finds the server, if it knows of the proxy.
    pub fn forward_url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}/mcp", self.back)
    }

    /// Runs a client; the proxy's port is open by now.
    pub fn talk(&mut self, url: &str, proxy: Option<&str>) {
        let server = self.server.as_mut().unwrap();
        server.wait_for("running on");
        let mut command = Command::new("timeout");
        command.arg("60").arg(folder().join(self.era.python()));
        command.arg(root().join("tests/proxies/client.py")).arg(url);
        if let Some(proxy) = proxy {
            command.args(["--proxy", proxy]);
        }
        if self.is_tls {
            let files = [self.path("authority.pem"), self.path("keys.log")];
            command.args(["--authority", text(&files[0]), "--keys", text(&files[1])]);
        }
        let said = ask(command);
        assert!(said.contains("done"), "{said}");
    }

    /// The events of the capture; `None`, with a message, if the kernel dropped packets of it.
    pub fn captured(&mut self) -> Option<Vec<Value>> {
        // The last packets are under way from the kernel to tcpdump.
        std::thread::sleep(Duration::from_millis(300));
        let said = self.capture.take().unwrap().stop();
        let dropped = said.lines().find_map(|line| line.strip_suffix(" dropped by kernel"));
        if dropped.is_none_or(|dropped| !dropped.starts_with("0 ")) {
            println!("skipped: packets were dropped beside: {said}");
            return None;
        }
        let keys = self.path("keys.log");
        let keylog = ["--keylog", text(&keys)];
        let more = if self.is_tls { &keylog[..] } else { &[] };
        Some(replay_json(&self.path("beside.pcap"), more).events())
    }
}

/// The events of a log, or of all logs of a folder.
pub fn logged(log: &Path) -> Vec<Value> {
    let logs = match fs::read_dir(log) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![log.to_owned()],
    };
    let mut args = vec!["logs", "--json", "--no-files"];
    args.extend(logs.iter().map(|log| text(log)));
    let run = run(&args);
    // 1: something was found.
    assert!([0, 1].contains(&run.code), "{}", run.stderr);
    run.events()
}
