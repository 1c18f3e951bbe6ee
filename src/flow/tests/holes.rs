//! Missing, late and truncated bytes, and what is not believed.

use super::*;

// R1: any permutation of a request's segments gives the same bytes.
#[test]
fn any_order_gives_the_same_bytes() {
    let pieces = [(101, "ab"), (103, "c"), (104, "def"), (107, "g")];
    let mut orders = vec![vec![]];
    for index in 0..pieces.len() {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, index);
                    longer
                })
            })
            .collect();
    }
    assert_eq!(orders.len(), 24);
    for order in orders {
        let mut bench = Bench::new(Limits::default());
        bench.run(HANDSHAKE);
        for &index in &order {
            let (seq, data) = pieces[index];
            bench.run(&format!("C A {seq} 501 {data}"));
        }
        let bytes: String =
            bench.recorder.log.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
        assert_eq!(bytes, "abcdefg", "{order:?}");
    }
}

// R2: one byte per segment, either direction.
#[test]
fn single_bytes_are_delivered_singly_and_at_once() {
    let mut bench = Bench::new(Limits::default());
    bench.run(HANDSHAKE);
    for index in 0..50 {
        bench.run(&format!("C A {} 501 a; S A {} 101 b", 101 + index, 501 + index));
        assert_eq!(bench.calls(), format!("C {index} a; S {index} b"));
    }
}

// R16, R18: a hole that the peer acknowledged is given up after a grace, in packets or time.
#[test]
fn acknowledged_holes_are_given_up_after_a_grace() {
    let acks = |count| "S A 501 107;".repeat(count);
    check_after_handshake(&[
        ("no ACK, no gap", "C A 103 501 cd; wait 2000; C A 105 501 ef", ""),
        (
            "packets",
            &format!("C A 103 501 cd; S A 501 105; {} C A 105 501 ef", acks(15)),
            "C 0 gap 2; C 2 cdef",
        ),
        ("packets, one less", &format!("C A 103 501 cd; S A 501 105; {}", acks(15)), ""),
        (
            "time",
            "C A 103 501 cd; S A 501 105; wait 499; S A 501 105; wait 1; S A 501 105",
            "C 0 gap 2; C 2 cd",
        ),
        ("clock", "C A 103 501 cd; S A 501 105; advance 499; advance 101", "C 0 gap 2; C 2 cd"),
        (
            "late data within the grace",
            "C A 103 501 cd; S A 501 105; wait 499; C A 101 501 ab",
            "C 0 ab; C 2 cd",
        ),
        ("too late", "C A 103 501 cd; S A 501 105; wait 501; C A 101 501 ab", "C 0 gap 2; C 2 cd"),
        (
            "ACK before all data",
            "S A 501 107; S A 501 107; C A 105 501 ef; C A 103 501 cd; C A 101 501 ab",
            "C 0 ab; C 2 cd; C 4 ef",
        ),
        (
            "the peer has only part",
            "C A 105 501 ef; S A 501 103; wait 500; C A 107 501 gh; C A 103 501 cd",
            "C 0 gap 2; C 2 cd; C 4 efgh",
        ),
        (
            "several holes at once",
            "C A 103 501 c; C A 105 501 e; C A 107 501 g; S A 501 108; wait 500; S A 501 108",
            "C 0 gap 2; C 2 c; C 3 gap 1; C 4 e; C 5 gap 1; C 6 g",
        ),
        (
            "an absurd ACK",
            "C A 103 501 cd; S A 501 99999999; wait 2000; C A 101 501 ab",
            "C 0 ab; C 2 cd",
        ),
    ]);
}

#[test]
fn gaps_end_at_their_own_time() {
    let mut bench = Bench::new(Limits::default());
    bench.run(HANDSHAKE).run("C A 103 501 cd; S A 501 105; wait 900; C A 105 501 ef");
    let times: Vec<_> =
        bench.recorder.times.iter().map(|(_, at)| (at.packet, at.time.as_nanos())).collect();
    let (due, now) = (1_000_500_000_000, 1_000_900_000_000);
    assert_eq!(times, [(4, due), (4, due), (5, now)]);
}

#[test]
fn unacknowledged_holes_are_given_up_in_time() {
    check_after_handshake(&[
        ("limit", "C A 103 501 cd; wait 3000; C A 105 501 ef", "C 0 gap 2; C 2 cd; C 4 ef"),
        (
            "each by its own age",
            "C A 103 501 c; wait 2000; C A 105 501 e; wait 1000; S A 501 101; wait 2000; S A 501 101",
            "C 0 gap 2; C 2 c; C 3 gap 1; C 4 e",
        ),
    ]);
}

