//! What can be replayed, and what is said of what cannot.

use std::io::Write as _;
use std::path::Path;

use super::{finish, folder, program, reason, run_in};
use crate::run::{Run, capture};

const NAME: &str = "sh-2025-06-py1124-py1124.pcap";

fn bytes() -> Vec<u8> {
    std::fs::read(capture(NAME)).unwrap()
}

fn replay(folder: &Path, args: &[&str]) -> Run {
    let fixed = ["replay", "--json", "--no-files"];
    run_in(folder, &fixed.iter().chain(args).copied().collect::<Vec<_>>())
}

fn keys(run: &Run) -> Vec<String> {
    let servers = run.of_type("server");
    servers.iter().map(|server| server["server"]["key"].as_str().unwrap().to_owned()).collect()
}

/// The output without the name of the file, which is all that may differ.
fn nameless(run: &Run, name: &str) -> String {
    run.stdout.replace(&format!("\"{name}\""), "\"\"")
}

#[test]
fn a_capture_reads_the_same_from_file_pipe_gzip_and_zstd() {
    let folder = folder(&[]);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.pcap"), bytes()).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes()).unwrap();
    std::fs::write(path("a.pcap.gz"), gzip.finish().unwrap()).unwrap();
    std::fs::write(path("a.pcap.zst"), zstd::encode_all(&bytes()[..], 1).unwrap()).unwrap();
    // The content says what it is, not the name.
    std::fs::copy(path("a.pcap.gz"), path("packed.pcap")).unwrap();
    let plain = replay(folder.path(), &["a.pcap"]);
    assert_eq!(plain.code, 1, "{}", plain.stderr);
    assert_eq!(keys(&plain), ["http://mcp.corp.test:8000/mcp"]);
    let want = nameless(&plain, "a.pcap");
    for name in ["a.pcap.gz", "a.pcap.zst", "packed.pcap", "./a.pcap"] {
        let run = replay(folder.path(), &[name]);
        assert_eq!(nameless(&run, name), want, "{name}: {}", run.stderr);
    }
    let mut piped = program(folder.path(), &["replay", "--json", "--no-files", "-"]);
    piped.env("COLUMNS", "80");
    let run = finish(piped, &bytes());
    assert_eq!(nameless(&run, "standard input"), want);
}

#[test]
fn several_files_folders_and_patterns() {
    let others = ["enc-http10-curl.pcap", "ll-loopback-lo.pcap"];
    let folder = folder(&others);
    std::fs::create_dir(folder.path().join("more")).unwrap();
    std::fs::write(folder.path().join("more").join("b.pcap"), bytes()).unwrap();
    std::fs::write(folder.path().join("more").join("notes.txt"), "not read").unwrap();
    let files = replay(folder.path(), &["more/b.pcap", others[0], others[1]]);
    assert_eq!(keys(&files).len(), 3, "{}", files.stderr);
    for args in [
        &[others[1], "more/b.pcap", others[0]][..],
        &["more", others[1], others[0]],
        &["*.pcap", "more"],
        &["*.pcap", "mor?/*.pcap"],
        &["[el]*.pcap", "more/b.pcap", "more"],
    ] {
        let run = replay(folder.path(), args);
        assert_eq!(run.code, 1, "{args:?}: {}", run.stderr);
        assert_eq!(keys(&run), keys(&files), "{args:?}");
    }
}

#[test]
fn paths_that_are_not_there_are_usage_errors() {
    let folder = folder(&[NAME]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (path, what) in [
        ("nope.pcap", "nope.pcap: no such file or directory; check the path"),
        ("nope*.pcap", "nope*.pcap: no file matches this pattern"),
        ("empty", "empty: no capture files in this directory; files named .pcap"),
    ] {
        for args in [&["replay", path][..], &["replay", NAME, path], &["approvals", "draft", path]]
        {
            let run = run_in(folder.path(), args);
            assert_eq!(run.code, 2, "{args:?}");
            assert!(run.stderr.contains(what), "{args:?}: {}", run.stderr);
            assert_eq!(run.stdout, "", "{args:?}");
        }
    }
    assert!(!folder.path().join("findings").exists(), "nothing is written before it is clear");
}

#[test]
fn what_is_no_capture_says_what_it_looks_like_and_the_rest_is_read() {
    let folder = folder(&[NAME]);
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    };
    write("text.pcap", b"<html>not a capture</html>");
    write("zip.pcap", b"PK\x03\x04............................");
    write("nothing.pcap", b"");
    for (name, what) in [
        ("text.pcap", "not a packet capture, it begins like text (\"<html>not a capt\")"),
        ("zip.pcap", "not a packet capture, it begins like a ZIP archive"),
        ("nothing.pcap", "empty, without even a file header; capture it again"),
    ] {
        let alone = run_in(folder.path(), &["replay", name, "--no-files"]);
        assert_eq!(alone.code, 3, "{name}");
        assert!(alone.stderr.contains(&format!("warning: {name}: {what}")), "{}", alone.stderr);
        assert!(reason(&alone).starts_with(&format!("3: {name}: ")), "{}", alone.stdout);
        let both = replay(folder.path(), &[name, NAME]);
        assert_eq!(both.code, 3, "{name}");
        assert_eq!(keys(&both).len(), 1, "{name}");
    }
    let run = finish(program(folder.path(), &["replay", "-", "--no-files"]), b"");
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("standard input: empty"), "{}", run.stderr);
}

