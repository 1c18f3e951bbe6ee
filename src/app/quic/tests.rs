use std::time::Duration;

use proptest::prelude::*;

use super::make::{Plan, crypto, push_varint};
use super::*;
use crate::app::tls::handshake::ClientHello;
use crate::exchange::Carrier;
use crate::net::{Endpoint, Scope};
use crate::time::Timestamp;
use keys::Keys;
use packet::{Packets, Version};

/// CRYPTO frame of the client's Initial packet (RFC 9001 and RFC 9369, appendix A.2).
const HELLO_FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868\
    04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578\
    616d706c652e636f6dff01000100000a00080006001d00170018001000070005\
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fba\
    baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400\
    0d0010000e0403050306030203080408050806002d00020101001c0002400100\
    3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000\
    75300901100f088394c8f03e51570806048000ffff";
/// Destination connection id of all vectors.
const ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// Version, unprotected header, start and end of the protected packet (appendix A.2).
const CLIENT_INITIALS: [(Version, &str, &str, &str); 2] = [
    (
        Version::V1,
        "c300000001088394c8f03e5157080000449e00000002",
        "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
        "e221af44860018ab0856972e194cd934",
    ),
    (
        Version::V2,
        "d36b3343cf088394c8f03e5157080000449e00000002",
        "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
        "a18b2faa745b6fe189cf772a9f84cbfc",
    ),
];

/// The server's Initial packets (appendix A.3).
const SERVER_INITIALS: [(Version, &str); 2] = [
    (
        Version::V1,
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a\
         5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3\
         dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84\
         022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4\
         2158407dd074ee",
    ),
    (
        Version::V2,
        "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698\
         baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17\
         f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2\
         c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8\
         4bed8521e2e140",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(byte).collect()
}

fn client() -> Endpoint {
    Endpoint::new("192.0.2.1".parse().unwrap(), 50_000)
}

fn server() -> Endpoint {
    Endpoint::new("198.51.100.1".parse().unwrap(), 443)
}

fn flows() -> Flows {
    Flows::new(Limits::default())
}

fn from_client(flows: &mut Flows, datagram: &[u8]) -> Option<ClientHello> {
    flows.datagram((client(), server()), Scope(0), Timestamp::EPOCH, datagram)
}

fn from_server(flows: &mut Flows, datagram: &[u8]) -> Option<ClientHello> {
    flows.datagram((server(), client()), Scope(0), Timestamp::EPOCH, datagram)
}

/// The ClientHello of the vectors, with its handshake header; `mark` is its `random`.
fn hello(mark: u8) -> Vec<u8> {
    let mut message = bytes(HELLO_FRAME).split_off(4);
    message[6..38].fill(mark);
    message
}

fn sealed(id: &[u8], keys_id: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
    let keys = Keys::of_client(Version::V1, keys_id).unwrap();
    Plan { number, ..Plan::new(Version::V1, id) }.packet(&keys, frames)
}

/// A client's packet with the whole ClientHello.
pub(in crate::app) fn sample_initial() -> Vec<u8> {
    sealed(&ID, &ID, 0, &crypto(0, &hello(1)))
}

/// A Handshake packet: nothing of it can be read.
fn handshake(id: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xe0, 0, 0, 0, 1, u8::try_from(id.len()).unwrap()];
    packet.extend(id);
    packet.push(0);
    push_varint(&mut packet, 40);
    packet.extend([0x55; 40]);
    packet
}

#[test]
fn client_packets_of_the_rfcs_come_out() {
    for (version, header, start, end) in CLIENT_INITIALS {
        let header = bytes(header);
        let mut plain = [header.clone(), bytes(HELLO_FRAME)].concat();
        plain.resize(header.len() + 1162, 0);
        let keys = Keys::of_client(version, &ID).unwrap();
        let packet = keys.seal(plain, header.len() - 4, 2);
        // The last 16 bytes authenticate all the others.
        assert!(packet.starts_with(&bytes(start)) && packet.ends_with(&bytes(end)));
        assert_eq!(packet.len(), 1200);

        let hello = from_client(&mut flows(), &packet).unwrap().summary(Carrier::Quic);
        assert_eq!(hello.sni.as_deref(), Some("example.com"));
        assert_eq!(hello.alpn, ["alpn"]);
        assert_eq!(hello.versions, [0x0304]);
        assert!(hello.ja4.starts_with("q13d0211an_"), "{}", hello.ja4);
    }
}

