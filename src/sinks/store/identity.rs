//! What tells rows without ids apart, here and in the store: an event that was stored already is
//! recognised by it.

use crate::sinks::rows::{FlowRow, MessageRow, Micros, Row, StatsRow, Table};

/// Stands between parts; none of them contains it but by intent.
const BETWEEN: char = '\u{1f}';

/// The identity of a row and its time. `None` of rows that are the same however often they are
/// stored: findings have ids, and definitions are folded.
#[must_use]
pub fn of(row: &Row) -> Option<(Micros, String)> {
    let (ts, parts) = match row {
        Row::Message(row) => {
            let MessageRow { ts, packet_number, client_port, size_bytes, .. } = &**row;
            let parts = vec![
                row.capture_file.clone(),
                packet_number.to_string(),
                client_port.to_string(),
                row.direction.clone(),
                row.kind.clone(),
                row.method.clone(),
                row.name.clone(),
                row.rpc_id.clone(),
                size_bytes.to_string(),
            ];
            (*ts, parts)
        }
        Row::Flow(row) => {
            let FlowRow { ts, last_seen, client_port, server_port, .. } = &**row;
            let parts = vec![
                last_seen.0.to_string(),
                row.community_id.clone(),
                client_port.to_string(),
                server_port.to_string(),
            ];
            (*ts, parts)
        }
        Row::Stats(row) => {
            let StatsRow { ts, uptime_seconds, packets, .. } = &**row;
            (*ts, vec![row.run.clone(), uptime_seconds.to_string(), packets.to_string()])
        }
        Row::Call(row) => (row.ts, vec![row.call_id.clone()]),
        Row::Finding(_) | Row::Tool(_) => return None,
    };
    let mut identity = ts.0.to_string();
    for part in parts {
        identity.push(BETWEEN);
        identity.push_str(&part);
    }
    Some((ts, identity))
}

/// The same as an expression of ClickHouse over a table; `None` where [`of`] gives nothing.
#[must_use]
pub(super) fn expression(table: Table) -> Option<String> {
    let parts: &[&str] = match table {
        Table::Messages => &[
            "capture_file",
            "packet_number",
            "client_port",
            "direction",
            "kind",
            "method",
            "name",
            "rpc_id",
            "size_bytes",
        ],
        Table::Flows => {
            &["toUnixTimestamp64Micro(last_seen)", "community_id", "client_port", "server_port"]
        }
        Table::Calls => &["call_id"],
        Table::Stats => &["run", "uptime_seconds", "packets"],
        Table::Findings | Table::Tools => return None,
    };
    let parts: Vec<String> = std::iter::once(&"toUnixTimestamp64Micro(ts)")
        .chain(parts)
        .map(|part| format!("toString({part})"))
        .collect();
    Some(format!("arrayStringConcat([{}], '\\x1f')", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_tables_with_expressions_have_identities_of_as_many_parts() {
        let rows = [
            Row::Finding(Box::default()),
            Row::Message(Box::default()),
            Row::Flow(Box::default()),
            Row::Tool(Box::default()),
            Row::Stats(Box::default()),
            Row::Call(Box::default()),
        ];
        for row in rows {
            let parts = of(&row).map(|(_, identity)| identity.split(BETWEEN).count());
            let asked = expression(row.table()).map(|sql| sql.matches("toString(").count());
            assert_eq!(parts, asked, "{:?}", row.table());
        }
    }
}
