//! Watching interfaces for real: pairs of virtual ones in network namespaces of their own, and
//! captures replayed into them. Needs root, and is skipped, saying why, without it.

mod errors;
mod frames;
pub mod lab;
mod load;
mod privileges;
mod reload;
mod sdk;
mod traffic;
