//! Hand-built captures for tests.

use std::io::Write;

use super::LinkType;
use super::framing::Order;
use crate::time::Timestamp;

/// What a reader should give for one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) time: Timestamp,
    pub(super) link: LinkType,
    pub(super) bytes: Vec<u8>,
    pub(super) wire_len: u32,
}

/// A capture, with what is in it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Offsets at which a record or block ends: a file cut there is whole.
    pub(super) borders: Vec<usize>,
    /// Each packet, with the offset at which its record ends.
    pub(super) frames: Vec<(usize, Frame)>,
    order: Order,
}

impl Sample {
    fn new(name: &'static str, order: Order) -> Self {
        Self { name, bytes: Vec::new(), borders: Vec::new(), frames: Vec::new(), order }
    }

    fn u16(order: Order, value: u16) -> [u8; 2] {
        if order == Order::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    fn u32(order: Order, value: u32) -> [u8; 4] {
        if order == Order::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    fn put16(mut self, values: &[u16]) -> Self {
        for value in values {
            self.bytes.extend_from_slice(&Self::u16(self.order, *value));
        }
        self
    }

    fn put32(mut self, values: &[u32]) -> Self {
        for value in values {
            self.bytes.extend_from_slice(&Self::u32(self.order, *value));
        }
        self
    }

    fn put(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn border(mut self) -> Self {
        self.borders.push(self.bytes.len());
        self
    }

    fn frame(mut self, nanos: i64, link: u16, bytes: &[u8], wire_len: u32) -> Self {
        let (time, link) = (Timestamp::from_nanos(nanos), LinkType(link));
        let frame = Frame { time, link, bytes: bytes.to_vec(), wire_len };
        self.frames.push((self.bytes.len(), frame));
        self.border()
    }

    /// A pcap file header.
    pub(super) fn pcap(name: &'static str, order: Order, magic: u32, link: u16) -> Self {
        Self::pcap_version(name, order, magic, link, 4)
    }

    fn pcap_version(name: &'static str, order: Order, magic: u32, link: u16, minor: u16) -> Self {
        Self::new(name, order)
            .put32(&[magic])
            .put16(&[2, minor])
            .put32(&[0, 0, 65_535, u32::from(link)])
            .border()
    }

    /// A pcap record; `fraction` in the unit of the file.
    pub(super) fn record(self, seconds: u32, fraction: u32, bytes: &[u8], wire_len: u32) -> Self {
        let magic = self.order.u32_at(&self.bytes, 0).unwrap();
        let minor = self.order.u16_at(&self.bytes, 6).unwrap();
        let link = self.order.u16_at(&self.bytes, if self.order == Order::Big { 22 } else { 20 });
        let unit = if magic == 0xA1B2_3C4D { 1 } else { 1_000 };
        let captured = bytes.len() as u32;
        let lengths = if minor < 3 { [wire_len, captured] } else { [captured, wire_len] };
        let extra: &[u32] = if magic == 0xA1B2_CD34 { &[7, 0x0008_0000] } else { &[] };
        self.put32(&[seconds, fraction]).put32(&lengths).put32(extra).put(bytes).frame(
            i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * unit,
            link.unwrap(),
            bytes,
            wire_len,
        )
    }

    /// A pcapng without blocks.
    pub(super) fn pcapng(name: &'static str) -> Self {
        Self::new(name, Order::Little)
    }

    fn block(mut self, kind: u32, body: impl FnOnce(Self) -> Self) -> Self {
        let begin = self.bytes.len();
        self = body(self.put32(&[kind, 0]));
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
        let total = (self.bytes.len() + 4 - begin) as u32;
        let length = Self::u32(self.order, total);
        self.bytes[begin + 4..begin + 8].copy_from_slice(&length);
        self.put(&length)
    }

    pub(super) fn section(mut self, order: Order) -> Self {
        self.order = order;
        self.block(0x0A0D_0D0A, |block| {
            block.put32(&[0x1A2B_3C4D]).put16(&[1, 0]).put32(&[u32::MAX, u32::MAX])
        })
        .border()
    }

    /// An interface, with its options as they stand in the file.
    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        self.block(1, |mut block| {
            block = block.put16(&[link, 0]).put32(&[snaplen]);
            for (code, value) in options {
                block = block.put16(&[*code, value.len() as u16]).put(value);
                while !block.bytes.len().is_multiple_of(4) {
                    block.bytes.push(0);
                }
            }
            if options.is_empty() { block } else { block.put16(&[0, 0]) }
        })
        .border()
    }

    /// An Enhanced Packet Block with a comment; `nanos` and `link` are what it should give.
    pub(super) fn packet(
        self,
        interface: u32,
        ticks: u64,
        bytes: &[u8],
        wire_len: u32,
        (nanos, link): (i64, u16),
    ) -> Self {
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        self.block(6, |block| {
            let mut block =
                block.put32(&[interface, high, low, bytes.len() as u32, wire_len]).put(bytes);
            while !block.bytes.len().is_multiple_of(4) {
                block.bytes.push(0);
            }
            block.put16(&[1, 5]).put(b"hello\0\0\0").put16(&[0, 0])
        })
        .frame(nanos, link, bytes, wire_len)
    }

    pub(super) fn obsolete_packet(
        self,
        interface: u16,
        ticks: u64,
        bytes: &[u8],
        (nanos, link): (i64, u16),
    ) -> Self {
        let (high, low, length) = ((ticks >> 32) as u32, ticks as u32, bytes.len() as u32);
        self.block(2, |block| {
            block.put16(&[interface, 0]).put32(&[high, low, length, length]).put(bytes)
        })
        .frame(nanos, link, bytes, length)
    }

    pub(super) fn simple_packet(self, bytes: &[u8], wire_len: u32, link: u16) -> Self {
        self.block(3, |block| block.put32(&[wire_len]).put(bytes)).frame(0, link, bytes, wire_len)
    }

    pub(super) fn other(self, kind: u32, body: &[u8]) -> Self {
        self.block(kind, |block| block.put(body)).border()
    }

    /// The frames whose records end at or before `cut`.
    pub(super) fn frames_until(&self, cut: usize) -> Vec<Frame> {
        self.frames.iter().filter(|(end, _)| *end <= cut).map(|(_, frame)| frame.clone()).collect()
    }

    pub(super) fn frames(&self) -> Vec<Frame> {
        self.frames_until(usize::MAX)
    }

    /// Where the record begins that holds byte `cut`; `None` where the file may end there.
    pub(super) fn damage_of_cut(&self, cut: usize) -> Option<u64> {
        if self.borders.contains(&cut) {
            return None;
        }
        let before = self.borders.iter().copied().filter(|border| *border < cut).max();
        Some(before.unwrap_or(0) as u64)
    }
}

const MICROS: u32 = 0xA1B2_C3D4;
const NANOS: u32 = 0xA1B2_3C4D;
const MODIFIED: u32 = 0xA1B2_CD34;
const START: u32 = 1_795_334_400;
const START_NANOS: i64 = START as i64 * 1_000_000_000;

fn records(file: Sample) -> Sample {
    file.record(START, 5, b"first packet", 12)
        .record(START + 1, 999_999, &[7; 41], 1500)
        .record(START, 0, b"", 60)
        .record(u32::MAX, 1, b"x", 1)
}

/// pcap and pcapng of every shape that is read.
pub(super) fn all() -> Vec<Sample> {
    let (little, big) = (Order::Little, Order::Big);
    vec![
        records(Sample::pcap("pcap, little, micros", little, MICROS, 1)),
        records(Sample::pcap("pcap, big, micros", big, MICROS, 113)),
        records(Sample::pcap("pcap, little, nanos", little, NANOS, 101)),
        records(Sample::pcap("pcap, big, nanos", big, NANOS, 276)),
        records(Sample::pcap("pcap, modified", little, MODIFIED, 1)),
        records(Sample::pcap_version("pcap 2.2", big, MICROS, 1, 2)),
        Sample::pcap("pcap, no packets", little, MICROS, 1),
        Sample::pcapng("pcapng, no interface").section(little),
        Sample::pcapng("pcapng, no packets").section(big).interface(1, 0, &[]),
        one_interface("pcapng, little", little),
        one_interface("pcapng, big", big),
        two_interfaces("pcapng, two interfaces, little", little),
        two_interfaces("pcapng, two interfaces, big", big),
        late_interface(),
        sections(),
        two_raw_interfaces(),
        simple_packets(),
        resolutions(),
    ]
}

fn one_interface(name: &'static str, order: Order) -> Sample {
    let ticks = START_NANOS as u64 / 1_000 + 3;
    let expected = (START_NANOS + 3_000, 1);
    Sample::pcapng(name)
        .section(order)
        .interface(1, 262_144, &[(2, b"eth0"), (9, &[6])])
        .other(4, b"a name resolution block.")
        .packet(0, ticks, b"one", 3, expected)
        .other(0x0BAD, b"an unknown block")
        .packet(0, ticks, &[9; 64], 9_000, expected)
        .other(5, b"statistics..")
}

fn two_interfaces(name: &'static str, order: Order) -> Sample {
    let micros = START_NANOS as u64 / 1_000;
    let nanos = START_NANOS as u64;
    Sample::pcapng(name)
        .section(order)
        .interface(1, 262_144, &[(9, &[6])])
        .interface(101, 96, &[(2, b"tun0"), (9, &[9])])
        .packet(0, micros, b"ethernet", 8, (START_NANOS, 1))
        .packet(1, nanos + 7, b"raw", 3, (START_NANOS + 7, 101))
        .packet(0, micros + 1, b"", 90, (START_NANOS + 1_000, 1))
        .simple_packet(b"simple", 6, 1)
}

/// The second link type comes when packets have been read.
fn late_interface() -> Sample {
    Sample::pcapng("pcapng, late interface")
        .section(Order::Little)
        .interface(1, 0, &[])
        .packet(0, 1, b"before", 6, (1_000, 1))
        .packet(0, 2, b"before too", 10, (2_000, 1))
        .interface(113, 0, &[])
        .packet(1, 3, b"after", 5, (3_000, 113))
        .packet(0, 4, b"at last", 7, (4_000, 1))
}

/// Sections of both byte orders, each with its own interfaces.
fn sections() -> Sample {
    Sample::pcapng("pcapng, sections")
        .section(Order::Little)
        .interface(1, 0, &[])
        .packet(0, 1, b"little", 6, (1_000, 1))
        .section(Order::Big)
        .interface(276, 0, &[(9, &[9])])
        .packet(0, 1, b"big", 3, (1, 276))
        .section(Order::Little)
        .interface(1, 0, &[(9, &[3])])
        .packet(0, 1, b"little again", 12, (1_000_000, 1))
}

/// libpcap 1.10 takes two interfaces of raw IP for different ones.
fn two_raw_interfaces() -> Sample {
    Sample::pcapng("pcapng, two raw interfaces")
        .section(Order::Little)
        .interface(101, 0, &[])
        .interface(101, 0, &[])
        .packet(0, 1, b"E", 1, (1_000, 101))
        .packet(1, 2, b"F", 1, (2_000, 101))
}

fn simple_packets() -> Sample {
    Sample::pcapng("pcapng, simple and obsolete packets")
        .section(Order::Big)
        .interface(228, 5, &[])
        .simple_packet(b"whole", 5, 228)
        .simple_packet(b"short", 1500, 228)
        .obsolete_packet(0, 9, b"old", (9_000, 228))
        .simple_packet(b"abc", 3, 228)
}

/// Tenths of seconds, 1/1024 of a second, picoseconds, 2^-40 seconds, and an offset of an hour.
fn resolutions() -> Sample {
    let hour = 3_600_i64.to_le_bytes();
    Sample::pcapng("pcapng, resolutions")
        .section(Order::Little)
        .interface(1, 0, &[(9, &[1])])
        .interface(1, 0, &[(9, &[0x80 | 10])])
        .interface(1, 0, &[(9, &[12])])
        .interface(1, 1_000, &[(9, &[0x80 | 40])])
        .interface(1, 0, &[(14, &hour)])
        .packet(0, 12, b"a", 1, (1_200_000_000, 1))
        .packet(1, 1024 + 512, b"b", 1, (1_500_000_000, 1))
        .packet(2, 5_999, b"c", 1, (5, 1))
        .packet(3, (3 << 40) + (1 << 39), b"d", 1, (3_500_000_000, 1))
        .packet(4, 8, b"e", 1, (3_600_000_008_000, 1))
}

/// The same bytes as one gzip member.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The same bytes as one zstd frame with a checksum.
pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = zstd::Encoder::new(Vec::new(), 3).unwrap();
    out.include_checksum(true).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
