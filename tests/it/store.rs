//! The store, on a real ClickHouse.

mod ask;
mod cluster;
mod commands;
mod dashboards;
mod files;
mod fixture;
mod schema;
mod users;
