//! Views: the same text as a decoder, a careless reader or a model would see it.

mod encoded;
mod folded;
pub(super) mod percent;
mod spaced;

use std::borrow::Cow;

pub(super) use encoded::text_of;
pub(crate) use folded::folds_by_case_only;
pub(super) use folded::look_alike;

/// Longest stretch of a text that a view is made of, in bytes: what comes after it is in no view
/// but the raw one. A view takes three times as much memory at most.
pub const MAX_VIEW_BYTES: usize = 64 * 1024;

/// A way to read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// As it is.
    Raw,
    /// Percent-decoded, twice if need be (RFC 3986 section 2.1). `+` stays.
    ///
    /// Overlong UTF-8 of an ASCII character (`%c0%ae`) is taken for that character, as careless
    /// decoders do; other bytes that are no UTF-8 become U+FFFD.
    Percent,
    /// As it looks: compatibility forms and accents dropped (NFKD, UAX 15), invisible characters
    /// too, look-alikes of ASCII characters as these (UTS 39), ASCII lower case, white space as
    /// one blank, and spelled-out words (`i g n o r e`) joined.
    ///
    /// ASCII characters keep their own shape (`m` stays, though UTS 39 says `rn`), so plain
    /// English reads as it was. Text that is sought in this view has to be folded in the same way.
    /// Folding what is folded changes nothing.
    Folded,
    /// What the base64 and hexadecimal runs of it hold, one step down, a line for each: runs of
    /// 16 characters or more whose bytes are text (UTF-8, or UTF-16LE as PowerShell takes it).
    Decoded,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Percent, Self::Folded, Self::Decoded];

    /// Its name in rules and findings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Percent => "percent",
            Self::Folded => "folded",
            Self::Decoded => "decoded",
        }
    }

    /// The view of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.as_str() == name)
    }
}

/// The first [`MAX_VIEW_BYTES`] of `text` in a view; `None` when that shows nothing else than the
/// text itself.
#[must_use]
pub fn view(text: &str, view: View) -> Option<Cow<'_, str>> {
    let head = cut(text, MAX_VIEW_BYTES);
    let seen = match view {
        View::Raw => None,
        View::Percent => percent::decode_twice(head),
        View::Folded => folded::fold(head),
        View::Decoded => encoded::decode(head),
    };
    seen.map(Cow::Owned)
}

/// At most `max_bytes` of `text`, cut between characters.
pub(super) fn cut(text: &str, max_bytes: usize) -> &str {
    if text.len() <= max_bytes {
        return text;
    }
    let end = (0..=max_bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
