//! A real ClickHouse for tests: the library that `deploy/engine/install.sh` fetches, in a process
//! of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::run::root;

/// A server with an empty data directory of its own. It is killed when it is dropped.
pub struct Engine {
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

#[expect(clippy::disallowed_methods, reason = "tests wait by the clock")]
fn now() -> Instant {
    Instant::now()
}

/// The library. Its absence fails the test: what is not tested against the real thing is not known.
pub fn library() -> PathBuf {
    let path = std::env::var_os("SHADOWTAP_CHDB").map_or_else(
        || root().join("target/engine/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"),
        PathBuf::from,
    );
    assert!(path.exists(), "no ClickHouse at {}: run deploy/engine/install.sh", path.display());
    path
}

impl Engine {
    /// Starts one.
    pub fn start() -> Self {
        Self::with_settings(&[])
    }

    /// Starts one with settings for all queries, as `compatibility=25.8`.
    pub fn with_settings(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(|setting| format!("--{setting}")).collect();
        let mut engine = Self { directory, port, settings, child: None };
        engine.restart();
        engine
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Whether it has ended by itself: the library aborts now and then when connections are cut.
    pub fn has_died(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some())
    }

    /// Starts it again on the same data and the same port. The library may abort while it starts,
    /// too, when clients are at its port already.
    pub fn restart(&mut self) {
        /// An engine that dies more often is broken.
        const MAX_STARTS: usize = 5;
        let until = now() + Duration::from_secs(60);
        for _ in 0..MAX_STARTS {
            self.spawn();
            while !self.has_died() {
                if self.try_query("SELECT 1").is_ok() {
                    return;
                }
                assert!(now() < until, "the engine does not answer\n{}", self.told());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        panic!("the engine died {MAX_STARTS} times\n{}", self.told());
    }

    fn spawn(&mut self) {
        self.kill();
        let listen = "SYSTEM START LISTEN HTTP; SELECT sleepEachRow(3) FROM system.numbers \
                      FORMAT Null SETTINGS max_block_size = 1, max_execution_time = 0, \
                      function_sleep_max_microseconds_per_block = 0";
        let child = Command::new(env!("CARGO_BIN_EXE_shadowtap-engine"))
            .arg(library())
            .arg(format!("--path={}", self.directory.path().join("data").display()))
            .args([format!("--http_port={}", self.port), "--listen_host=127.0.0.1".to_owned()])
            .args(&self.settings)
            .args(["--query", listen])
            .env("SHADOWTAP_ENGINE_STDIN", "follow")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.log()).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// What it said on standard error.
    fn told(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Where the test may put files that the engine reads.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The answer to a query; several statements are not allowed.
    pub fn query(&self, sql: &str) -> String {
        self.try_query(sql).unwrap_or_else(|error| panic!("{error}\nin {sql}"))
    }

    /// The same; the error is what the server says.
    pub fn try_query(&self, sql: &str) -> Result<String, String> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        // HTTP/1.0: the answer ends with the connection.
        let head = format!(
            "POST /?wait_end_of_query=1 HTTP/1.0\r\nHost: engine\r\nContent-Length: {}\r\n\r\n",
            sql.len()
        );
        let sent =
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sql.as_bytes()));
        sent.map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let body = body.to_owned();
        if head.split(' ').nth(1) == Some("200") { Ok(body) } else { Err(body) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn the_engine_answers_forgets_nothing_when_killed_and_says_what_is_wrong() {
    let mut engine = Engine::start();
    println!("ClickHouse {}", engine.query("SELECT version()").trim());
    engine.query("CREATE DATABASE d");
    engine.query("CREATE TABLE d.t (n UInt8) ENGINE = MergeTree ORDER BY n");
    engine.query("INSERT INTO d.t VALUES (1), (2)");
    engine.restart();
    assert_eq!(engine.query("SELECT sum(n) FROM d.t"), "3\n");
    assert!(engine.try_query("SELECT nothing").unwrap_err().contains("UNKNOWN_IDENTIFIER"));
}
