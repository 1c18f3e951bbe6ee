//! Interfaces into packets, for as long as the sensor runs.
//!
//! A [`LiveSource`] is what a reader thread reads: an [`Interface`] through libpcap, or a double in
//! tests. It never blocks: on Linux a blocking read of libpcap waits for ever on an idle
//! interface, and a reader has more to do than to read.
//!
//! Memory of one interface: the kernel's ring ([`Settings::buffer_bytes`]) and one packet.

mod counted;
mod error;
mod interface;
mod privilege;

pub use counted::Drops;
pub use error::LiveError;
pub use interface::{Interface, Settings};
pub use privilege::{NetRaw, give_up_privileges};

use super::{LinkType, Packet};
use crate::time::Timestamp;

/// What the next read of a [`LiveSource`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveNext<'a> {
    /// A packet. Its bytes are valid until the next read.
    Packet {
        /// When the kernel saw it.
        time: Timestamp,
        /// Link-layer type of the interface.
        link: LinkType,
        /// The captured bytes.
        bytes: &'a [u8],
        /// Length on the wire, in bytes.
        wire_len: u32,
    },
    /// None is there now.
    Idle,
    /// The interface cannot be read any more, and why; [`LiveSource::reopen`] it.
    Lost(String),
}

/// Whether packets can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It is up, as far as anybody knows.
    #[default]
    Up,
    /// It is there, but set down.
    Down,
    /// It is not there, or cannot be opened.
    Gone,
}

impl std::fmt::Display for LinkState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Gone => "gone",
        })
    }
}

/// Something that packets come from until somebody stops it.
pub trait LiveSource: Send {
    /// Name of the interface.
    fn name(&self) -> &str;

    /// The next packet, without waiting for one.
    fn next(&mut self) -> LiveNext<'_>;

    /// Opens the interface again, after [`LiveNext::Lost`].
    ///
    /// # Errors
    /// When that is not possible yet.
    fn reopen(&mut self) -> Result<(), LiveError>;

    /// What came and what was lost before it got here, since the source was made. Reads files and
    /// asks the kernel: once a second is often.
    fn drops(&mut self) -> Drops;

    /// Whether the interface is up. Reads a file.
    fn state(&self) -> LinkState;
}

/// Sees every packet as it was captured, before anything is decoded or shed: a packet ring. Runs on
/// the reader's thread, so what it takes long for is lost in the kernel.
pub trait PacketTap: Send {
    /// A packet of the interface with this number (its place on the command line, from 0).
    fn packet(&mut self, interface: usize, packet: &Packet<'_>);

    /// A second or so has passed, with packets or without.
    fn tick(&mut self, now: Timestamp) {
        let _ = now;
    }
}
