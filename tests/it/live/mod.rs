//! Watching interfaces for real: pairs of virtual ones in network namespaces of their own, and
//! captures replayed into them. Needs root, and is skipped, saying why, without it.

mod errors;
mod lab;
mod privileges;
mod reload;
mod traffic;
