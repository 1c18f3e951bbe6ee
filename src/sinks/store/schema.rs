//! The tables as numbered migrations: SQL templates below `deploy/clickhouse/schema`, one text for
//! a single server and for a cluster.
//!
//! A migration that was released never changes; what is new goes into another one. All statements
//! may be run again: a migration that was stopped half way is run again as a whole.

mod columns;
mod template;

use ring::digest;

pub use columns::{Column, columns};

/// Tables of the store as a whole: those that rows go into, and those made out of them.
pub const TABLES: [&str; 8] = [
    "findings",
    "mcp_messages",
    "flows",
    "tool_definitions",
    "sensor_stats",
    "portal_calls",
    "endpoints",
    "schema_migrations",
];

/// All migrations, in order.
pub static MIGRATIONS: [Migration; 4] = [
    Migration {
        number: 1,
        name: "tables",
        template: include_str!("../../../deploy/clickhouse/schema/0001_tables.sql"),
    },
    Migration {
        number: 2,
        name: "endpoints",
        template: include_str!("../../../deploy/clickhouse/schema/0002_endpoints.sql"),
    },
    Migration {
        number: 3,
        name: "sources",
        template: include_str!("../../../deploy/clickhouse/schema/0003_sources.sql"),
    },
    Migration {
        number: 4,
        name: "portal",
        template: include_str!("../../../deploy/clickhouse/schema/0004_portal.sql"),
    },
];

/// Users, grants and quotas, for an operator to read and run.
const USERS: &str = include_str!("../../../deploy/clickhouse/users.sql");

/// A step from one version of the tables to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// From 1.
    pub number: u32,
    /// What it is about, in a word.
    pub name: &'static str,
    template: &'static str,
}

/// What tables are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the database.
    pub database: String,
    /// Set for a cluster of servers.
    pub cluster: Option<Cluster>,
}

/// A cluster: tables named `..._local` are replicated within a shard, and tables over them spread
/// rows over the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name, or a macro of the servers that holds it.
    pub name: String,
    /// Path of a table in Keeper; it holds the macro of the shard.
    pub keeper_path: String,
    /// Name of a replica: a macro.
    pub replica: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: "{cluster}".to_owned(),
            keeper_path: "/clickhouse/tables/{shard}/{database}/{table}".to_owned(),
            replica: "{replica}".to_owned(),
        }
    }
}

impl Migration {
    /// Its statements, without the semicolons that end them.
    #[must_use]
    pub fn statements(&self, target: &Target) -> Vec<String> {
        template::statements(self.template, target)
    }

    /// SHA-256 of the template, in hexadecimal: the same for all targets.
    #[must_use]
    pub fn checksum(&self) -> String {
        use std::fmt::Write as _;
        let digest = digest::digest(&digest::SHA256, self.template.as_bytes());
        digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// The statement that records it as applied.
    #[must_use]
    pub fn record(&self, target: &Target) -> String {
        format!(
            "INSERT INTO {}.schema_migrations (version, name, checksum, tool_version)\n\
             VALUES ({}, {}, {}, {})",
            template::identifier(&target.database),
            self.number,
            template::literal(self.name),
            template::literal(&self.checksum()),
            template::literal(env!("CARGO_PKG_VERSION")),
        )
    }
}

/// The statements for users, grants and quotas.
#[must_use]
pub fn users(target: &Target) -> Vec<String> {
    template::statements(USERS, target)
}

/// An identifier, quoted where it needs to be.
#[must_use]
pub fn identifier(name: &str) -> String {
    template::identifier(name)
}

/// A string literal.
#[must_use]
pub fn literal(text: &str) -> String {
    template::literal(text)
}
