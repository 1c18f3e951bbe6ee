//! The store, on a real ClickHouse.

mod cluster;
mod commands;
mod schema;
mod users;
