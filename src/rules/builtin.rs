//! The rules that ship with the program.

use super::problem::Source;

const FILES: &[(&str, &str)] = &[];

/// The files of the rules that ship with the program.
#[must_use]
pub fn sources() -> Vec<Source> {
    let source =
        |(name, text): &(&str, &str)| Source { name: (*name).into(), text: (*text).into() };
    FILES.iter().map(source).collect()
}