#[test]
fn server_packets_of_the_rfcs_open_with_the_servers_keys_only() {
    for (version, packet) in SERVER_INITIALS {
        let packet = bytes(packet);
        let initial = Packets(&packet).next().unwrap();
        let mut scratch = Vec::new();
        let mut keys = Keys::of_server(version, &ID).unwrap();
        let frames = keys.open(initial.bytes, initial.number_at, &mut scratch).unwrap();
        assert_eq!(frames[..10], [2, 0, 0, 0, 0, 6, 0, 0x40, 0x5a, 2]);
        let mut found = Vec::new();
        frame::each_crypto(frames, |offset, data| found.push((offset, data.len())));
        assert_eq!(found, [(0, 0x5a)]);
        let mut keys = Keys::of_client(version, &ID).unwrap();
        assert!(keys.open(initial.bytes, initial.number_at, &mut scratch).is_none());
        assert_eq!(from_server(&mut flows(), &packet), None);
    }
}

#[test]
fn scattered_frames_in_several_packets_and_datagrams_make_one_hello() {
    let message = hello(1);
    let piece = |start: usize, end: usize| crypto(start, &message[start..end]);
    // ACK of two ranges, with and without ECN; PING; PADDING.
    let ack = [2, 5, 0, 1, 0, 0, 1, 3, 5, 0, 0, 1, 1, 2, 3];
    let first = [&piece(200, 241)[..], &[1, 0, 0], &piece(40, 60)].concat();
    let second = [&ack[..], &piece(100, 210), &piece(59, 101)].concat();
    let third = [&[0; 20][..], &piece(0, 41)].concat();
    let mut flows = flows();
    assert_eq!(from_client(&mut flows, &sealed(&ID, &ID, 0, &first)), None);
    let coalesced = [handshake(&ID), sealed(&ID, &ID, 1, &second), handshake(&ID)].concat();
    assert_eq!(from_client(&mut flows, &coalesced), None);
    let found = from_client(&mut flows, &sealed(&ID, &ID, 2, &third)).unwrap();
    assert_eq!(found.sni.as_deref(), Some("example.com"));
    assert_eq!(found.random, [1; 32]);
    // What is sent once more tells nothing new.
    assert_eq!(from_client(&mut flows, &sealed(&ID, &ID, 3, &crypto(0, &message))), None);
    assert_eq!(flows.len(), 1);
}

#[test]
fn the_whole_hello_may_come_coalesced() {
    let message = hello(1);
    let (left, right) = message.split_at(77);
    let datagram =
        [sealed(&ID, &ID, 0, &crypto(77, right)), sealed(&ID, &ID, 1, &crypto(0, left))].concat();
    assert!(from_client(&mut flows(), &datagram).is_some());
}

#[test]
fn the_servers_connection_id_changes_no_keys() {
    let message = hello(1);
    let mut flows = flows();
    let first = sealed(&ID, &ID, 0, &crypto(0, &message[..100]));
    assert_eq!(from_client(&mut flows, &first), None);
    assert_eq!(from_server(&mut flows, &bytes(SERVER_INITIALS[0].1)), None);
    let second = sealed(b"srv-id", &ID, 1, &crypto(100, &message[100..]));
    assert!(from_client(&mut flows, &second).is_some());
}

#[test]
fn a_retry_changes_the_keys() {
    let message = hello(1);
    let retry = |id: &[u8]| {
        let mut packet = vec![0xf0, 0, 0, 0, 1, 0, u8::try_from(id.len()).unwrap()];
        packet.extend(id);
        packet.extend([0x77; 60]);
        packet
    };
    let keys = Keys::of_client(Version::V1, b"retry-id").unwrap();
    let plan = Plan { token: b"token", number: 1, ..Plan::new(Version::V1, b"retry-id") };
    let again = plan.packet(&keys, &crypto(0, &message));

    let mut flows = flows();
    assert_eq!(from_client(&mut flows, &sealed(&ID, &ID, 0, &crypto(0, &message[..50]))), None);
    assert_eq!(from_server(&mut flows, &retry(b"retry-id")), None);
    assert!(from_client(&mut flows, &again).is_some());

    // The hello was whole before: the same one is not told again.
    let mut flows = self::flows();
    assert!(from_client(&mut flows, &sealed(&ID, &ID, 0, &crypto(0, &message))).is_some());
    assert_eq!(from_server(&mut flows, &retry(b"retry-id")), None);
    assert_eq!(from_client(&mut flows, &again), None);
}

#[test]
fn another_connection_between_the_same_ports_is_told() {
    let mut flows = flows();
    for mark in 1..20_u8 {
        let id = [mark; 8];
        let packet = sealed(&id, &id, 0, &crypto(0, &hello(mark)));
        assert_eq!(from_client(&mut flows, &packet).unwrap().random, [mark; 32]);
    }
    assert_eq!(flows.len(), 1);
}

