//! The framing of capture files: what they are, where their records begin, and the first record
//! that cannot be read. Headers only; packets are libpcap's.
//!
//! pcap after draft-ietf-opsawg-pcap; pcapng in [`super::pcapng`]. What counts as damage follows
//! libpcap, so that both give up at the same record.

use std::io::Read;

use super::bytes::ByteStream;
use super::damage::Fault;
use super::pcapng::{Block, Load, Pcapng};
use super::{Limits, LinkType};

/// Largest captured length that libpcap believes of most link types, in bytes.
pub(super) const MAX_CAPTURED_BYTES: u32 = 262_144;
/// Bytes of a pcap file header.
pub(super) const FILE_HEADER_BYTES: usize = 24;

/// File formats that libpcap reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pcap,
    Pcapng,
}

impl Format {
    /// By the first four bytes of the decompressed file.
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        if magic == [0x0A, 0x0D, 0x0D, 0x0A] {
            return Some(Self::Pcapng);
        }
        Order::of_pcap(magic).map(|_| Self::Pcap)
    }
}

/// Byte order of the machine that wrote the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    fn of_pcap(magic: [u8; 4]) -> Option<Self> {
        let known = |value| matches!(value, 0xA1B2_C3D4 | 0xA1B2_3C4D | 0xA1B2_CD34);
        if known(u32::from_le_bytes(magic)) {
            Some(Self::Little)
        } else if known(u32::from_be_bytes(magic)) {
            Some(Self::Big)
        } else {
            None
        }
    }

    /// The 16-bit number at byte `at`.
    pub(super) fn u16_at(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Little { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    /// The 32-bit number at byte `at`.
    pub(super) fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }

    /// The 64-bit number at byte `at`.
    pub(super) fn i64_at(self, bytes: &[u8], at: usize) -> Option<i64> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Little { i64::from_le_bytes(raw) } else { i64::from_be_bytes(raw) })
    }
}

/// How old writers ordered the two lengths of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    /// Either; the smaller one is the captured length.
    Unsure,
}

/// The framing of one pcap file.
#[derive(Clone, Debug)]
pub(super) struct Pcap {
    order: Order,
    lengths: Lengths,
    record_header_bytes: usize,
    max_captured_bytes: u32,
    pub(super) link: LinkType,
    /// The header as it stands in the file.
    pub(super) header: [u8; FILE_HEADER_BYTES],
}

/// The header of one pcap record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    header: [u8; 24],
    header_bytes: usize,
    /// Offset of the record in the file.
    pub(super) offset: u64,
    /// Bytes of the packet that follow.
    pub(super) captured: u32,
}

impl Record {
    /// The header as it stands in the file.
    pub(super) fn header(&self) -> &[u8] {
        self.header.split_at(self.header_bytes.min(self.header.len())).0
    }

    /// The fault of a packet of which only `got` bytes are there.
    pub(super) fn cut(&self, got: u64) -> Fault {
        Fault::truncated(self.offset, "a packet", u64::from(self.captured), got)
    }
}

impl Pcap {
    /// Takes the file header, whose magic number [`Format::of`] knows.
    pub(super) fn read_header<R: Read>(stream: &mut ByteStream<R>) -> Result<Self, Fault> {
        let mut header = [0; FILE_HEADER_BYTES];
        let got = stream.take(&mut header).map_err(|error| Fault::read(0, &error))?;
        if got < header.len() {
            let (expected, got) = (header.len() as u64, got as u64);
            return Err(Fault::truncated(0, "the file header", expected, got));
        }
        Self::parse(header).ok_or_else(|| Fault::corrupt(0, "not a pcap file header"))
    }

    fn parse(header: [u8; FILE_HEADER_BYTES]) -> Option<Self> {
        let magic = *header.first_chunk()?;
        let order = Order::of_pcap(magic)?;
        let lengths = match (order.u16_at(&header, 4)?, order.u16_at(&header, 6)?) {
            (2, 0..=2) | (543, _) => Lengths::WireFirst,
            (2, 3) => Lengths::Unsure,
            _ => Lengths::CapturedFirst,
        };
        // The upper bits tell of frame check sequences, which libpcap leaves in the frame.
        let [low, high, ..] = order.u32_at(&header, 20)?.to_le_bytes();
        let link = LinkType(u16::from_le_bytes([low, high]));
        let modified = order.u32_at(&header, 0)? == 0xA1B2_CD34;
        Some(Self {
            order,
            lengths,
            record_header_bytes: if modified { 24 } else { 16 },
            max_captured_bytes: max_captured_bytes(link),
            link,
            header,
        })
    }

