//! A ClickHouse of our own, as a process beside this one: for `store up` and `ask --files`.
//!
//! It is either the library libchdb.so in our host `shadowtap-engine`, or a `clickhouse` program;
//! both take the arguments of `clickhouse local`, listen on loopback, and end when this process
//! does, however that ends.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Failure;
use super::args::EngineArgs;

/// Where npm puts the library below the folder that it is told.
const IN_PACKAGE: &str = "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";
/// The package, and the build that the tests run with.
const PACKAGE: &str = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1";
/// The first start on a loaded machine takes a few seconds.
const START_TRIES: u32 = 600;
const START_PAUSE: Duration = Duration::from_millis(100);
/// How long it may take to end by itself.
const END_TRIES: u32 = 40;
const END_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of its log that an error quotes.
const LOG_SHOWN: usize = 2_000;

/// The last query reads standard input, which nobody writes to: it ends with this process, and
/// the engine with it.
const LISTEN: &str = "SYSTEM START LISTEN HTTP; \
    SELECT count() FROM file('-', 'LineAsString', 'line String') FORMAT Null";

/// What to start.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// Which ClickHouse.
    pub(super) engine: EngineArgs,
    /// Folder for its data and its log; made when it is not there.
    pub(super) data: PathBuf,
    /// Port on loopback; any free one without.
    pub(super) http_port: Option<u16>,
}

/// A running ClickHouse. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Engine {
    child: Child,
    port: u16,
}

/// How it is run.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// In our host.
    Library(PathBuf),
    /// By itself.
    Program(PathBuf),
}

impl Engine {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When there is no ClickHouse here: what is needed, and how to get it. When it does not
    /// start: what it says.
    pub(super) fn start(options: &Options) -> Result<Self, Failure> {
        let found = find(&options.engine, &Surroundings::of_process())?;
        let data = &options.data;
        let failed =
            |error: std::io::Error| Failure::new(format!("cannot use {}: {error}", data.display()));
        fs::create_dir_all(data).map_err(failed)?;
        let data = fs::canonicalize(data).map_err(failed)?;
        let log = data.join("engine.log");
        let port = free_port(options.http_port)?;
        let mut command = command(&found)?;
        command
            .arg(option("--path=", &data.join("data")))
            .arg(format!("--http_port={port}"))
            .args(["--listen_host=127.0.0.1", "--query", LISTEN])
            .env("SHADOWTAP_ENGINE_STDIN", "follow")
            // Ctrl-C at the terminal is for this process, which ends it in order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(failed)?);
        let child = command.spawn().map_err(|error| {
            Failure::new(format!("cannot run {}: {error}", command.get_program().display()))
        })?;
        let mut engine = Self { child, port };
        engine.wait(&log)?;
        Ok(engine)
    }

    /// `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// It has not ended by itself.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it answers.
    fn wait(&mut self, log: &Path) -> Result<(), Failure> {
        for _ in 0..START_TRIES {
            if !self.is_running() {
                return Err(Failure::new(format!("ClickHouse did not start: {}", tail(log))));
            }
            if answers(self.port) {
                return Ok(());
            }
            std::thread::sleep(START_PAUSE);
        }
        let seconds = (START_PAUSE * START_TRIES).as_secs();
        Err(Failure::new(format!(
            "ClickHouse gave no answer within {seconds} seconds: {}",
            tail(log)
        )))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.child.stdin.take());
        for _ in 0..END_TRIES {
            if !self.is_running() {
                return;
            }
            std::thread::sleep(END_PAUSE);
        }
        // It may have ended in this moment.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

fn command(found: &Found) -> Result<Command, Failure> {
    match found {
        Found::Program(program) => {
            let mut command = Command::new(program);
            command.arg("local");
            Ok(command)
        }
        Found::Library(library) => {
            let own = std::env::current_exe()
                .map_err(|error| Failure::new(format!("cannot find this program: {error}")))?;
            let host = own.with_file_name("shadowtap-engine");
            if !host.exists() {
                return Err(Failure::new(format!(
                    "{} is missing: it comes with shadowtap and runs ClickHouse's library",
                    host.display()
                )));
            }
            let mut command = Command::new(host);
            command.arg(library);
            Ok(command)
        }
    }
}

/// The port to listen on: somebody else's answers there would be taken for ours.
fn free_port(wanted: Option<u16>) -> Result<u16, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0)));
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot listen on {address}: {error}; name another --port"))
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port())
}

/// Whether `/ping` is answered.
fn answers(port: u16) -> bool {
    let ping = || -> std::io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /ping HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    ping().unwrap_or(false)
}

