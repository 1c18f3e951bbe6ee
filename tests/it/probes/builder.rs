//! TCP conversations into packets, packets into capture files: by hand, so that every bit of them
//! can be wrong on purpose.

use std::net::{IpAddr, SocketAddr};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}
pub use Side::{Client, Server};

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Client => Server,
            Server => Client,
        }
    }
}

/// The checksum field of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    Right,
    Wrong,
    /// Left to the network card: the sum of the pseudo-header alone.
    Offloaded,
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub struct Segment {
    pub side: Side,
    pub seq: u32,
    /// Goes into the packet with the ACK flag only.
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub urgent: u16,
    /// A multiple of four bytes.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
    pub sum: Sum,
    /// Microseconds from the start of the capture.
    pub at: i64,
}

/// One TCP connection. What it says is appended to `segments`, which may then be bent.
#[derive(Clone, Debug)]
pub struct Talk {
    pub client: SocketAddr,
    pub server: SocketAddr,
    /// Payload bytes in a segment at most.
    pub mss: usize,
    /// Next sequence numbers, client's first.
    pub next: [u32; 2],
    /// Time of the next segment, microseconds.
    pub now: i64,
    pub segments: Vec<Segment>,
}

impl Talk {
    /// A connection that is not open yet.
    pub fn new() -> Self {
        Self::between("10.0.0.2:40000", "10.0.0.3:8080")
    }

    pub fn between(client: &str, server: &str) -> Self {
        Self {
            client: client.parse().unwrap(),
            server: server.parse().unwrap(),
            mss: 1460,
            next: [1_000_000, 5_000_000],
            now: 0,
            segments: Vec::new(),
        }
    }

    /// Client number `number` of many; not open yet.
    pub fn number(number: usize) -> Self {
        let mut talk = Self::new();
        talk.client.set_port(u16::try_from(10_000 + number).unwrap());
        talk.now = i64::try_from(number).unwrap() * 1_000_000;
        talk
    }

    /// An open connection.
    pub fn open() -> Self {
        let mut talk = Self::new();
        talk.handshake();
        talk
    }

    /// Numbers the packet that was added last, from 1.
    pub fn here(&self) -> usize {
        self.segments.len()
    }

    fn next(&mut self, side: Side) -> &mut u32 {
        &mut self.next[side as usize]
    }

    /// A segment as the side would send it now; sequence numbers move on.
    pub fn segment(&mut self, side: Side, flags: u8, payload: &[u8]) -> &mut Segment {
        let ack = *self.next(side.other());
        let len = u32::try_from(payload.len()).unwrap();
        let ends = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let next = self.next(side);
        let seq = *next;
        *next = seq.wrapping_add(len + ends);
        self.raw(side, seq, ack, flags, payload)
    }

    /// A segment with these numbers; the connection does not move on.
    pub fn raw(
        &mut self,
        side: Side,
        seq: u32,
        ack: u32,
        flags: u8,
        payload: &[u8],
    ) -> &mut Segment {
        let (options, payload) = (Vec::new(), payload.to_vec());
        let (at, window, urgent, sum) = (self.now, 64_000, 0, Sum::Right);
        self.now += 1_000;
        let segment = Segment { side, seq, ack, flags, window, urgent, options, payload, sum, at };
        self.segments.push(segment);
        self.segments.last_mut().unwrap()
    }

    pub fn handshake(&mut self) {
        self.segment(Client, SYN, b"");
        self.segment(Server, SYN | ACK, b"");
        self.segment(Client, ACK, b"");
    }

    /// Bytes in segments of at most `mss`, each with an ACK of all that came.
    pub fn say(&mut self, side: Side, bytes: impl AsRef<[u8]>) {
        for piece in bytes.as_ref().chunks(self.mss) {
            self.segment(side, PSH | ACK, piece);
        }
    }

    /// A pure ACK.
    pub fn acknowledge(&mut self, side: Side) {
        self.segment(side, ACK, b"");
    }

    pub fn client(&mut self, bytes: impl AsRef<[u8]>) {
        self.say(Client, bytes);
    }

    pub fn server(&mut self, bytes: impl AsRef<[u8]>) {
        self.say(Server, bytes);
    }

