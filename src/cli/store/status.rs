//! `shadowtap store status`.

use std::fmt::Write as _;

use super::{Waiting, connect};
use crate::cli::args;
use crate::cli::{Exit, Failure, print};
use crate::sinks::store::client::Address;
use crate::sinks::store::migrate;
use crate::sinks::store::reason::reason;
use crate::sinks::store::status::{Status, Support, read};

pub(super) fn run(args: &args::Status) -> Result<Exit, Failure> {
    let (address, client) = connect(&args.address)?;
    let status = Waiting::new()?.on(read(&client, &address.database)).map_err(|error| {
        Failure::new(format!("{} is not to be asked: {}", address.url, reason(&error)))
    })?;
    print(&text(&address, &status))?;
    let is_ready = status.differences.is_empty()
        && matches!(migrate::pending(&status.applied), Ok(pending) if pending.is_empty());
    Ok(if is_ready { Exit::Clean } else { Exit::Usage })
}

fn text(address: &Address, status: &Status) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _infallible = write(&mut out, address, status);
    out
}

fn write(out: &mut String, address: &Address, status: &Status) -> std::fmt::Result {
    let support = Support::of_version(&status.version);
    writeln!(out, "Server      {} ClickHouse {}, {support}", address.url, status.version)?;
    let kind =
        if status.clustered { ", of a cluster; rows and bytes are of this server" } else { "" };
    writeln!(out, "Database    {}{kind}", address.database)?;
    match migrate::pending(&status.applied) {
        Err(mismatch) => writeln!(out, "Migrations  {mismatch}")?,
        Ok([]) => writeln!(out, "Migrations  {} applied", status.applied.len())?,
        Ok(pending) => writeln!(
            out,
            "Migrations  {} applied, {} to be applied: `shadowtap store migrate --apply`",
            status.applied.len(),
            pending.len()
        )?,
    }
    for one in &status.applied {
        let (version, name) = (one.version, &one.name);
        writeln!(out, "  {version} {name}, {} by {}", one.applied_at, one.tool_version)?;
    }
    if !status.tables.is_empty() {
        writeln!(out, "\n{:<18}{:>14}{:>16}  NEWEST", "TABLE", "ROWS", "BYTES")?;
    }
    for table in &status.tables {
        let newest = table.newest.map_or_else(|| "-".to_owned(), |time| time.to_string());
        writeln!(out, "{:<18}{:>14}{:>16}  {newest}", table.name, table.rows, table.bytes)?;
    }
    if !status.differences.is_empty() {
        writeln!(out, "\nDifferences from the tables of this program:")?;
    }
    for difference in &status.differences {
        writeln!(out, "  {difference}")?;
    }
    writeln!(out, "\nSettings of the server (the sensor sends its own with each batch):")?;
    for (name, value) in &status.settings {
        writeln!(out, "  {name} = {value}")?;
    }
    Ok(())
}
