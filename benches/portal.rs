//! What the portal costs for each call, beside the same calls without it: `cargo bench --bench portal`.
//!
//! ```text
//!  load (this process) ──── stub (a process) ............ direct
//!                      └─── the portal ──── the stub .... through
//! ```
//!
//! The stub answers at once, with sessions and without. Closed loops of 1, 16 and 64 connections, then
//! calls at a fixed rate whether or not those before them have been answered (a call's time begins when
//! it was due). Every answer is compared with what was sent. What counts is CPU time for each call:
//! rates on a shared machine tell little. The portal does everything: tokens of an issuer, policies,
//! the guard with its usual settings, records. Options behind `--`:
//!
//! ```text
//!  --seconds S       of each row (3)
//!  --rounds N        direct and through in turns, medians (5)
//!  --rate R          calls a second of the open loop (500)
//!  --sessions N      idle sessions (10000)
//!  --era REVISION    one of them only
//!  --direct          nothing but the stub
//!  --through         nothing but the portal
//!  --bare            a portal that lets everybody do everything
//!  --portal URL PID  a portal that runs already, with all that is to be measured
//!  --header "A: B"   for the portal, such as a token
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "inputs are known"
)]

#[path = "../tests/it/portal/config.rs"]
mod config;
#[path = "portal/full.rs"]
mod full;
#[path = "portal/load.rs"]
mod load;
#[path = "portal/process.rs"]
mod process;
#[path = "portal/stub.rs"]
mod stub;

use std::time::Duration;

use load::{Era, Measured, Target};
use process::Program;

struct Options {
    seconds: Duration,
    rounds: usize,
    rate: u32,
    sessions: usize,
    era: Option<String>,
    is_direct_only: bool,
    is_through_only: bool,
    is_bare: bool,
    portal: Option<(String, u32)>,
    header: Option<(String, String)>,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            seconds: Duration::from_secs(3),
            rounds: 5,
            rate: 500,
            sessions: 10_000,
            era: None,
            is_direct_only: false,
            is_through_only: false,
            is_bare: false,
            portal: None,
            header: None,
        };
        while let Some(word) = words.next() {
            let mut next = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match &*word {
                "--seconds" => options.seconds = Duration::from_secs_f64(next().parse().unwrap()),
                "--rounds" => options.rounds = next().parse().unwrap(),
                "--rate" => options.rate = next().parse().unwrap(),
                "--sessions" => options.sessions = next().parse().unwrap(),
                "--era" => options.era = Some(next()),
                "--direct" => options.is_direct_only = true,
                "--through" => options.is_through_only = true,
                "--bare" => options.is_bare = true,
                "--portal" => options.portal = Some((next(), next().parse().unwrap())),
                "--header" => {
                    let header = next();
                    let (name, value) = header.split_once(": ").expect("`Name: value`");
                    options.header = Some((name.to_owned(), value.to_owned()));
                }
                // What cargo adds.
                "--bench" => {}
                other => panic!("what is {other}?"),
            }
        }
        options
    }
}

/// The portal before the stub.
fn portal(options: &Options, stub: u16) -> Option<(Target, Option<Program>)> {
    if options.is_direct_only {
        return None;
    }
    let mut header = options.header.clone();
    let (url, pid, program) = if let Some((url, pid)) = &options.portal {
        (url.clone(), *pid, None)
    } else {
        let port = process::free_port();
        let upstream = format!("http://127.0.0.1:{stub}/mcp");
        let servers = [("stub", config::Upstream::Url(&upstream))];
        let mut file = config::portal_file(port, "session-keys", &servers);
        if !options.is_bare {
            let issuer = full::Issuer::start();
            file = issuer.everything(&file);
            header = Some(("authorization".to_owned(), format!("Bearer {}", issuer.token())));
        }
        let Some(program) = Program::portal(&file, config::KEYS, port) else {
            eprintln!("no portal: this program has no such command, or it did not start");
            return None;
        };
        let url = format!("http://127.0.0.1:{port}{}", config::route("stub"));
        (url, program.pid(), Some(program))
    };
    Some((Target::new(&url, pid, header), program))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One row: medians of all rounds.
fn row(path: &str, era: Era, what: &str, rounds: &[Measured]) {
    let of =
        |value: fn(&Measured) -> f64| median(&mut rounds.iter().map(value).collect::<Vec<_>>());
    println!(
        "| {path} | {era} | {what} | {:.0} | {:.3} | {:.3} | {:.1} | {:.1} |",
        of(|m| m.rate),
        of(|m| m.p50_ms),
        of(|m| m.p99_ms),
        of(|m| m.cpu_micros),
        of(|m| m.rss_mib),
    );
}

fn main() {
    let mut words = std::env::args().skip(1).peekable();
    if words.peek().is_some_and(|word| word == "--stub") {
        stub::run(words.nth(1).unwrap().parse().unwrap());
        return;
    }
    let options = Options::read(words);
    let port = process::free_port();
    let stub = Program::stub(port);
    let direct = Target::new(&format!("http://127.0.0.1:{port}/mcp"), stub.pid(), None);
    let through = portal(&options, port);
    let mut targets = vec![("direct", &direct)];
    targets.extend(through.as_ref().map(|(target, _)| ("through", target)));
    if options.is_through_only {
        targets.remove(0);
    }

    if let Some((target, _)) = &through {
        println!("The portal before its first call: {:.1} MiB.\n", target.rss_mib());
    }

    // First, while no load has left memory behind that sessions could take.
    println!(
        "| path | idle sessions | RSS MiB before | after | KiB a session |\n|---|---|---|---|---|"
    );
    for (path, target) in &targets {
        let (before, after) = load::idle(target, options.sessions);
        let each = (after - before) * 1024.0 / options.sessions as f64;
        println!("| {path} | {} | {before:.1} | {after:.1} | {each:.1} |", options.sessions);
    }

    println!(
        "\nCPU and memory are the stub's where the path is direct, the portal's where it is through.\n"
    );
    println!("| path | era | load | calls/s | p50 ms | p99 ms | CPU µs a call | RSS MiB |");
    println!("|---|---|---|---|---|---|---|---|");
    for era in [Era::Session, Era::Stateless] {
        if options.era.as_ref().is_some_and(|only| *only != era.to_string()) {
            continue;
        }
        for connections in [1, 16, 64] {
            // In turns, so that what the machine does beside hits both.
            let mut rounds = vec![Vec::new(); targets.len()];
            for _ in 0..options.rounds {
                for ((_, target), measured) in targets.iter().zip(&mut rounds) {
                    measured.push(load::closed(target, era, connections, options.seconds));
                }
            }
            for ((path, _), measured) in targets.iter().zip(&rounds) {
                row(path, era, &format!("{connections} connections"), measured);
            }
        }
        let mut rounds = vec![Vec::new(); targets.len()];
        for _ in 0..options.rounds {
            for ((_, target), measured) in targets.iter().zip(&mut rounds) {
                measured.push(load::open(target, era, options.rate, options.seconds));
            }
        }
        for ((path, _), measured) in targets.iter().zip(&rounds) {
            row(path, era, &format!("{} calls/s", options.rate), measured);
        }
    }
}
