//! The anomalies of HTTP/2, by name.

use crate::anomaly::{Anomaly, Layer};

macro_rules! oddities {
    ($($(#[doc = $doc:literal])+ $variant:ident => $kind:literal,)+) => {
        /// What may be odd about HTTP/2 traffic. Each is reported once per connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(in crate::app) enum Oddity { $($(#[doc = $doc])+ $variant,)+ }

        impl Oddity {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its stable name.
            pub(in crate::app) const fn kind(self) -> &'static str {
                match self { $(Self::$variant => $kind,)+ }
            }
        }
    };
}

oddities! {
    /// A frame of a size, or on a stream, that its type cannot have (RFC 9113 section 6).
    FrameMalformed => "http2-frame-malformed",
    /// Frame headers are missing or make no sense; the next ones are looked for.
    FramingLost => "http2-framing-lost",
    /// The next frame was not found within the bound: the direction is not read any more.
    Unreadable => "http2-unreadable",
    /// A header block without its end: another frame came (RFC 9113 section 6.10).
    ContinuationMissing => "http2-continuation-missing",
    /// CONTINUATION without a header block before it.
    ContinuationUnexpected => "http2-continuation-unexpected",
    /// A header block in more frames than the bound.
    ContinuationFlood => "http2-continuation-flood",
    /// A header block beyond the bound; it is read up to there.
    BlockTooLong => "http2-header-block-too-long",
    /// More fields, or more bytes of them, than the bound; the rest is not reported.
    HeadTooLarge => "http2-head-too-large",
    /// The client resets streams before they are answered, time after time.
    RapidReset => "http2-rapid-reset",
    /// A row of empty frames that do not end anything.
    EmptyFrameFlood => "http2-empty-frame-flood",
    /// A row of SETTINGS frames.
    SettingsFlood => "http2-settings-flood",
    /// More open streams than the bound: the oldest is aborted.
    TooManyStreams => "http2-too-many-streams",
    /// Data on a stream that was never opened: not read.
    StreamUnexpected => "http2-stream-unexpected",
    /// A head on a stream that was used before: not read.
    StreamReused => "http2-stream-reused",
    /// A pseudo-header field that is unknown, doubled, misplaced or missing.
    PseudoInvalid => "http2-pseudo-header-invalid",
    /// CR, LF or NUL in a field (RFC 9113 section 8.2.1).
    FieldInvalid => "http2-field-invalid",
    /// `CONNECT` inside HTTP/2: what the tunnel carries is not read.
    TunnelNotRead => "http2-tunnel-not-read",
    /// WebSocket inside HTTP/2 (RFC 8441): not read.
    WebSocketNotRead => "http2-websocket-not-read",
    /// Fields were left out: the compression state is not known from its start.
    HpackPartial => "hpack-partial",
    /// A header block that RFC 7541 does not allow; it is read as far as it goes.
    HpackMalformed => "hpack-malformed",
    /// A few bytes that stand for far more: fields were left out.
    HpackExpansion => "hpack-expansion",
}

impl Oddity {
    pub(in crate::app) const fn anomaly(self) -> Anomaly {
        Anomaly::new(Layer::Http2, self.kind())
    }
}

/// What was reported already.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::app) struct Oddities(u32);

impl Oddities {
    /// Whether it was new.
    pub(in crate::app) const fn insert(&mut self, oddity: Oddity) -> bool {
        let bit = 1 << oddity as u8;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_unique_hyphenated_and_fit_the_set() {
        assert!(Oddity::ALL.len() <= 32);
        let kinds: std::collections::BTreeSet<_> = Oddity::ALL.iter().map(|o| o.kind()).collect();
        assert_eq!(kinds.len(), Oddity::ALL.len());
        for kind in kinds {
            assert!(
                kind.bytes().all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
            );
        }
    }
}
