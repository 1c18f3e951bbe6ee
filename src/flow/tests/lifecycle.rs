//! How flows end, expire and make room.

use super::*;

fn tuple(bench: &mut Bench, port: u16, flags: u8, seq: u32, payload: &[u8]) {
    let mut head = header(&format!("10.9.0.1:{port}"), SERVER);
    (head.flags, head.seq, head.payload_len) =
        (TcpFlags(flags), seq, u32::try_from(payload.len()).unwrap());
    bench.push(head, payload);
}

#[test]
fn closed_flows_leave_after_two_seconds() {
    let mut bench = Bench::new(Limits::default());
    bench.run(HANDSHAKE).run("C FA 101 501 ab; S FA 501 104; C A 104 502");
    assert_eq!(bench.calls(), "C 0 ab; C Fin; S Fin; closed 0");
    bench.run("advance 1999; C A 101 501 ab; C A 104 502");
    assert_eq!(bench.table.counters().active, 1);
    assert_eq!(bench.table.counters().after_close, 3);
    bench.run("advance 1; end");
    assert_eq!((bench.calls().as_str(), bench.table.counters().active), ("", 0));
}

/// Why a flow ended, packets and bytes of both sides, gaps and their bytes, and how many
/// milliseconds after the first packet the last one came.
type Carried = (Finish, [u64; 2], [u64; 2], [u64; 2], u128);

#[test]
fn traffic_counts_every_packet_of_a_flow_until_it_ends() {
    let cases: [(&str, &str, Carried); 8] = [
        (
            "whole, the last acknowledgment comes after the end",
            "C S 100; S SA 500 101; C A 101 501; wait 7; C A 101 501 abc; S A 501 104 de; \
             C FA 104 503; S FA 503 105; C A 105 504",
            (Finish::Fin, [4, 3], [3, 2], [0, 0], 7),
        ),
        (
            "repeated bytes and keep-alives",
            "C S 100; C S 100; S SA 500 101; C A 101 501 abc; C A 101 501 abc; C A 103 501 c; end",
            (Finish::EndOfCapture, [5, 1], [7, 0], [0, 0], 0),
        ),
        (
            "bytes that the snapshot length cut off",
            "C S 100; S SA 500 101; C A 101 501 abc cut=5; wait 9; C R 109; advance 5000",
            (Finish::Reset, [3, 1], [8, 0], [0, 0], 9),
        ),
        (
            "a wrong checksum",
            "C S 100; S SA 500 101; C A 101 501 ab good; C A 103 501 cd bad; end",
            (Finish::EndOfCapture, [3, 1], [4, 0], [0, 0], 0),
        ),
        (
            "a hole",
            "C S 100; S SA 500 101; C A 101 501 ab; C A 110 501 cd; end",
            (Finish::EndOfCapture, [3, 1], [4, 0], [1, 7], 0),
        ),
        (
            "midstream, opened by the server's side",
            "S A 501 101 abcd; C A 101 505 x; end",
            (Finish::EndOfCapture, [1, 1], [4, 1], [0, 0], 0),
        ),
        (
            "reused",
            "C S 100; C A 101 9 ab; C S 90000000",
            (Finish::Reused, [2, 0], [2, 0], [0, 0], 0),
        ),
        (
            "idle",
            "C S 100; S SA 500 101; C A 101 501 ab; advance 200000",
            (Finish::Expired, [2, 1], [2, 0], [0, 0], 0),
        ),
    ];
    for (name, script, want) in cases {
        let mut bench = Bench::new(Limits::default());
        let first = Timestamp::from_nanos(bench.millis * 1_000_000);
        bench.run(script);
        let ended: Vec<Carried> = bench
            .recorder
            .ended
            .iter()
            .map(|(why, traffic)| {
                let Traffic { packets, bytes, gaps, gap_bytes, last } = *traffic;
                (*why, packets, bytes, [gaps, gap_bytes], last.since(first).as_millis())
            })
            .collect();
        assert_eq!(ended, [want], "{name}");
    }
}

#[test]
fn bytes_of_flows_of_no_interest_count_too() {
    let mut bench = Bench::new(Limits::default());
    bench.recorder.interest = |_| Interest::None;
    bench.run(HANDSHAKE).run("C A 101 501 abc; S A 501 104 fill=9000; C A 104 9501 de; end");
    let (_, traffic) = bench.recorder.ended[0];
    assert_eq!((traffic.packets, traffic.bytes), ([4, 2], [5, 9000]));
}

