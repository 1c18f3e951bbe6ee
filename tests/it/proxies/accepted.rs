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
    assert!(all.len() > 10);
    for path in all.iter().filter(|path| path.extension().is_none_or(|kind| kind != "md")) {
        let text = fs::read_to_string(path).unwrap().to_ascii_lowercase();
        let in_comment = ["no authorization, no cookie", "authorization and secrets"];
        let lines = text.lines().filter(|line| !in_comment.iter().any(|said| line.contains(said)));
        // Continued comments name the second word alone.
        let lines = lines.filter(|line| !line.contains("# authorization, no cookie"));
        for line in lines.filter(|line| !line.trim_start().starts_with('#')) {
            for word in ["authorization", "cookie"] {
                assert!(!line.contains(word), "{}: {line}", path.display());
            }
        }
    }
}
