//! Logs with named columns: a header line says what each field of the lines after it is.
//!
//! A header may come again and change the columns. Without one (the middle of a file, read from
//! there on) the program's own default order holds, if it has one and the number of fields fits;
//! otherwise each line is a bad one that says so.

use std::borrow::Cow;

use super::super::{Format, Line, Meaning, Reason, Record, Text, Value};
use super::fields::{Field, Fields, Layout};
use super::key_value::{Table, find};

/// Columns that are looked at; further ones of a header are passed over.
const MAX_COLUMNS: usize = 1_024;

/// Names of the second table of a dialect, at most.
const MAX_RANKS: usize = 8;

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Known(Meaning),
    /// What is used where a line has nothing better, by its place in the second table.
    Otherwise(usize, Meaning),
    /// `cs(Name)`: a header field that the table does not have.
    RequestField(Box<str>),
    /// `rs(Name)` or `sc(Name)`.
    ResponseField(Box<str>),
}

/// The columns of a file. Memory: [`MAX_COLUMNS`] names of at most a line.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Column>,
    /// Between the values of a column that may have several.
    set_separator: Option<u8>,
    has_date: bool,
    has_otherwise: bool,
}

impl Columns {
    /// Columns with these names, in their order.
    pub(super) fn of<'a>(names: impl Iterator<Item = Text<'a>>, table: &Table) -> Self {
        Self::ranked(names, table, &[])
    }

    /// The same with a second table, of what is used where a line has nothing better: the best
    /// first.
    fn ranked<'a>(names: impl Iterator<Item = Text<'a>>, table: &Table, otherwise: &Table) -> Self {
        let names = names.take(MAX_COLUMNS);
        let mut columns: Vec<_> =
            names.map(|name| Column::of(name.trim(), table, otherwise)).collect();
        let has_otherwise = columns.iter().any(|column| matches!(column, Column::Otherwise(..)));
        let has = |meaning| columns.contains(&Column::Known(meaning));
        let (has_date, has_time_of_day) = (has(Meaning::Date), has(Meaning::TimeOfDay));
        if has_date && has_time_of_day {
            // They are the line's time; another clock would be added to it.
            for column in &mut columns {
                if *column == Column::Known(Meaning::Time) {
                    *column = Column::Known(Meaning::Unused);
                }
            }
        }
        let has_date = has_date || !has_time_of_day;
        Self { columns, set_separator: None, has_date, has_otherwise }
    }

    /// The same with several values in one column, this byte between them.
    pub(super) fn with_sets(self, separator: u8) -> Self {
        Self { set_separator: Some(separator), ..self }
    }

    /// Whether a date is missing to the time of day.
    const fn lacks_date(&self) -> bool {
        !self.has_date
    }

    /// Puts the fields of a line into the record. `absent` are values that say nothing.
    pub(super) fn fill<'a>(
        &self,
        mut fields: Fields<'a>,
        absent: &[&str],
        record: &mut Record<'a>,
    ) -> Result<(), Reason> {
        if self.has_otherwise {
            self.fill_otherwise(fields.clone(), absent, record)?;
        }
        for column in &self.columns {
            let field = fields.need()?;
            if *column == Column::Known(Meaning::Unused)
                || absent.iter().any(|absent| absent.as_bytes() == field.raw)
            {
                continue;
            }
            match column {
                Column::Known(meaning) => self.put(*meaning, field, record)?,
                Column::RequestField(name) if !is_nothing(field) => {
                    record.request_field(name.clone().into_string(), field.text());
                }
                Column::ResponseField(name) if !is_nothing(field) => {
                    record.response_field(name.clone().into_string(), field.text());
                }
                Column::Otherwise(..) | Column::RequestField(_) | Column::ResponseField(_) => {}
            }
        }
        match fields.next() {
            None => Ok(()),
            Some(_) => Err(Reason::of("the line has more fields than its header has names")),
        }
    }

    /// Puts what the second table names, the best last, so that it holds; what the first table
    /// names comes after all of them.
    fn fill_otherwise<'a>(
        &self,
        fields: Fields<'a>,
        absent: &[&str],
        record: &mut Record<'a>,
    ) -> Result<(), Reason> {
        let mut ranks = [None; MAX_RANKS];
        for (column, field) in self.columns.iter().zip(fields) {
            let field = field?;
            if let Column::Otherwise(rank, meaning) = column
                && !absent.iter().any(|absent| absent.as_bytes() == field.raw)
                && let Some(slot) = ranks.get_mut(*rank)
            {
                *slot = Some((*meaning, field));
            }
        }
        for (meaning, field) in ranks.into_iter().rev().flatten() {
            self.put(meaning, field, record)?;
        }
        Ok(())
    }

    fn put<'a>(
        &self,
        meaning: Meaning,
        field: Field<'a>,
        record: &mut Record<'a>,
    ) -> Result<(), Reason> {
        let is_list =
            matches!(meaning, Meaning::DnsAddress | Meaning::Group | Meaning::CertificateName);
        let Some(separator) = self.set_separator.filter(|_| is_list) else {
            return record.put(meaning, Value::Text(field.text()));
        };
        for raw in field.raw.split(|byte| *byte == separator) {
            record.put(meaning, Value::Text(Field { raw: bare(raw), ..field }.text()))?;
        }
        Ok(())
    }
}

