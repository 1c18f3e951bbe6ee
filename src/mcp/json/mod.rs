//! A streaming JSON scanner (RFC 8259): one value, in pieces of any size, in constant memory.
//!
//! A [`Visitor`] says of each value what it wants of it: nothing, its text, its raw bytes, or what
//! is inside. Values that nobody wants are skipped at memory speed and checked only loosely:
//! strings must end and brackets must balance in number, not in kind. What is entered is held to
//! the grammar, except that raw control characters in strings are tolerated and reported.

mod scalar;
mod skip;
mod text;

#[cfg(test)]
mod tests;

pub use scalar::is_scalar;
pub use text::Text;

use memchr::memchr2;

use scalar::Scalar;
use skip::{Skip, Skipped};
use text::Decoder;

/// Deepest nesting that is not reported as [`TOO_DEEP`].
pub const MAX_DEPTH: u32 = 128;

/// Containers that can be entered inside each other; one bit each is kept. Deeper ones are skipped.
const MAX_ENTERED: u32 = 32;

/// Longest key that is reported whole, in bytes once decoded; the rest is cut.
pub const MAX_KEY_BYTES: usize = 128;

/// Oddity: nesting passes [`MAX_DEPTH`]. Reading goes on, since depth costs no memory here.
pub const TOO_DEEP: &str = "json-too-deep";

/// Oddity: a control character stands unescaped in a key or in a captured string.
pub const CONTROL_CHARACTER: &str = "json-control-character";

/// The four kinds of values that a first byte tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// A number, `true`, `false` or `null`.
    Scalar,
}

/// What to do with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Skip,
    /// Report the values inside. Skips strings and scalars.
    Enter,
    /// Report its text, at most so many bytes once decoded. Skips containers.
    Text(usize),
    /// Read no further.
    Stop,
}

/// A visitor's answer to the beginning of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What to do with it.
    pub plan: Plan,
    /// Keep its raw text too, up to so many bytes. One recording at a time: an order inside
    /// a recorded value is ignored.
    pub record: Option<usize>,
}

impl From<Plan> for Order {
    fn from(plan: Plan) -> Self {
        Self { plan, record: None }
    }
}

