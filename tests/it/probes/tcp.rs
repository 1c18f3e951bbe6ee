//! Reassembly: what a host would read, whatever the packets look like.

use super::builder::{
    ACK, Client, FIN, PSH, RST, SYN, Server, Side, Sum, Talk, Timed, URG, together,
};
use super::builder::{File, Link};
use super::seen::{SERVER, Seen, look, replay, watch};
use super::text::{answer, call, calls, post, say_calls, session};

/// A conversation of three calls, bent.
fn bent(bend: impl FnOnce(&mut Talk)) -> Seen {
    let mut talk = calls(3);
    bend(&mut talk);
    watch(&talk)
}

#[test]
fn plain() {
    let seen = watch(&calls(3));
    seen.assert_clean("plain", 3);
    assert_eq!(seen.messages()[..2], ["4 > tools/call", "5 < result"]);
}

/// R2: however the bytes are cut, a message is known at the packet of its last byte.
#[test]
fn any_cut() {
    for mss in [1, 2, 3, 7, 100] {
        let mut talk = Talk::new();
        talk.mss = mss;
        talk.handshake();
        talk.client(call(1));
        let asked = talk.here();
        talk.server(answer(1));
        let answered = talk.here();
        talk.close();
        let seen = watch(&talk);
        seen.assert_clean(&format!("{mss} bytes"), 1);
        assert_eq!(
            seen.messages(),
            [format!("{asked} > tools/call"), format!("{answered} < result")]
        );
    }
}

/// p01: the depth of a connection has no end.
#[test]
fn two_hundred_calls_of_18_kilobytes() {
    let mut talk = Talk::open();
    let filler = "x".repeat(18_000);
    for id in 1..=200 {
        let ask = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"params":{{"arguments":{{"t":"{filler}"}},"name":"echo"}},"method":"tools/call"}}"#
        );
        let said = format!(r#"{{"jsonrpc":"2.0","result":{{"content":["{filler}"]}},"id":{id}}}"#);
        talk.exchange(post(ask), super::text::reply(said));
    }
    talk.close();
    watch(&talk).assert_clean("long keep-alive", 200);
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |at: usize| {
        let rest: Vec<_> = [&items[..at], &items[at + 1..]].concat();
        permutations(&rest).into_iter().map(move |tail| [vec![items[at]], tail].concat())
    };
    (0..items.len()).flat_map(with_first).collect()
}

/// R1, p12: all 120 orders of the five segments of a request, each on a connection of its own.
#[test]
fn any_order() {
    let orders = permutations(&[3, 4, 5, 6, 7]);
    let mut talks = Vec::new();
    for (number, order) in orders.iter().enumerate() {
        let mut talk = Talk::number(number);
        talk.handshake();
        talk.mss = call(1).len().div_ceil(5);
        talk.client(call(1));
        assert_eq!(talk.here(), 8);
        let shuffled: Vec<_> = order.iter().map(|&at| talk.segments[at].clone()).collect();
        talk.segments.splice(3.., shuffled);
        talk.retime();
        talk.server(answer(1));
        talk.close();
        talks.push(talk);
    }
    look(&together(&talks)).assert_clean("permutations", 120);
}

/// R3, p13: sequence numbers pass 2^32 at every byte of the first payload, both ways.
#[test]
fn wrap_at_every_byte() {
    let mut talks = Vec::new();
    for before in 0..=u32::try_from(call(1).len()).unwrap() + 2 {
        let mut talk = Talk::number(before as usize);
        talk.next = [0_u32.wrapping_sub(before); 2];
        talk.mss = 50;
        talk.handshake();
        talk.exchange(call(1), answer(1));
        talk.close();
        talks.push(talk);
    }
    look(&together(&talks)).assert_clean("wrap", talks.len());
}

/// R4: overlaps that agree are invisible. Start and end of the second segment, as parts of the
/// request; the first one is its middle third.
#[test]
fn overlaps_that_agree() {
    let len = call(1).len();
    for (from, to) in
        [(len / 3, 2 * len / 3), (len / 2, len), (0, len / 2), (0, len), (len / 2 - 9, len / 2)]
    {
        let mut talk = Talk::open();
        let seq = talk.next[0];
        let mut piece = |from: usize, to: usize| {
            let at = seq.wrapping_add(u32::try_from(from).unwrap());
            talk.raw(Client, at, 5_000_001, PSH | ACK, &call(1)[from..to]);
        };
        piece(len / 3, 2 * len / 3);
        piece(from, to);
        piece(0, len / 2);
        piece(len / 3, len);
        talk.next[0] = seq.wrapping_add(u32::try_from(len).unwrap());
        talk.server(answer(1));
        talk.close();
        watch(&talk).assert_clean(&format!("{from}..{to}"), 1);
    }
}

