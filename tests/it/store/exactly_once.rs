//! Whatever is killed and cut, each finding is in the store once.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::lines::{finding_line, migrate, now};
use super::proxy::{Proxy, Random};
use crate::engine::Engine;

const FILES: u64 = 10;
const FINDINGS_OF_A_FILE: u64 = 20_000;
const ENGINE_KILLS: u32 = 10;
const LOADER_KILLS: u32 = 10;

fn write_files(folder: &Path) {
    for file in 0..FILES {
        let mut text = String::new();
        for number in file * FINDINGS_OF_A_FILE..(file + 1) * FINDINGS_OF_A_FILE {
            let _written = writeln!(text, "{}", finding_line(number));
        }
        std::fs::write(folder.join(format!("day-{file:02}.ndjson")), text).unwrap();
    }
}

fn load(files: &Path, spool: &Path, url: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_shadowtap"))
        .args(["store", "load", "--sensor", "s1", "--url", url, "--spool"])
        .args([spool, files])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn each_finding_is_there_once_whatever_is_killed_and_cut() {
    let seed = std::env::var("SHADOWTAP_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(20_261_123);
    println!("SHADOWTAP_SEED={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let (files, spool) = (folder.path().join("files"), folder.path().join("spool"));
    std::fs::create_dir(&files).unwrap();
    write_files(&files);
    let mut engine = Engine::start();
    migrate(&engine, "shadowtap");
    let proxy = Proxy::start(engine.port(), seed);
    proxy.cut(true);

    // A file after the other, so that what is killed has always something new to do.
    let path = |index: u64| files.join(format!("day-{:02}.ndjson", index % FILES));
    let (mut engine_kills, mut loader_kills, mut done) = (0, 0, 0);
    let mut crashes = 0;
    let mut loader = load(&path(0), &spool, &proxy.url());
    while done < FILES || engine_kills < ENGINE_KILLS || loader_kills < LOADER_KILLS {
        let until = now() + Duration::from_millis(200 + random.below(2_800));
        while now() < until {
            if let Some(status) = loader.try_wait().unwrap() {
                // It got through, or gave up.
                done += u64::from(status.success());
                loader = load(&path(done), &spool, &proxy.url());
            }
            if engine.has_died() {
                engine.restart();
                crashes += 1;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if random.below(2) == 0 && engine_kills < ENGINE_KILLS {
            engine.kill();
            std::thread::sleep(Duration::from_millis(random.below(500)));
            engine.restart();
            engine_kills += 1;
        } else if loader_kills < LOADER_KILLS {
            loader.kill().unwrap();
            loader.wait().unwrap();
            loader = load(&path(done), &spool, &proxy.url());
            loader_kills += 1;
        }
    }
    let cuts = proxy.cuts();
    proxy.cut(false);
    if engine.has_died() {
        engine.restart();
    }
    loader.wait().unwrap();
    let last = load(&files, &spool, &proxy.url()).wait().unwrap();
    assert_eq!(last.code(), Some(0));
    println!("{engine_kills} and {loader_kills} kills, {crashes} crashes, {cuts} cuts");
    assert!(cuts > 10, "{cuts}");

    let all = (FILES * FINDINGS_OF_A_FILE).to_string();
    let counts = engine.query(
        "SELECT count(), uniqExact(finding_id), max(cityHash64(sensor) = cityHash64('s1')) \
                FROM shadowtap.findings",
    );
    assert_eq!(counts, format!("{all}\t{all}\t1\n"), "SHADOWTAP_SEED={seed}");
    let views = engine.query(
        "SELECT sum(findings), min(findings), max(findings), count() FROM shadowtap.servers",
    );
    assert_eq!(views, format!("{all}\t2000\t2000\t100\n"), "SHADOWTAP_SEED={seed}");
}