/// The end of its log, on one line if it is one.
fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let last = bytes.get(bytes.len().saturating_sub(LOG_SHOWN)..).unwrap_or_default();
    let text = String::from_utf8_lossy(last);
    let text = text.trim();
    if text.is_empty() { format!("it said nothing in {}", log.display()) } else { text.to_owned() }
}

/// Where ClickHouse may be.
#[derive(Debug, Default)]
struct Surroundings {
    /// `$SHADOWTAP_CHDB`.
    library: Option<PathBuf>,
    /// Folder for data of the user's programs.
    data: Option<PathBuf>,
    /// `$PATH`.
    path: Option<OsString>,
}

impl Surroundings {
    fn of_process() -> Self {
        Self {
            library: std::env::var_os("SHADOWTAP_CHDB").map(PathBuf::from),
            data: data_home(),
            path: std::env::var_os("PATH"),
        }
    }
}

/// The folder of this program among those of the user: `$XDG_DATA_HOME/shadowtap`, or
/// `~/.local/share/shadowtap`.
pub(super) fn data_home() -> Option<PathBuf> {
    let given = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = given("XDG_DATA_HOME").or_else(|| Some(given("HOME")?.join(".local/share")))?;
    Some(home.join("shadowtap"))
}

fn find(engine: &EngineArgs, around: &Surroundings) -> Result<Found, Failure> {
    let named = [
        (&engine.library, Found::Library as fn(PathBuf) -> Found),
        (&engine.engine, Found::Program),
        (&around.library, Found::Library),
    ];
    for (path, found) in named {
        let Some(path) = path else { continue };
        return match fs::metadata(path) {
            Ok(file) if file.is_file() => Ok(found(path.clone())),
            Ok(_) => Err(Failure::new(format!("{} is no file", path.display()))),
            Err(error) => Err(Failure::new(format!("{}: {error}", path.display()))),
        };
    }
    let own = around.data.as_ref().map(|data| data.join("engine"));
    let known = [
        own.as_ref().map(|own| own.join(IN_PACKAGE)),
        Some(PathBuf::from("/usr/lib/shadowtap/libchdb.so")),
        Some(PathBuf::from("/usr/local/lib/shadowtap/libchdb.so")),
    ];
    if let Some(library) = known.into_iter().flatten().find(|path| path.is_file()) {
        return Ok(Found::Library(library));
    }
    let folders = around.path.as_deref().map(std::env::split_paths).into_iter().flatten();
    if let Some(program) = folders.map(|dir| dir.join("clickhouse")).find(|path| path.is_file()) {
        return Ok(Found::Program(program));
    }
    let folder = own.unwrap_or_else(|| PathBuf::from("/usr/lib/shadowtap"));
    Err(Failure::new(needed(&folder)))
}

/// What is needed, and how to get it.
fn needed(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "this needs ClickHouse on this machine, and there is none. Either get it as a library \
         (0.6 GB):\n  mkdir -p {folder}\n  npm install --prefix {folder} {PACKAGE}\nor have a \
         `clickhouse` program of version 26.2 or later in $PATH, or name one with --engine."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_comes_before_what_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let own = file(&format!("share/engine/{IN_PACKAGE}"));
        let (named, variable, program) = (file("a.so"), file("b.so"), file("bin/clickhouse"));
        let mut around = Surroundings {
            library: Some(variable.clone()),
            data: Some(folder.path().join("share")),
            path: Some(folder.path().join("bin").into()),
        };
        let library = EngineArgs { library: Some(named.clone()), engine: None };
        let engine = EngineArgs { library: None, engine: Some(named.clone()) };
        let none = EngineArgs::default();
        assert_eq!(find(&library, &around).unwrap(), Found::Library(named.clone()));
        assert_eq!(find(&engine, &around).unwrap(), Found::Program(named));
        assert_eq!(find(&none, &around).unwrap(), Found::Library(variable));
        around.library = Some(folder.path().join("nothing"));
        assert!(find(&none, &around).unwrap_err().to_string().contains("nothing: No such file"));
        around.library = None;
        assert_eq!(find(&none, &around).unwrap(), Found::Library(own.clone()));
        fs::remove_file(own).unwrap();
        if !Path::new("/usr/lib/shadowtap/libchdb.so").exists() {
            assert_eq!(find(&none, &around).unwrap(), Found::Program(program));
            around.path = None;
            let told = find(&none, &around).unwrap_err().to_string();
            assert!(told.contains("npm install --prefix"), "{told}");
            assert!(told.contains("share/engine @chdb/lib-linux-x64-gnu@26.7.3"), "{told}");
        }
    }

    #[test]
    fn a_port_in_use_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let told = free_port(Some(port)).unwrap_err().to_string();
        assert!(told.contains("name another --port"), "{told}");
        assert!(free_port(None).is_ok());
        assert!(!answers(free_port(None).unwrap()));
    }
}
