//! Rules of ours as rules of other products, and what they lose on the way.

mod sigma;
mod suricata;
mod zeek;

pub use sigma::sigma;
pub use suricata::suricata;
pub use zeek::zeek_intel;

/// What an export gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Name and text of each file.
    pub files: Vec<(String, String)>,
    /// What is lost, for reading: of the export as a whole, then rule by rule.
    pub notes: String,
}

/// The text of a title in one line, without control characters.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "")
}
