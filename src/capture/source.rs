//! One input as a stream of packets.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Seek};
use std::path::Path;

use super::bytes::{ByteStream, read_full};
use super::compression::Compression;
use super::damage::{Damage, Fault};
use super::direct::{Direct, Step};
use super::framing::{Format, Pcap};
use super::inputs::Input;
use super::open_error::{OpenError, OpenProblem};
use super::pcapng::{Block, Interface, Load, Pcapng, Resolution};
use super::piped::{Opened, Piped, unknown};
use super::{Limits, LinkType};
use crate::time::Timestamp;

/// What the next read of a [`Source`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A packet. Its bytes are valid until the next read.
    Packet {
        /// When it was captured; the epoch for pcapng Simple Packet Blocks, which do not say.
        time: Timestamp,
        /// Link-layer type of its interface.
        link: LinkType,
        /// The captured bytes.
        bytes: &'a [u8],
        /// Length on the wire, in bytes.
        wire_len: u32,
    },
    /// Lines of a TLS key log (RFC 9850) that stood here in a stream; of files see
    /// [`secrets`](super::secrets()).
    Secrets(&'a [u8]),
    /// The capture is over, and was whole.
    End,
    /// The capture is over, and the rest of it cannot be read. Comes once, then [`Next::End`].
    Damaged(Damage),
}

/// An open capture.
///
/// Dropping one early is fine: its feed thread, if it has one, ends first. Only a thread that
/// waits for standard input or a named pipe ends later, at the next bytes or the end of those.
pub struct Source {
    /// No longer read once there is a pipe; borrowed until then, so it stays.
    direct: Option<Direct>,
    piped: Option<Piped>,
    /// Damage so early that there is nothing to read.
    early: Option<Fault>,
    over: bool,
    packets: u64,
    limits: Limits,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("piped", &self.piped.is_some())
            .field("packets", &self.packets)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Opens an input. Reads its first bytes, and waits for them where it is a stream.
    ///
    /// # Errors
    /// Where nothing can be read: a file that is missing, empty or no capture. A capture that is
    /// cut inside its file header does open, and is [`Next::Damaged`] at byte 0.
    pub fn open(input: &Input, limits: &Limits) -> Result<Self, OpenError> {
        let opened = match input.path() {
            Some(path) => Self::open_path(path, limits),
            None if io::stdin().is_terminal() => Err(OpenProblem::Terminal),
            None => Piped::open(Box::new(io::stdin()), true, limits)
                .map(|opened| Self::opened(opened, limits)),
        };
        opened.map_err(|problem| OpenError { input: input.to_string(), problem })
    }

