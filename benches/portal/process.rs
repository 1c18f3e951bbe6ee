//! Programs of the benches, and what the kernel says of them.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Clock ticks a second of `/proc`, on every Linux that is met.
const TICKS: f64 = 100.0;
const PAGE_KIB: f64 = 4.0;

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that listens, and ends with this.
pub struct Program {
    child: Child,
    _folder: Option<tempfile::TempDir>,
}

impl Program {
    /// The stub, by this program.
    pub fn stub(port: u16) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--stub", &port.to_string()]);
        Self::start(command, port, None).expect("the stub listens")
    }

    /// The portal, if this program has it.
    pub fn portal(file: &str, keys: &str, port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portal.yaml");
        std::fs::write(&path, file).unwrap();
        std::fs::write(folder.path().join("session-keys"), keys).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_shadowtap"));
        command.arg("portal").arg("--config").arg(path).current_dir(folder.path());
        // Costs time where errors are made.
        command.env_remove("RUST_BACKTRACE");
        Self::start(command, port, Some(folder))
    }

    fn start(mut command: Command, port: u16, folder: Option<tempfile::TempDir>) -> Option<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut program = Self { child, _folder: folder };
        for _ in 0..1_000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(program);
            }
            if program.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// CPU seconds of a process so far, user and system, all threads.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name may have spaces and brackets in it; fields 14 and 15 are times.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let mut times = fields.split_whitespace().skip(11);
    let mut next = || times.next().unwrap().parse::<f64>().unwrap();
    (next() + next()) / TICKS
}

/// Resident memory of a process.
pub fn rss_mib(pid: u32) -> f64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * PAGE_KIB / 1024.0
}
