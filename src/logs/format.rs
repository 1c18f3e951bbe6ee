//! The formats, each in a file with the table of what its fields mean.

mod json;

use super::Spec;

/// All formats that are recognised by themselves, the surest to tell first.
pub const ALL: &[&Spec] = &[];

/// The format of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Spec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}