    /// The next packet, or how the capture ended.
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which no iterator does")]
    pub fn next(&mut self) -> Next<'_> {
        let Self { direct, piped, early, over, packets, limits } = self;
        if *over {
            return Next::End;
        }
        if let (Some(direct), None) = (direct, &piped) {
            match direct.read(*packets, limits) {
                Step::Packet(packet) => {
                    *packets += 1;
                    return packet;
                }
                Step::Over(fault) => return end(over, fault, *packets),
                Step::NeedsFeed { file } => match go_on(file, *packets, limits) {
                    Ok(rest) => *piped = Some(rest),
                    Err(fault) => return end(over, Some(fault), *packets),
                },
            }
        }
        match piped.as_mut().map(Piped::read) {
            Some(Step::Packet(secrets @ Next::Secrets(_))) => secrets,
            Some(Step::Packet(packet)) => {
                *packets += 1;
                packet
            }
            Some(Step::Over(fault)) => end(over, fault, *packets),
            Some(Step::NeedsFeed { .. }) | None => end(over, early.take(), *packets),
        }
    }

    /// Bytes read of the input so far, about: of a compressed one before decompression, so that
    /// it compares with [`Input::size`].
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        let direct = self.direct.as_ref().map_or(0, Direct::bytes_read);
        let piped = self.piped.as_ref().map_or(0, Piped::bytes_read);
        direct.max(piped)
    }

    /// Whether [`Next::Secrets`] may come.
    #[must_use]
    pub fn brings_secrets(&self) -> bool {
        self.piped.as_ref().is_some_and(Piped::brings_secrets)
    }

    fn open_path(path: &Path, limits: &Limits) -> Result<Self, OpenProblem> {
        let mut file = File::open(path).map_err(OpenProblem::Io)?;
        let kind = file.metadata().map_err(OpenProblem::Io)?.file_type();
        if kind.is_dir() {
            return Err(OpenProblem::Directory);
        }
        let stream = |file: File, may_block| {
            Piped::open(Box::new(file), may_block, limits)
                .map(|opened| Self::opened(opened, limits))
        };
        if !kind.is_file() {
            return stream(file, true);
        }
        let mut magic = [0; 4];
        let got = read_full(&mut file, &mut magic).map_err(OpenProblem::Io)?;
        file.rewind().map_err(OpenProblem::Io)?;
        if got < magic.len() {
            return Err(unknown(file));
        }
        if Compression::of(magic).is_some() {
            return stream(file, false);
        }
        match Format::of(magic) {
            Some(Format::Pcap) => Self::open_pcap(file, limits),
            Some(Format::Pcapng) => Self::open_pcapng(file, limits),
            None => Err(unknown(file)),
        }
    }

    fn open_pcap(file: File, limits: &Limits) -> Result<Self, OpenProblem> {
        match Pcap::read_header(&mut ByteStream::new(&file)) {
            Ok(framing) => {
                let direct = Direct::open(file, Format::Pcap, framing.link)?;
                Ok(Self { direct: Some(direct), ..Self::empty(limits) })
            }
            Err(fault) => Ok(Self { early: Some(fault), ..Self::empty(limits) }),
        }
    }

    /// Looks at the blocks before the first packet, where most files describe all interfaces.
    fn open_pcapng(mut file: File, limits: &Limits) -> Result<Self, OpenProblem> {
        let mut stream = ByteStream::new(&file);
        let (mut framing, mut body) = (Pcapng::new(limits), Vec::new());
        while let Ok(Some(Block::Interface | Block::Secrets(_) | Block::Other)) =
            framing.next_block(&mut stream, Load::Head, &mut body)
        {}
        if let Some(link) = common_link(framing.interfaces()) {
            let again = file.try_clone().map_err(OpenProblem::Io)?;
            if let Ok(direct) = Direct::open(again, Format::Pcapng, link) {
                return Ok(Self { direct: Some(direct), ..Self::empty(limits) });
            }
        }
        file.rewind().map_err(OpenProblem::Io)?;
        let piped = Piped::tag_file(file, 0, limits)?;
        Ok(Self { piped: Some(piped), ..Self::empty(limits) })
    }

    fn opened(opened: Opened, limits: &Limits) -> Self {
        match opened {
            Opened::Reading(piped) => Self { piped: Some(piped), ..Self::empty(limits) },
            Opened::Damaged(fault) => Self { early: Some(fault), ..Self::empty(limits) },
        }
    }

    fn empty(limits: &Limits) -> Self {
        Self { direct: None, piped: None, early: None, over: false, packets: 0, limits: *limits }
    }
}

/// The link type of interfaces that libpcap reads by itself. Finer binary fractions of a second
/// than these overflow in it, without an error.
fn common_link(interfaces: &[Interface]) -> Option<LinkType> {
    let link = interfaces.first()?.link;
    let readable = |interface: &Interface| {
        interface.link == link && !matches!(interface.resolution, Resolution::Binary(35..))
    };
    interfaces.iter().all(readable).then_some(link)
}

/// Reads a file from its start through a feed, behind the packets that were delivered.
fn go_on(file: io::Result<File>, packets: u64, limits: &Limits) -> Result<Piped, Fault> {
    let file = file.map_err(|error| Fault::read(0, &error))?;
    Piped::tag_file(file, packets, limits).map_err(|problem| {
        let error = OpenError { input: "the rest of the file".to_owned(), problem };
        Fault { offset: 0, kind: super::DamageKind::Unreadable, reason: error.to_string() }
    })
}

fn end(over: &mut bool, fault: Option<Fault>, packets: u64) -> Next<'static> {
    *over = true;
    fault.map_or(Next::End, |fault| Next::Damaged(fault.after(packets)))
}

#[cfg(test)]
mod tests;