/// R4, p14: two copies of a segment that differ. The first one wins, the other one is read too.
#[test]
fn overlaps_that_disagree() {
    let real = call(1);
    let fake = String::from_utf8(call(1)).unwrap().replace("tools/call", "tools/look").into_bytes();
    let text = String::from_utf8(call(1)).unwrap();
    let (body, method) = (text.find('{').unwrap(), text.find("tools/call").unwrap());
    let winner = ["> tools/call", "< result"];
    let loser = ["> tools/call ambiguous"];
    for (name, first, second, wanted) in
        [("first real", &real, &fake, &winner[..]), ("last real", &fake, &real, &loser[..])]
    {
        // Where the pair of copies begins and ends, and whether it waits for what comes before.
        // A losing copy of something that was read already is read from its start only.
        for (from, to, buffered) in [
            (0, real.len(), false),
            (body, real.len(), false),
            (body, real.len(), true),
            (body - 30, real.len(), true),
            (body + 9, real.len(), true),
            (method - 5, method + 20, true),
            (method + 3, method + 8, true),
        ] {
            let mut talk = Talk::open();
            let seq = talk.next[0];
            let mut piece = |bytes: &[u8], from: usize, to: usize| {
                let at = seq.wrapping_add(u32::try_from(from).unwrap());
                talk.raw(Client, at, 5_000_001, PSH | ACK, &bytes[from..to]);
            };
            if from > 0 && !buffered {
                piece(&real, 0, from);
            }
            piece(first, from, to);
            piece(second, from, to);
            if from > 0 && buffered {
                piece(&real, 0, from);
            }
            if to < real.len() {
                piece(&real, to, real.len());
            }
            talk.next[0] = seq.wrapping_add(u32::try_from(real.len()).unwrap());
            talk.server(answer(1));
            talk.close();
            let seen = watch(&talk);
            let what = format!("{name} {from}..{to} buffered {buffered}");
            for said in wanted {
                assert_eq!(seen.count(said), 1, "{what}: {:?}", seen.said());
            }
            assert!(seen.has_anomaly("flow/overlap-conflict"), "{what}: {:?}", seen.anomalies());
            if name == "last real" {
                let severity = seen.severity("SMCP-7002");
                assert_eq!(severity.as_deref(), Some("medium"), "{what}: {:?}", seen.findings());
            }
        }
    }
}

/// R5: a retransmission in other pieces adds nothing.
#[test]
fn repackaged_retransmission() {
    let mut talk = Talk::open();
    let seq = talk.next[0];
    talk.mss = 40;
    talk.client(call(1));
    talk.next[0] = seq;
    talk.mss = 33;
    talk.client(call(1));
    talk.next[0] = seq;
    talk.mss = 1460;
    talk.client(call(1));
    talk.server(answer(1));
    talk.close();
    watch(&talk).assert_clean("repackaged", 1);
}

/// R6, p19: a mirror that delivers every packet twice, at once or a little later.
#[test]
fn every_packet_twice() {
    for behind in [1, 2, 5] {
        let mut talk = calls(3);
        let twins = talk.segments.clone();
        talk.segments.clear();
        for at in 0..twins.len() + behind - 1 {
            talk.segments.extend(twins.get(at).cloned());
            talk.segments.extend(at.checked_sub(behind - 1).map(|at| twins[at].clone()));
        }
        talk.retime();
        let seen = watch(&talk);
        seen.assert_clean(&format!("twice, {behind} behind"), 3);
        assert_eq!(seen.coverage("flows"), 1);
        // The last ones come after the connection has closed.
        let repeated = seen.counter("flow.duplicate_segments") + seen.counter("flow.after_close");
        assert!(repeated >= 6, "{behind}: {repeated}");
    }
}

