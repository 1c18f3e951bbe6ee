//! The anomalies of WebSocket, by name.

use crate::anomaly::{Anomaly, Layer};

/// What may be odd about a WebSocket connection. Each is reported once per connection and
/// direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Oddity {
    /// A frame of the client without a mask (RFC 6455 section 5.1).
    UnmaskedClient,
    /// A frame of the server with a mask (RFC 6455 section 5.1).
    MaskedServer,
    /// An opcode that is not defined: the payload is passed over.
    BadOpcode,
    /// A reserved bit that no extension in use has a meaning for: it is ignored.
    ReservedBits,
    /// A control frame in fragments, or of more than 125 bytes (RFC 6455 section 5.5).
    ControlMalformed,
    /// A length in more bytes than it needs (RFC 6455 section 5.2).
    LengthOverlong,
    /// A length of 2^63 or more: nothing more of the direction is read.
    LengthInvalid,
    /// A continuation frame without a message to continue: it is passed over.
    UnexpectedContinuation,
    /// A new message before the last one was over: that one ends truncated.
    Interrupted,
    /// Data after a close frame (RFC 6455 section 5.5.1): it is read.
    DataAfterClose,
    /// Bytes were missing, and the next frame was found by its looks.
    Resync,
    /// Bytes were missing, and no frame was found after them: nothing more of the direction is
    /// read.
    Lost,
}

impl Oddity {
    #[cfg(test)]
    const ALL: [Self; 12] = [
        Self::UnmaskedClient,
        Self::MaskedServer,
        Self::BadOpcode,
        Self::ReservedBits,
        Self::ControlMalformed,
        Self::LengthOverlong,
        Self::LengthInvalid,
        Self::UnexpectedContinuation,
        Self::Interrupted,
        Self::DataAfterClose,
        Self::Resync,
        Self::Lost,
    ];

    pub(super) const fn bit(self) -> u16 {
        1 << self as u8
    }

    /// Its stable name.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::UnmaskedClient => "websocket-unmasked-client",
            Self::MaskedServer => "websocket-masked-server",
            Self::BadOpcode => "websocket-bad-opcode",
            Self::ReservedBits => "websocket-reserved-bits",
            Self::ControlMalformed => "websocket-control-malformed",
            Self::LengthOverlong => "websocket-length-overlong",
            Self::LengthInvalid => "websocket-length-invalid",
            Self::UnexpectedContinuation => "websocket-unexpected-continuation",
            Self::Interrupted => "websocket-message-interrupted",
            Self::DataAfterClose => "websocket-data-after-close",
            Self::Resync => "websocket-resync",
            Self::Lost => "websocket-lost",
        }
    }

    pub(super) const fn anomaly(self) -> Anomaly {
        Anomaly::new(Layer::WebSocket, self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_bits_are_unique() {
        let kinds: std::collections::BTreeSet<_> = Oddity::ALL.iter().map(|o| o.kind()).collect();
        assert_eq!(kinds.len(), Oddity::ALL.len());
        let bits = Oddity::ALL.iter().fold(0_u16, |bits, oddity| bits | oddity.bit());
        assert_eq!(bits.count_ones() as usize, Oddity::ALL.len());
    }
}