// R8: a FIN before missing data ends the stream only when the hole is filled or given up.
#[test]
fn fin_waits_for_missing_data() {
    check_after_handshake(&[
        ("filled", "C FA 103 501; C A 101 501 ab", "C 0 ab; C Fin"),
        ("with payload", "C FA 103 501 cd; C A 101 501 ab", "C 0 ab; C 2 cd; C Fin"),
        ("given up", "C FA 103 501; S A 501 104; wait 500; S A 501 104", "C 0 gap 2; C Fin"),
        (
            "in order",
            "C FA 101 501 ab; S FA 501 104; C A 104 502",
            "C 0 ab; C Fin; S Fin; closed 0",
        ),
        ("twice", "C FA 101 501 ab; C FA 101 501 ab; C FA 103 501", "C 0 ab; C Fin"),
        (
            "data after it",
            "C FA 101 501 ab; C A 103 501 cd; C A 105 501 ef",
            "C 0 ab; C Fin; !data-after-fin",
        ),
        (
            "before data that came earlier",
            "C A 103 501 cd; C FA 101 501; C A 101 501 ab; C FA 105 501",
            "!data-after-fin; C 0 ab; C 2 cd; C Fin",
        ),
        (
            "half-closed",
            "C FA 101 501 ab; S A 501 104 yo; S A 503 104 yo",
            "C 0 ab; C Fin; S 0 yo; S 2 yo",
        ),
        ("out of the window", "C FA 99999999 501; C A 101 501 ab", "!out-of-window; C 0 ab"),
    ]);
}

// R19: out-of-window and ancient segments do not move state.
#[test]
fn distant_segments_do_not_move_state() {
    check_after_handshake(&[
        (
            "ahead",
            "C A 101 501 ab; C A 50000000 501 xx; C A 103 501 cd",
            "C 0 ab; !out-of-window; C 2 cd",
        ),
        (
            "ancient",
            "C A 101 501 ab; C A 4200000000 501 xx; C A 103 501 cd",
            "C 0 ab; !out-of-window; C 2 cd",
        ),
        ("just behind", "C A 101 501 ab; C A 50 501 xx; C A 103 501 cd", "C 0 ab; C 2 cd"),
        (
            "keep-alive",
            "C A 101 501 ab; C A 102 501; C A 102 501 z; S A 501 103; C A 103 501 c",
            "C 0 ab; C 2 c",
        ),
        (
            "window probe",
            "C A 101 501 ab; S A 501 103; C A 102 501 b; C A 103 501 c",
            "C 0 ab; C 2 c",
        ),
        ("no ACK flag", "C . 101 0 xx; C P 101 0 xx; C A 101 501 ab", "C 0 ab"),
    ]);
}

#[test]
fn long_outages_are_believed_when_several_segments_agree() {
    check_after_handshake(&[
        (
            "acknowledged",
            "C A 101 501 ab; C A 50000000 501 vw; C A 50000002 501 x; S A 501 50000003; C A 50000003 501 yz; C A 50000005 501 !",
            "C 0 ab; !out-of-window; !capture-outage; C 2 gap 49999897; C 49999899 vwxyz; C 49999904 !",
        ),
        (
            "not acknowledged",
            "C A 101 501 ab; C A 50000000 501 vw; C A 50000002 501 x; C A 50000003 501 yz; C A 103 501 cd",
            "C 0 ab; !out-of-window; C 2 cd",
        ),
        (
            "not in a row",
            "C A 50000000 501 a; C A 60000000 501 b; C A 50000001 501 c; S A 501 50000001; C A 60000001 501 d",
            "!out-of-window",
        ),
    ]);
    check(&[(
        "one side only",
        "C S 100; C A 101 501 ab; C A 50000000 501 v; C A 50000001 501 w; C A 50000002 501 x; C A 50000003 501 y",
        "C 0 ab; !out-of-window; !capture-outage; C 2 gap 49999897; C 49999899 vwx; C 49999902 y",
    )]);
}

#[test]
fn bytes_cut_by_the_snapshot_length_are_gaps() {
    check_after_handshake(&[
        ("in order", "C A 101 501 ab cut=3; C A 106 501 fg", "C 0 ab; C 2 gap 3; C 5 fg"),
        ("nothing captured", "C A 101 501 cut=3; C A 104 501 d", "C 0 gap 3; C 3 d"),
        (
            "out of order",
            "C A 106 501 fg cut=1; C A 101 501 ab cut=3",
            "C 0 ab; C 2 gap 3; C 5 fg; C 7 gap 1",
        ),
        ("repeated", "C A 101 501 ab cut=3; C A 101 501 ab cut=3", "C 0 ab; C 2 gap 3"),
        (
            "over buffered bytes",
            "C A 103 501 c; C A 101 501 a cut=4",
            "C 0 a; C 1 gap 1; C 2 c; C 3 gap 2",
        ),
    ]);
}

