//! Proxies that stand for the server.

use std::fs;

use super::compare::{Known, Shows, compare};
use super::programs::{ENVOY, HAPROXY, MITMDUMP, NGINX, Process, ask, command};
use super::scene::{ERAS, Scene, logged, placed, text};
use crate::run::root;

/// Runs sessions of both eras through a proxy that `start` starts and that logs to `log`, a file or
/// a folder of files, and compares.
fn through(program: &str, log: &str, known: Known, start: impl Fn(&Scene) -> Process) {
    for era in ERAS {
        let Some(mut scene) = Scene::new(era, &[program], false) else { return };
        let mut proxy = start(&scene);
        proxy.wait_for_port(scene.front);
        let url = scene.reverse_url();
        scene.talk(&url, None);
        let packets = scene.captured();
        proxy.stop();
        let told = logged(&scene.path(log));
        if let Some(packets) = packets {
            compare(&packets, &told, known, era, &url);
        }
    }
}

/// `(from, to)` of ports that stand behind `before` in configurations.
fn ports(scene: &Scene, before: &str) -> [(String, String); 2] {
    [(8080, scene.front), (8000, scene.back)]
        .map(|(from, to)| (format!("{before}{from}"), format!("{before}{to}")))
}

fn borrowed(changes: &[(String, String)]) -> Vec<(&str, &str)> {
    changes.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect()
}

/// nginx with the configuration, and with further changes to the log's.
fn nginx(scene: &Scene, changes: &[(&str, &str)]) -> Process {
    let folder = scene.folder.path();
    let log = text(&scene.path("nginx.log")).to_owned();
    let mut in_log = vec![("/var/log/nginx/shadowtap.log", log.as_str())];
    in_log.extend_from_slice(changes);
    let included = placed("nginx/shadowtap.conf", folder, &in_log);
    let mut in_site = ports(scene, "127.0.0.1:").to_vec();
    let error_log = scene.path("error.log");
    // What is compiled in as folders for bodies need not be there.
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", scene.path(kind).display()))
        .concat();
    for (from, to) in [
        ("/run/nginx.pid", text(&scene.path("nginx.pid"))),
        ("/var/log/nginx/error.log", text(&error_log)),
        ("/etc/nginx/conf.d/shadowtap.conf", text(&included)),
        ("http {\n", &format!("http {{\n{temporary}")),
    ] {
        in_site.push((from.to_owned(), to.to_owned()));
    }
    let config = placed("nginx/nginx.conf", folder, &borrowed(&in_site));
    let with = |more: &[&str]| {
        let mut command = command(NGINX);
        command.args(["-p", text(folder), "-c", text(&config), "-e", text(&error_log)]).args(more);
        command
    };
    ask(with(&["-t"]));
    Process::start(with(&["-g", "daemon off;"]), folder, "nginx")
}

#[test]
fn nginx_logs_what_the_wire_shows() {
    through(NGINX, "nginx.log", Known::of(Shows::Calls), |scene| nginx(scene, &[]));
}

#[test]
fn nginx_with_bodies_logs_what_the_wire_shows() {
    let bodies = [("# ',\"request_body\"", "',\"request_body\"")];
    through(NGINX, "nginx.log", Known::of(Shows::Requests), |scene| nginx(scene, &bodies));
}

fn haproxy(scene: &Scene, changes: &[(&str, &str)]) -> Process {
    let folder = scene.folder.path();
    let ports = ports(scene, "127.0.0.1:");
    let mut all = borrowed(&ports);
    all.extend_from_slice(changes);
    let config = placed("haproxy/haproxy.cfg", folder, &all);
    let with = |mode: &str| {
        let mut command = command(HAPROXY);
        command.args([mode, "-f", text(&config)]);
        command
    };
    ask(with("-c"));
    Process::start(with("-db"), folder, "haproxy")
}

#[test]
fn haproxy_logs_what_the_wire_shows() {
    through(HAPROXY, "haproxy.stdout", Known::of(Shows::Calls), |scene| haproxy(scene, &[]));
}