    /// A request and its response, each acknowledged.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>, response: impl AsRef<[u8]>) {
        self.client(request);
        self.server(response);
        self.acknowledge(Client);
    }

    /// Bytes of a side that are sent but not captured.
    pub fn lose(&mut self, side: Side, bytes: impl AsRef<[u8]>) {
        let len = u32::try_from(bytes.as_ref().len()).unwrap();
        let next = self.next(side);
        *next = next.wrapping_add(len);
        self.now += 1_000;
    }

    pub fn close(&mut self) {
        self.segment(Client, FIN | ACK, b"");
        self.segment(Server, FIN | ACK, b"");
        self.segment(Client, ACK, b"");
    }

    pub fn wait(&mut self, millis: i64) {
        self.now += millis * 1_000;
    }

    /// Spreads the segments over time again, in the order they are in now.
    pub fn retime(&mut self) {
        let start = self.segments.iter().map(|segment| segment.at).min().unwrap_or(0);
        for (at, segment) in (start..).step_by(1_000).zip(&mut self.segments) {
            segment.at = at;
        }
    }

    pub fn both(&self, segment: &Segment) -> (SocketAddr, SocketAddr) {
        match segment.side {
            Client => (self.client, self.server),
            Server => (self.server, self.client),
        }
    }

    /// The IP packets.
    pub fn packets(&self) -> Vec<Timed> {
        let packet = |segment: &Segment| Timed { at: segment.at, bytes: self.packet(segment) };
        self.segments.iter().map(packet).collect()
    }

    fn packet(&self, segment: &Segment) -> Vec<u8> {
        let (src, dst) = self.both(segment);
        let tcp = tcp(src, dst, segment);
        match (src.ip(), dst.ip()) {
            (IpAddr::V4(_), IpAddr::V4(_)) => ipv4(src.ip(), dst.ip(), 6, &tcp),
            _ => ipv6(src.ip(), dst.ip(), &[], &tcp),
        }
    }

    /// The packets in an Ethernet capture.
    pub fn file(&self) -> File {
        File::of(Link::Ethernet(Vec::new()), self.packets())
    }
}

/// Several connections in one Ethernet capture, by time.
pub fn together(talks: &[Talk]) -> File {
    let mut packets: Vec<_> = talks.iter().flat_map(Talk::packets).collect();
    packets.sort_by_key(|packet| packet.at);
    File::of(Link::Ethernet(Vec::new()), packets)
}

/// Bytes and when they were seen, in microseconds.
#[derive(Clone, Debug)]
pub struct Timed {
    pub at: i64,
    pub bytes: Vec<u8>,
}

fn address(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// RFC 1071.
fn ones_sum(bytes: &[u8]) -> u32 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

fn checksum(bytes: &[u8]) -> u16 {
    !u16::try_from(ones_sum(bytes)).unwrap()
}

fn pseudo_header(src: IpAddr, dst: IpAddr, len: usize) -> Vec<u8> {
    let mut pseudo = [address(src), address(dst)].concat();
    if src.is_ipv4() {
        pseudo.extend([0, 6]);
        pseudo.extend(u16::try_from(len).unwrap().to_be_bytes());
    } else {
        pseudo.extend(u32::try_from(len).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, 6]);
    }
    pseudo
}

fn tcp(src: SocketAddr, dst: SocketAddr, segment: &Segment) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(src.port().to_be_bytes());
    tcp.extend(dst.port().to_be_bytes());
    tcp.extend(segment.seq.to_be_bytes());
    let ack = if segment.flags & ACK == 0 { 0 } else { segment.ack };
    tcp.extend(ack.to_be_bytes());
    tcp.push(u8::try_from(5 + segment.options.len() / 4).unwrap() << 4);
    tcp.push(segment.flags);
    tcp.extend(segment.window.to_be_bytes());
    tcp.extend([0, 0]);
    tcp.extend(segment.urgent.to_be_bytes());
    tcp.extend(&segment.options);
    tcp.extend(&segment.payload);
    let pseudo = pseudo_header(src.ip(), dst.ip(), tcp.len());
    let sum = match segment.sum {
        Sum::Right => checksum(&[pseudo, tcp.clone()].concat()),
        Sum::Wrong => checksum(&[pseudo, tcp.clone()].concat()) ^ 0x5a5a,
        Sum::Offloaded => !checksum(&pseudo),
    };
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    tcp
}

