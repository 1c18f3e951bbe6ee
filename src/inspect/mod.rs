//! What a text holds: typed secrets, personal data, and how random an identifier is.
//!
//! Pure functions of the text: no state, no clock, linear time, and no allocation unless something
//! is found.

pub mod personal;
pub mod randomness;
pub mod secrets;
