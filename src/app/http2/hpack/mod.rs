//! HPACK (RFC 7541): header blocks into fields, one decoder per direction.
//!
//! A decoder never fails a connection. What it cannot know (an entry that was inserted before the
//! capture began, or in a block that was lost) is left out, and counted; a block that makes no
//! sense gives the fields up to there. An index counts back from the newest entry, so that all
//! that is inserted afterwards is known again.

mod decoder;
#[cfg(test)]
mod encoder;
mod fields;
mod huffman;
mod static_table;
mod table;

#[cfg(test)]
mod tests;

pub(in crate::app) use decoder::Decoder;
#[cfg(test)]
pub(in crate::app) use encoder::Encoder;
pub(in crate::app) use fields::{Fields, Pseudo};
