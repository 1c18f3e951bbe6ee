//! ICAP (RFC 3507) as its server reads and writes it, and what proxies ask by it into exchanges.
//! Sans-IO: bytes and time in, steps of exchanges and bytes of answers out.
//!
//! ```text
//!   bytes ─ Parser ─ Event: heads and bodies of HTTP ─ Exchanges ─ exchange events (the seam)
//!                      └ answer: what is written back
//! ```
//!
//! - [`Parser`] reads what a proxy sends on one connection: the head of a request (RFC 3507
//!   section 4.3), the HTTP heads that it encapsulates (4.4), and the body, chunk by chunk, with
//!   its preview (4.5).
//! - [`Exchanges`] puts the request that a proxy tells of (REQMOD) and the response (RESPMOD), which
//!   come on two connections, together as one exchange.
//! - [`answer`] has what a server says.
//!
//! Which answer is right, and when, is decided where the connections are
//! (`intake`).

pub mod answer;
mod exchanges;
mod head;
mod parser;
#[cfg(test)]
mod tests;

pub use exchanges::{About, Counters, Exchanges, PairingLimits, Side};
pub use head::{EXCHANGE, Method, Request};
pub use parser::{Event, Http, Parser};

/// Bounds of reading one connection. Worst-case memory: `max_head_bytes` +
/// `max_encapsulated_bytes` + `max_line_bytes`; bodies are passed on as they come.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Request line and fields of ICAP itself, in bytes; more is malformed.
    pub max_head_bytes: usize,
    /// The encapsulated heads together, in bytes; more is malformed.
    pub max_encapsulated_bytes: usize,
    /// One chunk-size line with its extensions, in bytes; more is malformed.
    pub max_line_bytes: usize,
    /// The trailer section of a body, in bytes; more is malformed.
    pub max_trailer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 32 << 10,
            max_encapsulated_bytes: 256 << 10,
            max_line_bytes: 1 << 10,
            max_trailer_bytes: 8 << 10,
        }
    }
}

macro_rules! malformed {
    ($($(#[doc = $doc:literal])+ $variant:ident => $kind:literal, $status:literal;)+) => {
        /// What is wrong with what a proxy sent. Nothing can be read behind it: the connection is
        /// answered and closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Malformed { $($(#[doc = $doc])+ $variant,)+ }

        impl Malformed {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its stable name.
            #[must_use]
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$variant => $kind,)+ }
            }

            /// The status code of the answer (RFC 3507 section 4.3.3).
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }
        }
    };
}

malformed! {
    /// The request line is none.
    RequestLine => "icap-request-line-malformed", 400;
    /// The version is not `ICAP/1.x`.
    Version => "icap-version-unsupported", 505;
    /// A method other than the three.
    Method => "icap-method-unknown", 501;
    /// The head is longer than the bound.
    HeadTooLong => "icap-head-too-long", 400;
    /// A line of the head without a name or a colon.
    HeaderLine => "icap-header-line-invalid", 400;
    /// `Preview` is no number.
    Preview => "icap-preview-invalid", 400;
    /// There is no `Encapsulated`.
    EncapsulatedMissing => "icap-encapsulated-missing", 400;
    /// `Encapsulated` names parts that there are not, or not in their order.
    Encapsulated => "icap-encapsulated-malformed", 400;
    /// The encapsulated heads are longer than the bound.
    EncapsulatedTooLong => "icap-encapsulated-too-long", 400;
    /// A chunk size that is no number of 64 bits.
    ChunkSize => "icap-chunk-size-invalid", 400;
    /// A chunk-size line longer than the bound.
    ChunkLineTooLong => "icap-chunk-line-too-long", 400;
    /// Chunk data without a line end after it.
    ChunkUnterminated => "icap-chunk-unterminated", 400;
    /// A trailer section longer than the bound.
    TrailerTooLong => "icap-trailer-too-long", 400;
}

/// Reads arbitrary bytes as a connection, whole and in pieces, for fuzzing.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let read = |size: usize| {
        let mut parser = Parser::new(Limits::default());
        let mut events = 0_usize;
        let mut body = 0_usize;
        for piece in data.chunks(size.max(1)) {
            let mut rest = piece;
            loop {
                match parser.next(&mut rest) {
                    None => break,
                    Some(Event::Body(bytes)) => body += bytes.len(),
                    Some(Event::PreviewEnd) => {
                        events += 1;
                        parser.resume();
                    }
                    Some(_) => events += 1,
                }
            }
        }
        (events, body)
    };
    assert_eq!(read(data.len()), read(1));
    assert_eq!(read(data.len()), read(7));
}