/// R7, p16: resets that no host would take, and one forged well enough that data follows it.
#[test]
fn resets() {
    for (side, ahead) in
        [(Client, 0x4000_0000), (Server, 0x4000_0000), (Client, 0_u32.wrapping_sub(70_000))]
    {
        let mut talk = Talk::open();
        talk.exchange(call(1), answer(1));
        let seq = talk.next[side as usize].wrapping_add(ahead);
        talk.raw(side, seq, 0, RST, b"");
        talk.exchange(call(2), answer(2));
        talk.close();
        let seen = watch(&talk);
        seen.assert_calls("out of window", 2);
        assert!(seen.has_anomaly("flow/rst-out-of-window"), "{:?}", seen.anomalies());
    }
    for side in [Client, Server] {
        let mut talk = Talk::open();
        talk.exchange(call(1), answer(1));
        let seq = talk.next[side as usize];
        talk.raw(side, seq, 0, RST, b"");
        talk.exchange(call(2), answer(2));
        talk.exchange(call(3), answer(3));
        talk.close();
        let seen = watch(&talk);
        seen.assert_calls("forged", 3);
        assert!(seen.has_anomaly("flow/data-after-rst"), "{:?}", seen.anomalies());
        assert_eq!(seen.coverage("flows"), 1);
    }
}

/// A reset that is meant ends the connection; what was said before it counts.
#[test]
fn a_real_reset() {
    let mut talk = Talk::open();
    talk.exchange(call(1), answer(1));
    talk.segment(Client, RST | ACK, b"");
    let seen = watch(&talk);
    seen.assert_clean("reset", 1);
    assert_eq!(seen.counter("flow.closed_by_reset"), 1);
}

/// R8: a FIN that overtakes data ends the stream only after it.
#[test]
fn fin_before_missing_data() {
    let mut talk = Talk::open();
    talk.client(call(1));
    talk.mss = 50;
    let from = talk.here();
    talk.server(answer(1));
    talk.segment(Server, FIN | ACK, b"");
    talk.segments[from..].reverse();
    talk.retime();
    let seen = watch(&talk);
    seen.assert_clean("FIN first", 1);
}

/// R9, p15: junk with a wrong checksum is no data.
#[test]
fn junk_with_a_wrong_checksum() {
    let mut talk = Talk::open();
    talk.exchange(call(1), answer(1));
    let (seq, ack) = (talk.next[0], talk.next[1]);
    talk.raw(Client, seq, ack, PSH | ACK, &vec![b'#'; call(2).len()]).sum = Sum::Wrong;
    talk.exchange(call(2), answer(2));
    talk.close();
    let seen = watch(&talk);
    seen.assert_calls("junk", 2);
    assert_eq!(seen.counter("flow.bad_checksums"), 1);
    assert_eq!(seen.counter("flow.overlap_conflicts"), 0);
}

/// R9: checksums left to the network card, of one host or of both, are no reason to drop.
#[test]
fn offloaded_checksums() {
    for (name, sum, sides) in [
        ("pseudo-header, client", Sum::Offloaded, &[Client][..]),
        ("pseudo-header, both", Sum::Offloaded, &[Client, Server]),
        ("anything, client", Sum::Wrong, &[Client]),
        ("anything, both", Sum::Wrong, &[Client, Server]),
    ] {
        let seen = bent(|talk| {
            for segment in &mut talk.segments {
                if sides.contains(&segment.side) {
                    segment.sum = sum;
                }
            }
        });
        seen.assert_calls(name, 3);
        assert_eq!(seen.counter("flow.bad_checksums"), 0, "{name}");
    }
}

/// R10: urgent data is read in line and counted.
#[test]
fn urgent_data() {
    let seen = bent(|talk| {
        talk.segments[3].flags |= URG;
        talk.segments[3].urgent = 5;
    });
    seen.assert_calls("urgent", 3);
    assert_eq!(seen.counter("flow.urgent"), 1);
}

/// R11: timestamps that go back, or stand still, drop nothing.
#[test]
fn odd_timestamps() {
    let seen = bent(|talk| {
        for (index, segment) in (0_u32..).zip(&mut talk.segments) {
            let value = if index % 2 == 0 { 5_000_u32 } else { 3_000 - index };
            let mut options = vec![1, 1, 8, 10];
            options.extend(value.to_be_bytes());
            options.extend([0; 4]);
            segment.options = options;
        }
    });
    seen.assert_clean("timestamps", 3);
}

