//! One direction's bytes into frames, of any cut.
//!
//! Data is named in place and never kept. Header blocks in one piece are given in place too; only
//! those that are spread over chunks or frames are put together, up to a bound.

mod blocks;
mod damage;

use blocks::Open;

use super::frame::{self, Frame, HEADER_BYTES};
use super::oddity::Oddity;
use super::search::{Found, Search};

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Memory for header blocks that is kept between them, in bytes.
const KEPT_BYTES: usize = 4 << 10;

/// What a header block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Purpose {
    /// HEADERS.
    Message {
        /// END_STREAM.
        end: bool,
    },
    /// PUSH_PROMISE.
    Promise,
}

/// A header block, whole or cut off.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Block<'a> {
    /// The stream; of a promise, the promised one.
    pub(in crate::app) stream: u32,
    pub(in crate::app) purpose: Purpose,
    pub(in crate::app) bytes: &'a [u8],
    pub(in crate::app) cut: Cut,
}

/// Why the end of a header block is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Cut {
    /// It is not.
    Whole,
    /// The capture has not got it.
    Missing,
    /// It is beyond the bound.
    TooLong,
    /// Another frame came instead.
    Interrupted,
}

/// What a step came to.
#[derive(Debug)]
pub(in crate::app) enum Step<'a> {
    More,
    /// A frame begins.
    Frame(Frame),
    /// The next bytes of a stream's content; never empty.
    Data(u32, &'a [u8]),
    /// So many of them are missing.
    DataGap(u32, u64),
    /// END_STREAM on a DATA frame that is over.
    DataEnd(u32),
    Block(Block<'a>),
    /// A header block of which nothing can be read.
    BlockLost(Option<Oddity>),
    /// One parameter of SETTINGS.
    Setting(u16, u32),
    Reset(u32),
    /// The last stream that the sender may have processed.
    GoAway(u32),
    /// The preface was read, so that the direction is known from its start.
    Preface,
    /// Frames may have been missed from here on.
    Lost,
    /// Frames again.
    Found(Found),
    Odd(Oddity),
}

#[derive(Debug)]
enum Phase {
    /// So many bytes of the preface were read. `sure`: else the connection was met midstream.
    Preface {
        matched: usize,
        sure: bool,
    },
    Header,
    /// At the pad length of DATA.
    DataPad,
    /// In DATA, of which so many bytes at the end are padding.
    Data {
        padding: u32,
    },
    /// In a part of a header block.
    Block,
    /// In a payload that is read in units of so many bytes.
    Units {
        bytes: usize,
    },
    Skip,
    Search(Box<Search>),
    /// Given up.
    Off,
}

/// The framing of one direction. Holds at most one header block, or the buffer of a search.
#[derive(Debug)]
pub(in crate::app) struct Framer {
    phase: Phase,
    frame: Frame,
    /// Payload bytes to come.
    left: u32,
    /// The first bytes of a header or unit.
    held: [u8; HEADER_BYTES],
    held_len: usize,
    buffer: Vec<u8>,
    open: Option<Open>,
    /// The buffer was handed out.
    spent: bool,
    preface: bool,
}

impl Framer {
    /// `preface`: the direction begins with the client's preface.
    pub(in crate::app) fn new(preface: bool, midstream: bool) -> Self {
        let phase = if preface {
            Phase::Preface { matched: 0, sure: !midstream }
        } else if midstream {
            Phase::Search(Box::new(Search::new(0, true)))
        } else {
            Phase::Header
        };
        Self {
            phase,
            frame: Frame::default(),
            left: 0,
            held: [0; HEADER_BYTES],
            held_len: 0,
            buffer: Vec::new(),
            open: None,
            spent: false,
            preface: !preface,
        }
    }

    /// A step is due though no byte may come.
    pub(in crate::app) const fn is_ready(&self) -> bool {
        let in_payload = matches!(
            self.phase,
            Phase::Data { .. } | Phase::Block | Phase::Units { .. } | Phase::Skip
        );
        in_payload && self.left == 0
    }

    /// Reads one piece: consumes bytes, or ends a frame.
    pub(in crate::app) fn step<'a>(
        &'a mut self,
        bytes: &'a [u8],
        max_block_bytes: usize,
        max_search_bytes: u64,
    ) -> (usize, Step<'a>) {
        self.clear_spent();
        match self.phase {
            Phase::Preface { matched, sure } => self.preface(bytes, matched, sure),
            Phase::Header => self.header(bytes),
            Phase::DataPad => self.data_pad(bytes),
            Phase::Data { padding } => self.data(bytes, padding),
            Phase::Block => self.block(bytes, max_block_bytes),
            Phase::Units { bytes: unit } => self.units(bytes, unit),
            Phase::Skip => (self.skip(bytes), Step::More),
            Phase::Search(ref mut search) => {
                let (used, found) = search.feed(bytes);
                if let Some(found) = found {
                    self.phase = Phase::Header;
                    return (used, Step::Found(found));
                }
                if search.seen() >= max_search_bytes {
                    self.phase = Phase::Off;
                    return (used, Step::Odd(Oddity::Unreadable));
                }
                (used, Step::More)
            }
            Phase::Off => (bytes.len(), Step::More),
        }
    }

    fn clear_spent(&mut self) {
        if std::mem::take(&mut self.spent) {
            self.buffer.clear();
            if self.buffer.capacity() > KEPT_BYTES {
                self.buffer = Vec::new();
            }
        }
    }

    fn preface(&mut self, bytes: &[u8], matched: usize, sure: bool) -> (usize, Step<'_>) {
        let rest = PREFACE.get(matched..).unwrap_or_default();
        let same = rest.iter().zip(bytes).take_while(|(want, got)| want == got).count();
        if same == rest.len() {
            self.phase = Phase::Header;
            return (same, Step::Preface);
        }
        if same == bytes.len() {
            self.phase = Phase::Preface { matched: matched + same, sure };
            return (same, Step::More);
        }
        if matched + same == 0 && sure {
            self.phase = Phase::Header;
            return (0, Step::More);
        }
        let mut search = Box::new(Search::new(0, false));
        let (_, none) = search.feed(PREFACE.get(..matched).unwrap_or_default());
        debug_assert!(none.is_none(), "the preface has no frames in it");
        self.phase = Phase::Search(search);
        (0, Step::Lost)
    }

    fn header(&mut self, bytes: &[u8]) -> (usize, Step<'_>) {
        if self.held_len == 0
            && let Some(header) = bytes.first_chunk::<HEADER_BYTES>()
        {
            return (HEADER_BYTES, self.begin(header));
        }
        let used = self.hold(bytes, HEADER_BYTES);
        if self.held_len < HEADER_BYTES {
            return (used, Step::More);
        }
        self.held_len = 0;
        let header = self.held;
        (used, self.begin(&header))
    }

    /// Adds to the held bytes, up to `want`.
    fn hold(&mut self, bytes: &[u8], want: usize) -> usize {
        let slots = self.held.get_mut(self.held_len..want).unwrap_or_default();
        let used = slots.len().min(bytes.len());
        for (slot, byte) in slots.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        self.held_len += used;
        used
    }

    fn begin(&mut self, header: &[u8; HEADER_BYTES]) -> Step<'_> {
        let frame = Frame::parse(header);
        let first = !std::mem::replace(&mut self.preface, true) && !frame.is_preface();
        if frame.is_absurd() || (first && !frame.is_plausible()) {
            let mut search = Box::new(Search::new(0, false));
            let (_, none) = search.feed(header);
            debug_assert!(none.is_none(), "one header is not enough");
            self.phase = Phase::Search(search);
            return Step::Lost;
        }
        (self.frame, self.left) = (frame, frame.len);
        let continues = frame.kind == frame::CONTINUATION
            && self.open.is_some_and(|open| open.carrier == frame.stream);
        let interrupted = if continues { None } else { self.open.take() };
        self.enter();
        if let Some(open) = interrupted {
            return self.give(open.cut_off(Cut::Interrupted));
        }
        if !frame.is_well_formed() {
            return Step::Odd(Oddity::FrameMalformed);
        }
        if frame.kind == frame::CONTINUATION && !continues {
            return Step::BlockLost(Some(Oddity::ContinuationUnexpected));
        }
        Step::Frame(frame)
    }

    /// The phase of a payload.
    fn enter(&mut self) {
        let frame = self.frame;
        self.phase = match frame.kind {
            _ if !frame.is_well_formed() => Phase::Skip,
            frame::DATA if frame.has(frame::PADDED) => Phase::DataPad,
            frame::DATA => Phase::Data { padding: 0 },
            frame::HEADERS => self.open(Purpose::Message { end: frame.has(frame::END_STREAM) }),
            frame::PUSH_PROMISE => self.open(Purpose::Promise),
            frame::CONTINUATION if self.open.is_some() => Phase::Block,
            frame::SETTINGS if !frame.has(frame::ACK) => Phase::Units { bytes: 6 },
            frame::RST_STREAM | frame::GOAWAY => Phase::Units { bytes: 4 },
            _ => Phase::Skip,
        };
    }

    fn data_pad(&mut self, bytes: &[u8]) -> (usize, Step<'_>) {
        let Some(padding) = bytes.first() else { return (0, Step::More) };
        self.left -= 1;
        let padding = u32::from(*padding);
        self.phase = Phase::Data { padding: padding.min(self.left) };
        let step = if padding > self.left { Step::Odd(Oddity::FrameMalformed) } else { Step::More };
        (1, step)
    }

    fn data<'a>(&mut self, bytes: &'a [u8], padding: u32) -> (usize, Step<'a>) {
        let body = self.left.saturating_sub(padding);
        let stream = self.frame.stream;
        if body > 0 && !bytes.is_empty() {
            let data = bytes.get(..body as usize).unwrap_or(bytes);
            self.left -= length(data);
            return (data.len(), Step::Data(stream, data));
        }
        let used = self.skip(bytes);
        let over = self.left == 0 && self.frame.has(frame::END_STREAM);
        (used, if over { Step::DataEnd(stream) } else { Step::More })
    }

    /// Passes over payload.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        let piece = bytes.get(..self.left as usize).unwrap_or(bytes);
        self.left -= length(piece);
        if self.left == 0 {
            self.phase = Phase::Header;
            self.held_len = 0;
        }
        piece.len()
    }

    /// Parameters of SETTINGS (RFC 9113 section 6.5.1); the codes of RST_STREAM and GOAWAY.
    fn units(&mut self, bytes: &[u8], unit: usize) -> (usize, Step<'_>) {
        let piece = bytes.get(..self.left as usize).unwrap_or(bytes);
        let used = self.hold(piece, unit);
        let taken = piece.get(..used).unwrap_or(piece);
        let held = self.held_len;
        self.skip(taken);
        if held < unit {
            return (used, Step::More);
        }
        self.held_len = 0;
        let [a, b, c, d, e, f, ..] = self.held;
        let step = match self.frame.kind {
            frame::SETTINGS => {
                Step::Setting(u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
            }
            frame::RST_STREAM => Step::Reset(self.frame.stream),
            _ => {
                self.phase = Phase::Skip;
                Step::GoAway(u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff)
            }
        };
        (used, step)
    }
}

/// Payloads have at most 24 bits of length.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
