//! The feed thread: turns what libpcap cannot read by itself into a pcap stream in an OS pipe.
//!
//! A pcap passes through unchanged. A pcapng becomes a nanosecond pcap of one link type, in which
//! every packet stands behind a tag with its own link type and time: libpcap by itself refuses
//! interfaces that differ. Only whole records go into the pipe, so the damage of a file shows as
//! the end of the stream, and the thread's result tells where and why.
//!
//! The thread ends when the file ends, when it is damaged, or when the reading end of the pipe is
//! closed: the write then fails, as Rust programs ignore SIGPIPE.

use std::io::{PipeWriter, Read, Write};
use std::thread::JoinHandle;

use super::bytes::ByteStream;
use super::damage::Fault;
use super::framing::{FILE_HEADER_BYTES, MAX_CAPTURED_BYTES, Pcap};
use super::pcapng::{Block, Load, PacketBlock, Pcapng};
use super::{Limits, LinkType};
use crate::time::Timestamp;

/// A write to the pipe, in bytes: what a pipe holds.
const WRITE_BYTES: usize = 64 << 10;
/// Time (8 bytes) and link type (2 bytes) before each packet of a tagged stream.
const TAG_BYTES: usize = 10;
/// In place of a time: a key log follows. No packet has it.
const SECRETS_TAG: i64 = i64::MIN;
/// Bytes of a key log in one record at most: fewer than libpcap believes of a packet.
const SECRETS_BYTES: usize = 128 << 10;
/// LINKTYPE_USER0: for private use.
const TAGGED_LINK: u32 = 147;

/// What the thread does with the file.
pub(super) enum Job {
    /// Hands a pcap on as it is, from the first record on.
    Pass(Pcap),
    /// Hands a pcapng on as a tagged pcap, without its first `skip` packets, and with its secrets
    /// if those are wanted.
    Tag { skip: u64, secrets: bool, limits: Limits },
}

/// A running feed thread.
#[derive(Debug)]
pub(super) struct Feed {
    thread: Option<JoinHandle<Result<(), Fault>>>,
    /// Whether a read of the input may wait for ever, as standard input can.
    may_block: bool,
}

impl Feed {
    /// Starts the thread. Its reading end of the pipe must be open by someone else.
    pub(super) fn start(
        stream: ByteStream<Box<dyn Read + Send>>,
        job: Job,
        pipe: PipeWriter,
        may_block: bool,
    ) -> std::io::Result<Self> {
        let outlet = Outlet { pipe, bytes: Vec::new(), whole: 0 };
        let work = move || match job {
            Job::Pass(framing) => pass(stream, &framing, outlet),
            Job::Tag { skip, secrets, limits } => tag(stream, skip, secrets, &limits, outlet),
        };
        let thread = std::thread::Builder::new().name("capture-feed".to_owned()).spawn(work)?;
        Ok(Self { thread: Some(thread), may_block })
    }

    /// Waits for the thread's result. Only after the end of its stream, or it would wait for ever.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let failed = |_| Err(Fault::corrupt(0, "the feed thread failed"));
        thread.join().unwrap_or_else(failed)
    }
}

/// Its owner has closed the reading end before: the next write fails, and the thread ends. One
/// that waits for standard input is left to end by itself at the next byte or the end of it.
impl Drop for Feed {
    fn drop(&mut self) {
        if !self.may_block {
            // Nobody is left to tell of damage.
            self.finish().unwrap_or_default();
        }
    }
}

