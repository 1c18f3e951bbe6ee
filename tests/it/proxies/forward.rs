//! Proxies that clients go to for any server, and that decrypt what they send.

use std::process::Command;

use super::compare::{Known, Shows, compare};
use super::programs::{MITMDUMP, Process, SQUID, ask, command, folder};
use super::reverse::{addon, mitmproxy};
use super::scene::{ERAS, Scene, logged, placed, text};

/// The user that Squid runs as on Debian, and who therefore has to own what it writes.
const SQUID_USER: &str = "proxy";

/// Squid's configuration with this file for its log, in a folder of its own: the path of it.
pub fn squid_config(scene: &Scene, log: &str, icap: bool) -> std::path::PathBuf {
    let folder_path = scene.folder.path();
    let at = |name: &str| text(&scene.path(name)).to_owned();
    let unpacked = folder().join("root");
    let in_unpacked = |path: &str| text(&unpacked.join(path)).to_owned();
    let helper = in_unpacked("usr/lib/squid/security_file_certgen");
    placed(
        "squid/bump.conf",
        folder_path,
        &[
            ("127.0.0.1:3128", &format!("127.0.0.1:{}", scene.front)),
            ("/etc/squid/authority.pem", &at("both.pem")),
            ("/usr/lib/squid/security_file_certgen", &helper),
            ("/var/lib/squid/certificates", &at("certificates")),
        ],
    );
    let log_conf = placed(log, folder_path, &[("/var/log/squid/shadowtap.log", &at("squid.log"))]);
    placed("squid/icap.conf", folder_path, &[]);
    // What is compiled in is for a Squid that is installed; and somebody has to be asked for.
    let for_tests = format!(
        "tls_outgoing_options cafile={}\n\
         error_directory {}\nicon_directory {}\nmime_table {}\n\
         unlinkd_program {}\npinger_enable off\nshutdown_lifetime 0 seconds\n\
         auth_param basic program {}\nacl known proxy_auth REQUIRED\n",
        at("authority.pem"),
        in_unpacked("usr/share/squid-langpack/templates"),
        in_unpacked("usr/share/squid/icons"),
        in_unpacked("usr/share/squid/mime.conf"),
        in_unpacked("usr/lib/squid/unlinkd"),
        in_unpacked("usr/lib/squid/basic_fake_auth"),
    );
    let icap_line = "include /etc/squid/conf.d/icap.conf\n";
    let icap_conf = format!("include {}\n", at("icap.conf"));
    placed(
        "squid/squid.conf",
        folder_path,
        &[
            (icap_line, if icap { &icap_conf } else { "" }),
            ("/etc/squid/conf.d/bump.conf", &at("bump.conf")),
            ("/etc/squid/conf.d/shadowtap.conf", text(&log_conf)),
            (
                "http_access allow localhost",
                &format!("{for_tests}http_access allow localhost known"),
            ),
            ("/var/log/squid/cache.log", &at("cache.log")),
            ("/run/squid.pid", &at("squid.pid")),
            ("/var/spool/squid", &at("")),
        ],
    )
}

/// Squid, with a store for its certificates.
pub fn squid(scene: &Scene, log: &str, icap: bool) -> Process {
    let folder_path = scene.folder.path();
    let config = squid_config(scene, log, icap);
    let mut store = command("root/usr/lib/squid/security_file_certgen");
    store.args(["-c", "-s", text(&scene.path("certificates")), "-M", "16MB"]);
    ask(store);
    let mut own = Command::new("chown");
    own.args(["-R", SQUID_USER, text(folder_path)]);
    // Refused where it is not root that runs the tests: then Squid runs as whoever does.
    let _as_is = own.output();
    let with = |more: &[&str]| {
        let mut command = command(SQUID);
        command.args(more).args(["-f", text(&config)]);
        command
    };
    let said = ask(with(&["-k", "parse"]));
    assert!(!said.contains("WARNING") && !said.contains("ERROR"), "{said}");
    Process::start(with(&["-N"]), folder_path, "squid")
}

/// Runs sessions of both eras over TLS through Squid, and compares. The log knows who asked.
fn through_squid(log: &str) {
    for era in ERAS {
        let Some(mut scene) = Scene::new(era, &[SQUID], true) else { return };
        let mut proxy = squid(&scene, log, false);
        proxy.wait_for_port(scene.front);
        let url = scene.forward_url();
        scene.talk(&url, Some(&format!("http://ana:not-a-secret@127.0.0.1:{}", scene.front)));
        let packets = scene.captured();
        proxy.stop();
        let told = logged(&scene.path("squid.log"));
        let findings = told.iter().filter(|event| event["event_type"] == "finding");
        for finding in findings {
            assert_eq!(finding["user"]["name"], "ana", "{finding}");
        }
        if let Some(packets) = packets {
            compare(&packets, &told, Known::of(Shows::Heads), era, &url);
        }
    }
}

#[test]
fn squid_logs_what_the_wire_shows() {
    through_squid("squid/shadowtap.conf");
}

#[test]
fn squid_logs_json_that_says_what_the_wire_shows() {
    through_squid("squid/shadowtap-json.conf");
}

/// Runs sessions of both eras over TLS through mitmproxy, and compares.
fn through_mitmproxy(log: &str, known: Known, options: impl Fn(&Scene) -> Vec<String>) {
    for era in ERAS {
        let Some(mut scene) = Scene::new(era, &[MITMDUMP], true) else { return };
        let settings = scene.path("settings");
        std::fs::create_dir(&settings).unwrap();
        std::fs::copy(scene.path("both.pem"), settings.join("mitmproxy-ca.pem")).unwrap();
        let authority = scene.path("authority.pem");
        let trust = format!("ssl_verify_upstream_trusted_ca={}", authority.display());
        let mut options = options(&scene);
        options.push(trust);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut proxy = mitmproxy(&scene, "regular", &options);
        proxy.wait_for_port(scene.front);
        let url = scene.forward_url();
        scene.talk(&url, Some(&format!("http://127.0.0.1:{}", scene.front)));
        let packets = scene.captured();
        proxy.stop();
        let told = logged(&scene.path(log));
        if let Some(packets) = packets {
            compare(&packets, &told, known, era, &url);
        }
    }
}

#[test]
fn mitmproxy_between_logs_what_the_wire_shows() {
    through_mitmproxy("mitmproxy.log", Known::of(Shows::Bodies), |scene| {
        let mut options = addon(scene, "mitmproxy.log").to_vec();
        options.push("shadowtap_bodies=true".to_owned());
        options
    });
}

#[test]
fn an_archive_of_mitmproxy_between_has_what_the_wire_shows() {
    let known = Known { client: false, ..Known::of(Shows::Bodies) };
    through_mitmproxy("exchanges.har", known, |scene| {
        vec![format!("hardump={}", scene.path("exchanges.har").display())]
    });
}
