//! Servers that fail, behind the portal: a call gets an error that says so, in time, never an empty
//! success; the portal lives, and so do the other servers.

use std::time::{Duration, Instant};

use serde_json::json;

use super::faulty::{FAULTS, Fault, Faulty};
use super::wire::{begin, call, call_in, text};
use super::world::{Portal, Upstream, route};

#[expect(clippy::disallowed_methods, reason = "tests wait by the clock")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn the_server_is_well_without_a_fault_and_forgets_sessions_when_told() {
    let server = Faulty::start(Fault::None);
    let session = begin(server.port, "/mcp").unwrap();
    let echo = || call_in(&session, server.port, "/mcp", "echo", &json!({"text": "hé"})).unwrap();
    assert_eq!(text(&echo()).as_deref(), Some("hé"));
    assert_eq!(server.calls(), 1);
    server.forget_sessions();
    assert_eq!(echo().status, 404);
    let session = begin(server.port, "/mcp").unwrap();
    let again = call_in(&session, server.port, "/mcp", "echo", &json!({"text": "x"})).unwrap();
    assert_eq!(text(&again).as_deref(), Some("x"));
}

#[test]
fn every_fault_is_one() {
    let server = Faulty::start(Fault::None);
    let session = begin(server.port, "/mcp").unwrap();
    for fault in FAULTS {
        // What never ends is not waited for here; that an event is bad is for a reader of events.
        if matches!(fault, Fault::Hang | Fault::HangInside | Fault::Endless | Fault::BadEvent) {
            continue;
        }
        server.set(fault);
        let reply = call_in(&session, server.port, "/mcp", "echo", &json!({"text": "told"}));
        let told = reply.ok().and_then(|reply| text(&reply));
        // A reader that believes the first of two lengths reads well: that is why it is a fault.
        assert!(told.is_none() || fault == Fault::TwoLengths, "{fault:?}: {told:?}");
    }
    server.set(Fault::None);
    let reply = call_in(&session, server.port, "/mcp", "echo", &json!({"text": "told"})).unwrap();
    assert_eq!(text(&reply).as_deref(), Some("told"));
}

#[test]
fn a_reset_is_one() {
    let server = Faulty::start(Fault::Reset);
    let session = begin(server.port, "/mcp").unwrap();
    let reply = call_in(&session, server.port, "/mcp", "echo", &json!({"text": "x"}));
    assert_eq!(reply.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_server_that_fails_gets_an_error_in_time_and_the_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, good) = (Faulty::start(Fault::None), Faulty::start(Fault::None));
    let (bad_url, good_url) = (bad.url(), good.url());
    let portal = Portal::start(
        folder.path(),
        &[("bad", Upstream::Url(&bad_url)), ("good", Upstream::Url(&good_url))],
    );
    for fault in FAULTS {
        bad.set(fault);
        let before = now();
        let reply = call(portal.port, &route("bad"), "echo", &json!({"text": "x"})).unwrap();
        assert!(before.elapsed() < Duration::from_secs(30), "{fault:?}");
        let message = reply.message().unwrap_or_else(|| panic!("{fault:?}: {reply:?}"));
        let is_told = message.get("error").is_some() || message["result"]["isError"] == true;
        // An event that is no message may be passed over.
        assert!(is_told || fault == Fault::BadEvent, "{fault:?}: {message}");
        let other = call(portal.port, &route("good"), "echo", &json!({"text": "y"})).unwrap();
        assert_eq!(text(&other).as_deref(), Some("y"), "beside {fault:?}");
    }
    bad.set(Fault::None);
    let reply = call(portal.port, &route("bad"), "echo", &json!({"text": "well"})).unwrap();
    assert_eq!(text(&reply).as_deref(), Some("well"));
}

#[test]
fn a_session_that_ended_upstream_is_begun_anew_in_under_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let server = Faulty::start(Fault::None);
    let url = server.url();
    let portal = Portal::start(folder.path(), &[("s", Upstream::Url(&url))]);
    let session = begin(portal.port, &route("s")).unwrap();
    let echo = |said: &str| {
        call_in(&session, portal.port, &route("s"), "echo", &json!({"text": said})).unwrap()
    };
    assert_eq!(text(&echo("first")).as_deref(), Some("first"));
    for round in 0..20 {
        server.forget_sessions();
        let before = now();
        let said = format!("round {round}");
        assert_eq!(text(&echo(&said)).as_deref(), Some(&*said));
        assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    }
}
