//! Rules of other products into rules of ours: text in, files out.

mod cloudflare;
mod sample;
#[cfg(test)]
mod tests;

pub use cloudflare::cloudflare_dlp;

/// First line of every imported file, so that another import may write over it.
pub const MARK: &str = "# Imported by `shadowtap rules import`.";

/// What an import gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Name and text of each file.
    pub files: Vec<(String, String)>,
    /// What could not be imported, or means something else here.
    pub notes: Vec<String>,
}
