//! Segments into ClickHouse, so that each is there once.
//!
//! A segment is one `INSERT`, one block, with its token: sent again, it is recognised, by the
//! table and by the views behind it, as long as the table remembers the token (10,000 blocks).
//! Whatever setting has a part in that is sent along, as servers and profiles differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use clickhouse::Client;
use clickhouse::error::Error;

use super::client::{Address, client};
use super::identity;
use super::reason::reason;
use super::schema::{columns, identifier};
use crate::sinks::outbox::{Deliver, Segment, Trouble};
use crate::sinks::rows::{Micros, Table};

/// A server that takes nothing off the wire for so long has failed.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// And one that does not answer for so long.
const END_TIMEOUT: Duration = Duration::from_secs(120);
/// The same for questions about columns.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes sent, and compressed, at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Longest part of what a server says that is told, in characters.
const MAX_SAID: usize = 300;

/// Sent with each batch.
const SETTINGS: [(&str, &str); 18] = [
    // The answer comes when everything is stored, views included.
    ("async_insert", "0"),
    ("wait_end_of_query", "1"),
    ("insert_distributed_sync", "1"),
    // The same token again changes nothing.
    ("insert_deduplicate", "1"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    // One block, whatever the server's defaults are.
    ("max_insert_block_size", "10000000"),
    ("min_insert_block_size_rows", "10000000"),
    ("min_insert_block_size_bytes", "1073741824"),
    ("input_format_parallel_parsing", "0"),
    ("max_partitions_per_insert_block", "0"),
    // What cannot be read fails the batch; what a newer sensor adds does not.
    ("date_time_input_format", "basic"),
    ("input_format_skip_unknown_fields", "1"),
    ("input_format_null_as_default", "1"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("input_format_allow_errors_num", "0"),
    ("input_format_allow_errors_ratio", "0"),
    ("materialized_views_ignore_errors", "0"),
    ("parallel_view_processing", "0"),
];

/// The tables of a store, as an output.
#[derive(Clone)]
pub struct Warehouse {
    client: Client,
    database: String,
    /// Tables whose columns are as expected.
    checked: BTreeSet<Table>,
}

impl std::fmt::Debug for Warehouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Warehouse");
        shown.field("database", &self.database).field("checked", &self.checked);
        shown.finish_non_exhaustive()
    }
}