#[test]
fn a_server_that_comes_first_does_not_hide_the_client() {
    let mut flows = flows();
    let keys = Keys::of_server(Version::V1, &ID).unwrap();
    let packet = Plan::new(Version::V1, b"client-id").packet(&keys, &crypto(0, &[2, 0, 0, 0]));
    for _ in 0..3 {
        assert_eq!(from_server(&mut flows, &packet), None);
    }
    assert!(from_client(&mut flows, &sealed(&ID, &ID, 0, &crypto(0, &hello(1)))).is_some());
}

#[test]
fn packets_of_unknown_keys_are_tried_a_few_times_only() {
    let mut flows = flows();
    let lost = sealed(b"server-id", &ID, 5, &crypto(100, b"rest of it"));
    for _ in 0..4 {
        assert_eq!(from_client(&mut flows, &lost), None);
    }
    assert_eq!(from_client(&mut flows, &sealed(&ID, &ID, 0, &crypto(0, &hello(1)))), None);
}

#[test]
fn other_first_messages_end_the_reading() {
    let mut flows = flows();
    assert_eq!(from_client(&mut flows, &sealed(&ID, &ID, 0, &crypto(0, &[2, 0, 0, 1]))), None);
    assert_eq!(from_client(&mut flows, &sealed(&ID, &ID, 1, &crypto(0, &hello(1)))), None);
}

#[test]
fn handshakes_are_bounded_in_number_and_time() {
    let message = hello(1);
    let first = sealed(&ID, &ID, 0, &crypto(0, &message[..100]));
    let second = sealed(&ID, &ID, 1, &crypto(100, &message[100..]));
    let at = |port: u16| Endpoint { port, ..client() };
    let mut flows = Flows::new(Limits { max_handshakes: 10, ..Limits::default() });
    let mut push = |port, seconds: i64, packet: &[u8]| {
        let time = Timestamp::from_parts(seconds, 0);
        let found = flows.datagram((at(port), server()), Scope(0), time, packet).is_some();
        (found, flows.len())
    };
    for port in 1..=30 {
        assert!(!push(port, 0, &first).0);
    }
    assert_eq!(push(21, 0, &second), (true, 10));
    // The oldest gave way, and its rest is one more flow of which nothing is known.
    assert_eq!(push(20, 0, &second), (false, 10));
    // Too late.
    assert_eq!(push(30, 10, &second), (false, 1));
    assert_eq!(Limits::default().max_age, Duration::from_secs(10));
}

#[test]
fn scopes_and_ports_keep_flows_apart() {
    let message = hello(1);
    let first = sealed(&ID, &ID, 0, &crypto(0, &message[..100]));
    let second = sealed(&ID, &ID, 1, &crypto(100, &message[100..]));
    let mut flows = flows();
    let mut push = |scope, packet: &[u8]| {
        flows.datagram((client(), server()), Scope(scope), Timestamp::EPOCH, packet).is_some()
    };
    assert!(!push(1, &first) && !push(2, &second) && push(1, &second));
}

#[test]
fn what_is_not_an_initial_packet_leaves_no_trace() {
    let mut version = sealed(&ID, &ID, 0, &crypto(0, &hello(1)));
    version[4] = 0;
    let mut other = version.clone();
    other[4] = 9;
    let mut long_id = version.clone();
    (long_id[4], long_id[5]) = (1, 21);
    let short = [&[0x41][..], &[7; 60]].concat();
    let cases: [&[u8]; 8] =
        [b"", b"\xc0", b"\xc0\0\0\0\x01", &version, &other, &long_id, &short, &handshake(&ID)];
    let mut flows = flows();
    for case in cases {
        assert_eq!(from_client(&mut flows, case), None, "{case:x?}");
        assert_eq!(flows.len(), 0, "{case:x?}");
    }
}

#[test]
fn cut_and_changed_packets_are_not_read() {
    let packet = sealed(&ID, &ID, 0, &crypto(0, &hello(1)));
    for at in 0..packet.len() {
        assert_eq!(from_client(&mut flows(), &packet[..at]), None, "{at}");
        let mut changed = packet.clone();
        changed[at] ^= 0x40;
        // The fixed bit is protected too.
        assert_eq!(from_client(&mut flows(), &changed), None, "{at}");
    }
    // What follows the packet is another one.
    assert!(from_client(&mut flows(), &[&packet[..], b"\0\0"].concat()).is_some());
}

#[test]
fn a_frame_that_has_no_place_ends_a_packet() {
    let message = hello(1);
    for (between, read) in [(&[1, 0][..], true), (&[0x1c, 0], false), (&[8], false)] {
        let frames = [between, &crypto(0, &message)].concat();
        let found = from_client(&mut flows(), &sealed(&ID, &ID, 0, &frames));
        assert_eq!(found.is_some(), read, "{between:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz(&data);
    }

    #[test]
    fn hellos_come_out_of_any_scattering(step: u8, turn: u8, mark: u8) {
        let body = &hello(mark)[4..];
        fuzz(&[&[step, turn], body].concat());
    }
}