/// R12, p37: data on the SYN and on the ACK of the handshake is read once, retransmitted or not.
#[test]
fn fast_open() {
    let bytes = call(1);
    let (on_syn, rest) = bytes.split_at(90);
    for again in [false, true] {
        let mut talk = Talk::new();
        talk.segment(Client, SYN, on_syn);
        talk.segment(Server, SYN | ACK, b"");
        if again {
            let seq = talk.next[0].wrapping_sub(90);
            talk.raw(Client, seq, 5_000_001, ACK, on_syn);
        }
        talk.segment(Client, PSH | ACK, rest);
        talk.server(answer(1));
        talk.exchange(call(2), answer(2));
        talk.close();
        watch(&talk).assert_clean("fast open", 2);
    }
    let mut talk = Talk::new();
    talk.segment(Client, SYN, &call(1));
    talk.segment(Server, SYN | ACK, &answer(1));
    talk.acknowledge(Client);
    talk.close();
    let seen = watch(&talk);
    seen.assert_clean("whole exchange in the handshake", 1);
    assert_eq!(seen.messages(), ["1 > tools/call", "2 < result"]);
}

/// R13: handshakes in another order keep the direction.
#[test]
fn odd_handshakes() {
    for (name, packets) in [
        (
            "simultaneous",
            &[(Client, SYN), (Server, SYN), (Client, SYN | ACK), (Server, SYN | ACK)][..],
        ),
        (
            "simultaneous, server first",
            &[(Server, SYN), (Client, SYN), (Server, SYN | ACK), (Client, SYN | ACK)],
        ),
        (
            "split",
            &[(Client, SYN), (Server, ACK), (Server, SYN), (Client, SYN | ACK), (Server, ACK)],
        ),
        ("SYN lost", &[(Server, SYN | ACK), (Client, ACK)]),
        ("SYN-ACK lost", &[(Client, SYN), (Client, ACK)]),
        (
            "SYN twice",
            &[
                (Client, SYN),
                (Client, SYN),
                (Server, SYN | ACK),
                (Server, SYN | ACK),
                (Client, ACK),
            ],
        ),
    ] {
        let mut talk = Talk::new();
        for &(side, flags) in packets {
            let first = if side == Client { 1_000_000 } else { 5_000_000 };
            let ack = if side == Client { 5_000_001 } else { 1_000_001 };
            let seq = if flags & SYN == 0 { first + 1 } else { first };
            talk.raw(side, seq, ack, flags, b"");
        }
        talk.next = [1_000_001, 5_000_001];
        say_calls(&mut talk, 2);
        let seen = watch(&talk);
        seen.assert_clean(name, 2);
        assert_eq!(seen.coverage("flows"), 1, "{name}");
        assert_eq!(seen.coverage("midstream_flows"), 0, "{name}");
    }
}

/// R14, p17: connections that were open before the capture began, whichever packet is first.
#[test]
fn midstream() {
    // The result of a call that was not captured proves nothing at its time: it is counted only.
    for (skipped, calls_seen, results, messages) in
        [(3, 4, 4, 8), (4, 3, 3, 7), (5, 3, 3, 6), (6, 3, 3, 6)]
    {
        let mut talk = calls(4);
        talk.segments.drain(..skipped);
        let seen = watch(&talk);
        assert_eq!(seen.count("> tools/call"), calls_seen, "{skipped}: {:?}", seen.said());
        assert_eq!(seen.count("< result"), results, "{skipped}: {:?}", seen.said());
        assert_eq!(seen.counter("mcp.messages"), messages, "{skipped}");
        assert_eq!(seen.servers(), [SERVER], "{skipped}");
        assert_eq!(seen.coverage("midstream_flows"), 1, "{skipped}");
    }
}

/// R14: the capture begins inside a body: the next message of each direction is found.
#[test]
fn midstream_inside_a_body() {
    for side in [Client, Server] {
        let mut talk = Talk::open();
        talk.mss = 60;
        talk.exchange(call(1), answer(1));
        talk.mss = 1460;
        talk.exchange(call(2), answer(2));
        talk.exchange(call(3), answer(3));
        talk.close();
        let from = talk.segments.iter().position(|segment| {
            segment.side == side
                && segment.payload.starts_with(b"HTTP") | segment.payload.starts_with(b"POST")
        });
        talk.segments.drain(..from.unwrap() + 2);
        let seen = watch(&talk);
        assert_eq!(seen.count("> tools/call"), 2, "{side:?}: {:?}", seen.said());
        assert!(seen.count("< result") >= 2, "{side:?}: {:?}", seen.said());
        assert_eq!(seen.servers(), [SERVER], "{side:?}");
    }
}

