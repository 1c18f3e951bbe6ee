//! What the program may do, and what it gives up.

use std::fs;
use std::path::PathBuf;

use super::lab::{Lab, SENDER, WATCHED};
use crate::run::capture;

/// CAP_NET_RAW as a bit of the masks in /proc.
const NET_RAW: u64 = 1 << 13;

/// The capability sets of all threads of a process: effective, permitted and so on.
fn sets(pid: u32) -> Vec<(String, u64)> {
    let mut sets = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        for line in status.lines().filter(|line| line.starts_with("Cap")) {
            let (name, mask) = line.split_once(':').unwrap();
            sets.push((name.to_owned(), u64::from_str_radix(mask.trim(), 16).unwrap()));
        }
    }
    sets
}

/// The program where everybody may execute it.
fn program(lab: &Lab) -> PathBuf {
    let path = lab.folder.path().join("shadowtap");
    fs::copy(env!("CARGO_BIN_EXE_shadowtap"), &path).unwrap();
    let everybody = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    fs::set_permissions(&path, everybody.clone()).unwrap();
    fs::set_permissions(lab.folder.path(), everybody).unwrap();
    path
}

#[test]
fn root_keeps_nothing_but_the_right_to_open_interfaces_again() {
    let Some(lab) = Lab::new() else { return };
    let mut watch = lab.watch(&["--no-files"]);
    // The main thread, a reader and a worker at least, with five sets each.
    watch.wait("the threads", |watch| sets(watch.pid()).len() >= 5 * 3);
    for (name, mask) in &sets(watch.pid()) {
        let want = match name.as_str() {
            "CapPrm" | "CapBnd" => NET_RAW,
            _ => 0,
        };
        assert_eq!(*mask, want, "{name}");
    }
    // That right is enough.
    assert!(lab.ip(&["link", "del", SENDER]));
    watch.wait_for_error_line("vb: cannot be read");
    lab.make_pair();
    watch.wait_for_error_line("vb: is read again");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_ordinary_user_with_the_capability_can_watch() {
    let Some(lab) = Lab::new() else { return };
    let program = program(&lab);
    let mut args = vec!["--reuid=65534", "--regid=65534", "--clear-groups"];
    args.extend(["--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw", "--no-new-privs"]);
    args.extend([program.to_str().unwrap(), "watch", "-i", WATCHED]);
    let mut watch = lab.start(lab.command("setpriv", &args));
    lab.send(&capture("office-morning.pcap"));
    watch.wait_for_packets(806);
    let effective = sets(watch.pid()).into_iter().filter(|(name, _)| name == "CapEff");
    assert!(effective.clone().count() > 0 && effective.clone().all(|(_, mask)| mask == 0));
    assert_eq!(watch.stop(), 0);
    assert!(watch.of_type("finding").len() > 60);
}

#[test]
fn without_the_capability_the_error_says_what_to_do() {
    let Some(lab) = Lab::new() else { return };
    let program = program(&lab);
    let args = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    let mut command = lab.command("setpriv", &args);
    let run = command.args([program.to_str().unwrap(), "watch", "-i", WATCHED]).output().unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{stderr}");
    for part in ["no permission to capture on vb", "setcap cap_net_raw=ep", "systemd unit"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}
