//! The anomalies of HTTP/1, by name.

use crate::anomaly::{Anomaly, Layer};

macro_rules! oddities {
    ($($(#[doc = $doc:literal])+ $variant:ident => $kind:literal,)+) => {
        /// What may be odd about HTTP/1 traffic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(in crate::app) enum Oddity { $($(#[doc = $doc])+ $variant,)+ }

        impl Oddity {
            const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its stable name.
            pub(in crate::app) const fn kind(self) -> &'static str {
                match self { $(Self::$variant => $kind,)+ }
            }
        }
    };
}

oddities! {
    /// A start line or header line ends with LF alone (RFC 9112 section 2.2).
    BareLf => "bare-lf",
    /// A NUL byte in a head.
    NulInHead => "nul-in-head",
    /// The version of a start line is not `HTTP/1.x`.
    VersionMalformed => "version-malformed",
    /// A request target with white space in it.
    TargetSpace => "request-target-space",
    /// What should be a request line is none; the next one is looked for.
    RequestLineMalformed => "request-line-malformed",
    /// What should be a status line is none; the next one is looked for.
    StatusLineMalformed => "status-line-malformed",
    /// A head or trailer section beyond the bound.
    HeadTooLong => "head-too-long",
    /// More header fields than the bound.
    TooManyHeaders => "too-many-headers",
    /// White space between field name and colon (RFC 9112 section 5.1).
    SpaceBeforeColon => "header-space-before-colon",
    /// A field name with bytes that no token has.
    NameInvalid => "header-name-invalid",
    /// A header line without a name or colon; it is not reported.
    LineInvalid => "header-line-invalid",
    /// A folded field value (RFC 9112 section 5.2).
    ObsFold => "obs-fold",
    /// The same `Content-Length` twice.
    LengthDuplicate => "content-length-duplicate",
    /// Different `Content-Length`s: the first wins.
    LengthConflict => "content-length-conflict",
    /// A `Content-Length` that is no number: ignored.
    LengthInvalid => "content-length-invalid",
    /// `Content-Length` beside `Transfer-Encoding`: the latter wins (RFC 9112 section 6.3).
    LengthWithTransfer => "content-length-with-transfer-encoding",
    /// `Transfer-Encoding` of a request does not end with `chunked`: ignored.
    TransferNotChunked => "transfer-encoding-not-chunked",
    /// A transfer coding that is not registered.
    TransferUnknown => "transfer-encoding-unknown",
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 section 6.1).
    TransferInHttp10 => "transfer-encoding-in-http10",
    /// A body with a transfer coding besides `chunked`, which stays on it.
    TransferCodingKept => "transfer-coding-not-removed",
    /// White space around a chunk size.
    ChunkSizeSpace => "chunk-size-whitespace",
    /// A chunk size that is no number.
    ChunkSizeInvalid => "chunk-size-invalid",
    /// A chunk size beyond 64 bits.
    ChunkSizeOverflow => "chunk-size-overflow",
    /// A chunk-size line beyond the bound.
    ChunkLineTooLong => "chunk-line-too-long",
    /// Chunk data without a line end after it.
    ChunkUnterminated => "chunk-unterminated",
    /// The empty line after the last chunk is missing.
    ChunkedEndMissing => "chunked-end-missing",
    /// A response to an unknown request was taken to be without the body that it announced.
    BodilessAssumed => "bodiless-assumed",
    /// A request was taken to be without the body that it announced: it was answered before.
    BodyNotSent => "request-body-not-sent",
    /// A response that no request waits for, in a flow that was seen from its start: reported for
    /// the first of a row.
    UnexpectedResponse => "unexpected-response",
    /// 101 to a request that asked for no upgrade: read as an interim response.
    UnexpectedSwitch => "unexpected-101",
    /// More requests wait for a response than the bound.
    TooManyOutstanding => "too-many-outstanding",
    /// A gap or unreadable bytes may have hidden messages: requests and responses may be mismatched.
    PairingUncertain => "pairing-uncertain",
    /// An event stream without its head was picked up.
    MidstreamSse => "midstream-sse",
    /// Nested `CONNECT` tunnels beyond the bound.
    TunnelTooDeep => "tunnel-too-deep",
}

impl Oddity {
    pub(in crate::app) const fn anomaly(self) -> Anomaly {
        Anomaly::new(Layer::Http1, self.kind())
    }
}

/// A set of oddities: each is reported once per message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Oddities(pub(super) u64);

impl Oddities {
    /// Whether it was new.
    pub(in crate::app) const fn insert(&mut self, oddity: Oddity) -> bool {
        let bit = 1 << oddity as u8;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    pub(in crate::app) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(in crate::app) fn iter(self) -> impl Iterator<Item = Oddity> {
        Oddity::ALL.iter().copied().filter(move |oddity| self.0 & (1 << *oddity as u8) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_unique_hyphenated_and_fit_the_set() {
        assert!(Oddity::ALL.len() <= 64);
        let kinds: std::collections::BTreeSet<_> = Oddity::ALL.iter().map(|o| o.kind()).collect();
        assert_eq!(kinds.len(), Oddity::ALL.len());
        for kind in kinds {
            assert!(
                kind.bytes().all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
            );
        }
    }
}
