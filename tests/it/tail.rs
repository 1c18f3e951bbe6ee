//! `shadowtap watch --logs`: killed again and again over files that are rotated, it tells of each
//! line exactly once.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

#[expect(clippy::disallowed_methods, reason = "tests wait by the clock")]
fn now() -> Instant {
    Instant::now()
}

fn line(number: u64) -> String {
    let body = format!(
        r#"{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"tools/call\",\"params\":{{\"name\":\"t-{number}\",\"arguments\":{{}}}}}}"#
    );
    let seconds = 1_795_417_741 + number / 100;
    format!(
        "{{\"log\":\"mitmproxy\",\"time\":\"{seconds}.{:03}\",\"method\":\"POST\",\
         \"url\":\"https://mcp.example/mcp\",\"version\":\"HTTP/1.1\",\"client\":\"192.0.2.7\",\
         \"client_port\":{},\"request_type\":\"application/json\",\"request_body\":\"{body}\",\
         \"status\":202}}\n",
        number % 100 * 10,
        40_000 + number % 20_000
    )
}

/// Writes lines, and rotates in every way.
struct Writer {
    folder: PathBuf,
    written: Arc<AtomicU64>,
    may_rotate: Arc<AtomicBool>,
}

impl Writer {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn make_room(&self) {
        for number in (1..80).rev() {
            for ending in ["", ".gz"] {
                let from = self.path(&format!("proxy.log.{number}{ending}"));
                let to = self.path(&format!("proxy.log.{}{ending}", number + 1));
                if from.exists() {
                    fs::rename(from, to).unwrap();
                }
            }
        }
    }

    fn rotate(&self, kind: u64) {
        self.make_room();
        let (log, old) = (self.path("proxy.log"), self.path("proxy.log.1"));
        if kind == 1 {
            fs::copy(&log, &old).unwrap();
            File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
            return;
        }
        fs::rename(&log, &old).unwrap();
        if kind == 2 {
            assert!(Command::new("gzip").arg("-f").arg(&old).status().unwrap().success());
        }
    }

    fn run(&self, stop: &AtomicBool) {
        let mut number = 0;
        while !stop.load(Relaxed) {
            let mut file =
                OpenOptions::new().append(true).create(true).open(self.path("proxy.log")).unwrap();
            // A rotation every two seconds or so; eighty old ones are kept, for nobody may look for long.
            for _ in 0..400 {
                number += 1;
                let line = line(number);
                // Sometimes in two pieces.
                let (begin, end) = line.split_at(if number % 7 == 0 { 50 } else { 0 });
                file.write_all(begin.as_bytes()).unwrap();
                file.write_all(end.as_bytes()).unwrap();
                self.written.store(number, Relaxed);
                thread::sleep(Duration::from_millis(5));
                if stop.load(Relaxed) {
                    return;
                }
            }
            drop(file);
            if self.may_rotate.load(Relaxed) {
                self.rotate(number / 400 % 3);
            }
        }
    }
}

fn start(folder: &Path) -> Child {
    let errors = OpenOptions::new().append(true).create(true).open(folder.join("stderr")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_shadowtap"))
        .args(["watch", "--logs", "logs/proxy.log", "--quiet", "--threads", "1"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap()
}

/// How often the request of each line is in the files of events, and how many files there are.
fn told(folder: &Path) -> (BTreeMap<u64, u32>, usize) {
    let (mut told, mut files) = (BTreeMap::new(), 0);
    for entry in fs::read_dir(folder.join("findings")).into_iter().flatten() {
        let path = entry.unwrap().path();
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            // The last line of a file that is written may be there in part.
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let name = event["mcp"]["name"].as_str().and_then(|name| name.strip_prefix("t-"));
            if event["event_type"] == "message" && event["mcp"]["kind"] == "request" {
                *told.entry(name.unwrap().parse().unwrap()).or_default() += 1;
            }
        }
    }
    (told, files)
}

#[test]
fn killed_a_hundred_times_every_line_is_told_exactly_once() {
    let kills = std::env::var("SHADOWTAP_KILLS").ok().and_then(|text| text.parse().ok());
    let kills: u64 = kills.unwrap_or(100);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("logs")).unwrap();
    let written = Arc::new(AtomicU64::new(0));
    let may_rotate = Arc::new(AtomicBool::new(false));
    let writer = Writer {
        folder: folder.path().join("logs"),
        written: Arc::clone(&written),
        may_rotate: Arc::clone(&may_rotate),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writing = thread::spawn(move || writer.run(&stopped));
    let mut seed = 7_u64;
    for kill in 0..kills {
        let mut child = start(folder.path());
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Often before the first checkpoint, often behind it.
        // What was rotated before the first look of all is not read.
        while kill == 0 && !has_found_a_file(folder.path()) {
            thread::sleep(Duration::from_millis(10));
        }
        may_rotate.store(true, Relaxed);
        thread::sleep(Duration::from_millis(50 + (seed >> 33) % 2_500));
        assert!(child.try_wait().unwrap().is_none(), "{}", stderr(folder.path()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = start(folder.path());
    thread::sleep(Duration::from_secs(3));
    stop.store(true, Relaxed);
    writing.join().unwrap();
    let last = written.load(Relaxed);
    let begun = now();
    while !told(folder.path()).0.contains_key(&last) {
        assert!(begun.elapsed() < PATIENCE, "line {last}: {}", stderr(folder.path()));
        thread::sleep(Duration::from_millis(500));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success(), "{}", stderr(folder.path()));
    let (told, files) = told(folder.path());
    let missing: Vec<u64> = (1..=last).filter(|number| !told.contains_key(number)).collect();
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    let said = stderr(folder.path());
    assert!(missing.is_empty() && twice.is_empty(), "missing {missing:?}, twice {twice:?}\n{said}");
    println!("{last} lines, {kills} kills, {files} files of events");
    // Nothing was left unfinished, apart from runs that were killed before they wrote anything.
    for entry in fs::read_dir(folder.path().join("findings")).unwrap() {
        let path = entry.unwrap().path();
        let is_partial = path.extension().is_some_and(|ending| ending == "partial");
        assert!(!is_partial || path.metadata().unwrap().len() == 0, "{}", path.display());
    }
}

/// The checkpoint has a file.
fn has_found_a_file(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("state/logs.json")).unwrap_or_default();
    text.contains("\"followed\"")
}

fn stderr(folder: &Path) -> String {
    fs::read_to_string(folder.join("stderr")).unwrap_or_default()
}
