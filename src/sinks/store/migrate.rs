//! Brings the tables of a store to the version of this program.
//!
//! No two programs should do so at once: ClickHouse has no lock for it. If they do, nothing is
//! lost: all statements may be run twice, and so may the records.

use std::fmt;
use std::time::Duration;

use clickhouse::Client;
use serde::{Deserialize, Serialize};

use super::reason::reason;
use super::schema::{MIGRATIONS, Migration, Target, identifier};
use crate::sinks::rows::Micros;

/// A statement that takes longer has failed. On a cluster, servers wait for each other.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(300);

/// A row of `schema_migrations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clickhouse::Row)]
pub struct Applied {
    /// Number of the migration.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// SHA-256 of its template, in hexadecimal.
    pub checksum: String,
    /// When, by the clock of the server.
    pub applied_at: Micros,
    /// Version of the program that did it.
    pub tool_version: String,
}

/// Why the tables cannot be brought to the version of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A newer program was here.
    Newer(Applied),
    /// The migration of this number and name is another one there.
    Changed(Applied),
    /// This one is missing although later ones are there.
    Missing(&'static Migration),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(applied) => write!(
                f,
                "the store has migration {} ({}) of shadowtap {}, which is newer than this program \
                 knows: use that version or a later one",
                applied.version, applied.name, applied.tool_version
            ),
            Self::Changed(applied) => write!(
                f,
                "migration {} ({}), applied by shadowtap {} at {}, differs from the one in this \
                 program: a development version, or another program, made these tables; use the \
                 program that did, or another --database",
                applied.version, applied.name, applied.tool_version, applied.applied_at
            ),
            Self::Missing(migration) => write!(
                f,
                "migration {} ({}) is not recorded although later ones are: run the statements of \
                 `shadowtap store sql` for it, which end with its record",
                migration.number, migration.name
            ),
        }
    }
}

/// The migrations that a store has; none if there are no tables yet.
///
/// # Errors
/// What the server or the network says.
pub async fn applied(client: &Client, database: &str) -> clickhouse::error::Result<Vec<Applied>> {
    // The database may not be there yet: nothing is asked in it by default.
    let client = client.clone().with_database("system");
    let there: u64 = client
        .query(
            "SELECT count() FROM system.tables WHERE database = ? AND name = 'schema_migrations'",
        )
        .bind(database)
        .fetch_one()
        .await?;
    if there == 0 {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT ?fields FROM {}.schema_migrations ORDER BY version, applied_at LIMIT 1 BY version, \
         checksum",
        identifier(database)
    );
    client.query(&sql).fetch_all().await
}

/// Whether the tables that are there are those of a cluster; `None` if there are none.
///
/// # Errors
/// What the server or the network says.
pub async fn clustered(client: &Client, database: &str) -> clickhouse::error::Result<Option<bool>> {
    let client = client.clone().with_database("system");
    let names: Vec<String> = client
        .query(
            "SELECT name FROM system.tables WHERE database = ? AND name LIKE 'schema_migrations%'",
        )
        .bind(database)
        .fetch_all()
        .await?;
    let is_local = names.iter().any(|name| name == "schema_migrations_local");
    Ok((!names.is_empty()).then_some(is_local))
}

/// What is left to do, in order.
///
/// # Errors
/// When the tables are not a former version of those of this program.
pub fn pending(applied: &[Applied]) -> Result<&'static [Migration], Mismatch> {
    for one in applied {
        match MIGRATIONS.iter().find(|migration| migration.number == one.version) {
            None => return Err(Mismatch::Newer(one.clone())),
            Some(known) if known.checksum() != one.checksum => {
                return Err(Mismatch::Changed(one.clone()));
            }
            Some(_) => {}
        }
    }
    let is_applied =
        |migration: &Migration| applied.iter().any(|one| one.version == migration.number);
    let done = MIGRATIONS.iter().take_while(|migration| is_applied(migration)).count();
    let left = MIGRATIONS.get(done..).unwrap_or_default();
    match left.split_first() {
        Some((missing, later)) if later.iter().any(is_applied) => Err(Mismatch::Missing(missing)),
        _ => Ok(left),
    }
}

/// Applies one migration and records it.
///
/// # Errors
/// Which statement failed and what the server says; what was done until then stays, and does no
/// harm: the migration can be applied again.
pub async fn apply(client: &Client, target: &Target, migration: &Migration) -> Result<(), String> {
    let client = client
        .clone()
        .with_database("system")
        // The answer comes when the statement is done, on all servers of a cluster.
        .with_setting("wait_end_of_query", "1")
        .with_setting("distributed_foreground_insert", "1")
        .with_setting("async_insert", "0");
    let mut statements = migration.statements(target);
    statements.push(migration.record(target));
    for statement in &statements {
        let done = client.query_raw(statement).execute();
        let failed = match tokio::time::timeout(STATEMENT_TIMEOUT, done).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => reason(&error),
            Err(_) => format!("no answer within {} seconds", STATEMENT_TIMEOUT.as_secs()),
        };
        let first = statement.lines().find(|line| !line.starts_with("--")).unwrap_or_default();
        return Err(format!(
            "migration {} ({}) failed at `{first}`: {}",
            migration.number, migration.name, failed
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: u32, checksum: &str) -> Applied {
        Applied {
            version,
            name: "n".to_owned(),
            checksum: checksum.to_owned(),
            applied_at: Micros(0),
            tool_version: "0.1.0".to_owned(),
        }
    }

    fn done(index: usize) -> Applied {
        record(MIGRATIONS[index].number, &MIGRATIONS[index].checksum())
    }

    #[test]
    fn what_is_left_follows_what_is_there() {
        assert_eq!(pending(&[]).unwrap(), MIGRATIONS);
        for count in 0..=MIGRATIONS.len() {
            let applied: Vec<_> = (0..count).map(done).collect();
            assert_eq!(pending(&applied).unwrap(), &MIGRATIONS[count..]);
        }
        // Two programs recorded the same.
        assert_eq!(pending(&[done(0), done(0)]).unwrap(), &MIGRATIONS[1..]);
    }

    #[test]
    fn tables_of_other_programs_are_left_alone() {
        let newer = record(99, "x");
        assert_eq!(pending(&[done(0), newer.clone()]), Err(Mismatch::Newer(newer)));
        let changed = record(1, "x");
        assert_eq!(
            pending(std::slice::from_ref(&changed)),
            Err(Mismatch::Changed(changed.clone()))
        );
        assert_eq!(pending(&[done(0), changed.clone()]), Err(Mismatch::Changed(changed)));
        assert_eq!(pending(&[done(1)]), Err(Mismatch::Missing(&MIGRATIONS[0])));
    }
}
