//! ClickHouse: the tables, and how rows get there and back.

pub mod client;
pub mod deliver;
pub mod files;
pub mod identity;
pub mod migrate;
pub mod queries;
pub mod reason;
pub mod schema;
pub mod status;
