//! ClickHouse: the tables, and how rows get there and back.

pub mod client;
pub mod deliver;
pub mod migrate;
pub mod reason;
pub mod schema;
pub mod status;
