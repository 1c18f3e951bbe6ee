//! HTTP/2 (RFC 9113), read in passing: both directions of a connection into exchanges, one per
//! stream.
//!
//! [`framer`] cuts one direction into frames and, where framing is lost, lets [`search`] find the
//! next one. [`hpack`] reads header blocks. [`messages`] knows the streams and tells the
//! [`ExchangeSink`](crate::exchange::ExchangeSink) what happens on them.
//!
//! Nothing here plays an endpoint's part: flow control, priorities and limits of the peers are
//! not checked. DATA is passed on in place; only header blocks are ever kept. Of a connection
//! that was met midstream, or after a gap that may have hidden header blocks, fields that refer to
//! them are left out (`hpack-partial`), and content is read nonetheless: where the media type of a
//! response is among what is unknown, the first bytes of its content tell it.

pub(in crate::app) mod connection;
pub(in crate::app) mod feed;
mod frame;
mod framer;
#[cfg(any(test, fuzzing))]
#[cfg_attr(test, allow(unreachable_pub, reason = "public for fuzzers only"))]
pub mod fuzzing;
mod hpack;
mod messages;
mod oddity;
mod recognise;
mod search;
mod stream;

#[cfg(test)]
mod tests;

pub(in crate::app) use connection::Connection;
pub(in crate::app) use feed::Feed;
pub(in crate::app) use recognise::recognise;

/// Bounds of HTTP/2. Worst case per connection: two dynamic tables of twice `max_table_bytes` and
/// 64 KiB of entries, two header blocks of `max_header_block_bytes` (or searches of 80 KiB), and
/// `max_streams` streams of 88 bytes; about 650 KiB, and some kilobytes in ordinary traffic.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One header block as sent, in bytes. At the bound it is read as far as it goes, and the
    /// compression state is lost.
    pub max_header_block_bytes: usize,
    /// One header block's fields when decoded, in bytes; the rest is not reported.
    pub max_head_bytes: usize,
    /// Fields per header block; the rest is not reported.
    pub max_headers: usize,
    /// A dynamic table, in bytes as RFC 7541 section 4.1 counts them, whatever SETTINGS allows.
    /// Beyond it the oldest entries are unknown.
    pub max_table_bytes: usize,
    /// Open streams; at the bound the oldest is aborted.
    pub max_streams: usize,
    /// Bytes of a direction within which frames must be found again.
    pub max_search_bytes: u64,
    /// CONTINUATION frames of a header block that are not called a flood.
    pub max_continuations: u32,
    /// Empty frames, SETTINGS frames, or streams reset before an answer, in a row, that are not
    /// called a flood.
    pub max_repeats: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_header_block_bytes: 64 << 10,
            max_head_bytes: 64 << 10,
            max_headers: 256,
            max_table_bytes: 64 << 10,
            max_streams: 1024,
            max_search_bytes: 1 << 20,
            max_continuations: 64,
            max_repeats: 100,
        }
    }
}