pub fn ipv4(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut ip = vec![0x45, 0, len[0], len[1], 0x12, 0x34, 0, 0, 64, protocol, 0, 0];
    ip.extend(address(src));
    ip.extend(address(dst));
    seal_ipv4(&mut ip);
    ip.extend(payload);
    ip
}

/// Computes the header checksum anew.
pub fn seal_ipv4(ip: &mut [u8]) {
    ip[10..12].fill(0);
    let sum = checksum(&ip[..20]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// `extensions` are types and bodies without their first two bytes, padded here.
pub fn ipv6(src: IpAddr, dst: IpAddr, extensions: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut chain = Vec::new();
    for (index, (_, body)) in extensions.iter().enumerate() {
        let next = extensions.get(index + 1).map_or(6, |(kind, _)| *kind);
        let total = (body.len() + 2).next_multiple_of(8);
        chain.extend([next, u8::try_from(total / 8 - 1).unwrap()]);
        chain.extend(*body);
        chain.resize(chain.len() + total - 2 - body.len(), 0);
    }
    let first = extensions.first().map_or(6, |(kind, _)| *kind);
    let len = u16::try_from(chain.len() + payload.len()).unwrap();
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend(len.to_be_bytes());
    ip.extend([first, 64]);
    ip.extend(address(src));
    ip.extend(address(dst));
    ip.extend(chain);
    ip.extend(payload);
    ip
}

/// Fragments of an IP packet with `size` bytes of payload each (a multiple of eight).
pub fn fragments(packet: &Timed, id: u16, size: usize) -> Vec<Timed> {
    let ip = &packet.bytes;
    let header = if ip[0] >> 4 == 4 { 20 } else { 40 };
    let pieces = ip[header..].chunks(size).enumerate();
    let count = (ip.len() - header).div_ceil(size);
    let fragment = |(index, piece): (usize, &[u8])| {
        let offset = u16::try_from(index * size).unwrap();
        let more = u16::from(index + 1 < count);
        let mut bytes = ip[..header].to_vec();
        if header == 20 {
            bytes[2..4].copy_from_slice(&u16::try_from(20 + piece.len()).unwrap().to_be_bytes());
            bytes[4..6].copy_from_slice(&id.to_be_bytes());
            bytes[6..8].copy_from_slice(&((offset / 8) | (more << 13)).to_be_bytes());
            seal_ipv4(&mut bytes);
        } else {
            bytes[4..6].copy_from_slice(&u16::try_from(8 + piece.len()).unwrap().to_be_bytes());
            bytes[6] = 44;
            bytes.extend([6, 0]);
            bytes.extend((offset | more).to_be_bytes());
            bytes.extend(u32::from(id).to_be_bytes());
        }
        bytes.extend(piece);
        Timed { at: packet.at, bytes }
    };
    pieces.map(fragment).collect()
}

/// Link layers.
#[derive(Clone, Debug)]
pub enum Link {
    /// With VLAN tags, outermost first: ethertype and VLAN.
    Ethernet(Vec<(u16, u16)>),
    Sll,
    Sll2,
    /// 101.
    Raw,
    /// 228.
    Ipv4,
    /// 229.
    Ipv6,
    /// In the byte order of the file.
    Null,
    /// 108.
    Loop,
}

impl Link {
    const fn number(&self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Ethernet(_) => 1,
            Self::Raw => 101,
            Self::Loop => 108,
            Self::Sll => 113,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::Sll2 => 276,
        }
    }

    pub fn frame(&self, ip: &[u8], big_endian: bool) -> Vec<u8> {
        let is_v4 = ip[0] >> 4 == 4;
        let ethertype = if is_v4 { 0x0800_u16 } else { 0x86dd };
        let family = if is_v4 { 2_u32 } else { 30 };
        let mut frame = Vec::new();
        match self {
            Self::Ethernet(tags) => {
                frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
                for (kind, vlan) in tags {
                    frame.extend(kind.to_be_bytes());
                    frame.extend(vlan.to_be_bytes());
                }
                frame.extend(ethertype.to_be_bytes());
            }
            Self::Sll => {
                frame.extend([0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0]);
                frame.extend(ethertype.to_be_bytes());
            }
            Self::Sll2 => {
                frame.extend(ethertype.to_be_bytes());
                frame.extend([0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0]);
            }
            Self::Null if !big_endian => frame.extend(family.to_le_bytes()),
            Self::Null | Self::Loop => frame.extend(family.to_be_bytes()),
            Self::Raw | Self::Ipv4 | Self::Ipv6 => {}
        }
        frame.extend(ip);
        frame
    }
}

/// A capture file.
#[derive(Clone, Debug)]
pub struct File {
    pub link: Link,
    pub big_endian: bool,
    pub nanos: bool,
    pub pcapng: bool,
    pub snaplen: usize,
    /// Link-layer frames.
    pub frames: Vec<Timed>,
}

/// The first packet's time: 2026-11-16T08:00:00Z, in microseconds.
const START: i64 = 1_794_816_000_000_000;

impl File {
    pub fn of(link: Link, packets: Vec<Timed>) -> Self {
        let frame = |ip: Timed| Timed { at: ip.at, bytes: link.frame(&ip.bytes, false) };
        let frames = packets.into_iter().map(frame).collect();
        let (big_endian, nanos, pcapng, snaplen) = (false, false, false, 262_144);
        Self { link, big_endian, nanos, pcapng, snaplen, frames }
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(&self, value: usize) -> [u8; 4] {
        let value = u32::try_from(value).unwrap();
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = if self.pcapng { self.ng_header() } else { self.header() };
        for frame in &self.frames {
            out.extend(if self.pcapng { self.ng_record(frame) } else { self.record(frame) });
        }
        out
    }

    fn header(&self) -> Vec<u8> {
        let magic = if self.nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut out = self.u32(magic).to_vec();
        out.extend(self.u16(2));
        out.extend(self.u16(4));
        out.extend([0; 8]);
        out.extend(self.u32(self.snaplen));
        out.extend(self.u32(self.link.number() as usize));
        out
    }

    fn record(&self, frame: &Timed) -> Vec<u8> {
        let micros = START + frame.at;
        let part = usize::try_from(micros % 1_000_000).unwrap();
        let captured = frame.bytes.len().min(self.snaplen);
        let mut out = self.u32(usize::try_from(micros / 1_000_000).unwrap()).to_vec();
        out.extend(self.u32(if self.nanos { part * 1_000 } else { part }));
        out.extend(self.u32(captured));
        out.extend(self.u32(frame.bytes.len()));
        out.extend(&frame.bytes[..captured]);
        out
    }

    fn block(&self, kind: usize, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let mut out = self.u32(kind).to_vec();
        out.extend(self.u32(padded + 12));
        out.extend(body);
        out.resize(8 + padded, 0);
        out.extend(self.u32(padded + 12));
        out
    }

    fn ng_header(&self) -> Vec<u8> {
        let mut section = self.u32(0x1a2b_3c4d).to_vec();
        section.extend(self.u16(1));
        section.extend(self.u16(0));
        section.extend([0xff; 8]);
        let mut interface = self.u16(u16::try_from(self.link.number()).unwrap()).to_vec();
        interface.extend([0, 0]);
        interface.extend(self.u32(self.snaplen));
        if self.nanos {
            interface.extend(self.u16(9)); // if_tsresol
            interface.extend(self.u16(1));
            interface.extend([9, 0, 0, 0]);
            interface.extend([0; 4]);
        }
        [self.block(0x0a0d_0d0a, &section), self.block(1, &interface)].concat()
    }

    fn ng_record(&self, frame: &Timed) -> Vec<u8> {
        let micros = u64::try_from(START + frame.at).unwrap();
        let ticks = if self.nanos { micros * 1_000 } else { micros };
        let captured = frame.bytes.len().min(self.snaplen);
        let mut body = self.u32(0).to_vec();
        body.extend(self.u32(usize::try_from(ticks >> 32).unwrap()));
        body.extend(self.u32(usize::try_from(ticks & 0xffff_ffff).unwrap()));
        body.extend(self.u32(captured));
        body.extend(self.u32(frame.bytes.len()));
        body.extend(&frame.bytes[..captured]);
        self.block(6, &body)
    }
}