#[test]
fn haproxy_with_bodies_logs_what_the_wire_shows() {
    let bodies = [
        ("# http-request set-var(txn.body)", "http-request set-var(txn.body)"),
        ("\"alpn\":", "\"request_body\":\"%[var(txn.body),json(utf8s)]\",\"alpn\":"),
    ];
    through(HAPROXY, "haproxy.stdout", Known::of(Shows::Requests), |scene| haproxy(scene, &bodies));
}

fn envoy(scene: &Scene, name: &str, changes: &[(&str, &str)]) -> Process {
    let folder = scene.folder.path();
    let ports = ports(scene, "port_value: ");
    let mut all = borrowed(&ports);
    all.extend_from_slice(changes);
    let config = placed(name, folder, &all);
    let mut check = command(ENVOY);
    check.args(["--mode", "validate", "-c", text(&config)]);
    ask(check);
    let mut run = command(ENVOY);
    // Several run at a time: each with an id of its own. And it writes lines as they come.
    run.args(["-c", text(&config), "--concurrency", "1", "--use-dynamic-base-id"]);
    run.args(["-l", "warning", "--file-flush-interval-msec", "50"]);
    Process::start(run, folder, "envoy")
}

#[test]
fn envoy_logs_what_the_wire_shows() {
    through(ENVOY, "envoy.log", Known::of(Shows::Calls), |scene| {
        let log = scene.path("envoy.log");
        envoy(scene, "envoy/envoy.yaml", &[("/var/log/envoy/shadowtap.log", text(&log))])
    });
}

#[test]
fn envoy_taps_what_the_wire_shows() {
    through(ENVOY, "tap", Known::of(Shows::Bodies), |scene| {
        let folder = scene.path("tap");
        fs::create_dir(&folder).unwrap();
        let prefix = folder.join("mcp");
        envoy(scene, "envoy/tap.yaml", &[("/var/log/envoy/tap/mcp", text(&prefix))])
    });
}

/// mitmproxy in one of its modes, with these options.
pub fn mitmproxy(scene: &Scene, mode: &str, options: &[&str]) -> Process {
    let folder = scene.folder.path();
    let mut command = command(MITMDUMP);
    command.args(["--mode", mode, "--listen-host", "127.0.0.1"]);
    command.args(["-p", &scene.front.to_string(), "--set", "keep_host_header=true"]);
    let settings = scene.path("settings");
    command.arg("--set").arg(format!("confdir={}", settings.display()));
    for option in options {
        command.args(["--set", option]);
    }
    Process::start(command, folder, "mitmdump")
}

/// Options that run the addon of deploy/proxies, with a log of this name.
pub fn addon(scene: &Scene, log: &str) -> [String; 2] {
    let script = root().join("deploy/proxies/mitmproxy/shadowtap.py");
    let log = scene.path(log);
    [format!("scripts={}", script.display()), format!("shadowtap_log={}", log.display())]
}

fn mitmproxy_reverse(scene: &Scene, options: &[&str]) -> Process {
    let mode = format!("reverse:http://127.0.0.1:{}", scene.back);
    mitmproxy(scene, &mode, options)
}

#[test]
fn mitmproxy_logs_what_the_wire_shows() {
    through(MITMDUMP, "mitmproxy.log", Known::of(Shows::Calls), |scene| {
        let options = addon(scene, "mitmproxy.log");
        mitmproxy_reverse(scene, &[&options[0], &options[1]])
    });
}

#[test]
fn mitmproxy_with_bodies_logs_what_the_wire_shows() {
    through(MITMDUMP, "mitmproxy.log", Known::of(Shows::Bodies), |scene| {
        let options = addon(scene, "mitmproxy.log");
        mitmproxy_reverse(scene, &[&options[0], &options[1], "shadowtap_bodies=true"])
    });
}

#[test]
fn an_archive_of_mitmproxy_has_what_the_wire_shows() {
    // It names no client.
    let known = Known { client: false, ..Known::of(Shows::Bodies) };
    through(MITMDUMP, "exchanges.har", known, |scene| {
        let archive = format!("hardump={}", scene.path("exchanges.har").display());
        mitmproxy_reverse(scene, &[&archive])
    });
}
