//! The framing of pcapng files, after draft-ietf-opsawg-pcapng.
//!
//! One place where libpcap is not checked: an interface that is described only after the first
//! packet, with a unit finer than 2^-34 seconds, gets wrong times from libpcap.

use std::io::Read;
use std::ops::Range;

use super::bytes::ByteStream;
use super::damage::Fault;
use super::framing::Order;
use super::{Limits, LinkType};
use crate::time::Timestamp;

/// Section Header Block: begins a section; the same bytes in both orders.
const SECTION_HEADER: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, written until about 2010.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// Decryption Secrets Block.
const SECRETS: u32 = 10;
/// Secrets type of a TLS key log (RFC 9850).
const TLS_KEY_LOG: u32 = 0x544C_534B;

/// Fixed part of Enhanced Packet and Packet Blocks, in bytes.
const PACKET_HEAD_BYTES: u32 = 20;

/// Unit of an interface's timestamps (option `if_tsresol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// 10 to the minus this many seconds.
    Decimal(u8),
    /// 2 to the minus this many seconds.
    Binary(u8),
}

/// One capture interface of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) link: LinkType,
    pub(super) resolution: Resolution,
    /// Added to every timestamp (option `if_tsoffset`).
    offset_seconds: i64,
    /// 0 where the interface has no limit.
    snaplen: u32,
}

impl Interface {
    /// Its Interface Description Block, without the block's framing.
    fn parse(order: Order, body: &[u8]) -> Option<Self> {
        let mut interface = Self {
            link: LinkType(order.u16_at(body, 0)?),
            resolution: Resolution::Decimal(6),
            offset_seconds: 0,
            snaplen: order.u32_at(body, 4)?,
        };
        let mut options = body.get(8..)?;
        // A broken option ends the list, and the interface stands without the rest.
        while let (Some(code), Some(length)) = (order.u16_at(options, 0), order.u16_at(options, 2))
        {
            let length = usize::from(length);
            let Some(value) = options.get(4..4 + length) else { break };
            match (code, value) {
                (0, _) => break,
                (9, [resolution]) if resolution & 0x80 != 0 => {
                    interface.resolution = Resolution::Binary(resolution & 0x7F);
                }
                (9, [resolution]) => interface.resolution = Resolution::Decimal(*resolution),
                (14, [..]) => {
                    interface.offset_seconds = order.i64_at(value, 0).unwrap_or(0);
                }
                _ => {}
            }
            let Some(rest) = options.get(4 + length.next_multiple_of(4)..) else { break };
            options = rest;
        }
        Some(interface)
    }

    /// Time of `ticks` of this interface; saturates beyond the years 1677 and 2262.
    fn time(&self, ticks: u64) -> Timestamp {
        let ticks = i128::from(ticks);
        let power = |exponent: u8| 10_i128.checked_pow(u32::from(exponent));
        let nanos = match self.resolution {
            Resolution::Decimal(digits @ 0..=9) => ticks * power(9 - digits).unwrap_or(1),
            Resolution::Decimal(digits) => power(digits - 9).map_or(0, |unit| ticks / unit),
            Resolution::Binary(bits) => (ticks * 1_000_000_000) >> bits.min(127),
        };
        let nanos = nanos + i128::from(self.offset_seconds) * 1_000_000_000;
        let clamped = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp::from_nanos(i64::try_from(clamped).unwrap_or(0))
    }
}

/// How much of a packet block to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Nothing: it counts as [`Block::Other`].
    None,
    /// Its fixed part only, to see that it is sound.
    Head,
    /// All of it.
    Whole,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A packet of any of the three sorts.
    Packet(PacketBlock),
    /// An interface, now the last of [`Pcapng::interfaces`].
    Interface,
    /// A TLS key log: where it stands in the body.
    Secrets(Range<usize>),
    /// Anything else.
    Other,
}

/// A packet in the loaded body of its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PacketBlock {
    pub(super) link: LinkType,
    /// [`Timestamp::EPOCH`] for a Simple Packet Block, which has no time.
    pub(super) time: Timestamp,
    pub(super) wire_len: u32,
    /// Where the captured bytes stand in the body.
    pub(super) data: Range<usize>,
}

/// The framing of one pcapng file: sections of either byte order, each with interfaces.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Option<Order>,
    interfaces: Vec<Interface>,
    limits: Limits,
}

