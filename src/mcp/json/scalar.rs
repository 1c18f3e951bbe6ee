//! The grammar of numbers and literals, byte by byte (RFC 8259 sections 3 and 6).

/// How far a scalar came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scalar {
    #[default]
    Start,
    /// What a literal still needs.
    Literal(&'static [u8]),
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Scalar {
    /// After one more byte; `None` when no scalar goes on like this.
    pub(super) fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Start, b't') => Self::Literal(b"rue"),
            (Self::Start, b'f') => Self::Literal(b"alse"),
            (Self::Start, b'n') => Self::Literal(b"ull"),
            (Self::Literal([due, rest @ ..]), _) if *due == byte => Self::Literal(rest),
            (Self::Start, b'-') => Self::Minus,
            (Self::Start | Self::Minus, b'0') => Self::Zero,
            (Self::Start | Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => {
                Self::Integer
            }
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => {
                Self::ExponentDigits
            }
            _ => return None,
        })
    }

    /// Whether it may end here.
    pub(super) fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Literal([]) | Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits
        )
    }
}

/// Whether `text` is a number, `true`, `false` or `null`.
#[must_use]
pub fn is_scalar(text: &[u8]) -> bool {
    text.iter()
        .try_fold(Scalar::Start, |scalar, &byte| scalar.next(byte))
        .is_some_and(Scalar::is_complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_grammar_allows_and_nothing_else() {
        for text in ["0", "-0", "10", "-1.50", "1e9", "0E+1", "2.5e-30", "true", "false", "null"] {
            assert!(is_scalar(text.as_bytes()), "{text}");
        }
        for text in [
            "", "-", "01", "+1", ".5", "1.", "1.e3", "1e", "1e+", "0x1", "tru", "truee", "NaN",
            "nul1", "--1", "1-",
        ] {
            assert!(!is_scalar(text.as_bytes()), "{text}");
        }
    }
}
