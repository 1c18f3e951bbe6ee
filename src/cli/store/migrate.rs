//! `shadowtap store migrate`.

use super::{Waiting, connect};
use crate::cli::args::Migrate;
use crate::cli::{Exit, Failure, print};
use crate::sinks::store::migrate;
use crate::sinks::store::reason::reason;
use crate::sinks::store::schema::{Migration, Target};

pub(super) fn run(args: &Migrate) -> Result<Exit, Failure> {
    let (address, client) = connect(&args.address)?;
    let target = Target { database: address.database.clone(), cluster: args.cluster.cluster() };
    let waiting = Waiting::new()?;
    let pending = waiting.on(pending(&client, &target)).map_err(|why| {
        Failure::new(format!("{}, database {}: {why}", address.url, address.database))
    })?;
    if pending.is_empty() {
        print("Nothing to do: all migrations are applied.\n")?;
    } else if args.apply {
        waiting.on(apply(&client, &target, pending))?;
    } else {
        let mut text = String::new();
        for migration in pending {
            text.push_str(&super::sql::migration(migration, &target));
        }
        text.push_str("-- Nothing was changed: --apply does this.\n");
        print(&text)?;
    }
    Ok(Exit::Clean)
}

/// What is left to do.
async fn pending(
    client: &clickhouse::Client,
    target: &Target,
) -> Result<&'static [Migration], String> {
    let failed = |error| reason(&error);
    let clustered = migrate::clustered(client, &target.database).await.map_err(failed)?;
    match (clustered, &target.cluster) {
        (Some(true), None) => {
            return Err("its tables are those of a cluster: add --cluster".to_owned());
        }
        (Some(false), Some(_)) => {
            return Err("its tables are those of a single server: leave --cluster out, or name \
                        another --database"
                .to_owned());
        }
        _ => {}
    }
    let applied = migrate::applied(client, &target.database).await.map_err(failed)?;
    migrate::pending(&applied).map_err(|mismatch| mismatch.to_string())
}

/// Applies all of them, and says so one by one.
pub(super) async fn apply(
    client: &clickhouse::Client,
    target: &Target,
    migrations: &[Migration],
) -> Result<(), Failure> {
    for migration in migrations {
        migrate::apply(client, target, migration).await.map_err(Failure::new)?;
        print(&format!("Applied migration {} ({}).\n", migration.number, migration.name))?;
    }
    Ok(())
}

/// Brings the tables of a store of our own up to date.
pub(super) async fn bring_up(client: &clickhouse::Client, target: &Target) -> Result<(), Failure> {
    let pending = pending(client, target).await.map_err(Failure::new)?;
    apply(client, target, pending).await
}
