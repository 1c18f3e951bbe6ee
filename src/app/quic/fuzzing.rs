//! Arbitrary bytes as datagrams, and as frames inside the encryption.

use std::net::{IpAddr, Ipv4Addr};

use super::flows::{Flows, Limits};
use super::keys::Keys;
use super::make::{Plan, crypto};
use super::packet::Version;
use crate::app::tls::handshake::client_hello;
use crate::net::{Endpoint, Scope};
use crate::time::Timestamp;

const CLIENT: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 50_000);
const SERVER: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 443);

/// Feeds `data` as datagrams. One byte of each says what it is, the next two its length: bytes as
/// they are, frames to encrypt (for one of two connections, versions and ends, coalesced with the
/// one before or not), or a jump in time.
pub(in crate::app) fn fuzz(data: &[u8]) {
    scattered(data);
    let mut flows = Flows::new(Limits { max_handshakes: 3, ..Limits::default() });
    let (mut rest, mut time, mut number) = (data, 0_i64, 0);
    let mut before = Vec::new();
    while let [kind, high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high & 7, *low]));
        let (bytes, tail) = tail.split_at(len.min(tail.len()));
        rest = tail;
        time += i64::from(*high >> 3) * 1_000_000_000;
        let from_client = kind & 1 == 0;
        let datagram = if kind & 2 == 0 {
            bytes.to_vec()
        } else {
            let version = if kind & 4 == 0 { Version::V1 } else { Version::V2 };
            let id = if kind & 8 == 0 { b"one id, " } else { b"other id" };
            let keys = if from_client { Keys::of_client } else { Keys::of_server }(version, id);
            number += 1;
            let plan = Plan { number, number_len: (kind >> 6) + 1, ..Plan::new(version, id) };
            keys.map(|keys| plan.packet(&keys, bytes)).unwrap_or_default()
        };
        let port = 50_000 + u16::from((kind >> 5) & 1);
        let client = Endpoint { port, ..CLIENT };
        let ends = if from_client { (client, SERVER) } else { (SERVER, client) };
        before = if kind & 16 == 0 { datagram } else { [before, datagram].concat() };
        before.truncate(1 << 16);
        let now = Timestamp::from_nanos(time);
        let _hello = flows.datagram(ends, Scope(0), now, &before);
        assert!(flows.len() <= 3);
    }
}

/// `data` as the body of a ClientHello, cut into frames that come in any order: it must be read as
/// it is when whole.
fn scattered(data: &[u8]) {
    let [step, turn, body @ ..] = data else { return };
    let body = body.get(..4000).unwrap_or(body);
    let len = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    let message = [&[1], len.get(1..).unwrap_or_default(), body].concat();
    let step = usize::from(*step).max(20);
    let mut frames: Vec<Vec<u8>> = message
        .chunks(step)
        .enumerate()
        .map(|(index, piece)| crypto(index * step, piece))
        .collect();
    let turn = usize::from(*turn) % frames.len().max(1);
    frames.rotate_left(turn);
    let Some(keys) = Keys::of_client(Version::V1, b"12345678") else { return };
    let mut flows = Flows::new(Limits::default());
    let mut found = None;
    for (number, frames) in (0_u32..).zip(frames.chunks(3)) {
        let plan = Plan { number, ..Plan::new(Version::V1, b"12345678") };
        let packet = plan.packet(&keys, &frames.concat());
        let hello = flows.datagram((CLIENT, SERVER), Scope(0), Timestamp::EPOCH, &packet);
        assert!(found.is_none() || hello.is_none());
        found = found.or(hello);
    }
    assert_eq!(found, client_hello(body));
}
