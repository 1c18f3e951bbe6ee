//! The same logs as CSV: the first line names the columns, which are the keys of JSON.

use super::super::delimited::{Delimited, Dialect};
use super::super::fields::{Fields, Layout};
use super::super::json::Notes;
use super::super::key_value::Table;
use super::super::sniff;
use super::{
    DNS, DNS_OTHERWISE, HTTP, HTTP_OTHERWISE, IDENTITY, NETWORK, PORTAL, PORTAL_OTHERWISE,
    settle_http, settle_portal, settle_user,
};
use crate::logs::{Format, Line, Reason, Record};

pub(super) static HTTP_CSV: Dialect =
    dialect(HTTP, HTTP_OTHERWISE, |record| settle_http(record, &mut Notes::default()));
pub(super) static NETWORK_CSV: Dialect =
    dialect(NETWORK, IDENTITY, |record| settle_user(record, &mut Notes::default()));
pub(super) static DNS_CSV: Dialect =
    dialect(DNS, DNS_OTHERWISE, |record| settle_user(record, &mut Notes::default()));
pub(super) static PORTAL_CSV: Dialect =
    dialect(PORTAL, PORTAL_OTHERWISE, |record| settle_portal(record, &mut Notes::default()));

const fn dialect(
    table: &'static Table,
    otherwise: &'static Table,
    finish: for<'a> fn(&mut Record<'a>) -> Line,
) -> Dialect {
    Dialect {
        layout: Layout::CSV,
        table,
        otherwise,
        set_separator: Some(b','),
        absent: &[],
        has_bare_header: true,
        defaults: &[],
        finish,
    }
}

/// JSON, unless a line came that names columns.
pub(super) fn either(json: Box<dyn Format>, dialect: &'static Dialect) -> Box<dyn Format> {
    Box::new(Either { json, csv: Delimited::new(dialect) })
}

#[derive(Debug)]
struct Either {
    json: Box<dyn Format>,
    csv: Delimited,
}

impl Format for Either {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let is_json = matches!(line.first(), Some(b'{' | b'[' | b']'));
        if !is_json && self.csv.knows(line) {
            return self.csv.line(line, record);
        }
        self.json.line(line, record)
    }
}

/// The names of the columns, if the first line may be such.
pub(super) fn header(bytes: &[u8]) -> Vec<String> {
    let first = sniff::lines(bytes).next().filter(|line| memchr::memchr(b',', line).is_some());
    let first = first.filter(|line| !matches!(line.first(), Some(b'{' | b'[')));
    let fields = first.into_iter().flat_map(|line| Fields::new(line, Layout::CSV));
    fields.flatten().map(|field| field.text().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::check;
    use super::*;
    use crate::logs::format::by_name;

    #[test]
    fn their_fixtures_are_read() {
        for name in ["gateway-http", "gateway-network", "gateway-dns", "mcp-portal"] {
            let name = format!("cloudflare-{name}");
            check(by_name(&name).unwrap(), &format!("{name}.csv"));
        }
    }

    #[test]
    fn a_header_is_known_whichever_column_is_first() {
        let mut format = (super::super::GATEWAY_HTTP.open)();
        let mut read = |line: &'static str| {
            let mut record = Record::default();
            format.line(line.as_bytes(), &mut record).map(|line| (line, record))
        };
        assert!(read("AccountID,URL").is_err(), "one known name may be a word");
        let header = "AccountID,HTTPMethod,URL";
        assert_eq!(read(header).unwrap().0, Line::Nothing);
        let (_, record) = read("a,POST,https://mcp.example/mcp").unwrap();
        assert_eq!(record.host.as_deref(), Some("mcp.example"));
        assert_eq!(read(header).unwrap().0, Line::Nothing);
        assert_eq!(read("URL,HTTPMethod").unwrap().0, Line::Nothing);
        let (_, record) = read("https://mcp.example/mcp,GET").unwrap();
        assert_eq!(record.method.as_deref(), Some("GET"));
        let (_, record) = read(r#"{"HTTPMethod":"PUT","URL":"https://h/"}"#).unwrap();
        assert_eq!(record.method.as_deref(), Some("PUT"));
    }
}
