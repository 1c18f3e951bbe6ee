//! Every feature, from every client to every server.

use super::world::{Portal, SDKS, Sdk, Upstream, Way, failures, have_programs};

/// Enough that no feature can be left out unnoticed.
const MIN_FEATURES: usize = 27;

fn visit(client: Sdk, at: &[&str], what: &str) {
    let told = client.visit(at);
    assert!(told.len() >= MIN_FEATURES, "{what}: {told:?}");
    assert_eq!(failures(&told), Vec::<String>::new(), "{what}");
}

#[test]
fn clients_find_every_feature_without_the_portal() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (client, server) in
        [(Sdk::Ts1, Sdk::Py1), (Sdk::Py1, Sdk::Ts1), (Sdk::Ts2, Sdk::Py2), (Sdk::Py2, Sdk::Ts2)]
    {
        let served = server.serve(folder.path(), Way::Http);
        visit(client, &["--url", &served.url], &format!("{client:?} to {server:?}"));
    }
}

#[test]
fn clients_find_every_feature_over_other_transports_without_the_portal() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let served = Sdk::Py1.serve(folder.path(), Way::Sse);
    visit(Sdk::Ts1, &["--sse", &served.url], "SSE");
    let command = Sdk::Ts2.stdio_server();
    let mut at = vec!["--stdio", "--"];
    at.extend(command.iter().map(String::as_str));
    visit(Sdk::Py2, &at, "stdio");
}

#[test]
fn every_client_finds_every_feature_of_every_server_through_the_portal() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for server in SDKS {
        let mut ways = vec![Way::Http, Way::Stdio];
        ways.extend(matches!(server, Sdk::Ts1 | Sdk::Py1).then_some(Way::Sse));
        for way in ways {
            let command = server.stdio_server();
            let served = (way != Way::Stdio).then(|| server.serve(folder.path(), way));
            let upstream = || match &served {
                Some(served) => Upstream::Url(&served.url),
                None => Upstream::Command(&command),
            };
            let portal = Portal::start(folder.path(), &[("s", upstream())]);
            for client in SDKS {
                let what = format!("{client:?} to {server:?} over {way:?}");
                visit(client, &["--url", &portal.route("s")], &format!("{what}, route"));
                visit(client, &["--url", &portal.url()], &format!("{what}, all servers"));
            }
            // Clients of both eras that are told to be of the old one.
            for client in [Sdk::Ts2, Sdk::Py2] {
                let at = ["--mode", "legacy", "--url", &portal.url()];
                visit(client, &at, &format!("{client:?}, old, to {server:?} over {way:?}"));
            }
        }
    }
}
