//! A question, asked, and what comes back.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use clickhouse::Client;
use clickhouse::query::BytesCursor;
use serde_json::Value;

use crate::sinks::report::{Style, Table};
use crate::sinks::store::queries::Question;
use crate::sinks::store::reason::reason;

/// A larger answer is no table for anybody (64 MiB); as JSON it has no bound.
const MAX_TABLE_BYTES: usize = 64 << 20;

/// Asks, prints the answer, and tells how many rows it had.
///
/// # Errors
/// What the store says, and what to do.
pub(super) async fn ask(
    client: &Client,
    question: &Question,
    settings: &[(&str, String)],
    json: bool,
) -> Result<u64, String> {
    let mut query = client.query_raw(question.sql);
    for (name, value) in settings {
        query = query.param(name, value);
    }
    let format = if json { "JSONEachRow" } else { "JSONCompactEachRowWithNames" };
    let mut cursor = query.fetch_bytes(format).map_err(|error| explained(&error))?;
    if json {
        return lines(&mut cursor).await;
    }
    let table = table(&mut cursor).await?;
    write(&table)?;
    Ok(table.rows.len() as u64)
}

/// What the store says, and what to do.
fn explained(error: &clickhouse::error::Error) -> String {
    let text = reason(error);
    let hint = if ["(UNKNOWN_TABLE)", "(UNKNOWN_DATABASE)"].iter().any(|code| text.contains(code)) {
        "; `shadowtap store migrate --apply` makes the tables"
    } else if matches!(error, clickhouse::error::Error::Network(_)) {
        "; is this the address of the store's HTTP interface?"
    } else {
        ""
    };
    format!("{text}{hint}")
}

/// Prints rows as they come.
async fn lines(cursor: &mut BytesCursor) -> Result<u64, String> {
    let mut out = BufWriter::new(io::stdout());
    let mut rows = 0_u64;
    while let Some(chunk) = cursor.next().await.map_err(|error| explained(&error))? {
        rows += memchr::memchr_iter(b'\n', &chunk).count() as u64;
        if !written(out.write_all(&chunk))? {
            return Ok(rows);
        }
    }
    written(out.flush())?;
    Ok(rows)
}

async fn table(cursor: &mut BytesCursor) -> Result<Table, String> {
    let mut text = Vec::new();
    while let Some(chunk) = cursor.next().await.map_err(|error| explained(&error))? {
        text.extend_from_slice(&chunk);
        if text.len() > MAX_TABLE_BYTES {
            return Err(
                "the answer is too long for a table: ask for less, or for --json".to_owned()
            );
        }
    }
    parsed(&text)
}

/// A list of names, and a list of values for each row.
fn parsed(text: &[u8]) -> Result<Table, String> {
    let mut table = Table::default();
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let values: Vec<Value> = serde_json::from_slice(line)
            .map_err(|error| format!("the answer cannot be read: {error}"))?;
        let row = values.iter().map(shown).collect();
        if table.columns.is_empty() {
            table.columns = row;
        } else {
            table.rows.push(row);
        }
    }
    Ok(table)
}

/// A value in a cell: lists without brackets.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<String>>().join(", "),
        other => other.to_string(),
    }
}

fn write(table: &Table) -> Result<(), String> {
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let style = Style {
        colour: is_terminal && !set("NO_COLOR"),
        // A file or a pager takes lines of any length.
        width: columns.unwrap_or(if is_terminal { 100 } else { usize::MAX }),
    };
    let mut out = BufWriter::new(stdout.lock());
    written(table.write(&mut out, &style).and_then(|()| out.flush()))?;
    Ok(())
}

/// Whether somebody reads on: one that has gone away (`| head`) is no failure.
fn written(result: io::Result<()>) -> Result<bool, String> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("cannot write to standard output: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_table() {
        let text = "[\"a\", \"b\", \"c\", \"d\"]\n[null, 18446744073709551615, [\"x\",[\"y\", 1.5]], true]\n";
        let table = parsed(text.as_bytes()).unwrap();
        assert_eq!(table.columns, ["a", "b", "c", "d"]);
        assert_eq!(table.rows, [["", "18446744073709551615", "x, y, 1.5", "true"]]);
        assert!(parsed(b"Code: 60.").is_err());
    }
}
