//! Event lines into rows as JSON, for the outbox of a store.

use super::line::{Source, rows};
use crate::sinks::outbox::{Encode, Stream};

/// Makes rows of lines: the streams are the tables, the records rows as ClickHouse reads them
/// (`JSONEachRow`).
#[derive(Clone, Debug, Default)]
pub struct RowEncoder {
    sensor: String,
    run: String,
    /// Room for one record, kept between lines.
    record: Vec<u8>,
}

impl RowEncoder {
    /// For lines of a sensor; `run` is `watch`, `replay`, or empty when the lines tell.
    #[must_use]
    pub fn new(sensor: &str, run: &str) -> Self {
        Self { sensor: sensor.to_owned(), run: run.to_owned(), record: Vec::new() }
    }
}

impl Encode for RowEncoder {
    fn encode(&mut self, line: &[u8], put: &mut dyn FnMut(Stream, &[u8])) -> Result<(), String> {
        let Self { sensor, run, record } = self;
        let mut failed = None;
        let read = rows(line, &Source { sensor, run }, &mut |row| {
            record.clear();
            match serde_json::to_writer(&mut *record, &row) {
                Ok(()) => put(row.table().name(), record),
                Err(error) => failed = Some(error.to_string()),
            }
        });
        read.map_err(|error| error.to_string())?;
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_rows_of_their_table_without_newline() {
        let mut encoder = RowEncoder::new("edge", "watch");
        let mut records = Vec::new();
        let mut put = |stream: Stream, record: &[u8]| {
            let record: serde_json::Value = serde_json::from_slice(record).unwrap();
            records.push((stream, record));
        };
        let lines = [
            r#"{"event_type":"stats","@timestamp":"2026-11-22T08:00:00.5Z"}"#,
            "",
            r#"{"event_type":"message","source":{"ip":"10.0.0.1"},"mcp":{"kind":"request"}}"#,
        ];
        for line in lines {
            encoder.encode(line.as_bytes(), &mut put).unwrap();
        }
        assert!(encoder.encode(b"no event", &mut put).is_err());
        let [(stats, row), (messages, message)] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((*stats, *messages), ("sensor_stats", "mcp_messages"));
        assert_eq!(row["ts"], "2026-11-22 08:00:00.500000");
        assert_eq!((&row["sensor"], &row["run"]), (&"edge".into(), &"watch".into()));
        assert_eq!(message["client_ip"], "::ffff:10.0.0.1");
    }
}