/// A value of a list, without what a list in JSON has around it.
fn bare(raw: &[u8]) -> &[u8] {
    let is_mark = |byte: &u8| matches!(byte, b'[' | b']' | b'"' | b' ');
    let start = raw.iter().position(|byte| !is_mark(byte)).unwrap_or(raw.len());
    let end = raw.iter().rposition(|byte| !is_mark(byte)).map_or(start, |last| last + 1);
    raw.get(start..end).unwrap_or_default()
}

impl Column {
    fn of(name: &str, table: &Table, otherwise: &Table) -> Self {
        if let Some((_, meaning)) = find(table, name.as_bytes()).and_then(|at| table.get(at)) {
            return Self::Known(*meaning);
        }
        if let Some(rank) = find(otherwise, name.as_bytes())
            && let Some((_, meaning)) = otherwise.get(rank)
        {
            return Self::Otherwise(rank, *meaning);
        }
        let inside = |prefix: &str| {
            let inner = name.strip_prefix(prefix)?.strip_suffix(')')?;
            (!inner.is_empty()).then(|| inner.to_ascii_lowercase().into_boxed_str())
        };
        if let Some(name) = inside("cs(") {
            return Self::RequestField(name);
        }
        let answer = inside("rs(").or_else(|| inside("sc("));
        answer.map_or(Self::Known(Meaning::Unused), Self::ResponseField)
    }
}

fn is_nothing(field: Field<'_>) -> bool {
    matches!(field.raw, b"" | b"-")
}

/// What one kind of such logs has of its own.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Of lines before any header; afterwards the header's own separator decides.
    pub(super) layout: Layout,
    /// What the columns mean, by their names, whatever their case.
    pub(super) table: &'static Table,
    /// What is used where a line has nothing better: the best first, [`MAX_RANKS`] at most.
    pub(super) otherwise: &'static Table,
    /// Between the values of a column that may have several.
    pub(super) set_separator: Option<u8>,
    /// Values that say nothing, besides those of all formats.
    pub(super) absent: &'static [&'static str],
    /// A header need not begin with `#Fields:`: its first field is a name of the table.
    pub(super) has_bare_header: bool,
    /// Orders of columns where there is no header, told apart by their length.
    pub(super) defaults: &'static [&'static [&'static str]],
    /// What columns alone do not say.
    pub(super) finish: for<'a> fn(&mut Record<'a>) -> Line,
}

impl Dialect {
    fn columns<'a>(&self, names: impl Iterator<Item = Text<'a>>) -> Columns {
        let columns = Columns::ranked(names, self.table, self.otherwise);
        Columns { set_separator: self.set_separator, ..columns }
    }
}

/// Reads the lines of a dialect.
#[derive(Debug)]
pub(super) struct Delimited {
    dialect: &'static Dialect,
    layout: Layout,
    columns: Option<Columns>,
    /// Of the `#Date:` line.
    date: Option<Box<str>>,
}

impl Delimited {
    pub(super) const fn new(dialect: &'static Dialect) -> Self {
        Self { dialect, layout: dialect.layout, columns: None, date: None }
    }

    /// A line that begins with `#`: a directive of the extended log format, or a comment.
    fn directive(&mut self, line: &[u8]) {
        if let Some(names) = after_prefix(line, b"#fields:") {
            self.header(names);
        } else if let Some(date) = after_prefix(line, b"#date:") {
            let day = String::from_utf8_lossy(date);
            self.date = day.split_whitespace().next().map(Into::into);
        }
    }

    fn header(&mut self, names: &[u8]) {
        self.layout = header_layout(names, self.dialect.layout);
        // Names follow their colon after a blank, whatever separates them.
        let names = Fields::new(names.trim_ascii(), self.layout);
        let names = names.map_while(Result::ok).map(Field::text);
        self.columns = Some(self.dialect.columns(names));
    }

    fn is_bare_header(&self, line: &[u8]) -> bool {
        if !self.dialect.has_bare_header {
            return false;
        }
        let line = line.strip_prefix(b"\"").unwrap_or(line);
        // Most lines of data begin with a number, which no name does.
        let Dialect { table, otherwise, .. } = self.dialect;
        let is_name = |word| find(table, word).or_else(|| find(otherwise, word)).is_some();
        line.first().is_some_and(u8::is_ascii_alphabetic) && is_name(first_word(line))
    }
}

/// The columns of lines that no header came before.
fn default_columns(dialect: &Dialect, line: &[u8]) -> Result<Columns, Reason> {
    let count = Fields::new(line, dialect.layout).count();
    let names = dialect.defaults.iter().find(|names| names.len() == count).ok_or(Reason::of(
        "no header line has named the columns, and they are not the default ones",
    ))?;
    Ok(dialect.columns(names.iter().map(|name| Cow::Borrowed(*name))))
}

/// What stands before the first byte that may separate fields.
fn first_word(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b',' | b'\t' | b'"'));
    line.get(..end.unwrap_or(line.len())).unwrap_or_default()
}