/// A block's head, read and checked.
struct Head {
    offset: u64,
    order: Order,
    /// `None` for a Section Header Block.
    kind: Option<u32>,
    total_bytes: u32,
    body_bytes: u32,
}

impl Pcapng {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { order: None, interfaces: Vec::new(), limits: *limits }
    }

    /// Interfaces of the current section, by their number.
    pub(super) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Takes the next block. `body` is a buffer to use again; after [`Load::Whole`] it holds the
    /// body of a packet block. `None` where the file ends at a block border.
    pub(super) fn next_block<R: Read>(
        &mut self,
        stream: &mut ByteStream<R>,
        load: Load,
        body: &mut Vec<u8>,
    ) -> Result<Option<Block>, Fault> {
        let Some(head) = self.take_head(stream)? else { return Ok(None) };
        let wanted = match head.kind {
            None => head.body_bytes.min(4),
            Some(INTERFACE_DESCRIPTION) => head.body_bytes,
            Some(PACKET | SIMPLE_PACKET | ENHANCED_PACKET) => match load {
                Load::None => 0,
                Load::Head => head.body_bytes.min(PACKET_HEAD_BYTES),
                Load::Whole => head.body_bytes,
            },
            Some(SECRETS) if load != Load::Head => head.body_bytes,
            Some(_) => 0,
        };
        take_body(stream, &head, wanted, body)?;
        let block = match head.kind {
            None => self.begin_section(&head, body)?,
            Some(INTERFACE_DESCRIPTION) => self.add_interface(&head, body)?,
            Some(PACKET | SIMPLE_PACKET | ENHANCED_PACKET) if load == Load::None => Block::Other,
            Some(PACKET | ENHANCED_PACKET) => Block::Packet(self.packet(&head, body)?),
            Some(SIMPLE_PACKET) => Block::Packet(self.simple_packet(&head, body)?),
            Some(SECRETS) => key_log(&head, body).map_or(Block::Other, Block::Secrets),
            Some(_) => Block::Other,
        };
        Ok(Some(block))
    }

    fn take_head<R: Read>(&self, stream: &mut ByteStream<R>) -> Result<Option<Head>, Fault> {
        let offset = stream.offset();
        let read = |error| Fault::read(offset, &error);
        let cut = |expected, got| Fault::truncated(offset, "a block header", expected, got as u64);
        let mut head = [0; 8];
        match stream.take(&mut head).map_err(read)? {
            0 => return Ok(None),
            8 => {}
            got => return Err(cut(8, got)),
        }
        let section = head.starts_with(&SECTION_HEADER);
        let order = if section {
            let mut magic = [0; 4];
            match stream.take(&mut magic).map_err(read)? {
                4 => {}
                got => return Err(cut(12, 8 + got)),
            }
            match magic {
                [0x4D, 0x3C, 0x2B, 0x1A] => Some(Order::Little),
                [0x1A, 0x2B, 0x3C, 0x4D] => Some(Order::Big),
                _ => return Err(Fault::corrupt(offset, "a section header without byte order")),
            }
        } else {
            self.order
        };
        let missing = || Fault::corrupt(offset, "a block before any section header");
        let order = order.ok_or_else(missing)?;
        let total_bytes = order.u32_at(&head, 4).unwrap_or(0);
        let least = if section { 28 } else { 12 };
        let most = self.limits.max_block_bytes;
        if total_bytes < least || total_bytes > most || !total_bytes.is_multiple_of(4) {
            let reason = format!(
                "a block claims a length of {total_bytes} bytes; lengths are {least} to {most}, in \
                 steps of 4"
            );
            return Err(Fault::corrupt(offset, reason));
        }
        let kind = if section { None } else { order.u32_at(&head, 0) };
        let framing_bytes = if section { 16 } else { 12 };
        let body_bytes = total_bytes - framing_bytes;
        Ok(Some(Head { offset, order, kind, total_bytes, body_bytes }))
    }

    fn begin_section(&mut self, head: &Head, body: &[u8]) -> Result<Block, Fault> {
        let major = head.order.u16_at(body, 0).unwrap_or(0);
        if major != 1 {
            let reason = format!("a section of pcapng version {major}; version 1 is known");
            return Err(Fault::corrupt(head.offset, reason));
        }
        self.order = Some(head.order);
        self.interfaces.clear();
        Ok(Block::Other)
    }

    fn add_interface(&mut self, head: &Head, body: &[u8]) -> Result<Block, Fault> {
        if self.interfaces.len() >= self.limits.max_interfaces {
            let reason = format!("more than {} interfaces", self.limits.max_interfaces);
            return Err(Fault::corrupt(head.offset, reason));
        }
        let interface = Interface::parse(head.order, body);
        let short = || Fault::corrupt(head.offset, "an interface block without its fixed part");
        self.interfaces.push(interface.ok_or_else(short)?);
        Ok(Block::Interface)
    }

    /// Enhanced Packet Block, or the obsolete Packet Block, which differs in the interface number.
    fn packet(&self, head: &Head, body: &[u8]) -> Result<PacketBlock, Fault> {
        let fields = || {
            let order = head.order;
            let number = if head.kind == Some(PACKET) {
                u32::from(order.u16_at(body, 0)?)
            } else {
                order.u32_at(body, 0)?
            };
            let ticks = u64::from(order.u32_at(body, 4)?) << 32 | u64::from(order.u32_at(body, 8)?);
            Some((number, ticks, order.u32_at(body, 12)?, order.u32_at(body, 16)?))
        };
        let short = || Fault::corrupt(head.offset, "a packet block without its fixed part");
        let (number, ticks, captured, wire_len) = fields().ok_or_else(short)?;
        let interface = self.interface(head, number)?;
        let data = data_range(head, PACKET_HEAD_BYTES, captured)?;
        Ok(PacketBlock { link: interface.link, time: interface.time(ticks), wire_len, data })
    }

    fn simple_packet(&self, head: &Head, body: &[u8]) -> Result<PacketBlock, Fault> {
        let short = || Fault::corrupt(head.offset, "a packet block without its fixed part");
        let wire_len = head.order.u32_at(body, 0).ok_or_else(short)?;
        let interface = self.interface(head, 0)?;
        let captured = match interface.snaplen {
            0 => wire_len,
            snaplen => wire_len.min(snaplen),
        };
        let data = data_range(head, 4, captured)?;
        Ok(PacketBlock { link: interface.link, time: Timestamp::EPOCH, wire_len, data })
    }

    fn interface(&self, head: &Head, number: u32) -> Result<&Interface, Fault> {
        let found = usize::try_from(number).ok().and_then(|number| self.interfaces.get(number));
        found.ok_or_else(|| {
            let reason = format!("a packet of interface {number}, which is not described");
            Fault::corrupt(head.offset, reason)
        })
    }
}

