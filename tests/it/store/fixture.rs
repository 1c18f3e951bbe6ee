//! One ClickHouse for the tests of questions: the rows of a fixture in the tables of database
//! `store`, and its files as views in database `files`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use shadowtap::sinks::rows::line::{Source, rows};
use shadowtap::sinks::store::{files, schema};

use crate::engine::Engine;
use crate::run::{capture, root, run_in};

/// Who saw it.
pub const SENSOR: &str = "lab's";

pub struct Fixture {
    pub engine: Engine,
    /// The files.
    pub folder: PathBuf,
}

/// The fixture, made once for all tests of the process.
pub fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(Fixture::make)
}

impl Fixture {
    fn make() -> Self {
        let engine = Engine::start();
        let folder = engine.directory().join("events");
        std::fs::create_dir(&folder).unwrap();
        let lines = write_files(&folder);
        let target = schema::Target { database: "store".to_owned(), cluster: None };
        for migration in &schema::MIGRATIONS {
            for statement in migration.statements(&target) {
                engine.query(&statement);
            }
        }
        for (table, rows) in by_table(&lines) {
            engine.query(&format!("INSERT INTO store.{table} FORMAT JSONEachRow\n{rows}"));
        }
        let glob = format!("{}/*.ndjson*", folder.display());
        for statement in files::statements("files", &glob, SENSOR) {
            engine.query(&statement);
        }
        Self { engine, folder }
    }
}

/// Files as a sensor leaves them: finished, unfinished, compressed, and one without events.
fn write_files(folder: &Path) -> Vec<u8> {
    let approvals = root().join("captures/office-morning.approvals.yaml");
    let mut lines = Vec::new();
    let captures = ["office-morning.pcap", "mix-office-hour.pcap", "tls13-nokeys-node.pcap"];
    for name in captures {
        let path = capture(name);
        let mut args = vec![
            "replay",
            path.to_str().unwrap(),
            "--quiet",
            "--fail-on",
            "never",
            "--json",
            "--no-files",
        ];
        if name == "office-morning.pcap" {
            args.extend(["--approvals", approvals.to_str().unwrap()]);
        }
        let run = run_in(folder, &args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        std::fs::write(folder.join(format!("{name}.ndjson")), &run.stdout).unwrap();
        lines.extend_from_slice(run.stdout.as_bytes());
    }
    let mut more = std::fs::read(root().join("tests/store/more.ndjson")).unwrap();
    // The line that is not whole stays the last one of its file.
    more.truncate(more.trim_ascii_end().len());
    std::fs::write(folder.join("watch.1.ndjson.partial"), &more).unwrap();
    lines.extend_from_slice(&more);
    let long = long_finding();
    let mut out =
        zstd::Encoder::new(std::fs::File::create(folder.join("old.ndjson.zst")).unwrap(), 1)
            .unwrap();
    out.write_all(long.as_bytes()).unwrap();
    out.finish().unwrap();
    lines.extend_from_slice(format!("\n{long}").as_bytes());
    std::fs::write(folder.join("empty.ndjson"), "").unwrap();
    lines
}

/// A finding that is too long for its document.
fn long_finding() -> String {
    let event = serde_json::json!({"event_type": "finding", "@timestamp": "2026-11-16T09:04:00Z",
        "event": {"id": "bbbb\"\\/\u{e4}", "count": 1}, "excerpt": "x".repeat(300_000)});
    format!("{event}\n")
}

/// Rows as JSON, by table. What is none of ours is passed over.
fn by_table(lines: &[u8]) -> std::collections::BTreeMap<&'static str, String> {
    let mut tables = std::collections::BTreeMap::<_, String>::new();
    for line in lines.split(|b| *b == b'\n') {
        let source = Source { sensor: SENSOR, run: "" };
        let read = rows(line, &source, &mut |row| {
            let text = tables.entry(row.table().name()).or_default();
            text.push_str(&serde_json::to_string(&row).unwrap());
            text.push('\n');
        });
        drop(read);
    }
    tables
}

/// The answer of a database, a value for each row.
pub fn answer(database: &str, sql: &str) -> Result<Vec<Value>, String> {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", fixture().engine.port())).unwrap();
    let head = format!(
        "POST /?wait_end_of_query=1&default_format=JSONEachRow&database={database} HTTP/1.0\r\n\
         Host: engine\r\nContent-Length: {}\r\n\r\n{sql}",
        sql.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    if head.split(' ').nth(1) != Some("200") {
        return Err(format!("{body}in {sql}"));
    }
    Ok(body.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}