/// How a value was read.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'a> {
    /// It was skipped.
    Skipped,
    /// An entered container is closed.
    Container,
    /// A string, decoded.
    String(Text<'a>),
    /// A scalar, as spelled.
    Scalar(Text<'a>),
}

/// The raw text of a recorded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It passed the bound: its beginning, as long as the bound.
    Cut(&'a [u8]),
}

impl<'a> Recorded<'a> {
    /// The text, and whether it was cut.
    #[must_use]
    pub const fn parts(self) -> (&'a [u8], bool) {
        match self {
            Self::Whole(raw) => (raw, false),
            Self::Cut(raw) => (raw, true),
        }
    }
}

/// Receives what a [`Scanner`] reads. Offsets count all bytes the scanner was ever given.
pub trait Visitor {
    /// A value begins at `offset`.
    fn begin(&mut self, shape: Shape, offset: u64) -> Order;

    /// A key of the innermost entered object, decoded, cut at [`MAX_KEY_BYTES`].
    fn key(&mut self, key: Text<'_>);

    /// The value that began last and has not ended yet ends just before `offset`.
    fn end(&mut self, ended: Ended<'_>, recorded: Option<Recorded<'_>>, offset: u64);

    /// Something odd that does not stop the scanner: [`TOO_DEEP`] or [`CONTROL_CHARACTER`].
    fn oddity(&mut self, kind: &'static str);
}

/// How far a push came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All bytes are used, and the value goes on.
    More,
    /// The value is complete; so many bytes were used. The next push begins another value.
    Done(usize),
    /// This is no JSON. The scanner is of no more use.
    Malformed,
    /// The visitor said [`Plan::Stop`]. The scanner is of no more use.
    Stopped,
}

/// Why scanning ends early.
enum Halt {
    Malformed,
    Stopped,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A value: the first one, or after a colon, or after a comma in an array.
    #[default]
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    /// After a comma in an object.
    Key,
    /// After a key.
    Colon,
    /// After a value in a container.
    CommaOrEnd,
    /// In a key.
    InKey,
    /// In a string that is wanted.
    InString,
    /// In a string that is not; `true` just after a backslash.
    InSkippedString(bool),
    /// In a scalar.
    InScalar { wanted: bool },
    /// In a skipped container.
    InSkipped,
    /// After the outermost value.
    Done,
}

/// The piece being read.
struct Input<'a> {
    /// Not read yet.
    rest: &'a [u8],
    /// Not recorded yet: `rest` and what was read before it.
    unrecorded: &'a [u8],
    /// Offset of the piece's end.
    end: u64,
}

impl Input<'_> {
    fn offset(&self) -> u64 {
        self.end - self.rest.len() as u64
    }

    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

/// Raw text being kept.
#[derive(Clone, Debug, Default)]
struct Recorder {
    active: bool,
    too_long: bool,
    /// Depth around the recorded value.
    depth: u32,
    max: usize,
    bytes: Vec<u8>,
}

impl Recorder {
    fn start(&mut self, depth: u32, max: usize) {
        self.bytes.clear();
        (self.active, self.too_long, self.depth, self.max) = (true, false, depth, max);
    }

    /// Keeps what was read since the last call.
    fn catch_up(&mut self, input: &mut Input<'_>) {
        let read = input.unrecorded.len() - input.rest.len();
        if self.active && !self.too_long {
            let room = self.max - self.bytes.len();
            self.too_long = read > room;
            let kept = input.unrecorded.get(..read.min(room)).unwrap_or_default();
            self.bytes.extend_from_slice(kept);
        }
        input.unrecorded = input.rest;
    }

    /// Ends the recording when the value that ended at `depth` is the recorded one.
    fn finish(&mut self, depth: u32, input: &mut Input<'_>) -> Option<Recorded<'_>> {
        if !self.active || self.depth != depth {
            return None;
        }
        self.catch_up(input);
        self.active = false;
        Some(if self.too_long { Recorded::Cut(&self.bytes) } else { Recorded::Whole(&self.bytes) })
    }
}

/// Reads one JSON value after the other. The value must be an object or an array; whitespace may
/// stand before it. Holds the recording (bounded by the visitor) and one text (likewise), nothing
/// else that grows.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    state: State,
    /// The entered containers, innermost in the lowest bit: 1 is an object.
    kinds: u32,
    /// How many containers are entered.
    depth: u32,
    offset: u64,
    text: Decoder,
    scalar: Scalar,
    skip: Skip,
    recorder: Recorder,
}

impl Scanner {
    /// How many bytes it has read.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next piece.
    pub fn push<V: Visitor>(&mut self, bytes: &[u8], visitor: &mut V) -> Progress {
        let end = self.offset + bytes.len() as u64;
        let mut input = Input { rest: bytes, unrecorded: bytes, end };
        let outcome = self.run(&mut input, visitor);
        self.recorder.catch_up(&mut input);
        self.offset = input.offset();
        match outcome {
            Err(Halt::Malformed) => Progress::Malformed,
            Err(Halt::Stopped) => Progress::Stopped,
            Ok(()) if self.state == State::Done => {
                self.state = State::Value;
                Progress::Done(bytes.len() - input.rest.len())
            }
            Ok(()) => Progress::More,
        }
    }

    fn run<V: Visitor>(&mut self, input: &mut Input<'_>, visitor: &mut V) -> Result<(), Halt> {
        while let Some(&byte) = input.rest.first() {
            match self.state {
                State::InSkipped => self.skipped(input, visitor)?,
                State::InSkippedString(escaped) => self.skipped_string(escaped, input, visitor),
                State::InKey => self.in_key(input, visitor)?,
                State::InString => self.in_string(input, visitor)?,
                State::InScalar { wanted } => self.in_scalar(wanted, input, visitor)?,
                State::Done => return Ok(()),
                _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => input.advance(1),
                State::Value => self.begin(byte, input, visitor)?,
                _ => self.structure(byte, input, visitor)?,
            }
        }
        Ok(())
    }

    /// Punctuation, keys, and the first value of an array.
    fn structure<V: Visitor>(
        &mut self,
        byte: u8,
        input: &mut Input<'_>,
        visitor: &mut V,
    ) -> Result<(), Halt> {
        let in_object = self.kinds & 1 == 1;
        if self.state == State::ValueOrEnd && byte != b']' {
            return self.begin(byte, input, visitor);
        }
        input.advance(1);
        self.state = match (self.state, byte) {
            (State::KeyOrEnd | State::Key, b'"') => {
                self.text.start(MAX_KEY_BYTES);
                State::InKey
            }
            (State::Colon, b':') => State::Value,
            (State::CommaOrEnd, b',') if in_object => State::Key,
            (State::CommaOrEnd, b',') => State::Value,
            (State::KeyOrEnd, b'}') | (State::ValueOrEnd, b']') => self.close(input, visitor),
            (State::CommaOrEnd, b'}') if in_object => self.close(input, visitor),
            (State::CommaOrEnd, b']') if !in_object => self.close(input, visitor),
            _ => return Err(Halt::Malformed),
        };
        Ok(())
    }

    fn begin<V: Visitor>(
        &mut self,
        byte: u8,
        input: &mut Input<'_>,
        visitor: &mut V,
    ) -> Result<(), Halt> {
        let shape = match byte {
            b'{' => Shape::Object,
            b'[' => Shape::Array,
            b'"' => Shape::String,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Shape::Scalar,
            _ => return Err(Halt::Malformed),
        };
        let order = visitor.begin(shape, input.offset());
        if order.plan == Plan::Stop {
            return Err(Halt::Stopped);
        }
        if self.depth == 0 && matches!(shape, Shape::String | Shape::Scalar) {
            return Err(Halt::Malformed);
        }
        if let (Some(max), false) = (order.record, self.recorder.active) {
            input.unrecorded = input.rest;
            self.recorder.start(self.depth, max);
        }
        self.state = match (shape, order.plan) {
            (Shape::Object | Shape::Array, Plan::Enter) if self.depth < MAX_ENTERED => {
                let object = shape == Shape::Object;
                self.kinds = self.kinds << 1 | u32::from(object);
                self.depth += 1;
                if object { State::KeyOrEnd } else { State::ValueOrEnd }
            }
            (Shape::Object | Shape::Array, _) => {
                self.skip.start(self.depth);
                State::InSkipped
            }
            (Shape::String, Plan::Text(max)) => {
                self.text.start(max);
                State::InString
            }
            (Shape::String, _) => State::InSkippedString(false),
            (Shape::Scalar, plan) => {
                self.scalar = Scalar::Start;
                self.text.start(if let Plan::Text(max) = plan { max } else { 0 });
                self.state = State::InScalar { wanted: matches!(plan, Plan::Text(_)) };
                return Ok(());
            }
        };
        input.advance(1);
        Ok(())
    }

    /// Closes the innermost entered container, whose bracket was just read.
    fn close<V: Visitor>(&mut self, input: &mut Input<'_>, visitor: &mut V) -> State {
        self.depth -= 1;
        self.kinds >>= 1;
        self.ended(Ended::Container, input, visitor)
    }

    /// Reports the end of a value, just before what is left of the input.
    fn ended<V: Visitor>(
        &mut self,
        ended: Ended<'_>,
        input: &mut Input<'_>,
        visitor: &mut V,
    ) -> State {
        let recorded = self.recorder.finish(self.depth, input);
        visitor.end(ended, recorded, input.offset());
        if self.depth == 0 { State::Done } else { State::CommaOrEnd }
    }

    fn skipped<V: Visitor>(&mut self, input: &mut Input<'_>, visitor: &mut V) -> Result<(), Halt> {
        let outcome = self.skip.run(input.rest);
        if self.skip.take_too_deep() {
            visitor.oddity(TOO_DEEP);
        }
        match outcome {
            Skipped::More => input.rest = &[],
            Skipped::Closed(used) => {
                input.advance(used);
                self.state = self.ended(Ended::Skipped, input, visitor);
            }
            Skipped::Malformed => return Err(Halt::Malformed),
        }
        Ok(())
    }

    fn skipped_string<V: Visitor>(
        &mut self,
        escaped: bool,
        input: &mut Input<'_>,
        visitor: &mut V,
    ) {
        if escaped {
            input.advance(1);
        }
        self.state = State::InSkippedString(false);
        match memchr2(b'"', b'\\', input.rest) {
            None => input.rest = &[],
            Some(at) => {
                let quote = input.rest.get(at) == Some(&b'"');
                input.advance(at + 1);
                if quote {
                    self.state = self.ended(Ended::Skipped, input, visitor);
                } else {
                    self.state = State::InSkippedString(true);
                }
            }
        }
    }

    fn in_key<V: Visitor>(&mut self, input: &mut Input<'_>, visitor: &mut V) -> Result<(), Halt> {
        if let Some(direct) = self.text.read(&mut input.rest).map_err(|_| Halt::Malformed)? {
            let key = self.text.finish(direct);
            if key.control {
                visitor.oddity(CONTROL_CHARACTER);
            }
            visitor.key(key);
            self.state = State::Colon;
        }
        Ok(())
    }

    fn in_string<V: Visitor>(
        &mut self,
        input: &mut Input<'_>,
        visitor: &mut V,
    ) -> Result<(), Halt> {
        if let Some(direct) = self.text.read(&mut input.rest).map_err(|_| Halt::Malformed)? {
            let text = self.text.finish(direct);
            if text.control {
                visitor.oddity(CONTROL_CHARACTER);
            }
            let recorded = self.recorder.finish(self.depth, input);
            visitor.end(Ended::String(text), recorded, input.offset());
            self.state = State::CommaOrEnd;
        }
        Ok(())
    }

    fn in_scalar<V: Visitor>(
        &mut self,
        wanted: bool,
        input: &mut Input<'_>,
        visitor: &mut V,
    ) -> Result<(), Halt> {
        let stops = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
        let len = input.rest.iter().position(stops).unwrap_or(input.rest.len());
        let (piece, after) = input.rest.split_at_checked(len).unwrap_or_default();
        for &byte in piece {
            self.scalar = self.scalar.next(byte).ok_or(Halt::Malformed)?;
        }
        if wanted {
            self.text.append(piece);
        }
        input.rest = after;
        if after.is_empty() {
            return Ok(());
        }
        if !self.scalar.is_complete() {
            return Err(Halt::Malformed);
        }
        let text = self.text.finish(&[]);
        let recorded = self.recorder.finish(self.depth, input);
        let ended = if wanted { Ended::Scalar(text) } else { Ended::Skipped };
        visitor.end(ended, recorded, input.offset());
        self.state = State::CommaOrEnd;
        Ok(())
    }
}
