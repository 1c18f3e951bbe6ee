//! A capture that libpcap reads through a pipe from a feed thread.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pcap::{Capture, Error as PcapError, Offline, Precision};

use super::Limits;
use super::LinkType;
use super::bytes::{ByteStream, read_full};
use super::compression::Compression;
use super::damage::Fault;
use super::direct::{Step, piped_time, reason};
use super::feed::{Feed, Job, Untagged, untag};
use super::framing::{FILE_HEADER_BYTES, Format, Pcap};
use super::open_error::{OpenProblem, looks_like};
use super::source::Next;

/// The order of the fields is the order of their ends: closing the pipe ends the feed.
pub(super) struct Piped {
    capture: Capture<Offline>,
    feed: Feed,
    marks: Marks,
    /// Bytes of the file that the feed has read, before decompression.
    read: Arc<AtomicU64>,
    /// Where the next record of a passed stream begins.
    offset: u64,
}

/// Where a packet's link type and time stand.
enum Marks {
    /// One link type, and the time in the record.
    Passed(LinkType),
    /// In a tag before each packet. `secrets`: key logs come likewise.
    Tagged { secrets: bool },
}

/// What opening a stream comes to.
pub(super) enum Opened {
    Reading(Piped),
    /// A capture, as its first bytes say, that is damaged before its first record.
    Damaged(Fault),
}

impl Piped {
    /// Opens whatever `input` holds. `may_block` says that a read of it may wait for ever.
    pub(super) fn open(
        input: Box<dyn Read + Send>,
        may_block: bool,
        limits: &Limits,
    ) -> Result<Opened, OpenProblem> {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted { input, count: Arc::clone(&read) };
        let (mut magic, mut input) = sniff(Box::new(counted)).map_err(OpenProblem::Io)?;
        if let Some(compression) = magic.and_then(Compression::of) {
            let failed = OpenProblem::Compression;
            let plain = compression.undo(input, limits).map_err(failed)?;
            (magic, input) = sniff(plain).map_err(failed)?;
        }
        let Some(format) = magic.and_then(Format::of) else { return Err(unknown(input)) };
        let mut stream = ByteStream::new(input);
        let (job, marks) = match format {
            Format::Pcap => match Pcap::read_header(&mut stream) {
                Ok(framing) => {
                    let marks = Marks::Passed(framing.link);
                    (Job::Pass(framing), marks)
                }
                Err(fault) => return Ok(Opened::Damaged(fault)),
            },
            Format::Pcapng => {
                let job = Job::Tag { skip: 0, secrets: may_block, limits: *limits };
                (job, Marks::Tagged { secrets: may_block })
            }
        };
        Self::start(stream, job, marks, read, may_block).map(Opened::Reading)
    }

    /// Opens a plain pcapng file from its start, without its first `skip` packets.
    pub(super) fn tag_file(file: File, skip: u64, limits: &Limits) -> Result<Self, OpenProblem> {
        let read = Arc::new(AtomicU64::new(0));
        let input = Counted { input: Box::new(file), count: Arc::clone(&read) };
        let job = Job::Tag { skip, secrets: false, limits: *limits };
        let marks = Marks::Tagged { secrets: false };
        Self::start(ByteStream::new(Box::new(input)), job, marks, read, false)
    }

    fn start(
        stream: ByteStream<Box<dyn Read + Send>>,
        job: Job,
        marks: Marks,
        read: Arc<AtomicU64>,
        may_block: bool,
    ) -> Result<Self, OpenProblem> {
        let failed = |error: io::Error| OpenProblem::Feed(error.to_string());
        let (reader, writer) = io::pipe().map_err(failed)?;
        let feed = Feed::start(stream, job, writer, may_block).map_err(failed)?;
        let capture = Capture::from_file_with_precision(openable(&reader), Precision::Nano);
        // libpcap has its own now. Before any return: the feed must find no reader when it is
        // dropped.
        drop(reader);
        let capture = capture.map_err(|error| OpenProblem::Refused(reason(error)))?;
        Ok(Self { capture, feed, marks, read, offset: FILE_HEADER_BYTES as u64 })
    }

    /// Bytes read from the file, before decompression.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Whether key logs may come between the packets.
    pub(super) fn brings_secrets(&self) -> bool {
        matches!(self.marks, Marks::Tagged { secrets: true })
    }

    /// The next packet.
    pub(super) fn read(&mut self) -> Step<'_> {
        let Self { capture, feed, marks, offset, .. } = self;
        match capture.next_packet() {
            Ok(packet) => {
                *offset += 16 + u64::from(packet.header.caplen);
                let (time, link, bytes) = match marks {
                    Marks::Passed(link) => (piped_time(packet.header), *link, packet.data),
                    Marks::Tagged { .. } => match untag(packet.data) {
                        Some(Untagged::Secrets(lines)) => {
                            return Step::Packet(Next::Secrets(lines));
                        }
                        Some(Untagged::Packet(time, link, bytes)) => (time, link, bytes),
                        None => return Step::Over(Some(Fault::corrupt(*offset, "no tag"))),
                    },
                };
                Step::Packet(Next::Packet { time, link, bytes, wire_len: packet.header.len })
            }
            Err(PcapError::NoMorePackets) => Step::Over(feed.finish().err()),
            // The feed sends whole, sound records, so this is none of its faults, and it may
            // still be writing: there is no waiting for its result.
            Err(error) => Step::Over(Some(Fault::corrupt(*offset, reason(error)))),
        }
    }
}

/// Counts what is read.
struct Counted {
    input: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The first four bytes, if there are as many, and the same input still with them.
type Sniffed = (Option<[u8; 4]>, Box<dyn Read + Send>);

fn sniff(mut input: Box<dyn Read + Send>) -> io::Result<Sniffed> {
    let mut magic = [0; 4];
    let got = read_full(&mut input, &mut magic)?;
    let (there, _) = magic.split_at(got);
    let first = io::Cursor::new(there.to_vec());
    let whole = (got == magic.len()).then_some(magic);
    Ok((whole, Box::new(first.chain(input))))
}

/// Says what an input is that is no capture.
pub(super) fn unknown(mut input: impl Read) -> OpenProblem {
    let mut head = [0; 16];
    match read_full(&mut input, &mut head) {
        Ok(0) => OpenProblem::Empty,
        Ok(got) => OpenProblem::NotACapture { looks_like: looks_like(head.split_at(got).0) },
        Err(error) => OpenProblem::Io(error),
    }
}

/// A path by which libpcap opens what is open here, whatever its name.
pub(super) fn openable(file: &impl AsFd) -> PathBuf {
    let number = file.as_fd().as_raw_fd();
    let linux = PathBuf::from(format!("/proc/self/fd/{number}"));
    if linux.exists() { linux } else { PathBuf::from(format!("/dev/fd/{number}")) }
}
