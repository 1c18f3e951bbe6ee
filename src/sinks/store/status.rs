//! How a store is: reachable, of a version that is known to work, with the tables of this program.

use std::collections::BTreeMap;
use std::fmt;

use clickhouse::Client;
use serde::{Deserialize, Serialize};

use super::migrate::{self, Applied};
use super::schema::{self, TABLES, identifier};
use crate::sinks::rows::Micros;

/// Settings of the server that change what happens to batches. The sensor sends its own values
/// with each batch; a profile that forbids this is told by the server.
const SETTINGS: [&str; 8] = [
    "async_insert",
    "compatibility",
    "deduplicate_blocks_in_dependent_materialized_views",
    "deduplicate_insert",
    "insert_deduplicate",
    "max_insert_block_size",
    "max_partitions_per_insert_block",
    "readonly",
];

/// What is known of servers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Within the range that this program is made for.
    Known,
    /// Older than that.
    Older,
    /// Newer than what was tested: probably fine.
    Newer,
}

impl Support {
    /// Oldest and newest version, year and month.
    pub const RANGE: [(u32, u32); 2] = [(25, 8), (26, 9)];

    /// That of a version as the server writes it, `26.7.2.1`.
    #[must_use]
    pub fn of_version(version: &str) -> Self {
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let [oldest, newest] = Self::RANGE;
        if version < oldest {
            Self::Older
        } else if version > newest {
            Self::Newer
        } else {
            Self::Known
        }
    }
}

/// A table, as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatus {
    /// Its name.
    pub name: &'static str,
    /// Rows on this server, those included that merges will remove.
    pub rows: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// Time of the newest row, in the whole cluster; none of an empty table.
    pub newest: Option<Micros>,
}

/// How a store is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Version of the server.
    pub version: String,
    /// Migrations that it has.
    pub applied: Vec<Applied>,
    /// It is one of a cluster: rows are in tables named `..._local`.
    pub clustered: bool,
    /// The tables that are there.
    pub tables: Vec<TableStatus>,
    /// How tables and columns differ from what this program makes.
    pub differences: Vec<String>,
    /// Settings that matter, with the server's values.
    pub settings: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize, clickhouse::Row)]
struct Part {
    table: String,
    rows: u64,
    bytes: u64,
}

/// A column as the server has it.
#[derive(Serialize, Deserialize, clickhouse::Row)]
struct Found {
    table: String,
    name: String,
    kind: String,
}

#[derive(Serialize, Deserialize, clickhouse::Row)]
struct Newest {
    rows: u64,
    newest: Micros,
}

#[derive(Serialize, Deserialize, clickhouse::Row)]
struct Setting {
    name: String,
    value: String,
}

/// Asks the server.
///
/// # Errors
/// What the server or the network says.
pub async fn read(client: &Client, database: &str) -> clickhouse::error::Result<Status> {
    // The database may not be there yet.
    let client = client.clone().with_database("system");
    let version: String = client.query("SELECT version()").fetch_one().await?;
    let settings: Vec<Setting> = client
        .query("SELECT ?fields FROM system.settings WHERE name IN ? ORDER BY name")
        .bind(SETTINGS.as_slice())
        .fetch_all()
        .await?;
    let applied = migrate::applied(&client, database).await?;
    let found = columns(&client, database).await?;
    let clustered = found.keys().any(|table| table.ends_with("_local"));
    Ok(Status {
        version,
        applied,
        clustered,
        tables: tables(&client, database, clustered, &found).await?,
        differences: differences(&found, clustered),
        settings: settings.into_iter().map(|setting| (setting.name, setting.value)).collect(),
    })
}

/// Columns of each table that rows fill, with their types.
async fn columns(
    client: &Client,
    database: &str,
) -> clickhouse::error::Result<BTreeMap<String, Vec<(String, String)>>> {
    let rows: Vec<Found> = client
        .query(
            "SELECT table, name, type AS kind FROM system.columns WHERE database = ? AND \
             default_kind != 'MATERIALIZED' ORDER BY table, position",
        )
        .bind(database)
        .fetch_all()
        .await?;
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        tables.entry(row.table).or_default().push((row.name, row.kind));
    }
    Ok(tables)
}

