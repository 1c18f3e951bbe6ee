//! One direction's bytes into frames, of any cut.
//!
//! Data is named in place and never kept. Header blocks in one piece are given in place too; only
//! those that are spread over chunks or frames are put together, up to a bound.

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

/// A header block that is not over.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// The stream of its frames.
    carrier: u32,
    /// The stream that it is about.
    stream: u32,
    purpose: Purpose,
    /// Where it begins in the buffer.
    start: usize,
    /// Its first frame is over, and what stands before the block there is known.
    stripped: bool,
    cut: Cut,
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
            return self.give(Open { cut: Cut::Interrupted, ..open });
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

    const fn open(&mut self, purpose: Purpose) -> Phase {
        let carrier = self.frame.stream;
        let cut = Cut::Whole;
        self.open =
            Some(Open { carrier, stream: carrier, purpose, start: 0, stripped: false, cut });
        Phase::Block
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

    fn block<'a>(&'a mut self, bytes: &'a [u8], max_bytes: usize) -> (usize, Step<'a>) {
        let Some(open) = self.open else { return (self.skip(bytes), Step::More) };
        let frame = self.frame;
        let left = self.left as usize;
        let ends = frame.has(frame::END_HEADERS);
        let untouched = !open.stripped && self.buffer.is_empty() && open.cut == Cut::Whole;
        if untouched
            && ends
            && left <= max_bytes
            && let Some(payload) = bytes.get(..left)
        {
            self.open = None;
            self.skip(payload);
            return (left, in_place(open, frame, payload));
        }
        let piece = bytes.get(..left).unwrap_or(bytes);
        let room = max_bytes.saturating_sub(self.buffer.len());
        if open.cut == Cut::Whole {
            self.buffer.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if piece.len() > room {
                self.open = Some(Open { cut: Cut::TooLong, ..open });
            }
        }
        self.skip(piece);
        let step = if self.left == 0 { self.end_block_frame(ends) } else { Step::More };
        (piece.len(), step)
    }

    /// A frame of a header block is over.
    fn end_block_frame(&mut self, ends: bool) -> Step<'_> {
        let Some(mut open) = self.open.take() else { return Step::More };
        if !open.stripped {
            let Some(prefix) = Prefix::read(self.frame, &self.buffer) else {
                self.spent = true;
                let known = open.cut == Cut::Whole;
                return Step::BlockLost(known.then_some(Oddity::FrameMalformed));
            };
            let end = (self.frame.len as usize).saturating_sub(prefix.padding);
            if end < prefix.len {
                self.spent = true;
                return Step::BlockLost(Some(Oddity::FrameMalformed));
            }
            self.buffer.truncate(end);
            (open.start, open.stripped) = (prefix.len, true);
            open.stream = prefix.promised.unwrap_or(open.stream);
        }
        if ends {
            return self.give(open);
        }
        self.open = Some(open);
        Step::More
    }

    /// Hands out the buffered block.
    fn give(&mut self, open: Open) -> Step<'_> {
        self.spent = true;
        let mut open = open;
        if !open.stripped {
            let Some(prefix) = Prefix::read(self.frame, &self.buffer) else {
                return Step::BlockLost(None);
            };
            open.start = prefix.len;
            open.stream = prefix.promised.unwrap_or(open.stream);
        }
        let bytes = self.buffer.get(open.start..).unwrap_or_default();
        Step::Block(Block { stream: open.stream, purpose: open.purpose, bytes, cut: open.cut })
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

    /// Takes some of `len` missing bytes. Not to be called while a step is due.
    pub(in crate::app) fn gap(&mut self, len: &mut u64) -> Step<'_> {
        self.clear_spent();
        match &mut self.phase {
            Phase::Search(search) => {
                if let Some(found) = search.settle() {
                    self.phase = Phase::Header;
                    return Step::Found(found);
                }
                search.gap(std::mem::take(len));
                Step::More
            }
            Phase::Off => {
                *len = 0;
                Step::More
            }
            Phase::Header | Phase::Preface { .. } => {
                if let Some(open) = self.open.take() {
                    return self.give(Open { cut: Cut::Missing, ..open });
                }
                let missing = std::mem::take(len).saturating_add(self.held_len as u64);
                self.held_len = 0;
                self.phase = Phase::Search(Box::new(Search::new(missing, false)));
                Step::Lost
            }
            Phase::DataPad => {
                let taken = self.miss(len, 0);
                self.phase = Phase::Data { padding: self.left };
                Step::DataGap(self.frame.stream, taken)
            }
            Phase::Data { padding } => {
                let padding = *padding;
                if self.left > padding {
                    return Step::DataGap(self.frame.stream, self.miss(len, padding));
                }
                self.miss(len, 0);
                Step::More
            }
            Phase::Block => {
                if let Some(open) = &mut self.open {
                    open.cut = Cut::Missing;
                }
                self.miss(len, 0);
                Step::More
            }
            Phase::Units { .. } => {
                self.phase = Phase::Skip;
                self.held_len = 0;
                self.miss(len, 0);
                let reset = self.frame.kind == frame::RST_STREAM;
                if reset { Step::Reset(self.frame.stream) } else { Step::More }
            }
            Phase::Skip => {
                self.miss(len, 0);
                Step::More
            }
        }
    }

    /// Takes missing bytes out of the payload, but for the last `keep` of it.
    fn miss(&mut self, len: &mut u64, keep: u32) -> u64 {
        let most = self.left.saturating_sub(keep);
        let taken = u32::try_from(*len).unwrap_or(u32::MAX).min(most);
        self.left -= taken;
        *len -= u64::from(taken);
        u64::from(taken)
    }

    /// No more bytes come. To be called until there is nothing more.
    pub(in crate::app) fn finish(&mut self) -> Step<'_> {
        self.clear_spent();
        if let Phase::Search(search) = &mut self.phase
            && let Some(found) = search.settle()
        {
            self.phase = Phase::Header;
            return Step::Found(found);
        }
        self.phase = Phase::Off;
        match self.open.take() {
            Some(open) => self.give(Open { cut: Cut::Missing, ..open }),
            None => Step::More,
        }
    }
}