/// Stops the thread early without an error.
enum Stop {
    /// The reading end of the pipe is closed.
    ReaderGone,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Collects whole records and writes them together.
struct Outlet {
    pipe: PipeWriter,
    bytes: Vec<u8>,
    /// How much of `bytes` is whole records.
    whole: usize,
}

impl Outlet {
    /// Everything in the buffer is whole records now.
    fn commit(&mut self) -> Result<(), Stop> {
        self.whole = self.bytes.len();
        if self.whole >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the whole records, and keeps the begun one.
    fn flush(&mut self) -> Result<(), Stop> {
        let (whole, _) = self.bytes.split_at(self.whole);
        self.pipe.write_all(whole).map_err(|_| Stop::ReaderGone)?;
        self.bytes.drain(..self.whole);
        self.whole = 0;
        Ok(())
    }

    /// Flushes before a read that may have to wait, so that a slow input is seen as it comes.
    fn flush_before_wait<R: Read>(
        &mut self,
        stream: &ByteStream<R>,
        next_bytes: usize,
    ) -> Result<(), Stop> {
        if stream.buffered() < next_bytes && self.whole > 0 { self.flush() } else { Ok(()) }
    }

    /// The whole records go out whatever stopped the work.
    fn close(mut self, result: Result<(), Stop>) -> Result<(), Fault> {
        let flushed = match result {
            Err(Stop::ReaderGone) => Ok(()),
            _ => self.flush(),
        };
        match (result, flushed) {
            (Err(Stop::Fault(fault)), Ok(())) => Err(fault),
            _ => Ok(()),
        }
    }
}

fn pass<R: Read>(
    mut stream: ByteStream<R>,
    framing: &Pcap,
    mut outlet: Outlet,
) -> Result<(), Fault> {
    let result = pass_records(&mut stream, framing, &mut outlet);
    outlet.close(result)
}

fn pass_records<R: Read>(
    stream: &mut ByteStream<R>,
    framing: &Pcap,
    outlet: &mut Outlet,
) -> Result<(), Stop> {
    outlet.bytes.extend_from_slice(&framing.header);
    outlet.commit()?;
    loop {
        outlet.flush_before_wait(stream, framing.header.len())?;
        let Some(record) = framing.next_record(stream)? else { return Ok(()) };
        outlet.bytes.extend_from_slice(record.header());
        outlet.flush_before_wait(stream, record.captured as usize)?;
        let captured = u64::from(record.captured);
        let got = stream
            .append(captured, &mut outlet.bytes)
            .map_err(|error| Fault::read(record.offset, &error))?;
        if got < captured {
            return Err(record.cut(got).into());
        }
        outlet.commit()?;
    }
}

fn tag<R: Read>(
    mut stream: ByteStream<R>,
    skip: u64,
    secrets: bool,
    limits: &Limits,
    mut outlet: Outlet,
) -> Result<(), Fault> {
    let result = tag_packets(&mut stream, skip, secrets, limits, &mut outlet);
    outlet.close(result)
}

fn tag_packets<R: Read>(
    stream: &mut ByteStream<R>,
    mut skip: u64,
    secrets: bool,
    limits: &Limits,
    outlet: &mut Outlet,
) -> Result<(), Stop> {
    outlet.bytes.extend_from_slice(&tagged_header());
    outlet.commit()?;
    let mut framing = Pcapng::new(limits);
    let mut body = Vec::new();
    loop {
        // A block's length is not known before its head; most are shorter than this.
        outlet.flush_before_wait(stream, 2048)?;
        match framing.next_block(stream, Load::Whole, &mut body)? {
            None => return Ok(()),
            Some(Block::Packet(_)) if skip > 0 => skip -= 1,
            Some(Block::Packet(packet)) => {
                append_tagged(&packet, &body, &mut outlet.bytes);
                outlet.commit()?;
            }
            Some(Block::Secrets(lines)) if secrets => {
                append_secrets(body.get(lines).unwrap_or_default(), &mut outlet.bytes);
                outlet.commit()?;
            }
            Some(Block::Interface | Block::Secrets(_) | Block::Other) => {}
        }
    }
}

/// A pcap file header in this machine's byte order: nanoseconds, version 2.4.
fn tagged_header() -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    let fields = [0xA1B2_3C4D, version(), 0, 0, MAX_CAPTURED_BYTES, TAGGED_LINK];
    for (place, field) in header.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_ne_bytes());
    }
    header
}

/// Major 2 and minor 4 as two 16-bit fields, read as one of 32 bits.
fn version() -> u32 {
    let ([a, b], [c, d]) = (2_u16.to_ne_bytes(), 4_u16.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

/// A record of a tagged stream. A packet longer than libpcap believes is cut, as by a snapshot
/// length; its wire length stays.
fn append_tagged(packet: &PacketBlock, body: &[u8], out: &mut Vec<u8>) {
    let data = body.get(packet.data.clone()).unwrap_or(&[]);
    let (data, _) = data.split_at(data.len().min(MAX_CAPTURED_BYTES as usize - TAG_BYTES));
    let captured = u32::try_from(TAG_BYTES + data.len()).unwrap_or(MAX_CAPTURED_BYTES);
    // The time is in the tag, where it has 64 bits.
    for field in [0, 0, captured, packet.wire_len] {
        out.extend_from_slice(&field.to_ne_bytes());
    }
    out.extend_from_slice(&packet.time.as_nanos().max(SECRETS_TAG + 1).to_ne_bytes());
    out.extend_from_slice(&packet.link.0.to_ne_bytes());
    out.extend_from_slice(data);
}

/// Records of a tagged stream with a key log, cut at ends of lines.
fn append_secrets(mut lines: &[u8], out: &mut Vec<u8>) {
    while !lines.is_empty() {
        let room = lines.get(..SECRETS_BYTES).unwrap_or(lines);
        let end = memchr::memrchr(b'\n', room).filter(|_| room.len() < lines.len());
        let (now, later) = lines.split_at(end.map_or(room.len(), |end| end + 1));
        lines = later;
        let captured = u32::try_from(TAG_BYTES + now.len()).unwrap_or(MAX_CAPTURED_BYTES);
        for field in [0, 0, captured, 0] {
            out.extend_from_slice(&field.to_ne_bytes());
        }
        out.extend_from_slice(&SECRETS_TAG.to_ne_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(now);
    }
}

/// A record of a tagged stream without its tag.
pub(super) enum Untagged<'b> {
    Packet(Timestamp, LinkType, &'b [u8]),
    /// Lines of a key log.
    Secrets(&'b [u8]),
}

/// Takes the tag off a record of a tagged stream.
pub(super) fn untag(bytes: &[u8]) -> Option<Untagged<'_>> {
    let (nanos, bytes) = bytes.split_first_chunk()?;
    let (link, bytes) = bytes.split_first_chunk()?;
    let nanos = i64::from_ne_bytes(*nanos);
    if nanos == SECRETS_TAG {
        return Some(Untagged::Secrets(bytes));
    }
    let time = Timestamp::from_nanos(nanos);
    Some(Untagged::Packet(time, LinkType(u16::from_ne_bytes(*link)), bytes))
}