impl Warehouse {
    /// Nothing is sent yet. `settings` come on top of those that are always sent, and may replace
    /// them.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(address: &Address, settings: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut client = client(address)?;
        for (name, value) in SETTINGS {
            client = client.with_setting(name, value);
        }
        for (name, value) in settings {
            client = client.with_setting(name, value);
        }
        Ok(Self { client, database: address.database.clone(), checked: BTreeSet::new() })
    }

    /// Of findings, the highest version that the table has of each; those that it has not are left
    /// out.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub async fn versions(&mut self, ids: &[String]) -> Result<Vec<(String, u64)>, Trouble> {
        self.check(Table::Findings).await?;
        let table = self.name_of(Table::Findings);
        let query = format!(
            "SELECT finding_id, max(version) FROM {table} WHERE finding_id IN ? GROUP BY finding_id"
        );
        let asked = self.client.query(&query).with_setting("max_query_size", "16777216").bind(ids);
        let answer = tokio::time::timeout(END_TIMEOUT, asked.fetch_all::<(String, u64)>()).await;
        answer.unwrap_or(Err(Error::TimedOut)).map_err(|error| trouble(&error))
    }

    /// Of events without ids, how many rows of each [identity](identity::of) the table has of a
    /// sensor in a time, both ends included.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub async fn copies(
        &mut self,
        table: Table,
        sensor: &str,
        [from, to]: [Micros; 2],
    ) -> Result<Vec<(String, u64)>, Trouble> {
        let Some(identity) = identity::expression(table) else { return Ok(Vec::new()) };
        self.check(table).await?;
        let query = format!(
            "SELECT {identity} AS identity, count() FROM {} WHERE sensor = ? AND ts BETWEEN \
             fromUnixTimestamp64Micro(?) AND fromUnixTimestamp64Micro(?) GROUP BY identity",
            self.name_of(table)
        );
        let asked = self.client.query(&query).bind(sensor).bind(from.0).bind(to.0);
        let answer = tokio::time::timeout(END_TIMEOUT, asked.fetch_all::<(String, u64)>()).await;
        answer.unwrap_or(Err(Error::TimedOut)).map_err(|error| trouble(&error))
    }

    fn name_of(&self, table: Table) -> String {
        format!("{}.{}", identifier(&self.database), identifier(table.name()))
    }

    /// Compares the columns of a table with those that rows have, once.
    async fn check(&mut self, table: Table) -> Result<(), Trouble> {
        if self.checked.contains(&table) {
            return Ok(());
        }
        // `currentDatabase` of a connection fails where the database is not there yet.
        let client = self.client.clone().with_database("system");
        let asked = client
            .query("SELECT name FROM system.columns WHERE database = ? AND table = ?")
            .bind(&self.database)
            .bind(table.name());
        let answer = tokio::time::timeout(ASK_TIMEOUT, asked.fetch_all::<String>()).await;
        let found = answer.unwrap_or(Err(Error::TimedOut)).map_err(|error| trouble(&error))?;
        let name = format!("{}.{}", self.database, table.name());
        if found.is_empty() {
            return Err(Trouble::Stop(format!("there is no table {name}, {MIGRATE}")));
        }
        let expected = columns(table.name());
        let missing: Vec<&str> = expected
            .iter()
            .map(|column| column.name.as_str())
            .filter(|column| !found.iter().any(|found| found == column))
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(Trouble::Stop(format!("the table {name} has no {missing}: {MIGRATE}")));
        }
        self.checked.insert(table);
        Ok(())
    }

    async fn insert(&self, table: Table, segment: &Segment) -> Result<(), Error> {
        let mut sql = format!("INSERT INTO {} (", self.name_of(table));
        for (index, column) in columns(table.name()).iter().enumerate() {
            // Writing to a string cannot fail.
            let _written =
                write!(sql, "{}{}", if index > 0 { ", " } else { "" }, identifier(&column.name));
        }
        sql.push_str(") FORMAT JSONEachRow");
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_setting("insert_deduplication_token", &segment.token)
            .with_timeouts(Some(SEND_TIMEOUT), Some(END_TIMEOUT));
        for chunk in segment.body.chunks(CHUNK_BYTES) {
            insert.send(Bytes::copy_from_slice(chunk)).await?;
        }
        insert.end().await
    }
}

impl Deliver for Warehouse {
    async fn deliver(&mut self, segment: &Segment) -> Result<(), Trouble> {
        let Some(table) = Table::of_name(&segment.stream) else {
            return Err(Trouble::Drop(format!("there is no table named {}", segment.stream)));
        };
        self.check(table).await?;
        let inserted = self.insert(table, segment).await;
        inserted.map_err(|error| {
            let trouble = trouble(&error);
            if matches!(trouble, Trouble::Stop(_)) {
                // Once it is put right the table may be another one.
                self.checked.clear();
            }
            trouble
        })
    }
}

/// What the operator is to do about tables.
const MIGRATE: &str = "run `shadowtap store migrate --apply`";

/// What follows from an error: by the code where the server gave one.
fn trouble(error: &Error) -> Trouble {
    let said = said(error);
    match error {
        Error::BadResponse(text) => match code(text) {
            Some(code) => of_code(code, said),
            None => of_status(text, said),
        },
        Error::InvalidParams(_) | Error::Unsupported(_) | Error::Compression(_) => {
            Trouble::Stop(said)
        }
        // The network, time, an answer that makes no sense: the server may be on its way down.
        _ => Trouble::Retry(said),
    }
}