/// Payloads have at most 24 bits of length.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// What stands before a header block in its first frame (RFC 9113 sections 6.2 and 6.6).
#[derive(Clone, Copy, Debug)]
struct Prefix {
    len: usize,
    padding: usize,
    promised: Option<u32>,
}

impl Prefix {
    fn read(frame: Frame, payload: &[u8]) -> Option<Self> {
        let mut prefix = Self { len: 0, padding: 0, promised: None };
        let mut rest = payload;
        if frame.has(frame::PADDED) {
            let (padding, after) = rest.split_first()?;
            prefix.padding = usize::from(*padding);
            prefix.len += 1;
            rest = after;
        }
        if frame.kind == frame::PUSH_PROMISE {
            let promised = rest.first_chunk::<4>()?;
            prefix.promised = Some(u32::from_be_bytes(*promised) & 0x7fff_ffff);
            prefix.len += 4;
        } else if frame.has(frame::PRIORITISED) {
            rest.first_chunk::<5>()?;
            prefix.len += 5;
        }
        Some(prefix)
    }
}

/// A header block that is whole in one frame in one chunk.
fn in_place<'a>(open: Open, frame: Frame, payload: &'a [u8]) -> Step<'a> {
    let block = Prefix::read(frame, payload).and_then(|prefix| {
        let end = payload.len().checked_sub(prefix.padding)?;
        Some((prefix.promised.unwrap_or(open.stream), payload.get(prefix.len..end)?))
    });
    match block {
        Some((stream, bytes)) => {
            Step::Block(Block { stream, purpose: open.purpose, bytes, cut: Cut::Whole })
        }
        None => Step::BlockLost(Some(Oddity::FrameMalformed)),
    }
}