// R7: a RST counts only inside the window, and data after a forged one is still read.
#[test]
fn resets_are_honoured_with_care() {
    check_after_handshake(&[
        ("exact", "C A 101 501 ab; S R 501; advance 2000", "C 0 ab; C Reset; S Reset; closed 0"),
        (
            "in the window",
            "C A 101 501 ab; S R 900; advance 2000",
            "C 0 ab; C Reset; S Reset; closed 0",
        ),
        (
            "outside",
            "C A 101 501 ab; S R 400000000; advance 2000; S A 501 103 yo",
            "C 0 ab; !rst-out-of-window; S 0 yo",
        ),
        (
            "behind",
            "C A 101 501 ab; C R 101; advance 2000; C A 103 501 cd",
            "C 0 ab; !rst-out-of-window; C 2 cd",
        ),
        (
            "forged, data goes on",
            "C A 101 501 ab; S R 501; S A 501 103 yo; advance 5000; S A 503 103 yo; end",
            "C 0 ab; !data-after-rst; S 0 yo; S 2 yo; C EndOfCapture; S EndOfCapture; closed 0",
        ),
        (
            "data still on its way from the other side",
            "C A 101 501 ab; S R 501; C A 103 501 cd; advance 2000",
            "C 0 ab; C 2 cd; C Reset; S Reset; closed 0",
        ),
        (
            "data from before it, reordered",
            "C R 103; C A 101 501 ab; advance 2000",
            "C 0 ab; C Reset; S Reset; closed 0",
        ),
        ("before any payload, forged", "S R 501; C A 101 501 ab", "!data-after-rst; C 0 ab"),
        (
            "after both FINs",
            "C FA 101 501 ab; S FA 501 104; C R 104",
            "C 0 ab; C Fin; S Fin; closed 0",
        ),
        ("at the end", "C A 101 501 ab; S R 501; end", "C 0 ab; C Reset; S Reset; closed 0"),
    ]);
}

// R9: a wrong checksum is ignored, unless the capture shows offload.
#[test]
fn wrong_checksums_are_dropped_unless_offloaded() {
    check(&[
        (
            "junk",
            "C S 100 good; S SA 500 101 good; C A 101 501 XX bad; C A 101 501 ab good",
            "C 0 ab",
        ),
        (
            "junk later",
            "C S 100 good; C A 101 501 ab good; C A 103 501 XX bad; C A 103 501 cd good; C R 105 bad",
            "C 0 ab; !bad-checksum; C 2 cd",
        ),
        (
            "offload",
            "C S 100 bad; S SA 500 101 good; C A 101 501 ab bad; S A 501 103 yo good",
            "C 0 ab; S 0 yo",
        ),
        ("not validated", "C S 100; S SA 500 101; C A 101 501 ab", "C 0 ab"),
        ("forged SYN", "C S 100 good; C S 9000 bad; C A 101 501 ab good", "C 0 ab"),
    ]);
    let mut bench = Bench::new(Limits::default());
    bench.run("C S 100 good; C A 101 501 XX bad; S SA 500 101 bad");
    let counters = bench.table.counters();
    assert_eq!((counters.bad_checksums, counters.offloaded_checksums), (1, 1));
}

// R10: urgent data is counted and delivered in line.
#[test]
fn urgent_data_is_counted() {
    let mut bench = Bench::new(Limits::default());
    bench.run(HANDSHAKE).run("C UA 101 501 ab");
    assert_eq!(bench.calls(), "C 0 ab");
    assert_eq!(bench.table.counters().urgent, 1);
}

// R26: at the bound of a direction its first hole is given up; nothing grows further.
#[test]
fn a_full_stream_buffer_gives_its_hole_up() {
    let limits = Limits { max_stream_buffered_bytes: 4096, ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.run(HANDSHAKE);
    bench.run("C A 201 501 fill=2000; C A 2301 501 fill=1500; C A 4001 501 fill=1000");
    assert_eq!(bench.calls(), "C 0 gap 100; C 100 <2000>");
    bench.run("C A 6001 501 fill=4000");
    assert_eq!(bench.calls(), "C 2100 gap 100; C 2200 <1500>; C 3700 gap 200; C 3900 <1000>");
    assert_eq!(bench.table.counters().gaps_by_stream_bound, 3);
}

// R24: at the bound of all buffers the least interesting waiting flow gives up first.
#[test]
fn full_buffers_give_up_the_least_interesting_holes() {
    let limits = Limits { max_buffered_bytes: 3000, ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.recorder.interest =
        |bytes| if bytes.starts_with(b"mcp") { Interest::Mcp } else { Interest::Unknown };
    let mut send = |port, seq, payload: &[u8]| {
        let mut head = header(&format!("10.0.0.1:{port}"), SERVER);
        (head.flags, head.seq, head.payload_len) =
            (TcpFlags(0x10), seq, u32::try_from(payload.len()).unwrap());
        bench.push(head, payload);
        bench.calls()
    };
    for (port, name) in [(1, "mcp"), (2, "one"), (3, "two")] {
        assert_eq!(send(port, 100, b""), "");
        assert_eq!(send(port, 100, name.as_bytes()), format!("C 0 {name}"));
        let calls = send(port, 113, &[b'x'; 1000]);
        assert_eq!(calls, if port == 3 { "C 3 gap 10; C 13 <1000>" } else { "" });
    }
    assert_eq!(send(2, 103, &[b'x'; 10]), "");
    let counters = bench.table.counters();
    assert_eq!(counters.gaps_by_total_bound, 1);
    assert!(counters.max_buffered_bytes <= 3000);
}
