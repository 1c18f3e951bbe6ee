//! A plain file that libpcap reads by itself.

use std::fs::File;
use std::io::{self, Seek};

use pcap::{Capture, Error as PcapError, Offline, PacketHeader, Precision};

use super::damage::{DamageKind, Fault};
use super::framing::{FILE_HEADER_BYTES, Format, Verdict, examine};
use super::open_error::OpenProblem;
use super::piped::openable;
use super::source::Next;
use super::{Limits, LinkType};
use crate::time::Timestamp;

/// What a reader gives to its [`super::Source`].
pub(super) enum Step<'a> {
    /// A packet: always [`Next::Packet`].
    Packet(Next<'a>),
    /// No more packets, and what stopped them.
    Over(Option<Fault>),
    /// The file is sound, but only a feed can hand on the rest of it.
    NeedsFeed {
        /// The same file, at its start.
        file: io::Result<File>,
    },
}

pub(super) struct Direct {
    capture: Capture<Offline>,
    /// The same file, to look into where libpcap stops.
    file: File,
    format: Format,
    link: LinkType,
    bytes: u64,
}

impl Direct {
    /// `link` is the file's own: libpcap's numbers differ from those in files.
    pub(super) fn open(
        mut file: File,
        format: Format,
        link: LinkType,
    ) -> Result<Self, OpenProblem> {
        file.rewind().map_err(OpenProblem::Io)?;
        let capture = Capture::from_file_with_precision(openable(&file), Precision::Nano)
            .map_err(|error| OpenProblem::Refused(reason(error)))?;
        Ok(Self { capture, file, format, link, bytes: FILE_HEADER_BYTES as u64 })
    }

    /// Bytes of the file up to here, nearly.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The next packet; `packets` have come before.
    pub(super) fn read(&mut self, packets: u64, limits: &Limits) -> Step<'_> {
        let Self { capture, file, format, link, bytes } = self;
        let reason = match capture.next_packet() {
            Ok(packet) => {
                if !(*format == Format::Pcap && is_zero(packet.header)) {
                    let framing_bytes = if *format == Format::Pcap { 16 } else { 32 };
                    *bytes += framing_bytes + u64::from(packet.header.caplen);
                    return Step::Packet(Next::Packet {
                        time: time(packet.header, *format),
                        link: *link,
                        bytes: packet.data,
                        wire_len: packet.header.len,
                    });
                }
                "a record of zero bytes only".to_owned()
            }
            Err(PcapError::NoMorePackets) => return Step::Over(None),
            Err(error) => reason(error),
        };
        if let Err(error) = file.rewind() {
            return Step::Over(Some(Fault::read(*bytes, &error)));
        }
        match (examine(&*file, *format, packets, limits), *format) {
            (Verdict::Damaged(fault), _) => Step::Over(Some(fault)),
            (Verdict::Sound { .. }, Format::Pcapng) => {
                let rewound = file.rewind().and_then(|()| file.try_clone());
                Step::NeedsFeed { file: rewound }
            }
            // The file has grown since libpcap met its end, or libpcap knows better.
            (Verdict::Sound { offset }, Format::Pcap) => {
                let cut = reason.starts_with("truncated");
                let kind = if cut { DamageKind::Truncated } else { DamageKind::Corrupt };
                Step::Over(Some(Fault { offset, kind, reason }))
            }
        }
    }
}

/// Free space at the end of a file after a crash reads as records of nothing.
fn is_zero(header: &PacketHeader) -> bool {
    header.caplen == 0 && header.len == 0 && header.ts.tv_sec == 0 && header.ts.tv_usec == 0
}

/// libpcap was asked for nanoseconds, which stand in the field for microseconds.
fn time(header: &PacketHeader, format: Format) -> Timestamp {
    let seconds = match format {
        // Unsigned in the file, and read as signed: right until 2106.
        Format::Pcap => header.ts.tv_sec.rem_euclid(1 << 32),
        Format::Pcapng => header.ts.tv_sec,
    };
    Timestamp::from_parts(seconds, header.ts.tv_usec)
}

/// libpcap's own words.
pub(super) fn reason(error: PcapError) -> String {
    match error {
        PcapError::PcapError(words) => words,
        other => other.to_string(),
    }
}

/// The time of a packet of a pcap that libpcap reads through a pipe.
pub(super) fn piped_time(header: &PacketHeader) -> Timestamp {
    time(header, Format::Pcap)
}
