//! The store, on a real ClickHouse.

mod commands;
mod schema;
mod users;
