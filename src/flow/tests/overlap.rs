//! Copies of the same bytes: equal ones are invisible, differing ones are told.

use super::*;

// R4: every kind of overlap, equal and differing, before and after delivery.
#[test]
fn first_copy_wins_and_the_other_is_shown() {
    check_after_handshake(&[
        ("equal, exact", "C A 103 501 cd; C A 103 501 cd; C A 101 501 ab", "C 0 ab; C 2 cd"),
        ("equal, covering", "C A 103 501 cd; C A 101 501 abcdef", "C 0 ab; C 2 cdef"),
        (
            "equal, partial",
            "C A 103 501 cd; C A 102 501 bc; C A 101 501 ab",
            "C 0 a; C 1 b; C 2 cd",
        ),
        (
            "differs, exact, buffered",
            "C A 103 501 cd; C A 103 501 XY; C A 101 501 ab",
            "!overlap-conflict; C 0 ab; C 2 or XY; C 2 cd",
        ),
        (
            "differs, covering",
            "C A 103 501 cd; C A 101 501 abXYef",
            "!overlap-conflict; C 0 ab; C 2 or XY; C 2 cdef",
        ),
        (
            "differs, left edge",
            "C A 103 501 cd; C A 102 501 bX; C A 101 501 a",
            "!overlap-conflict; C 0 a; C 1 b; C 2 or X; C 2 cd",
        ),
        (
            "differs, right edge",
            "C A 103 501 cd; C A 104 501 Xe; C A 101 501 ab",
            "!overlap-conflict; C 0 ab; C 3 or X; C 2 cde",
        ),
        (
            "differs, delivered, exact",
            "C A 101 501 ab; C A 101 501 XY",
            "C 0 ab; !overlap-conflict; C 0 or XY",
        ),
        (
            "differs, delivered, told once",
            "C A 101 501 ab; C A 101 501 XY; C A 101 501 XY",
            "C 0 ab; !overlap-conflict; C 0 or XY",
        ),
        ("differs, delivered, cut anew", "C A 101 501 abcd; C A 102 501 XY", "C 0 abcd"),
        (
            "differs, behind a hole then delivered",
            "C A 103 501 cd; C A 101 501 ab; C A 103 501 XY",
            "C 0 ab; C 2 cd; !overlap-conflict; C 2 or XY",
        ),
    ]);
}

// R5: a retransmission that repackages segments adds nothing.
#[test]
fn repackaged_retransmissions_add_nothing() {
    check_after_handshake(&[
        (
            "larger",
            "C A 101 501 ab; C A 103 501 cd; C A 101 501 abcd; C A 105 501 e",
            "C 0 ab; C 2 cd; C 4 e",
        ),
        (
            "larger with more",
            "C A 101 501 ab; C A 101 501 abcd; C A 105 501 e",
            "C 0 ab; C 2 cd; C 4 e",
        ),
        (
            "smaller",
            "C A 101 501 abcd; C A 101 501 ab; C A 103 501 cd; C A 105 501 e",
            "C 0 abcd; C 4 e",
        ),
        (
            "shifted",
            "C A 101 501 abcd; C A 102 501 bcde; C A 104 501 def",
            "C 0 abcd; C 4 e; C 5 f",
        ),
    ]);
}

// R6: every packet twice.
#[test]
fn doubled_packets_change_nothing() {
    let script = "C S 100 good; S SA 500 101 good; C A 101 501 good; C A 101 501 ab good; \
        C A 105 501 ef good; C A 103 501 cd good; S A 501 107 yo good; C FA 107 503 good; \
        S FA 503 108 good; C A 108 504 good";
    let once = {
        let mut bench = Bench::new(Limits::default());
        bench.run(script).run("end");
        bench.calls()
    };
    assert_eq!(once, "C 0 ab; C 2 cd; C 4 ef; S 0 yo; C Fin; S Fin; closed 0");
    let mut bench = Bench::new(Limits::default());
    for line in script.split(';') {
        bench.run(line).run(line);
    }
    bench.run("end");
    assert_eq!(bench.calls(), once);
    let counters = bench.table.counters();
    assert_eq!((counters.duplicate_segments, counters.duplicate_bytes), (4, 8));
    assert_eq!((counters.opened, counters.overlap_conflicts, counters.active), (1, 0, 0));
}

#[test]
fn losing_copies_stay_within_the_bound() {
    let mut bench = Bench::new(Limits { max_stream_buffered_bytes: 8192, ..Limits::default() });
    bench.run(HANDSHAKE).run("C A 103 501 fill=3000");
    for copy in 0..100 {
        let bytes = [b'0' + copy % 10; 2000];
        let mut head = header(CLIENT, SERVER);
        (head.flags, head.seq, head.ack) = (TcpFlags(0x10), 103 + u32::from(copy) * 10, 501);
        head.payload_len = 2000;
        bench.push(head, &bytes);
    }
    let counters = bench.table.counters();
    assert!(counters.max_buffered_bytes <= 8192, "{}", counters.max_buffered_bytes);
    assert!(counters.alternates_dropped > 90);
}