impl Format for Delimited {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        if line.first() == Some(&b'#') {
            self.directive(line);
            return Ok(Line::Nothing);
        }
        if self.is_bare_header(line) {
            self.header(line);
            return Ok(Line::Nothing);
        }
        let columns = match &mut self.columns {
            Some(columns) => columns,
            none => none.insert(default_columns(self.dialect, line)?),
        };
        columns.fill(Fields::new(line, self.layout), self.dialect.absent, record)?;
        if columns.lacks_date()
            && let Some(date) = &self.date
        {
            record.put(Meaning::Date, Value::Text(Cow::Owned(date.clone().into_string())))?;
        }
        Ok((self.dialect.finish)(record))
    }
}

/// What separates the names of a header separates the fields under it.
fn header_layout(names: &[u8], layout: Layout) -> Layout {
    let has = |byte| memchr::memchr(byte, names).is_some();
    match (has(b'\t'), has(b',')) {
        (true, _) => Layout { separator: b'\t', ..Layout::CSV },
        (false, true) => Layout::CSV,
        (false, false) if has(b' ') => Layout::EXTENDED,
        _ => layout,
    }
}

/// What follows a prefix, whatever its case.
pub(super) fn after_prefix<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: &Dialect = &Dialect {
        layout: Layout::EXTENDED,
        table: &[
            ("date", Meaning::Date),
            ("time", Meaning::TimeOfDay),
            ("stamp", Meaning::Time),
            ("who", Meaning::User),
            ("group", Meaning::Group),
        ],
        otherwise: &[("best", Meaning::Device), ("good", Meaning::Device)],
        set_separator: Some(b';'),
        absent: &["NotChecked"],
        has_bare_header: true,
        defaults: &[&["date", "time", "who"]],
        finish: |_| Line::Record,
    };

    fn run(lines: &[&str]) -> Vec<String> {
        let mut format = Delimited::new(DIALECT);
        let mut out = Vec::new();
        for line in lines {
            let mut record = Record::default();
            match format.line(line.as_bytes(), &mut record) {
                Ok(Line::Nothing) => {}
                Ok(Line::Record) => out.push(format!(
                    "{} {} {:?}",
                    record.time.map_or(0, |time| time.as_nanos() / 1_000_000_000),
                    record.user.unwrap_or_default(),
                    record.request_fields,
                )),
                Err(reason) => out.push(reason.to_string()),
            }
        }
        out
    }

    #[test]
    fn headers_name_the_columns_and_may_change_them() {
        let found = run(&[
            "#Software: x",
            "#Fields: date time who cs(X-A)",
            "2026-11-22 08:00:00 \"a b\" v",
            "2026-11-22 08:00:00 NotChecked -",
            "#Fields: who date time",
            "ana 2026-11-22 08:00:01",
            "ana 2026-11-22",
            "ana 2026-11-22 08:00:01 x",
        ]);
        assert_eq!(found[0], r#"1795334400 a b [("x-a", "v")]"#);
        assert_eq!(found[1], "1795334400  []");
        assert_eq!(found[2], "1795334401 ana []");
        assert!(found[3].contains("fewer"), "{found:?}");
        assert!(found[4].contains("more"), "{found:?}");
    }

    #[test]
    fn without_a_header_the_default_order_holds_if_it_fits() {
        let found = run(&["2026-11-22 08:00:00 ana x", "2026-11-22 08:00:00 ana"]);
        assert!(found[0].contains("no header"), "{found:?}");
        assert_eq!(found[1], "1795334400 ana []");
    }

    #[test]
    fn bare_headers_with_commas_make_commas_separate() {
        let found = run(&["who,stamp,other", "\"a, b\",1795334400,x"]);
        assert_eq!(found, ["1795334400 a, b []"]);
    }

    #[test]
    fn the_best_name_holds_in_any_order_and_lists_have_several_values() {
        for (header, line, device) in [
            ("good,best", "b,a", "a"),
            ("best,good", "a,b", "a"),
            ("best,good", "-,b", "b"),
            ("best,good", "NotChecked,b", "b"),
        ] {
            let mut format = Delimited::new(DIALECT);
            let header = format!("{header},group");
            assert_eq!(format.line(header.as_bytes(), &mut Record::default()), Ok(Line::Nothing));
            let line = format!("{line},\"[\"\"x\"\";y]\"");
            let mut record = Record::default();
            format.line(line.as_bytes(), &mut record).unwrap();
            assert_eq!(record.device.as_deref(), Some(device), "{line}");
            assert_eq!(record.groups, ["x", "y"]);
        }
    }

    #[test]
    fn the_date_may_stand_in_a_line_of_its_own() {
        let found = run(&["#Fields: time who", "#Date: 2026-11-22 08:00:00", "08:00:05 ana"]);
        assert_eq!(found, ["1795334405 ana []"]);
    }

    #[test]
    fn a_second_clock_is_not_added_to_the_first() {
        let found = run(&["stamp date time who", "1795334400 2026-11-22 08:00:00 ana"]);
        assert_eq!(found, ["1795334400 ana []"]);
    }
}
