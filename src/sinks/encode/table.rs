//! The one mapping table: for every column of a row, what the fact is called in each format and
//! how its value is written there. The encoders do nothing but walk it.

mod finding;
mod message;

use std::fmt::Write as _;

pub(super) use finding::FINDING;
pub(super) use message::MESSAGE;

use super::convert::{Cell, Form};
use super::{cef, ecs, eve, ocsf};

/// Where a value goes and in which form.
///
/// A place is a path of keys, as `url.full`. `x[].y` is in the first object of the list `x`;
/// `x[]` at the end adds to the list `x`, once. In CEF it is a key of the extension, a field with
/// a label of its own as `cs1:Verdict`, or a field of the header (`$id`, `$name`, `$severity`).
pub(super) type To = (&'static str, Form);

/// A format that the table knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Ecs,
    Ocsf,
    Eve,
    Cef,
}

/// A column and its places.
pub(super) struct Mapping<R> {
    /// Name of the column.
    pub(super) column: &'static str,
    /// Its value.
    pub(super) cell: for<'r> fn(&'r R) -> Cell<'r>,
    ecs: &'static [To],
    ocsf: &'static [To],
    eve: &'static [To],
    cef: &'static [To],
}

impl<R> Mapping<R> {
    pub(super) const fn places(&self, format: Format) -> &'static [To] {
        match format {
            Format::Ecs => self.ecs,
            Format::Ocsf => self.ocsf,
            Format::Eve => self.eve,
            Format::Cef => self.cef,
        }
    }
}

/// A row of the table.
const fn map<R>(
    column: &'static str,
    cell: for<'r> fn(&'r R) -> Cell<'r>,
    ecs: &'static [To],
    ocsf: &'static [To],
    eve: &'static [To],
    cef: &'static [To],
) -> Mapping<R> {
    Mapping { column, cell, ecs, ocsf, eve, cef }
}

/// A value that is the same in every record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fixed {
    /// Text.
    Text(&'static str),
    /// A list of texts.
    Texts(&'static [&'static str]),
    /// A number.
    Number(u64),
}

impl Fixed {
    fn shown(self) -> String {
        match self {
            Self::Text(text) => format!("`{text}`"),
            Self::Texts(texts) => {
                texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
            }
            Self::Number(number) => format!("`{number}`"),
        }
    }
}

/// The mapping as a page of Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    let fixed = [
        ("ECS", ecs::FINDING, ecs::MESSAGE),
        ("OCSF", ocsf::FINDING, ocsf::MESSAGE),
        ("EVE", eve::FINDING, eve::MESSAGE),
    ];
    page.push_str("\n## Findings\n\n");
    columns(&mut page, FINDING);
    constants(&mut page, &fixed.map(|(name, finding, _)| (name, finding)));
    page.push_str("\n## Messages\n\n");
    columns(&mut page, MESSAGE);
    constants(&mut page, &fixed.map(|(name, _, message)| (name, message)));
    page
}

const HEAD: &str = "\
# What a fact is called in each format

Generated from the mapping table of the program (`src/sinks/encode/table`), which is what the
encoders run on; a test keeps this page and the table the same.

A column is one of the tables `findings` and `mcp_messages`. `x[].y` is in the first object of the
list `x`; `x[]` is an item of the list `x`. In CEF, `cs1 (Verdict)` is the field `cs1` with
`cs1Label=Verdict`; `id`, `name` and `severity` are fields of the header. What stands in
parentheses is how the value is written, where it is not written as it is. Texts and lists that are
empty, addresses and numbers that are not known are left out.

Servers, flows and statistics have no place in these formats: they are in `native` and `rows`.
";

fn columns<R>(page: &mut String, table: &[Mapping<R>]) {
    page.push_str("| column | ECS | OCSF | EVE | CEF |\n|---|---|---|---|---|\n");
    for mapping in table {
        let cells = [Format::Ecs, Format::Ocsf, Format::Eve, Format::Cef].map(|format| {
            let places = mapping.places(format).iter().map(place).collect::<Vec<_>>();
            if places.is_empty() { "–".to_owned() } else { places.join("<br>") }
        });
        _ = writeln!(page, "| `{}` | {} |", mapping.column, cells.join(" | "));
    }
}

fn place((path, form): &To) -> String {
    let path = match path.trim_start_matches('$').split_once(':') {
        Some((key, label)) => format!("`{key}` ({label})"),
        None => format!("`{}`", path.trim_start_matches('$')),
    };
    match form.note() {
        "" => path,
        note => format!("{path} ({note})"),
    }
}

fn constants(page: &mut String, formats: &[(&str, &[(&str, Fixed)])]) {
    page.push_str("\nThe same in every record:\n\n");
    for (name, fixed) in formats {
        let texts = fixed.iter().map(|(path, value)| format!("`{path}` = {}", value.shown()));
        _ = writeln!(page, "- {name}: {}", texts.collect::<Vec<_>>().join("; "));
    }
    _ = writeln!(page, "- CEF: vendor and product `{}`, version of the program", cef::PRODUCT);
}
