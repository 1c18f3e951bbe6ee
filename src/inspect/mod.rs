//! What a text holds: pure functions over one text, linear in its length, that never fail.
//!
//! - [`view`]: the text as a decoder, a careless reader or a model would see it
//! - [`strings`]: the string leaves of a JSON text, cut anywhere or whole
//! - [`hidden`]: characters that carry something which is not shown
//! - [`confusable`]: names that look alike
//! - [`address`]: URLs, the addresses in them in every notation, and how far those reach
//! - [`path`]: paths that climb, and what they name
//! - [`fingerprint`]: hashes by which two texts tell that they share a stretch
//! - [`secrets`]: credentials by kind, with their checksums
//! - [`personal`]: payment and personal data
//! - [`randomness`]: how hard an identifier is to guess
//!
//! Nothing here says whether what it found is bad: rules do.

pub mod address;
pub mod confusable;
pub mod fingerprint;
#[cfg(any(test, fuzzing))]
mod fuzz;
pub mod hidden;
pub mod path;
pub mod personal;
pub mod randomness;
pub mod secrets;
pub mod strings;
pub mod view;

#[cfg(fuzzing)]
pub use fuzz::fuzz;