/// Where the key log of a secrets block stands. One that claims more bytes than there are holds
/// what is there.
fn key_log(head: &Head, body: &[u8]) -> Option<Range<usize>> {
    let (kind, len) = (head.order.u32_at(body, 0)?, head.order.u32_at(body, 4)?);
    let end = 8_usize.saturating_add(usize::try_from(len).ok()?).min(body.len());
    (kind == TLS_KEY_LOG && end > 8).then_some(8..end)
}

/// Loads the first `wanted` bytes of a body, passes the rest, and checks the length at the end.
fn take_body<R: Read>(
    stream: &mut ByteStream<R>,
    head: &Head,
    wanted: u32,
    body: &mut Vec<u8>,
) -> Result<(), Fault> {
    let read = |error| Fault::read(head.offset, &error);
    body.clear();
    let loaded = stream.append(u64::from(wanted), body).map_err(read)?;
    let passed = stream.skip(u64::from(head.body_bytes) - loaded).map_err(read)?;
    let mut trailer = [0; 4];
    let ended = stream.take(&mut trailer).map_err(read)?;
    if ended < trailer.len() {
        let got = stream.offset() - head.offset;
        return Err(Fault::truncated(head.offset, "a block", u64::from(head.total_bytes), got));
    }
    debug_assert_eq!(loaded + passed, u64::from(head.body_bytes));
    match head.order.u32_at(&trailer, 0) {
        Some(length) if length == head.total_bytes => Ok(()),
        _ => Err(Fault::corrupt(head.offset, "the two lengths of a block differ")),
    }
}

/// Where `captured` bytes after a fixed part stand, if the body has them.
fn data_range(head: &Head, fixed_bytes: u32, captured: u32) -> Result<Range<usize>, Fault> {
    let end = fixed_bytes.checked_add(captured).filter(|end| *end <= head.body_bytes);
    let Some(end) = end else {
        let reason = format!("a packet block too short for its {captured} captured bytes");
        return Err(Fault::corrupt(head.offset, reason));
    };
    Ok(fixed_bytes as usize..end as usize)
}
