//! Clients and servers of MCP's SDKs, and the portal between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub use super::config::{KEYS, Upstream, in_pages, portal_file, route};
use crate::proxies::programs::{self, Process, free_port};
use crate::run::root;

/// Where Node and its packages are.
pub fn node_folder() -> PathBuf {
    std::env::var_os("SHADOWTAP_PORTAL_TESTS")
        .map_or_else(|| root().join("target/portal-tests"), PathBuf::from)
}

/// Whether the programs are there. If not, the test is skipped and says so; where CI runs, it fails.
pub fn have_programs() -> bool {
    let is_there = node_folder().join("node").exists();
    let demanded = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(is_there || !demanded, "no Node: run deploy/portal-tests/install.sh");
    if !is_there {
        println!("skipped: no Node: run deploy/portal-tests/install.sh");
    }
    is_there && programs::have(&["sessions/bin/python", "stateless/bin/python"])
}

/// Node, which listens on loopback only whatever it runs.
pub fn node() -> Command {
    let mut command = Command::new(node_folder().join("node"));
    command.arg("--require").arg(node_folder().join("loopback.cjs"));
    command.env("SHADOWTAP_PORTAL_TESTS", node_folder());
    command
}

/// An SDK: its era and its language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// TypeScript 1.x: sessions.
    Ts1,
    /// TypeScript 2.x: 2026-07-28, and sessions.
    Ts2,
    /// Python 1.x: sessions.
    Py1,
    /// Python 2.x: 2026-07-28, and sessions.
    Py2,
}

pub const SDKS: [Sdk; 4] = [Sdk::Ts1, Sdk::Ts2, Sdk::Py1, Sdk::Py2];

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Http,
    /// The transport of 2024-11-05; only SDKs 1.x serve it.
    Sse,
    Stdio,
}

impl Sdk {
    fn program(self, folder: &str) -> Command {
        let path = root().join("tests/portal").join(folder);
        let python = |era: &str| Command::new(programs::folder().join(era).join("bin/python"));
        let (mut command, name) = match (self, folder) {
            (Self::Ts1, _) => (node(), "ts1.mjs"),
            (Self::Ts2, _) => (node(), "ts2.mjs"),
            (Self::Py1, "clients") => (python("sessions"), "client.py"),
            (Self::Py2, "clients") => (python("stateless"), "client.py"),
            (Self::Py1, _) => (python("sessions"), "py1.py"),
            (Self::Py2, _) => (python("stateless"), "py2.py"),
        };
        command.arg(path.join(name));
        command
    }

    /// The command line of a server over stdio.
    pub fn stdio_server(self) -> Vec<String> {
        let mut command = self.program("servers");
        command.arg("--stdio");
        let text = |word: &std::ffi::OsStr| word.to_str().unwrap().to_owned();
        std::iter::once(command.get_program()).chain(command.get_args()).map(text).collect()
    }

    /// Starts a server over HTTP.
    pub fn serve(self, folder: &Path, way: Way) -> Server {
        self.serve_in_pages(folder, way, 0)
    }

    /// Starts a server whose lists come in pages of so many things; 0 for whole lists.
    pub fn serve_in_pages(self, folder: &Path, way: Way, items: usize) -> Server {
        let port = free_port();
        let mut command = self.program("servers");
        let (option, path) = match way {
            Way::Sse => ("--sse", "sse"),
            _ => ("--http", "mcp"),
        };
        command.arg(option).arg(port.to_string()).env("PAGE_SIZE", items.to_string());
        let mut process = Process::start(command, folder, &format!("server-{self:?}-{port}"));
        process.wait_for_port(port);
        Server { url: format!("http://127.0.0.1:{port}/{path}"), port, _process: process }
    }

    /// What a client tells of a server, feature by feature.
    pub fn visit(self, at: &[&str]) -> Vec<Told> {
        let mut command = Command::new("timeout");
        let client = self.program("clients");
        command.arg("240").arg(client.get_program()).args(client.get_args()).args(at);
        command.env("SHADOWTAP_PORTAL_TESTS", node_folder());
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines = String::from_utf8(output.stdout).unwrap();
        let told: Vec<Told> = lines.lines().map(Told::of).collect();
        assert!(told.last().is_some_and(|last| last.feature == "close"), "{told:?}\n{stderr}");
        told
    }
}

/// A server that runs.
pub struct Server {
    pub url: String,
    pub port: u16,
    /// It ends with this.
    _process: Process,
}

/// One feature, as a client found it.
#[derive(Debug)]
pub struct Told {
    pub feature: String,
    pub ok: bool,
    pub detail: Value,
}

impl Told {
    fn of(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        Self {
            feature: value["feature"].as_str().unwrap().to_owned(),
            ok: value["ok"].as_bool().unwrap(),
            detail: value["detail"].clone(),
        }
    }
}

/// What did not do.
pub fn failures(told: &[Told]) -> Vec<String> {
    let failed = told.iter().filter(|told| !told.ok);
    failed.map(|told| format!("{}: {}", told.feature, told.detail)).collect()
}

/// The portal, running.
pub struct Portal {
    pub port: u16,
    folder: PathBuf,
    file: PathBuf,
    process: Option<Process>,
}

impl Portal {
    pub fn start(folder: &Path, servers: &[(&str, Upstream<'_>)]) -> Self {
        Self::with(folder, servers, |file| file)
    }

    /// With lists in pages of so many things.
    pub fn start_in_pages(folder: &Path, servers: &[(&str, Upstream<'_>)], items: usize) -> Self {
        Self::with(folder, servers, |file| in_pages(&file, items))
    }

    fn with(
        folder: &Path,
        servers: &[(&str, Upstream<'_>)],
        change: impl Fn(String) -> String,
    ) -> Self {
        let port = free_port();
        let file = folder.join(format!("portal-{port}.yaml"));
        let keys = folder.join("session-keys");
        fs::write(&keys, KEYS).unwrap();
        fs::write(&file, change(portal_file(port, keys.to_str().unwrap(), servers))).unwrap();
        let mut portal = Self { port, folder: folder.to_owned(), file, process: None };
        portal.restart();
        portal
    }

    pub fn restart(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shadowtap"));
        command.arg("portal").arg("--config").arg(&self.file);
        let name = format!("portal-{}", self.port);
        let mut process = Process::start(command, &self.folder, &name);
        process.wait_for_port(self.port);
        self.process = Some(process);
    }

    /// As a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The endpoint of all servers together.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// The same for clients of 2024-11-05.
    pub fn sse(&self) -> String {
        format!("http://127.0.0.1:{}/sse", self.port)
    }

    /// The endpoint of one server, whose names are unchanged.
    pub fn route(&self, server: &str) -> String {
        format!("http://127.0.0.1:{}{}", self.port, route(server))
    }
}