// R20: a new SYN with a new number begins a new flow; repetitions and ambiguous ones do not.
#[test]
fn a_new_syn_begins_a_new_flow() {
    check(&[
        (
            "after the close",
            "C S 100; C FA 101 9 ab; S SA 8 104; S FA 9 104; C S 7000; C A 7001 9 cd; end",
            "C 0 ab; C Fin; S Fin; closed 0; C 0 cd; C EndOfCapture; S EndOfCapture; closed 4",
        ),
        (
            "open",
            "C S 100; C A 101 9 ab; C S 90000000; C A 90000001 9 cd",
            "C 0 ab; C Reused; S Reused; closed 0; C 0 cd",
        ),
        (
            "after a RST",
            "C S 100; C A 101 9 ab; C R 103; C S 5000; C A 5001 9 cd",
            "C 0 ab; C Reset; S Reset; closed 0; C 0 cd",
        ),
        (
            "after a FIN",
            "C S 100; C FA 101 9 ab; C S 5000; C A 5001 9 cd",
            "C 0 ab; C Fin; S Reused; closed 0; C 0 cd",
        ),
        (
            "no payload yet",
            "C S 100; C S 5000; C A 5001 9 cd; end",
            "C 0 cd; C EndOfCapture; S EndOfCapture; closed 1",
        ),
        (
            "in the window",
            "C S 100; C A 101 9 ab; C S 5000; C A 103 9 cd",
            "C 0 ab; !syn-in-window; C 2 cd",
        ),
        ("repeated", "C S 100; C A 101 9 ab; C S 100; C A 103 9 cd", "C 0 ab; C 2 cd"),
        (
            "repeated after the close",
            "C S 100; C FA 101 9 ab; S SA 8 104; S FA 9 104; C S 100; end",
            "C 0 ab; C Fin; S Fin; closed 0",
        ),
        (
            "midstream",
            "C A 50000 9 ab; S A 9 50002; C S 90000000; C A 90000001 9 cd",
            "C 0 ab; C Reused; S Reused; closed 0 midstream; C 0 cd",
        ),
    ]);
}

#[test]
fn idle_flows_expire_by_class() {
    let cases = [
        (Interest::Unknown, 120_000, "Expired"),
        (Interest::Candidate, 600_000, "Expired"),
        (Interest::Mcp, 3_600_000, "Expired"),
        (Interest::None, 60_000, "Expired"),
    ];
    for (interest, limit, why) in cases {
        for by_own_packet in [false, true] {
            let mut bench = Bench::new(Limits::default());
            bench.recorder.interest = match interest {
                Interest::None => |_| Interest::None,
                Interest::Unknown => |_| Interest::Unknown,
                Interest::Candidate => |_| Interest::Candidate,
                Interest::Mcp => |_| Interest::Mcp,
            };
            bench.run(HANDSHAKE).run("C A 101 501 ab");
            bench.run(&format!("advance {}", limit - 1));
            assert_eq!(bench.calls(), "C 0 ab", "{interest:?}");
            let end = if by_own_packet { "wait 1; C A 103 501" } else { "advance 1" };
            bench.run(end);
            let expected = format!("C {why}; S {why}; closed 0");
            assert_eq!(bench.calls(), expected, "{interest:?}");
            let (_, at) = bench.recorder.times.last().unwrap();
            assert_eq!(at.time.as_nanos(), (1_000_000 + limit) * 1_000_000);
            assert_eq!(at.packet, 3);
        }
    }
}

#[test]
fn activity_keeps_a_flow_alive() {
    let mut bench = Bench::new(Limits::default());
    bench.run(HANDSHAKE).run("C A 101 501 ab");
    for _ in 0..5 {
        bench.run("wait 119000; S A 501 103");
    }
    assert_eq!(bench.calls(), "C 0 ab");
    assert_eq!(bench.table.counters().opened, 1);
}