#[test]
fn a_capture_without_packets_is_clean() {
    let folder = folder(&[]);
    std::fs::write(folder.path().join("header.pcap"), &bytes()[..24]).unwrap();
    for more in [&[][..], &["--fail-on", "info", "--min-coverage", "100"]] {
        let args: Vec<&str> =
            ["replay", "header.pcap", "--no-files"].iter().chain(more).copied().collect();
        let run = run_in(folder.path(), &args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{more:?}");
        assert!(run.stdout.starts_with("no MCP server; no findings\n"), "{}", run.stdout);
    }
}

#[test]
fn damage_is_named_with_its_offset_and_what_came_before_is_reported() {
    let folder = folder(&[]);
    let (whole, path) = (bytes(), folder.path().join("cut.pcap"));
    std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let run = run_in(folder.path(), &["replay", "cut.pcap", "--no-files"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("warning: cut.pcap: cut short at byte "), "{}", run.stderr);
    assert!(run.stdout.contains("SMCP-3001 Unapproved MCP server"), "{}", run.stdout);
    assert!(run.stdout.contains("the rest of cut.pcap: cut short at byte "), "{}", run.stdout);
    assert!(reason(&run).starts_with("3: cut.pcap: cut short at byte "), "{}", run.stdout);
    let json = replay(folder.path(), &["cut.pcap"]);
    let stats = &json.of_type("stats")[0];
    let stopped = stats["captures"][0]["stopped"].as_str().unwrap();
    assert!(stopped.starts_with("cut short at byte "), "{stopped}");
    // A packet that claims 2 GB.
    let mut corrupt = whole;
    let at = 24 + 8;
    corrupt[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    std::fs::write(&path, corrupt).unwrap();
    let run = replay(folder.path(), &["cut.pcap"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("corrupt at byte 24, after 0 packets"), "{}", run.stderr);
}

#[test]
fn every_cut_of_a_capture_ends_in_order() {
    let folder = folder(&[]);
    let whole = bytes();
    for length in (0..whole.len()).step_by(whole.len() / 12) {
        std::fs::write(folder.path().join("cut.pcap"), &whole[..length]).unwrap();
        let run = replay(folder.path(), &["cut.pcap"]);
        assert!(matches!(run.code, 0 | 1 | 3), "{length}: {} {}", run.code, run.stderr);
        assert_eq!(run.of_type("stats").len(), 1, "{length}");
    }
}

#[test]
fn the_session_hash_follows_the_key() {
    let folder = folder(&[NAME]);
    std::fs::write(folder.path().join("key"), [7; 32]).unwrap();
    std::fs::write(folder.path().join("other"), [8; 32]).unwrap();
    std::fs::write(folder.path().join("short"), [8; 15]).unwrap();
    let sessions = |args: &[&str]| {
        let run = replay(folder.path(), &[&[NAME][..], args].concat());
        run.of_type("server")[0]["sessions"].clone()
    };
    let keyed = sessions(&["--hash-key", "key"]);
    assert!(!keyed.as_array().unwrap().is_empty());
    assert_eq!(keyed, sessions(&["--hash-key", "key"]));
    assert_ne!(keyed, sessions(&["--hash-key", "other"]));
    assert_ne!(keyed, sessions(&[]));
    let run = replay(folder.path(), &[NAME, "--hash-key", "short"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("short: a hash key needs 16 bytes at least"), "{}", run.stderr);
}

#[test]
fn what_is_wrong_with_a_key_log_is_told_without_its_secrets() {
    let folder = folder(&[NAME]);
    let secret = "5ec2e7".repeat(16);
    let random = "c1".repeat(32);
    let lines = format!("# comment\nCLIENT_RANDOM {random} {secret}\nCLIENT_RANDOM {secret}\nx\n");
    std::fs::write(folder.path().join("a.keylog"), lines).unwrap();
    std::fs::write(folder.path().join("b.keylog"), "").unwrap();
    let run = replay(folder.path(), &[NAME, "--keylog", "a.keylog", "--keylog", "b.keylog"]);
    assert!(run.code <= 1, "{}", run.stderr);
    let expected = "warning: a.keylog:3: a line is a label, 64 hexadecimal digits and a secret";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert!(run.stderr.contains("(1 more cannot be read)"), "{}", run.stderr);
    assert!(!run.stderr.contains("5ec2e7") && !run.stdout.contains("5ec2e7"));
    let run = run_in(folder.path(), &["replay", NAME, "--keylog", "a.keylog", "--no-files"]);
    assert!(run.stdout.contains("no connection of the captures has its secrets"), "{}", run.stdout);
}
