//! The store, on a real ClickHouse.

mod ask;
mod dashboards;
mod files;
mod fixture;
