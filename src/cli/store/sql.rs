//! `shadowtap store sql`.

use crate::cli::args::Sql;
use crate::cli::{Exit, Failure, print};
use crate::sinks::store::files::views;
use crate::sinks::store::schema::{MIGRATIONS, Migration, Target, users};

/// Lines of files do not name their sensor.
const SENSOR: &str = "files";

pub(super) fn run(args: &Sql) -> Result<Exit, Failure> {
    if let Some(glob) = &args.files {
        print(&views(&args.database, glob, SENSOR))?;
        return Ok(Exit::Clean);
    }
    let target = Target { database: args.database.clone(), cluster: args.cluster.cluster() };
    let mut text: String =
        MIGRATIONS.iter().map(|migration| self::migration(migration, &target)).collect();
    text.push_str(&statements(&users(&target)));
    print(&text)?;
    Ok(Exit::Clean)
}

/// The statements of a migration, and its record.
pub(super) fn migration(migration: &Migration, target: &Target) -> String {
    let mut all = migration.statements(target);
    all.push(migration.record(target));
    format!("-- Migration {}: {}\n\n{}", migration.number, migration.name, statements(&all))
}

fn statements(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("{statement};\n\n")).collect()
}
