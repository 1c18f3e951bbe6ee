//! Files of events as tables: views with the names and columns of the store's tables, so that the
//! same questions can be asked of files.

use super::schema::{identifier, literal};

/// The views, with `{database}`, `{files}` and `{sensor}` to be filled in.
const VIEWS: &str = include_str!("../../../deploy/clickhouse/files.sql");

/// The statements that make the views, in order, without semicolons.
///
/// `glob` names the files as ClickHouse's `file()` does (`*`, `**`, `?`, `{a,b}`); files whose
/// names end in `.gz` or `.zst` are read too. Lines do not say whose they are: `sensor` does.
#[must_use]
pub fn statements(database: &str, glob: &str, sensor: &str) -> Vec<String> {
    let markers = [
        ("{database}", identifier(database)),
        ("{files}", literal(glob)),
        ("{sensor}", literal(sensor)),
    ];
    // What is filled in could contain a semicolon: first come the statements, then the markers.
    VIEWS
        .split(";\n")
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .map(|one| fill(one, &markers))
        .collect()
}

/// The same as one text, to be printed or piped into `clickhouse local`.
#[must_use]
pub fn views(database: &str, glob: &str, sensor: &str) -> String {
    let statements = statements(database, glob, sensor);
    statements.iter().map(|statement| format!("{statement};\n\n")).collect()
}

/// Fills markers in, in one pass: what was filled in is not looked at again.
fn fill(mut rest: &str, markers: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(rest.len() + 256);
    while let Some((before, marked)) = rest.split_once('{') {
        out.push_str(before);
        let found = markers.iter().find_map(|(marker, text)| {
            let name = marker.strip_prefix('{')?;
            Some((marked.strip_prefix(name)?, text))
        });
        match found {
            Some((after, text)) => {
                out.push_str(text);
                rest = after;
            }
            None => {
                out.push('{');
                rest = marked;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::rows::Table;
    use crate::sinks::rows::line::MAX_DOCUMENT_BYTES;

    #[test]
    fn every_table_has_a_view_and_no_marker_is_left() {
        let text = views("d", "/a'b/*.ndjson", "{files}; x");
        for table in Table::ALL {
            let want = format!("CREATE OR REPLACE VIEW d.{} AS", table.name());
            assert!(text.contains(&want), "{want}");
        }
        assert!(text.contains(r"file('/a\'b/*.ndjson', LineAsString, 'line String')"), "{text}");
        assert_eq!(text.matches("'{files}; x'").count(), text.matches("{files}").count());
        assert!(!text.contains("{database}") && !text.contains("{sensor}"));
        assert_eq!(statements("d", "g", "a;\nb").len(), statements("d", "g", "s").len());
    }

    #[test]
    fn documents_are_cut_at_the_same_length() {
        assert!(VIEWS.contains(&format!("length(line) <= {MAX_DOCUMENT_BYTES}")));
    }
}
