//! ClickHouse: the tables, and how rows get there and back.