#[test]
fn flows_without_payload_make_no_calls() {
    let mut bench = Bench::new(Limits::default());
    bench.run("C S 100; advance 29999");
    assert_eq!(bench.table.counters().active, 1);
    bench.run("advance 1");
    assert_eq!(bench.table.counters().active, 0);
    bench.run("C S 100; S SA 500 101; advance 59999; advance 1; C S 9; S R 0 10; advance 2000");
    let counters = bench.table.counters().clone();
    assert_eq!((counters.expired_half_open, counters.expired_quiet), (1, 1));
    assert_eq!((counters.closed_by_reset, counters.active), (1, 0));
    assert_eq!(bench.calls(), "");
}

// R24: at the bound the oldest idle flow of the least interesting class goes, MCP last.
#[test]
fn eviction_takes_the_least_interesting_first() {
    let mut bench = Bench::new(Limits { max_flows: 5, ..Limits::default() });
    bench.recorder.interest = |bytes| match bytes {
        b"mcp" => Interest::Mcp,
        b"cand" => Interest::Candidate,
        b"none" => Interest::None,
        _ => Interest::Unknown,
    };
    for (port, payload) in [(1, "mcp"), (2, "cand"), (3, "what"), (4, "none")] {
        tuple(&mut bench, port, 0x02, 0, b"");
        tuple(&mut bench, port, 0x10, 1, payload.as_bytes());
    }
    tuple(&mut bench, 5, 0x02, 0, b"");
    bench.calls();
    let mut evicted = Vec::new();
    for port in 6..10 {
        tuple(&mut bench, port, 0x02, 0, b"");
        tuple(&mut bench, port, 0x10, 1, b"mcp");
        evicted.push(bench.calls());
    }
    let gone = |id| format!("C Evicted; S Evicted; closed {id}; C 0 mcp");
    assert_eq!(evicted, ["C 0 mcp".to_owned(), gone(6), gone(4), gone(2)]);
    let counters = bench.table.counters();
    assert_eq!(
        (
            counters.evicted_half_open,
            counters.evicted_quiet,
            counters.evicted_unknown,
            counters.evicted_candidate,
            counters.evicted_mcp
        ),
        (1, 1, 1, 1, 0)
    );
    assert_eq!(counters.active, 5);
}

// R25 and R24: a SYN flood neither grows the table beyond its bound nor touches active flows.
#[test]
fn a_syn_flood_evicts_half_open_flows_only() {
    let mut bench = Bench::new(Limits { max_flows: 100, ..Limits::default() });
    bench.run(HANDSHAKE).run("C A 101 501 ab");
    for port in 1..=10_000 {
        tuple(&mut bench, port, 0x02, 7, b"");
    }
    bench.run("C A 103 501 cd");
    assert_eq!(bench.calls(), "C 0 ab; C 2 cd");
    assert_eq!(bench.table.counters().active, 100);
    assert_eq!(bench.table.counters().evicted_half_open, 10_001 - 100);
}

// R30: the clock steps back or jumps a year.
#[test]
fn clock_jumps_expire_nothing() {
    let year = 365_i64 * 24 * 3_600_000;
    for jump in [year, -year, 30 * year, -3_601_000] {
        let mut bench = Bench::new(Limits::default());
        bench.run(HANDSHAKE).run("C A 101 501 ab");
        bench.millis += jump;
        bench.run("C A 103 501 cd; wait 1000; C A 105 501 ef; advance 600000; end");
        let expected = "C 0 ab; C 2 cd; C 4 ef; C Expired; S Expired; closed 0";
        assert_eq!(bench.calls(), expected, "{jump}");
    }
}

#[test]
fn extreme_timestamps_do_not_panic() {
    let mut bench = Bench::new(Limits::default());
    let mut head = header(CLIENT, SERVER);
    (head.flags, head.payload_len) = (TcpFlags(0x10), 1);
    for (index, nanos) in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN].into_iter().enumerate() {
        let time = Timestamp::from_nanos(nanos);
        head.seq = u32::try_from(index).unwrap() * 2;
        let segment = Segment { header: SegmentHeader { time, ..head }, payload: b"x" };
        bench.table.push(&segment, &mut bench.recorder);
    }
    bench.run("end");
    assert!(bench.calls().ends_with("closed 0 midstream"));
}

