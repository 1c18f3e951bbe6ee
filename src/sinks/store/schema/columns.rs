//! The columns that the migrations make, read out of their text.

use super::MIGRATIONS;

/// A column that rows fill; those that the server computes are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the server writes it.
    pub kind: String,
}

/// The columns of a table in their order, as they are after all migrations; none of a table that
/// is not there.
#[must_use]
pub fn columns(table: &str) -> Vec<Column> {
    columns_of(MIGRATIONS.iter().map(|migration| migration.template), table)
}

/// Reads `CREATE TABLE ... name{local}{on_cluster}`, with a line for each column, and `ALTER TABLE`
/// of the same table with lines of `ADD COLUMN IF NOT EXISTS`, which come last.
fn columns_of<'t>(templates: impl Iterator<Item = &'t str>, table: &str) -> Vec<Column> {
    let name = format!(".{table}{{local}}{{on_cluster}}");
    let mut columns = Vec::new();
    for statement in templates.flat_map(|template| template.split(";\n")) {
        let mut lines = statement.lines().skip_while(|line| !line.ends_with(&name));
        let Some(first) = lines.next() else { continue };
        if first.starts_with("CREATE TABLE ") {
            let body = lines.skip_while(|line| *line != "(").skip(1);
            columns.extend(body.take_while(|line| *line != ")").filter_map(column));
        } else if first.starts_with("ALTER TABLE ") {
            let added =
                lines.filter_map(|line| line.trim().strip_prefix("ADD COLUMN IF NOT EXISTS "));
            columns.extend(added.filter_map(column));
        }
    }
    columns
}

/// `name Type [DEFAULT ...] [CODEC(...)],`
fn column(line: &str) -> Option<Column> {
    let (name, rest) = line.trim().trim_end_matches(',').split_once(' ')?;
    if matches!(name, "INDEX" | "PROJECTION" | "CONSTRAINT") || rest.contains(" MATERIALIZED ") {
        return None;
    }
    let end = [" DEFAULT ", " CODEC("].iter().filter_map(|end| rest.find(end)).min();
    let kind = rest.get(..end.unwrap_or(rest.len()))?;
    Some(Column { name: name.to_owned(), kind: kind.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_out_of_tables_and_of_later_additions() {
        let templates = [
            "-- Of t.\nCREATE TABLE IF NOT EXISTS {database}.t{local}{on_cluster}\n(\n    \
             a DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),\n    b String DEFAULT 'x' CODEC(ZSTD(1)),\n    \
             c Date MATERIALIZED today(),\n    m Map(LowCardinality(String), UInt64),\n    \
             INDEX by_a a TYPE minmax GRANULARITY 1\n)\nENGINE = {engine:MergeTree()}\nORDER BY a;\n",
            "ALTER TABLE {database}.t{local}{on_cluster}\n    ADD COLUMN IF NOT EXISTS z UInt8 DEFAULT 1,\n    \
             ADD INDEX i z TYPE minmax;\nCREATE TABLE {database}.tt{local}{on_cluster}\n(\n    x Int8\n)\n;\n",
        ];
        let read: Vec<_> = columns_of(templates.into_iter(), "t")
            .into_iter()
            .map(|column| format!("{} {}", column.name, column.kind))
            .collect();
        let want = [
            "a DateTime64(6, 'UTC')",
            "b String",
            "m Map(LowCardinality(String), UInt64)",
            "z UInt8",
        ];
        assert_eq!(read, want);
        assert!(columns("nothing").is_empty());
    }
}
