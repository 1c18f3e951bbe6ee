//! Tests of the whole decoder on frames built byte by byte or by etherparse.

mod fragments;
mod frames;
mod properties;
mod tunnels;
mod udp;
mod wraps;

use super::*;
use crate::capture::{LinkType, Packet};
use etherparse::{IpNumber, Ipv4Header, Ipv6Header, TcpHeader};

/// A packet captured whole.
fn packet(link: LinkType, bytes: &[u8]) -> Packet<'_> {
    let wire_len = u32::try_from(bytes.len()).unwrap();
    Packet { index: 0, time: Timestamp::EPOCH, link, bytes, wire_len }
}

/// What a fresh decoder makes of one frame: the header and a copy of the payload, or the reason.
fn decode_one(packet: &Packet<'_>) -> Result<(SegmentHeader, Vec<u8>), Skip> {
    match Decoder::default().push(packet) {
        Decoded::Segment(segment) => Ok((segment.header, segment.payload.to_vec())),
        Decoded::Skipped(skip) => Err(skip),
        Decoded::Datagram(_) => panic!("UDP"),
        Decoded::Fragment => panic!("fragment"),
    }
}

const SRC4: [u8; 4] = [192, 0, 2, 1];
const DST4: [u8; 4] = [198, 51, 100, 2];
const SRC6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const DST6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// A TCP segment with a valid checksum, without IP.
fn tcp(v6: bool, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut header = TcpHeader::new(40_000, 80, 0x0102_0304, 0x1122);
    header.acknowledgment_number = 0x0506_0708;
    (header.ack, header.psh) = (true, true);
    header.set_options_raw(options).unwrap();
    header.checksum = if v6 {
        header.calc_checksum_ipv6_raw(SRC6, DST6, payload).unwrap()
    } else {
        header.calc_checksum_ipv4_raw(SRC4, DST4, payload).unwrap()
    };
    [&header.to_bytes()[..], payload].concat()
}

/// An IPv4 packet around `payload`.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    let mut header = Ipv4Header::new(len, 64, IpNumber(protocol), SRC4, DST4).unwrap();
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], payload].concat()
}

/// An IPv6 packet around `payload`.
fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: u16::try_from(payload.len()).unwrap(),
        next_header: IpNumber(protocol),
        hop_limit: 64,
        source: SRC6,
        destination: DST6,
        ..Ipv6Header::default()
    };
    [&header.to_bytes()[..], payload].concat()
}

/// An Ethernet frame around `payload`.
fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12], &kind.to_be_bytes()[..], payload].concat()
}

fn ipv4_frame(payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(6, &tcp(false, &[], payload)))
}

fn ipv6_frame(payload: &[u8]) -> Vec<u8> {
    ethernet(0x86dd, &ipv6(6, &tcp(true, &[], payload)))
}
