//! How flows begin.

use super::*;

#[test]
fn directions_follow_the_syn() {
    check(&[
        (
            "plain",
            "C S 100; S SA 500 101; C A 101 501; C A 101 501 hi; S A 501 103 yo; end",
            "C 0 hi; S 0 yo; C EndOfCapture; S EndOfCapture; closed 0",
        ),
        (
            "SYN after SYN-ACK",
            "S SA 500 101; C S 100; C A 101 501 hi; S A 501 103 yo; end",
            "C 0 hi; S 0 yo; C EndOfCapture; S EndOfCapture; closed 0",
        ),
        (
            "data before the handshake's ACK",
            "C S 100; S SA 500 101; C A 101 501 hi; C A 101 501; S A 501 103 yo",
            "C 0 hi; S 0 yo",
        ),
        (
            "SYN and SYN-ACK repeated",
            "C S 100; C S 100; S SA 500 101; S SA 500 101; C S 100; C A 101 501 hi; C S 100; end",
            "C 0 hi; C EndOfCapture; S EndOfCapture; closed 0",
        ),
        (
            "an ACK of the client before its SYN",
            "C A 101 501; C S 100; S SA 500 101; C A 101 501 hi; end",
            "C 0 hi; C EndOfCapture; S EndOfCapture; closed 0",
        ),
        (
            "the server's answer before the SYN of the client",
            "S A 501 101; C S 100; C A 101 501 hi; S A 501 103 yo",
            "C 0 hi; S 0 yo",
        ),
    ]);
}

// R13: split and simultaneous handshakes keep the direction.
#[test]
fn split_and_simultaneous_handshakes_keep_the_direction() {
    check(&[
        (
            "simultaneous open",
            "C S 100; S S 500; C SA 100 501; S SA 500 101; C A 101 501 hi; S A 501 103 yo",
            "C 0 hi; S 0 yo",
        ),
        (
            "split in two",
            "C S 100; S A 0 101; S S 500; C SA 100 501; S A 501 101; C A 101 501 hi; S A 501 103 yo",
            "C 0 hi; S 0 yo",
        ),
        (
            "split in four",
            "C S 100; S S 500; C SA 100 501; S A 501 101; S A 501 101 yo; C A 101 503 hi",
            "S 0 yo; C 0 hi",
        ),
    ]);
}

// R12: Fast Open data, data on the SYN and on the handshake's ACK are read once.
#[test]
fn data_in_the_handshake_is_read_once() {
    check(&[
        ("on the SYN", "C S 100 0 abc; S SA 500 104; C A 104 501 def", "C 0 abc; C 3 def"),
        (
            "not taken",
            "C S 100 0 abc; S SA 500 101; C A 101 501 abc; C A 104 501 d",
            "C 0 abc; C 3 d",
        ),
        ("on the SYN-ACK", "C S 100; S SA 500 101 yo; C A 101 503 hi", "S 0 yo; C 0 hi"),
        ("SYN and data twice", "C S 100 0 abc; C S 100 0 abc; S SA 500 104", "C 0 abc"),
        (
            "SYN with data after its answer",
            "S SA 500 104; C S 100 0 abc; C A 104 501 d",
            "C 0 abc; C 3 d",
        ),
        ("on the handshake's ACK", "C S 100; S SA 500 101; C A 101 501 abc", "C 0 abc"),
    ]);
}

// R3: sequence numbers wrap, also within the first payload.
#[test]
fn numbers_wrap_anywhere() {
    check(&[
        (
            "in the first payload",
            "C S 4294967293; S SA 4294967295 4294967294; C A 4294967294 0 abcdef; S A 0 4 yo; C A 4 2 g",
            "C 0 abcdef; S 0 yo; C 6 g",
        ),
        (
            "behind a hole",
            "C S 4294967293; C A 2 0 ef; C A 4294967294 0 abcd; C A 4 0 g",
            "C 0 abcd; C 4 ef; C 6 g",
        ),
        ("ISN at the border", "C S 4294967295; C A 0 7 ab; C A 2 7 c", "C 0 ab; C 2 c"),
    ]);
}

// R14: midstream pickup in each direction; R15: one direction only.
#[test]
fn flows_are_picked_up_midstream() {
    check(&[
        (
            "released by the peer's ACK",
            "C A 9000 700 hi; S A 700 9002 yo; end",
            "C 0 hi; S 0 yo; C EndOfCapture; S EndOfCapture; closed 0 midstream",
        ),
        ("released by packets", "C A 90 7 a; C A 91 7 b; C A 92 7 c; C A 93 7 d", "C 0 abcd"),
        ("released by time", "C A 90 7 a; wait 100; C A 91 7 b", "C 0 a; C 1 b"),
        ("released by the clock", "C A 90 7 a; advance 99; advance 1; advance 200", "C 0 a"),
        (
            "released by the end",
            "C A 90 7 a; end",
            "C 0 a; C EndOfCapture; S EndOfCapture; closed 0 midstream",
        ),
        ("first two swapped", "C A 92 7 cd; C A 90 7 ab; S A 7 94 yo", "C 0 ab; C 2 cd; S 0 yo"),
        ("after an ACK of its own", "C A 90 7; C A 90 7 ab", "C 0 ab"),
        ("after an ACK that comes too early", "C A 92 7; C A 90 7 ab; C A 92 7 c", "C 0 ab; C 2 c"),
        ("after an ACK of the peer", "S A 7 90; C A 90 7 ab", "S 0 ab"),
        ("first missing, peer knows", "S A 7 90; C A 92 7 cd; C A 90 7 ab", "S 0 ab; S 2 cd"),
        (
            "SYN late",
            "C A 103 7 cd; C S 100; C A 101 7 ab; end",
            "C 0 ab; C 2 cd; C EndOfCapture; S EndOfCapture; closed 0",
        ),
        ("a keep-alive is no hint", "C A 89 7; C A 90 7 ab; S A 7 92", "C 0 ab"),
        ("a FIN alone", "C FA 90 7; S FA 7 91; C A 91 8; end", ""),
    ]);
}

