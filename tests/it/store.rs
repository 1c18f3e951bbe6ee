//! The store, on a real ClickHouse.
