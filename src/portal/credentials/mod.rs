//! What the portal shows to servers.

pub mod challenge;
pub mod discovery;
pub mod fetch;
pub mod form;
