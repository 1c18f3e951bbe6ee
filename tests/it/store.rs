//! The store, on a real ClickHouse.

mod cluster;
mod commands;
mod delivery;
mod exactly_once;
mod lines;
mod proxy;
mod schema;
mod users;