async fn tables(
    client: &Client,
    database: &str,
    clustered: bool,
    found: &BTreeMap<String, Vec<(String, String)>>,
) -> clickhouse::error::Result<Vec<TableStatus>> {
    let parts: Vec<Part> = client
        .query(
            "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts \
             WHERE database = ? AND active GROUP BY table",
        )
        .bind(database)
        .fetch_all()
        .await?;
    let mut tables = Vec::new();
    for name in TABLES.into_iter().filter(|name| found.contains_key(*name)) {
        let stored = if clustered { format!("{name}_local") } else { name.to_owned() };
        let part = parts.iter().find(|part| part.table == stored);
        let newest = newest(client, database, name).await?;
        tables.push(TableStatus {
            name,
            rows: part.map_or(0, |part| part.rows),
            bytes: part.map_or(0, |part| part.bytes),
            newest,
        });
    }
    Ok(tables)
}

async fn newest(
    client: &Client,
    database: &str,
    table: &str,
) -> clickhouse::error::Result<Option<Micros>> {
    let time = match table {
        "mcp_messages" | "portal_calls" | "sensor_stats" => "ts",
        "schema_migrations" => "applied_at",
        _ => "last_seen",
    };
    let sql = format!(
        "SELECT count() AS rows, max({time}) AS newest FROM {}.{table}",
        identifier(database)
    );
    let newest: Newest = client.query(&sql).fetch_one().await?;
    Ok((newest.rows > 0).then_some(newest.newest))
}

/// What is missing, has another type, or is not ours.
fn differences(found: &BTreeMap<String, Vec<(String, String)>>, clustered: bool) -> Vec<String> {
    let mut told = Vec::new();
    for table in TABLES {
        let mut there = vec![table.to_owned()];
        there.extend(clustered.then(|| format!("{table}_local")));
        for name in there {
            let Some(columns) = found.get(&name) else {
                told.push(format!("{name} is missing"));
                continue;
            };
            differences_of(&name, &schema::columns(table), columns, &mut told);
        }
    }
    told
}

fn differences_of(
    table: &str,
    wanted: &[schema::Column],
    found: &[(String, String)],
    told: &mut Vec<String>,
) {
    for column in wanted {
        match found.iter().find(|(name, _)| *name == column.name) {
            None => told.push(format!("{table}.{} is missing", column.name)),
            Some((_, kind)) if *kind != column.kind => {
                told.push(format!("{table}.{} is {kind}, not {}", column.name, column.kind));
            }
            Some(_) => {}
        }
    }
    for (name, kind) in found {
        if !wanted.iter().any(|column| column.name == *name) {
            told.push(format!("{table}.{name} ({kind}) is not of this program"));
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [oldest, newest] = Self::RANGE.map(|(year, month)| format!("{year}.{month}"));
        match self {
            Self::Known => write!(f, "within {oldest} to {newest}, which this program knows"),
            Self::Older => write!(f, "older than {oldest}, the oldest that this program knows"),
            Self::Newer => write!(f, "newer than {newest}, the newest that this program knows"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, support) in [
            ("26.7.2.1", Support::Known),
            ("25.8.1.1", Support::Known),
            ("25.12.3", Support::Known),
            ("26.9", Support::Known),
            ("26.10.1.1", Support::Newer),
            ("25.7.9.9", Support::Older),
            ("18.16.1", Support::Older),
            ("", Support::Older),
        ] {
            assert_eq!(Support::of_version(version), support, "{version}");
        }
    }

    #[test]
    fn differences_name_table_and_column() {
        let column = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
        let all = |clustered: bool| {
            let mut found = BTreeMap::new();
            for table in TABLES {
                let columns: Vec<_> = schema::columns(table)
                    .into_iter()
                    .map(|column| (column.name, column.kind))
                    .collect();
                assert!(!columns.is_empty(), "{table}");
                found.insert(table.to_owned(), columns.clone());
                found.extend(clustered.then(|| (format!("{table}_local"), columns)));
            }
            found
        };
        assert_eq!(differences(&all(false), false), [""; 0]);
        assert_eq!(differences(&all(true), true), [""; 0]);
        let mut found = all(true);
        found.remove("flows_local");
        let findings = found.get_mut("findings").unwrap();
        findings.retain(|(name, _)| name != "lane");
        findings.push(column("extra", "UInt8"));
        findings[0].1 = "DateTime".to_owned();
        let want = [
            "findings.ts is DateTime, not DateTime64(6, 'UTC')",
            "findings.lane is missing",
            "findings.extra (UInt8) is not of this program",
            "flows_local is missing",
        ];
        assert_eq!(differences(&found, true), want);
    }
}