#[test]
fn no_interest_means_no_more_bytes_but_the_end_is_seen() {
    let mut bench = Bench::new(Limits::default());
    bench.recorder.interest = |_| Interest::None;
    bench.run(HANDSHAKE).run("S A 503 101 later; C A 101 501 ab; C A 103 501 cd; S A 501 105 yo");
    assert_eq!(bench.calls(), "C 0 ab");
    bench.run("C A 900 501 zz; C FA 902 501; S FA 600 903; C A 903 601");
    assert_eq!(bench.calls(), "C Fin; S Fin; closed 0");
    assert_eq!(bench.table.counters().closed_by_fin, 1);
}

#[test]
fn the_end_delivers_what_is_held_and_closes_by_id() {
    let mut bench = Bench::new(Limits::default());
    for port in [9, 3, 7] {
        tuple(&mut bench, port, 0x02, 0, b"");
    }
    for port in [3, 7, 9] {
        tuple(&mut bench, port, 0x10, 3, b"cd");
    }
    tuple(&mut bench, 3, 0x11, 8, b"");
    bench.run("end");
    let open = |id| format!("C 0 gap 2; C 2 cd; C EndOfCapture; S EndOfCapture; closed {id}");
    let fin = "C 0 gap 2; C 2 cd; C 4 gap 3; C Fin; S EndOfCapture; closed 1".to_owned();
    assert_eq!(bench.calls(), [open(0), fin, open(2)].join("; "));
    assert_eq!(bench.table.counters().active, 0);
}

#[test]
fn a_tail_that_only_the_peer_saw_is_a_gap_at_the_end() {
    check_after_handshake(&[
        (
            "lost",
            "C A 101 501 ab; S A 501 110 yo; end",
            "C 0 ab; S 0 yo; C 2 gap 7; C EndOfCapture; S EndOfCapture; closed 0",
        ),
        (
            "a FIN not captured",
            "C A 101 501 ab; S A 501 104 yo; end",
            "C 0 ab; S 0 yo; C EndOfCapture; S EndOfCapture; closed 0",
        ),
    ]);
}

#[test]
fn a_host_may_talk_to_itself() {
    let mut bench = Bench::new(Limits::default());
    let mut head = header(CLIENT, CLIENT);
    (head.flags, head.seq, head.payload_len) = (TcpFlags(0x10), 5, 2);
    bench.push(head, b"ab");
    bench.run("end");
    assert_eq!(bench.calls(), "C 0 ab; C EndOfCapture; S EndOfCapture; closed 0 midstream");
}

// R28: the same calls for a flow whatever else is in the table, and whatever the seed.
#[test]
fn other_flows_do_not_change_what_is_seen_of_one() {
    let script = "C S 100; S SA 500 101; C A 103 501 cd; wait 400; S A 501 107; wait 700; \
        C A 105 501 ef; wait 1000; S A 506 107 z; wait 3500; S A 501 107 y; wait 700000; C A 107 507 g; end";
    let mut alone = Bench::new(Limits::default());
    alone.run(script);
    let mut crowded = Bench::new(Limits { hash_seed: 99, ..Limits::default() });
    for line in script.split(';') {
        if let Some(millis) = line.trim().strip_prefix("wait ") {
            for _ in 0..20 {
                crowded.millis += millis.parse::<i64>().unwrap() / 20;
                let packet = crowded.packet;
                tuple(&mut crowded, 9, 0x02, 0, b"");
                crowded.packet = packet;
            }
        } else {
            crowded.run(line);
        }
    }
    assert_eq!(alone.recorder.times, crowded.recorder.times);
    assert!(alone.recorder.log.len() > 6);
}

// The held bytes of one side tell that nobody is interested; the segment that released them comes
// after a hole. Its bytes, once kept, were passed by and never left.
#[test]
fn bytes_that_come_with_the_loss_of_interest_are_not_kept() {
    let mut bench = Bench::new(Limits::default());
    bench.recorder.interest = |_| Interest::None;
    bench.run("C A 100 500 tls; S A 700 103 data; S A 704 103 data; wait 4000; S A 708 103 data");
    assert_eq!(bench.calls(), "C 0 tls");
    bench.run("C FA 103 712; S FA 712 104; C A 104 713");
    assert_eq!(bench.calls(), "C Fin; S Fin; closed 0 midstream");
    assert_eq!(bench.table.counters().gaps, 0);
}