// R15: without any packet of the peer nothing waits for acknowledgments.
#[test]
fn one_direction_is_enough() {
    check(&[
        (
            "from the SYN",
            "C S 100; C A 101 501 ab; C A 103 501 cd; C FA 105 501; wait 3000; C A 106 502",
            "C 0 ab; C 2 cd; C Fin; S Expired; closed 0",
        ),
        (
            "a hole is given up in time",
            "C S 100; C A 101 501 ab; C A 105 501 ef; advance 2999; advance 1; C A 107 501 gh",
            "C 0 ab; C 2 gap 2; C 4 ef; C 6 gh",
        ),
        (
            "server side only",
            "S SA 500 101; S A 501 101 yo; S A 503 110 yo; end",
            "S 0 yo; S 2 yo; C EndOfCapture; S EndOfCapture; closed 0",
        ),
    ]);
}

// The end of a side without data is told as soon as the flow has data: a SYN that comes late and
// lies before it must not make room for more.
#[test]
fn late_syn_does_not_reopen_a_side_that_ended() {
    check(&[
        (
            "SYN in front of the end",
            "C FA 188 501; C A 104 501 early; C S 109; C A 110 501 more; end",
            "C Fin; !syn-in-window; S EndOfCapture; closed 0 midstream",
        ),
        (
            "SYN-ACK in front of the end",
            "C FA 188 501; S A 501 189 hi; C SA 109 501 more; S A 503 189 ho; end",
            "C Fin; S 0 hi; !syn-in-window; S 2 ho; S EndOfCapture; closed 0 midstream",
        ),
        (
            "SYN of the same start",
            "C FA 188 501; S A 501 189 hi; C S 187; S A 503 189 ho; end",
            "C Fin; S 0 hi; S 2 ho; S EndOfCapture; closed 0",
        ),
    ]);
}

#[test]
fn originator_and_midstream_are_told() {
    #[derive(Default)]
    struct Seen(Vec<(String, String, bool)>);
    impl Handler for Seen {
        type State = ();
        fn chunk(&mut self, flow: &FlowInfo, (): &mut (), _: Chunk<'_>) -> Interest {
            let (from, to) = (flow.originator.to_string(), flow.responder.to_string());
            self.0.push((from, to, flow.midstream));
            Interest::Mcp
        }
        fn alternate(&mut self, _: &FlowInfo, (): &mut (), _: Chunk<'_>) {}
        fn gap(&mut self, _: &FlowInfo, (): &mut (), _: Gap) -> Interest {
            Interest::Mcp
        }
        fn finish(&mut self, _: &FlowInfo, (): &mut (), _: Side, _: At, _: Finish) {}
        fn closed(&mut self, _: &FlowInfo, (): (), _: At, _: Finish) {}
        fn anomaly(&mut self, _: &FlowInfo, _: At, _: Anomaly) {}
    }
    let mut table: Table<()> = Table::new(Limits::default());
    let mut seen = Seen::default();
    let mut send = |src, dst, flags, seq, payload: &[u8]| {
        let mut head = header(src, dst);
        (head.flags, head.seq, head.payload_len) =
            (TcpFlags(flags), seq, u32::try_from(payload.len()).unwrap());
        table.push(&Segment { header: head, payload }, &mut seen);
    };
    send(SERVER, CLIENT, 0x12, 500, b"");
    send(CLIENT, SERVER, 0x10, 0, b"hi");
    send("[::1]:80", "[::1]:9", 0x10, 5, b"");
    send("[::1]:80", "[::1]:9", 0x10, 5, b"hi");
    let client = |midstream| (CLIENT.to_owned(), SERVER.to_owned(), midstream);
    assert_eq!(seen.0, [client(false), ("[::1]:80".to_owned(), "[::1]:9".to_owned(), true)]);
}

// R21 and R22: scopes and address families do not mix.
#[test]
fn scopes_and_families_are_other_flows() {
    let mut bench = Bench::new(Limits::default());
    for (scope, client, server) in [
        (0, CLIENT, SERVER),
        (7, CLIENT, SERVER),
        (0, "[::ffff:10.0.0.1]:40000", "[::ffff:10.0.0.2]:80"),
    ] {
        let mut head = header(client, server);
        (head.scope, head.flags, head.payload_len) = (Scope(scope), TcpFlags(0x10), 2);
        bench.push(head, b"hi");
    }
    bench.run("end");
    let one = |id| format!("C 0 hi; C EndOfCapture; S EndOfCapture; closed {id} midstream");
    assert_eq!(bench.calls(), [one(0), one(1), one(2)].join("; "));
}
