//! The store, on a real ClickHouse.

mod commands;
mod schema;
mod users;
mod ask;
mod dashboards;
mod files;
mod fixture;
