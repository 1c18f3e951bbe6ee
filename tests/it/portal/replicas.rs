//! Several portals with one key and no store in common, and clients that are sent to any of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::faulty::{Fault, Faulty};
use super::wire::{begin, call_in, text};
use super::world::{Portal, Upstream, route};

/// A call that fails is sent again so often: that is what clients do with calls that may be repeated.
const TRIES: usize = 20;

/// Sends calls to any of the ports, in sessions that were begun anywhere; how many failed in the end.
/// `between` is told how many were answered.
fn balanced(ports: &[u16], path: &str, calls: u64, between: &mut dyn FnMut(u64)) -> u64 {
    const WORKERS: u64 = 8;
    let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for worker in 0..WORKERS {
            let (done, failed) = (&done, &failed);
            let worker = scope.spawn(move || {
                // Spread enough for balancing, and the same in every run.
                let mut random = worker.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                let mut any = || {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    ports[(random % ports.len() as u64) as usize]
                };
                let again = || std::thread::sleep(Duration::from_millis(50));
                let begun = (0..TRIES).find_map(|_| {
                    begin(any(), path).ok().or_else(|| {
                        again();
                        None
                    })
                });
                let session = begun.unwrap();
                for number in 0..calls / WORKERS {
                    let said = format!("{worker}-{number}");
                    let is_told = (0..TRIES).any(|_| {
                        let args = json!({"text": said});
                        let reply = call_in(&session, any(), path, "echo", &args).ok();
                        let is_told = reply.and_then(|reply| text(&reply)).as_ref() == Some(&said);
                        if !is_told {
                            again();
                        }
                        is_told
                    });
                    if !is_told {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
            workers.push(worker);
        }
        while workers.iter().any(|worker| !worker.is_finished()) {
            between(done.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    failed.into_inner()
}

#[test]
fn the_balancer_loses_nothing_while_one_of_two_dies_and_notices_a_wrong_answer() {
    // Both know the sessions of the other: their ids are the same.
    let (one, mut other) = (Faulty::start(Fault::None), Some(Faulty::start(Fault::None)));
    let ports = [one.port, other.as_ref().unwrap().port];
    let failed = balanced(&ports, "/mcp", 400, &mut |done| {
        if done > 100 {
            other = None;
        }
    });
    assert_eq!(failed, 0);
    one.set(Fault::WrongId);
    let session = begin(one.port, "/mcp").unwrap();
    let reply = call_in(&session, one.port, "/mcp", "echo", &json!({"text": "x"})).unwrap();
    assert_eq!(text(&reply), None);
}

#[test]
fn of_ten_thousand_calls_none_fails_while_replicas_die() {
    let folder = tempfile::tempdir().unwrap();
    let server = Faulty::start(Fault::None);
    let url = server.url();
    let start = || Portal::start(folder.path(), &[("s", Upstream::Url(&url))]);
    let mut replicas = [start(), start()];
    let ports = [replicas[0].port, replicas[1].port];
    let mut deaths = 0;
    let failed = balanced(&ports, &route("s"), 10_000, &mut |done| {
        if done / 2_000 > deaths {
            let dies = &mut replicas[deaths as usize % 2];
            dies.kill();
            dies.restart();
            deaths += 1;
        }
    });
    assert_eq!((failed, deaths), (0, 4));
    assert!(server.calls() >= 10_000);
}
