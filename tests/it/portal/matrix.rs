//! Every feature, from every client to every server.

use super::wire;
use super::world::{Portal, SDKS, Sdk, Server, Upstream, Way, failures, have_programs};

/// Enough that no feature can be left out unnoticed.
const MIN_FEATURES: usize = 29;

/// Things on a page of a server's lists, and of the portal's: neither divides the other.
const PAGES: (usize, usize) = (7, 9);

fn visit(client: Sdk, at: &[&str], what: &str) {
    let told = client.visit(at);
    assert!(told.len() >= MIN_FEATURES, "{what}: {told:?}");
    assert_eq!(failures(&told), Vec::<String>::new(), "{what}");
}

/// Each visit cancels one call: the server was told, and waited for none.
fn all_was_cancelled(server: &Server, visits: usize) {
    let seen = || wire::get(server.port, "/control/seen").unwrap().message().unwrap();
    // A client does not wait for the server to be told.
    for _ in 0..100 {
        if seen()["cancelled"] == visits {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let seen = seen();
    assert_eq!((&seen["cancelled"], &seen["finished"]), (&visits.into(), &0.into()), "{seen}");
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
        let served = server.serve_in_pages(folder.path(), Way::Http, PAGES.0);
        visit(client, &["--url", &served.url], &format!("{client:?} to {server:?}"));
        all_was_cancelled(&served, 1);
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

/// All clients, to one server through the portal: by its own route, or by that of all servers; with
/// `SHADOWTAP_MATRIX` set by both, and in every other way that they know.
fn every_client_finds_every_feature(server: Sdk, way: Way) {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let command = server.stdio_server();
    let served = (way != Way::Stdio).then(|| server.serve_in_pages(folder.path(), way, PAGES.0));
    let upstream = match &served {
        Some(served) => Upstream::Url(&served.url),
        None => Upstream::Command(&command),
    };
    let portal = Portal::start_in_pages(folder.path(), &[("s", upstream)], PAGES.1);
    let (route, all) = (portal.route("s"), portal.url());
    let mut visits = 0;
    let mut visited = |client: Sdk, at: &[&str]| {
        visit(client, at, &format!("{client:?} by {at:?} to {server:?} over {way:?}"));
        visits += 1;
    };
    if std::env::var_os("SHADOWTAP_MATRIX").is_none() {
        // Each client once, and both endpoints: what takes minutes is for those who ask for it.
        for (client, at) in SDKS.into_iter().zip([&route, &all, &all, &route]) {
            visited(client, &["--url", at]);
        }
        return served.iter().for_each(|served| all_was_cancelled(served, visits));
    }
    for client in SDKS {
        visited(client, &["--url", &route]);
        visited(client, &["--url", &all]);
    }
    // Clients of both eras that are told to be of the old one.
    for client in [Sdk::Ts2, Sdk::Py2] {
        visited(client, &["--mode", "legacy", "--url", &all]);
    }
    // Those that know the transport of 2024-11-05.
    for client in [Sdk::Ts1, Sdk::Py1] {
        visited(client, &["--sse", &portal.sse()]);
    }
    if let Some(served) = &served {
        all_was_cancelled(served, visits);
    }
}

/// Names, resources and changes are those of the first server that has them.
#[test]
fn every_client_finds_every_feature_among_servers_of_every_kind() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let serve = |sdk: Sdk, way| sdk.serve_in_pages(folder.path(), way, PAGES.0);
    let (old, new) = (serve(Sdk::Ts1, Way::Http), serve(Sdk::Py2, Way::Http));
    let (oldest, child) = (serve(Sdk::Py1, Way::Sse), Sdk::Ts2.stdio_server());
    let servers = [
        ("old", Upstream::Url(&old.url)),
        ("new", Upstream::Url(&new.url)),
        ("child", Upstream::Command(&child)),
        ("oldest", Upstream::Url(&oldest.url)),
    ];
    let portal = Portal::start_in_pages(folder.path(), &servers, PAGES.1);
    for client in SDKS {
        visit(client, &["--url", &portal.url()], &format!("{client:?} to all servers"));
    }
    all_was_cancelled(&old, SDKS.len());
}

macro_rules! through_the_portal {
    ($($name:ident: $server:ident over $way:ident,)*) => {
        $(#[test]
        fn $name() {
            every_client_finds_every_feature(Sdk::$server, Way::$way);
        })*
    };
}

through_the_portal! {
    every_client_finds_every_feature_of_typescript_1_over_http: Ts1 over Http,
    every_client_finds_every_feature_of_typescript_1_over_sse: Ts1 over Sse,
    every_client_finds_every_feature_of_typescript_1_over_stdio: Ts1 over Stdio,
    every_client_finds_every_feature_of_typescript_2_over_http: Ts2 over Http,
    every_client_finds_every_feature_of_typescript_2_over_stdio: Ts2 over Stdio,
    every_client_finds_every_feature_of_python_1_over_http: Py1 over Http,
    every_client_finds_every_feature_of_python_1_over_sse: Py1 over Sse,
    every_client_finds_every_feature_of_python_1_over_stdio: Py1 over Stdio,
    every_client_finds_every_feature_of_python_2_over_http: Py2 over Http,
    every_client_finds_every_feature_of_python_2_over_stdio: Py2 over Stdio,
}
