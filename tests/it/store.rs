//! The store, on a real ClickHouse.

mod ask;
mod cluster;
mod commands;
mod dashboards;
mod delivery;
mod exactly_once;
mod files;
mod fixture;
mod lines;
mod proxy;
mod schema;
mod users;
