use std::io::Write;
use std::net::TcpStream;

use super::*;
use crate::intake::testing::{LINES, Run, is_ended};

fn start() -> (Arc<Run>, Server) {
    let mut settings = Settings::new("127.0.0.1:0".parse().unwrap());
    settings.formats = LINES;
    let run = Run::new();
    let outlet: Arc<dyn Outlet> = Arc::<Run>::clone(&run);
    let server = Server::start(settings, outlet).unwrap();
    (run, server)
}

const MESSAGE: &str =
    "<134>1 2026-11-22T08:00:00Z h proxy - - - https://mcp.example/mcp tools/call";

#[test]
fn messages_of_both_framings_become_observations() {
    let (run, server) = start();
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    write!(stream, "{MESSAGE}\n{} {MESSAGE}<134>noise\n", MESSAGE.len()).unwrap();
    let seen = run.wait(2, is_ended);
    assert_eq!(seen.iter().filter(|what| what.contains("mcp.example")).count(), 2, "{seen:?}");
    let parcels = run.parcels.lock().unwrap();
    let bad: u64 = parcels.iter().map(|parcel| parcel.counts.bad).sum();
    assert_eq!(bad, 1);
    let first = &parcels.iter().find(|p| !p.observations.is_empty()).unwrap().observations[0];
    assert_eq!(first.at.time.to_string(), "2026-11-22T08:00:00.000000Z");
}

#[test]
fn while_the_run_is_full_nothing_is_read_and_nothing_lost() {
    let (run, server) = start();
    *run.full.lock().unwrap() = true;
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    for _ in 0..3 {
        writeln!(stream, "{MESSAGE}").unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(stream);
    assert_eq!(run.records(), 0);
    *run.full.lock().unwrap() = false;
    run.wait(3, is_ended);
    assert_eq!(run.records(), 3);
}