fn one_side(side: Side, midstream: bool) -> Seen {
    bent(|talk| {
        if midstream {
            talk.segments.drain(..3);
        }
        talk.segments.retain(|segment| segment.side == side);
    })
}

/// R15, p18: one side of a connection only.
#[test]
fn one_side_only() {
    for midstream in [false, true] {
        let seen = one_side(Client, midstream);
        assert_eq!(seen.said(), ["> tools/call"; 3], "client, midstream {midstream}");
        assert_eq!(seen.servers(), [SERVER], "client, midstream {midstream}");
        // Bare results are JSON-RPC of any kind.
        let seen = one_side(Server, midstream);
        assert_eq!(seen.counter("mcp.messages"), 3, "server, midstream {midstream}");
        seen.assert_no_mcp("bare results");
    }
}

/// R15, p18: what a server says of itself proves MCP without the requests.
#[test]
fn server_side_only() {
    for skipped in [0, 3] {
        let mut talk = session();
        talk.segments.drain(..skipped);
        talk.segments.retain(|segment| segment.side == Server);
        let seen = watch(&talk);
        assert_eq!(seen.said(), ["< result"; 3], "skipped {skipped}");
        assert_eq!(seen.servers().len(), 1, "skipped {skipped}");
    }
}

/// R16, p20: packets that were not captured. The messages after them are found, the bytes counted.
#[test]
fn holes() {
    let big =
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":["{}"]}}}}"#, "x".repeat(5_000));
    for lost in [1, 2, 3] {
        let mut talk = Talk::open();
        talk.client(call(1));
        let from = talk.here();
        talk.server(super::text::reply(&big));
        talk.acknowledge(Client);
        talk.exchange(call(2), answer(2));
        talk.exchange(call(3), answer(3));
        talk.close();
        talk.segments.remove(from + lost);
        let seen = watch(&talk);
        let what = format!("response without its segment {lost}: {:?}", seen.said());
        assert_eq!(seen.count("> tools/call"), 3, "{what}");
        assert_eq!(seen.count("< result") + seen.count("< result partial"), 3, "{what}");
        assert!(seen.count("< result") >= 2, "{what}");
        assert_eq!(seen.coverage("gaps"), 1, "{what}");
        let bytes = if lost == 3 { super::text::reply(&big).len() as u64 - 3 * 1460 } else { 1460 };
        assert_eq!(seen.coverage("gap_bytes"), bytes, "{what}");
    }
}

/// R16: a hole where a message begins: the next one is found.
#[test]
fn hole_over_a_head() {
    for side in [Client, Server] {
        let mut talk = Talk::open();
        talk.exchange(call(1), answer(1));
        if side == Client {
            talk.lose(Client, call(2));
            talk.server(answer(2));
        } else {
            talk.client(call(2));
            talk.lose(Server, answer(2));
        }
        talk.exchange(call(3), answer(3));
        talk.exchange(call(4), answer(4));
        talk.close();
        let seen = watch(&talk);
        let lost = if side == Client { call(2) } else { answer(2) }.len() as u64;
        assert_eq!(seen.coverage("gap_bytes"), lost, "{side:?}");
        let (calls, results) = if side == Client { (3, 4) } else { (4, 3) };
        assert_eq!(seen.count("> tools/call"), calls, "{side:?}: {:?}", seen.said());
        assert_eq!(seen.count("< result"), results, "{side:?}: {:?}", seen.said());
    }
}

/// R17, p20: a hole inside a request: what came before it names the method, and is marked.
#[test]
fn hole_after_the_method() {
    let filler = "x".repeat(4_000);
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"t":"{filler}"}}}}}}"#
    );
    let mut talk = Talk::open();
    talk.client(post(&text));
    talk.server(answer(1));
    talk.acknowledge(Client);
    talk.exchange(call(2), answer(2));
    talk.close();
    talk.segments.remove(4);
    let seen = watch(&talk);
    let calls = seen.count("> tools/call partial") + seen.count("> tools/call");
    assert_eq!(calls, 2, "{:?}", seen.said());
    assert_eq!(seen.counter("mcp.messages"), 4, "{:?}", seen.said());
    assert_eq!(seen.coverage("gap_bytes"), 1460);
    assert_eq!(seen.servers(), [SERVER]);
}

