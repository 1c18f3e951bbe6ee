//! Body bytes into plain bytes, text and server-sent events. Sans-IO, bounded.
//!
//! Three machines, each push style and each cut anywhere, put one behind the other by whoever
//! reads a body:
//!
//! - [`decompress::Decoder`]: content-coded bytes into plain bytes (RFC 9110 section 8.4)
//! - [`text::Transcoder`]: UTF-16 and UTF-32 into UTF-8, for JSON bodies (RFC 4627 section 3)
//! - [`sse::Parser`]: `text/event-stream` into events (WHATWG HTML section 9.2). An event stream
//!   is always UTF-8: it needs no `Transcoder` before it.
//!
//! Nothing waits for the end of a body, and UTF-8 without content coding is never copied.

pub mod decompress;
#[cfg(fuzzing)]
mod fuzz;
pub mod sse;
pub mod text;

#[cfg(fuzzing)]
pub use fuzz::{fuzz_decompress, fuzz_sse};
