//! `Content-Encoding` as a list, and what the first byte of a body says about it.

/// A content coding that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of a body, as listed.
#[derive(Debug, Default)]
pub(super) struct Codings {
    /// In the order in which they were applied; bounded by the layer limit.
    listed: Vec<Coding>,
    unknown: bool,
    too_many: bool,
}

/// What a body is, going by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// Coded as labelled.
    Coded,
    /// Plain text; `labelled` if all the codings are known and the label is therefore false.
    Plain { labelled: bool },
    /// Coded in a way that is not known.
    Opaque,
}

impl Codings {
    /// Reads field values (RFC 9110 section 5.6.1: empty list elements are ignored).
    pub(super) fn parse<'a>(values: impl Iterator<Item = &'a [u8]>, max_layers: usize) -> Self {
        let mut codings = Self::default();
        for token in values.flat_map(|value| value.split(|&byte| byte == b',')) {
            codings.add(token.trim_ascii(), max_layers);
        }
        codings
    }

    fn add(&mut self, token: &[u8], max_layers: usize) {
        let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        let coding = match () {
            () if token.is_empty() || is("identity") => return,
            () if is("gzip") || is("x-gzip") => Coding::Gzip,
            () if is("deflate") => Coding::Deflate,
            () if is("br") => Coding::Brotli,
            () if is("zstd") => Coding::Zstd,
            () => {
                self.unknown = true;
                return;
            }
        };
        if self.listed.len() < max_layers {
            self.listed.push(coding);
        } else {
            self.too_many = true;
        }
    }

    pub(super) const fn is_identity(&self) -> bool {
        self.listed.is_empty() && !self.unknown && !self.too_many
    }

    pub(super) const fn has_unknown(&self) -> bool {
        self.unknown
    }

    pub(super) const fn too_many(&self) -> bool {
        self.too_many
    }

    /// The codings in the order in which they have to be undone: last applied first.
    pub(super) fn decode_order(&self) -> impl Iterator<Item = Coding> {
        self.listed.iter().rev().copied()
    }

    /// Judges a body by its first byte: plain if the outermost coding cannot begin with it. `{`
    /// begins no gzip member (0x1f), zlib header (low nibble 8), zstd frame (0x28, 0x5X) nor
    /// brotli stream (an empty last block with non-zero padding, RFC 7932 section 9.2). As raw
    /// deflate it could only be a single fixed-Huffman block of text that begins with U+0800 or
    /// above: no JSON and no event stream does, but for a byte order mark, which loses.
    pub(super) fn guess(&self, first: u8) -> Guess {
        if self.unknown {
            let text = matches!(first, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0xef);
            return if text { Guess::Plain { labelled: false } } else { Guess::Opaque };
        }
        let plain = match (first, self.decode_order().next()) {
            (b'{', _) | (b'[', Some(Coding::Gzip)) => true,
            (b' ' | b'\t' | b'\r' | b'\n', coding) => {
                matches!(coding, Some(Coding::Gzip | Coding::Zstd))
            }
            _ => false,
        };
        if plain { Guess::Plain { labelled: true } } else { Guess::Coded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Codings {
        Codings::parse(values.iter().map(|value| value.as_bytes()), 4)
    }

    #[test]
    fn lists_are_read_in_any_case_and_undone_from_the_end() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        let table: &[(&[&str], &[Coding])] = &[
            (&["gzip"], &[Gzip]),
            (&["X-GZip"], &[Gzip]),
            (&["deflate, BR"], &[Brotli, Deflate]),
            (&["identity, zstd\t,, "], &[Zstd]),
            (&["gzip", "br,zstd"], &[Zstd, Brotli, Gzip]),
        ];
        for (values, expected) in table {
            let codings = parse(values);
            assert_eq!(codings.decode_order().collect::<Vec<_>>(), *expected, "{values:?}");
            assert!(!codings.is_identity() && !codings.has_unknown() && !codings.too_many());
        }
    }

    #[test]
    fn nothing_empty_and_identity_are_identity() {
        for values in [&[][..], &[""], &["identity"], &[" , ,", "Identity , identity"]] {
            assert!(parse(values).is_identity(), "{values:?}");
        }
    }

    #[test]
    fn five_layers_are_too_many_and_identity_does_not_count() {
        assert!(!parse(&["gzip,gzip,identity,gzip,gzip"]).too_many());
        assert!(parse(&["gzip,gzip,gzip,gzip,gzip"]).too_many());
    }

    #[test]
    fn unknown_codings_are_noticed_next_to_known_ones() {
        for value in ["compress", "gzip, dcb", "gz ip", "gzip;q=1"] {
            assert!(parse(&[value]).has_unknown(), "{value}");
        }
    }
}