/// R18: the mirror delivers an ACK before the data that it acknowledges.
#[test]
fn acknowledged_before_seen() {
    for late in [1, 2, 3] {
        let seen = bent(|talk| {
            for at in [3, 6, 9] {
                let segment = talk.segments.remove(at);
                talk.segments.insert(at + late, segment);
            }
            talk.retime();
        });
        let what = format!("{late} late: {:?}", seen.said());
        assert_eq!(seen.count("> tools/call"), 3, "{what}");
        assert_eq!(seen.counter("mcp.messages"), 6, "{what}");
        assert_eq!(seen.coverage("gaps"), 0, "{what}");
        assert_eq!(seen.servers(), [SERVER], "{what}");
    }
}

/// R19: ancient and far-off segments do not move anything.
#[test]
fn out_of_window() {
    for ahead in [0x3000_0000, 0x7fff_ffff, 0x8000_0000, 0xd000_0000_u32] {
        for side in [Client, Server] {
            let mut talk = Talk::open();
            talk.exchange(call(1), answer(1));
            let seq = talk.next[side as usize].wrapping_add(ahead);
            let ack = talk.next[side.other() as usize];
            talk.raw(side, seq, ack, PSH | ACK, &call(9));
            talk.exchange(call(2), answer(2));
            talk.close();
            let seen = watch(&talk);
            seen.assert_calls(&format!("{ahead:x} {side:?}"), 2);
            assert_eq!(seen.coverage("gap_bytes"), 0);
        }
    }
}

/// R20: the same ports again are a new connection, whether the first one was closed or not.
#[test]
fn port_reuse() {
    for (name, end) in [("closed", Some(FIN)), ("reset", Some(RST)), ("left open", None)] {
        let mut talk = Talk::open();
        talk.exchange(call(1), answer(1));
        match end {
            Some(FIN) => talk.close(),
            Some(_) => drop(talk.segment(Client, RST | ACK, b"").seq),
            None => {}
        }
        talk.wait(50);
        talk.next = [900_000_000, 2_000_000_000];
        talk.handshake();
        talk.exchange(call(2), answer(2));
        talk.close();
        let seen = watch(&talk);
        seen.assert_calls(name, 2);
        assert_eq!(seen.coverage("flows"), 2, "{name}");
        assert_eq!(seen.coverage("gaps"), 0, "{name}");
    }
}

/// Keep-alives, window probes of one byte, and pure window updates add nothing.
#[test]
fn probes_of_an_idle_peer() {
    let mut talk = Talk::open();
    talk.exchange(call(1), answer(1));
    for _ in 0..5 {
        talk.wait(30_000);
        let [client, server] = talk.next;
        talk.raw(Client, client - 1, server, ACK, b"");
        talk.raw(Server, server, client, ACK, b"").window = 0;
        talk.raw(Client, client - 1, server, ACK, b"\0");
        talk.raw(Server, server, client, ACK, b"");
        // A zero-window probe: the first byte that comes next. It is new once.
        talk.raw(Client, client, server, ACK, b"P");
        talk.raw(Server, server, client, ACK, b"").window = 0;
    }
    talk.exchange(call(2), answer(2));
    talk.close();
    let seen = watch(&talk);
    seen.assert_clean("probes", 2);
    assert!(seen.counter("flow.probes") >= 6);
}

/// R24, R25: half-open connections cost little and are counted.
#[test]
fn two_hundred_thousand_half_open_connections() {
    let mut packets: Vec<Timed> = Vec::new();
    for number in 0..200_000_u32 {
        let mut talk = Talk::new();
        let [_, b, c, d] = number.to_be_bytes();
        talk.client = std::net::SocketAddr::from(([11, b, c, d], 40_000));
        talk.now = i64::from(number) * 10;
        talk.segment(Client, SYN, b"");
        packets.extend(talk.packets());
    }
    let mut talk = calls(3);
    for segment in &mut talk.segments {
        segment.at += 1_000_000;
    }
    packets.extend(talk.packets());
    packets.sort_by_key(|packet| packet.at);
    let seen = look(&File::of(Link::Ethernet(Vec::new()), packets));
    seen.assert_calls("flood", 3);
    assert_eq!(seen.coverage("flows"), 200_001);
    assert_eq!(seen.coverage("evictions"), 0);
    assert_eq!(seen.counter("flow.max_buffered_bytes"), 0);
}