/// The code of a server's error: `Code: 60. DB::Exception: ...`
fn code(text: &str) -> Option<u32> {
    let at = text.find("Code: ")?;
    let rest = text.get(at + 6..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// Codes of `src/Common/ErrorCodes.cpp` of ClickHouse. Those that are not named here are tried
/// again: what is kept too long can still be looked into.
fn of_code(code: u32, said: String) -> Trouble {
    match code {
        // Tables and columns: NO_SUCH_COLUMN_IN_TABLE, NOT_FOUND_COLUMN_IN_BLOCK,
        // UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE.
        16 | 10 | 47 | 60 | 81 => Trouble::Stop(format!("{said}; {MIGRATE}")),
        // UNKNOWN_USER to REQUIRED_PASSWORD, ACCESS_DENIED, AUTHENTICATION_FAILED.
        192..=195 | 497 | 516 => {
            Trouble::Stop(format!("{said}; look at the user, the password and what it may do"))
        }
        // SYNTAX_ERROR, UNKNOWN_FORMAT, UNKNOWN_SETTING, READONLY, SETTING_CONSTRAINT_VIOLATION.
        62 | 73 | 115 | 164 | 452 => Trouble::Stop(said),
        // Data: CANNOT_PARSE_TEXT to CANNOT_PARSE_QUOTED_STRING, CANNOT_PARSE_INPUT, DATE,
        // DATETIME, TYPE_MISMATCH, ARGUMENT_OUT_OF_BOUND, NUMBER, TOO_LARGE_ARRAY_SIZE,
        // CANNOT_READ_ARRAY_FROM_TEXT, TOO_LARGE_STRING_SIZE, INCORRECT_DATA, CANNOT_PARSE_BOOL,
        // and of IPv4 and IPv6.
        6 | 25 | 26 | 27 | 38 | 41 | 53 | 69 | 70 | 72 | 117 | 128 | 130 | 131 | 467 | 675
        | 676 => Trouble::Drop(said),
        _ => Trouble::Retry(said),
    }
}

/// An answer that is not of ClickHouse: a proxy in front of it, or something else altogether.
fn of_status(text: &str, said: String) -> Trouble {
    let is = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is(&["401", "403", "404", "405", "Unauthorized", "Forbidden", "Not Found"]) {
        return Trouble::Stop(format!("{said}; look at the address of the store"));
    }
    Trouble::Retry(said)
}

/// What went wrong, in one short line.
fn said(error: &Error) -> String {
    let text = reason(error);
    text.lines().next().unwrap_or_default().chars().take(MAX_SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match trouble(&Error::BadResponse(text.to_owned())) {
            Trouble::Retry(_) => "retry",
            Trouble::Stop(_) => "stop",
            Trouble::Drop(_) => "drop",
        }
    }

    #[test]
    fn errors_are_sorted_by_their_code() {
        let cases: [(&str, &[u32]); 3] = [
            (
                "retry",
                &[3, 32, 33, 159, 201, 202, 209, 210, 236, 241, 242, 252, 319, 425, 999, 4_321],
            ),
            ("stop", &[10, 16, 47, 60, 81, 115, 164, 192, 193, 194, 195, 452, 497, 516]),
            ("drop", &[6, 26, 27, 41, 53, 70, 117, 130, 676]),
        ];
        for (expected, codes) in cases {
            for code in codes {
                let text = format!("Code: {code}. DB::Exception: something. (NAME) (version 26.7)");
                assert_eq!(kind(&text), expected, "{code}");
            }
        }
        assert_eq!(kind("Code: 60"), "stop");
        assert_eq!(kind("502 Bad Gateway"), "retry");
        assert_eq!(kind("404 Not Found"), "stop");
        assert_eq!(kind("Code: x"), "retry");
    }

    #[test]
    fn what_is_told_is_one_short_line_with_what_to_do() {
        let text = format!("Code: 60. DB::Exception: no table\n{}", "stack ".repeat(1_000));
        let told = trouble(&Error::BadResponse(text)).to_string();
        assert_eq!(
            told,
            "bad response: Code: 60. DB::Exception: no table; run `shadowtap store migrate --apply`"
        );
        let long = trouble(&Error::BadResponse("x".repeat(10_000))).to_string();
        assert!(long.len() <= MAX_SAID);
    }

    #[test]
    fn other_errors_are_of_the_network_or_of_the_operator() {
        assert!(matches!(trouble(&Error::TimedOut), Trouble::Retry(_)));
        let network = Error::Network(Box::new(std::io::Error::other("reset")));
        assert_eq!(trouble(&network), Trouble::Retry("network error: reset".to_owned()));
        let params = Error::InvalidParams("no URL".into());
        assert!(matches!(trouble(&params), Trouble::Stop(_)));
    }
}