    /// Takes the header of the next record; the packet itself is still to be taken. `None` where
    /// the file ends at a record border.
    pub(super) fn next_record<R: Read>(
        &self,
        stream: &mut ByteStream<R>,
    ) -> Result<Option<Record>, Fault> {
        let offset = stream.offset();
        let mut header = [0; 24];
        let (wanted, _) = header.split_at_mut(self.record_header_bytes);
        let got = stream.take(wanted).map_err(|error| Fault::read(offset, &error))?;
        if got == 0 {
            return Ok(None);
        }
        if got < wanted.len() {
            let (expected, got) = (wanted.len() as u64, got as u64);
            return Err(Fault::truncated(offset, "a record header", expected, got));
        }
        let (Some(first), Some(second)) =
            (self.order.u32_at(&header, 8), self.order.u32_at(&header, 12))
        else {
            return Ok(None);
        };
        let captured = match self.lengths {
            Lengths::CapturedFirst => first,
            Lengths::WireFirst => second,
            Lengths::Unsure => first.min(second),
        };
        if captured > self.max_captured_bytes {
            return Err(Fault::corrupt(
                offset,
                format!(
                    "a record claims {captured} captured bytes, the most is {}",
                    self.max_captured_bytes
                ),
            ));
        }
        if header.first_chunk() == Some(&[0; 16]) {
            return Err(Fault::corrupt(offset, "a record of zero bytes only"));
        }
        Ok(Some(Record { header, header_bytes: self.record_header_bytes, offset, captured }))
    }
}

/// The captured length that libpcap believes of a link type, in bytes.
fn max_captured_bytes(link: LinkType) -> u32 {
    match link.0 {
        // D-Bus and USBPcap messages.
        231 | 249 => 128 << 20,
        // Elektrobit high-speed capture.
        279 => 8 << 20,
        _ => MAX_CAPTURED_BYTES,
    }
}

/// What the framing says of the place where libpcap stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The framing is damaged too.
    Damaged(Fault),
    /// The framing is sound past the packet; `offset` is where its record begins, or the end.
    Sound { offset: u64 },
}

/// Walks a file from its start to the packet that follows `packets` others.
pub(super) fn examine(file: impl Read, format: Format, packets: u64, limits: &Limits) -> Verdict {
    let mut stream = ByteStream::new(file);
    let walked = match format {
        Format::Pcap => walk_pcap(&mut stream, packets),
        Format::Pcapng => walk_pcapng(&mut stream, packets, limits),
    };
    match walked {
        Ok(offset) => Verdict::Sound { offset },
        Err(fault) => Verdict::Damaged(fault),
    }
}

fn walk_pcap<R: Read>(stream: &mut ByteStream<R>, packets: u64) -> Result<u64, Fault> {
    let framing = Pcap::read_header(stream)?;
    let mut seen = 0;
    while let Some(record) = framing.next_record(stream)? {
        let captured = u64::from(record.captured);
        let got = stream.skip(captured).map_err(|error| Fault::read(record.offset, &error))?;
        if got < captured {
            return Err(record.cut(got));
        }
        if seen == packets {
            return Ok(record.offset);
        }
        seen += 1;
    }
    Ok(stream.offset())
}

fn walk_pcapng<R: Read>(
    stream: &mut ByteStream<R>,
    packets: u64,
    limits: &Limits,
) -> Result<u64, Fault> {
    let mut framing = Pcapng::new(limits);
    let mut body = Vec::new();
    let mut seen = 0;
    loop {
        let offset = stream.offset();
        match framing.next_block(stream, Load::Head, &mut body)? {
            None => return Ok(offset),
            Some(Block::Packet(_)) if seen == packets => return Ok(offset),
            Some(Block::Packet(_)) => seen += 1,
            Some(Block::Interface | Block::Secrets(_) | Block::Other) => {}
        }
    }
}
