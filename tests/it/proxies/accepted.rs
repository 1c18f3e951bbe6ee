//! Configurations that no other test runs are accepted by their programs, and none logs secrets.

use std::fs;
use std::path::{Path, PathBuf};

use super::forward::squid_config;
use super::programs::{HAPROXY, SQUID, ask, command, have};
use super::scene::{Era, Scene, placed, text};
use crate::run::root;

#[test]
fn squid_accepts_icap() {
    let Some(scene) = Scene::new(Era::Sessions, &[SQUID], true) else { return };
    let config = squid_config(&scene, "squid/shadowtap.conf", true);
    let mut command = command(SQUID);
    command.args(["-k", "parse", "-f", text(&config)]);
    let said = ask(command);
    assert!(said.contains("icap_service shadowtap_requests"), "{said}");
    assert!(!said.contains("WARNING") && !said.contains("ERROR"), "{said}");
}

/// Takes the comment signs off the lines from one that begins with `first`, as long as there are.
fn uncommented(config: &Path, first: &str) {
    let text = fs::read_to_string(config).unwrap();
    let (before, after) = text.split_once(&format!("# {first}")).unwrap();
    let (block, rest) = after.split_once("\n\n").unwrap();
    let block = block.replace("\n# ", "\n");
    fs::write(config, format!("{before}{first}{block}\n\n{rest}")).unwrap();
}

#[test]
fn haproxy_accepts_the_listener_for_syslog() {
    if !have(&[HAPROXY]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let changes = [("    # log ring@", "    log ring@"), ("    log stdout", "    # log stdout")];
    let config = placed("haproxy/haproxy.cfg", folder.path(), &changes);
    uncommented(&config, "ring shadowtap");
    let mut command = command(HAPROXY);
    command.args(["-c", "-f", text(&config)]);
    let said = ask(command);
    assert!(!said.contains("WARNING"), "{said}");
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn no_configuration_logs_credentials() {
    let mut all = Vec::new();
    files(&root().join("deploy/proxies"), &mut all);
    assert!(all.len() > 20);
    for path in all {
        let text = fs::read_to_string(&path).unwrap().to_ascii_lowercase();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let text = lines.collect::<Vec<_>>().join("\n");
        for word in ["authorization", "cookie"] {
            for (at, _) in text.match_indices(word) {
                // In prose it is a word. Where a field is named, a quote, a bracket or the like is
                // before it.
                let before = text[..at].chars().next_back();
                let is_prose = before.is_none_or(|c| c.is_ascii_whitespace());
                assert!(is_prose, "{}: {}", path.display(), &text[at.saturating_sub(20)..at + 15]);
            }
        }
    }
}
