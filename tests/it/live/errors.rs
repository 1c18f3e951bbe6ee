//! What keeps watching from beginning is said with what to do about it.

use super::lab::{Lab, SENDER, WATCHED};
use crate::run::{root, run_in};

#[test]
fn a_missing_interface_is_told_with_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_in(folder.path(), &["watch", "-i", "shadowtap-none"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.starts_with("error: there is no interface shadowtap-none; there "));
    assert!(run.stderr.contains("--wait-for-interface"), "{}", run.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn wrong_options_are_usage_errors() {
    for (args, hint) in [
        (&["watch"][..], "name an interface (-i eth0), a log (--logs FILE), or a server"),
        (&["watch", "-i", "lo", "--buffer", "1k"], "from 1MiB to below 2GiB"),
        (&["watch", "-i", "lo", "--snaplen", "10"], "68..=262144"),
        (&["watch", "-i", "lo", "--stats-interval", "0"], "a time of a second at least"),
        (&["watch", "-i", "lo", "--keep-output", "much"], "a size, as 64MiB"),
        (&["watch", "-i", "lo", "--keep-output", "0"], "1MiB at least"),
        (&["watch", "-i", "lo", "--threads", "17"], "1..=16"),
    ] {
        let run = run_in(root(), args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(run.stderr.contains(hint), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn the_help_names_signals_and_the_capability() {
    let run = run_in(root(), &["watch", "--help"]);
    assert_eq!(run.code, 0);
    for part in ["SIGHUP", "SIGUSR1", "SIGTERM, SIGINT", "CAP_NET_RAW", "--wait-for-interface"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn what_is_wrong_is_known_before_anything_is_watched() {
    let Some(lab) = Lab::new() else { return };
    std::fs::write(lab.folder.path().join("bad.yaml"), "id: nonsense\n").unwrap();
    let run = |args: &[&str]| {
        let mut all = vec!["watch", "-i", WATCHED];
        all.extend_from_slice(args);
        let run = lab.command(env!("CARGO_BIN_EXE_shadowtap"), &all).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{args:?}: {stderr}");
        stderr
    };
    for (args, hint) in [
        (&["--filter", "tpc port 80"][..], "--filter \"tpc port 80\": libpcap, for vb: "),
        (&["-i", WATCHED], "--interface vb: named twice"),
        (&["--rules", "bad.yaml"], "the rules have problems"),
        (&["--approvals", "none.yaml"], "cannot read none.yaml"),
        (&["--out", "/dev/null/x"], "choose a directory that you may write to"),
        (&["-i", "vx"], "there is no interface vx; there are "),
    ] {
        let stderr = run(args);
        assert!(stderr.contains(hint), "{args:?}: {stderr}");
    }
    lab.set(SENDER, "down");
    lab.set(WATCHED, "down");
    let stderr = run(&[]);
    assert!(stderr.contains("interface vb is down; `ip link set vb up`"), "{stderr}");
}
