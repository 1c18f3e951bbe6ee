//! One direction: bytes into lines.

use memchr::memchr;

use crate::anomaly::{Anomaly, Layer};
use crate::app::websocket::Feed;
use crate::exchange::{
    BodyInterest, End, ExchangeEvent, ExchangeSink, MessageCoding, MessagePiece,
};
use crate::net::Direction;

/// Anomaly: a line that is no JSON object or array: a stdio server that prints to its output.
/// Once per direction.
const NOISE: &str = "line-not-json";
/// Anomaly: bytes are missing, and a line is lost or cut. Once per direction.
const BROKEN: &str = "line-broken";

/// Where the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Before the first byte of a line. `sure`: it is one, and not the middle of a line that was
    /// not captured from its start.
    Start { sure: bool },
    /// In a line that is reported.
    Line,
    /// In a line that is not.
    Skip,
    /// The direction is over.
    Off,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    direction: Direction,
    step: Step,
    noise: bool,
    broken: bool,
}

/// What both directions share.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) number: u32,
    pub(super) begun: bool,
    pub(super) unwanted: bool,
}

impl Stream {
    fn tell<S: ExchangeSink>(&mut self, event: ExchangeEvent<'_>, out: &mut Feed<'_, S>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.counters.exchanges += 1;
        }
        self.unwanted |= out.event(self.number, event) == BodyInterest::Unwanted;
    }

    pub(super) const fn interest(&self) -> BodyInterest {
        if self.unwanted { BodyInterest::Unwanted } else { BodyInterest::Wanted }
    }
}

impl Half {
    pub(super) const fn new(direction: Direction) -> Self {
        Self { direction, step: Step::Start { sure: true }, noise: false, broken: false }
    }

    /// The bytes that come may be the middle of a line.
    pub(super) fn join(&mut self) {
        if self.step != Step::Off {
            self.step = Step::Start { sure: false };
        }
    }

    fn piece<S: ExchangeSink>(
        &self,
        bytes: &[u8],
        end: Option<End>,
        stream: &mut Stream,
        out: &mut Feed<'_, S>,
    ) {
        let coding = MessageCoding::Plain;
        let piece = MessagePiece { direction: self.direction, coding, bytes, end };
        stream.tell(ExchangeEvent::Message(piece), out);
    }

    pub(super) fn feed<S: ExchangeSink>(
        &mut self,
        bytes: &[u8],
        stream: &mut Stream,
        out: &mut Feed<'_, S>,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() && !stream.unwanted {
            rest = match self.step {
                Step::Start { sure } => self.start(rest, sure, out),
                Step::Line => self.line(rest, stream, out),
                Step::Skip => match memchr(b'\n', rest) {
                    Some(end) => {
                        self.step = Step::Start { sure: true };
                        rest.get(end + 1..).unwrap_or_default()
                    }
                    None => return,
                },
                Step::Off => return,
            };
        }
    }

    fn start<'b, S: ExchangeSink>(
        &mut self,
        bytes: &'b [u8],
        sure: bool,
        out: &mut Feed<'_, S>,
    ) -> &'b [u8] {
        // A byte order mark may stand before the first line, and is a blank wherever it stands.
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf);
        let blanks = bytes.iter().take_while(|byte| blank(byte)).count();
        let (before, rest) = bytes.split_at_checked(blanks).unwrap_or((bytes, &[]));
        let sure = sure || before.contains(&b'\n');
        self.step = match rest.first() {
            None => Step::Start { sure },
            // What a packet begins with may be the middle of a line, but is its start more often;
            // and the inside of a message is none by itself.
            Some(b'{' | b'[') => Step::Line,
            Some(_) => {
                if sure && !std::mem::replace(&mut self.noise, true) {
                    out.anomaly(Anomaly::new(Layer::Lines, NOISE));
                }
                Step::Skip
            }
        };
        rest
    }

    fn line<'b, S: ExchangeSink>(
        &mut self,
        bytes: &'b [u8],
        stream: &mut Stream,
        out: &mut Feed<'_, S>,
    ) -> &'b [u8] {
        let Some(end) = memchr(b'\n', bytes) else {
            self.piece(bytes, None, stream, out);
            return &[];
        };
        self.step = Step::Start { sure: true };
        self.piece(bytes.get(..end).unwrap_or_default(), Some(End::Complete), stream, out);
        bytes.get(end + 1..).unwrap_or_default()
    }

    pub(super) fn gap<S: ExchangeSink>(
        &mut self,
        len: u64,
        stream: &mut Stream,
        out: &mut Feed<'_, S>,
    ) {
        if len == 0 || stream.unwanted || self.step == Step::Off {
            return;
        }
        if !std::mem::replace(&mut self.broken, true) {
            out.anomaly(Anomaly::new(Layer::Lines, BROKEN));
        }
        if self.step == Step::Line {
            stream.tell(ExchangeEvent::MessageGap(self.direction, len), out);
            self.piece(&[], Some(End::Truncated), stream, out);
        }
        self.step = Step::Start { sure: false };
    }

    pub(super) fn finish<S: ExchangeSink>(&mut self, stream: &mut Stream, out: &mut Feed<'_, S>) {
        if self.step == Step::Line && !stream.unwanted {
            self.piece(&[], Some(End::Truncated), stream, out);
        }
        self.step = Step::Off;
    }
}