/// R28: whatever the number of threads, and on each repeat, the output is the same.
#[test]
fn any_number_of_threads() {
    let mut talks = Vec::new();
    for number in 0..40 {
        let mut talk = Talk::number(number);
        talk.now = i64::try_from(number).unwrap() * 700;
        talk.mss = 30 + number * 10;
        talk.handshake();
        say_calls(&mut talk, 1 + number % 4);
        if number % 5 == 1 {
            talk.segments.remove(6);
        }
        if number % 5 == 2 {
            talk.segments.swap(4, 6);
        }
        talks.push(talk);
    }
    let bytes = together(&talks).bytes();
    // The name of the file is part of the output.
    let strip = |seen: Seen| {
        let mut events = seen.events;
        for event in &mut events {
            strip_file(event);
        }
        events
    };
    let one = strip(replay(&bytes, &["--threads", "1"]));
    assert!(one.len() > 100);
    for threads in ["1", "2", "3", "4", "16"] {
        assert_eq!(strip(replay(&bytes, &["--threads", threads])), one, "{threads} threads");
    }
}

fn strip_file(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.remove("file");
            fields.values_mut().for_each(strip_file);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(strip_file),
        _ => {}
    }
}

/// R29: packet time counts, and an hour of silence is not yet the end of a connection.
#[test]
fn fifty_minutes_of_silence() {
    let mut talk = Talk::open();
    talk.exchange(call(1), answer(1));
    talk.wait(50 * 60_000);
    talk.exchange(call(2), answer(2));
    talk.close();
    let seen = watch(&talk);
    seen.assert_clean("silence", 2);
    assert_eq!(seen.coverage("flows"), 1);
}

/// R30: a clock that steps back or jumps by a year loses nothing.
#[test]
fn clock_steps() {
    let year = 365 * 86_400 * 1_000_000_i64;
    for (name, step) in [
        ("back by an hour", -3_600_000_000),
        ("ahead by a year", year),
        ("back by a year", -year),
        ("back to the epoch", -1_794_816_000_000_000),
    ] {
        let seen = bent(|talk| {
            for segment in &mut talk.segments[7..] {
                segment.at += step;
            }
        });
        seen.assert_clean(name, 3);
        assert_eq!(seen.coverage("flows"), 1, "{name}");
    }
}

/// R26: many holes, none of them filled: linear time, bounded memory, and the end is reached.
#[test]
fn many_holes() {
    let mut talk = Talk::open();
    talk.exchange(call(1), answer(1));
    let start = talk.next[0];
    for hole in 0..20_000_u32 {
        talk.raw(Client, start.wrapping_add(1 + hole * 100), 5_000_300, ACK, b"?");
    }
    let mut other = Talk::number(1);
    other.handshake();
    say_calls(&mut other, 2);
    let seen = look(&together(&[talk, other]));
    seen.assert_calls("holes", 1 + 2);
}

/// A capture that begins inside TLS connections: they are shed at the packet that shows it, whose
/// own bytes must not be left behind.
#[test]
fn midstream_tls() {
    let record = |len: usize| {
        let head = [0x17, 3, 3, u8::try_from(len >> 8).unwrap(), u8::try_from(len & 0xff).unwrap()];
        [&head[..], &vec![0xa5; len]].concat()
    };
    for (first, fin) in [(Client, true), (Server, true), (Client, false), (Server, false)] {
        let mut talk = Talk::new();
        talk.say(first, record(100));
        talk.lose(first.other(), record(200));
        for _ in 0..20 {
            talk.say(first.other(), record(300));
            talk.say(first, record(100));
            talk.say(first.other(), record(900));
            talk.wait(300);
        }
        if fin {
            talk.close();
        }
        let mut other = Talk::number(1);
        other.handshake();
        say_calls(&mut other, 2);
        let seen = look(&together(&[talk, other]));
        seen.assert_calls("beside TLS", 2);
        assert_eq!(seen.coverage("encrypted_flows"), 1);
        assert_eq!(seen.coverage("gap_bytes"), 0);
    }
}
