//! Questions that analysts ask: named SQL texts with parameters, the same for the store and for
//! files of events.
//!
//! A question is a file below `deploy/clickhouse/queries` that begins with what it is, one comment
//! line each:
//!
//! ```text
//! -- name: server-users
//! -- title: Who uses a server
//! -- about: Clients of a server, and what they called.
//! -- param: server | key or host of the server
//! -- param: since = 30d | only what was seen since then
//! ```
//!
//! Parameters go beside the text, never into it: `{server:String}` is ClickHouse's own notation. A
//! parameter without `=` must be given. One of a `DateTime` type takes a time, or how long ago it
//! was.

/// The texts.
const TEXTS: [&str; 18] = [
    include_str!("../../../deploy/clickhouse/queries/findings-triage.sql"),
    include_str!("../../../deploy/clickhouse/queries/finding.sql"),
    include_str!("../../../deploy/clickhouse/queries/rule-volume.sql"),
    include_str!("../../../deploy/clickhouse/queries/servers.sql"),
    include_str!("../../../deploy/clickhouse/queries/new-servers.sql"),
    include_str!("../../../deploy/clickhouse/queries/server-users.sql"),
    include_str!("../../../deploy/clickhouse/queries/unprotected.sql"),
    include_str!("../../../deploy/clickhouse/queries/drift-history.sql"),
    include_str!("../../../deploy/clickhouse/queries/unapproved-tools.sql"),
    include_str!("../../../deploy/clickhouse/queries/portal-bypass.sql"),
    include_str!("../../../deploy/clickhouse/queries/portal-calls.sql"),
    include_str!("../../../deploy/clickhouse/queries/portal-refusals.sql"),
    include_str!("../../../deploy/clickhouse/queries/agents.sql"),
    include_str!("../../../deploy/clickhouse/queries/top-talkers.sql"),
    include_str!("../../../deploy/clickhouse/queries/sessions-shared.sql"),
    include_str!("../../../deploy/clickhouse/queries/encrypted-use.sql"),
    include_str!("../../../deploy/clickhouse/queries/blind-spots.sql"),
    include_str!("../../../deploy/clickhouse/queries/silent-sensors.sql"),
];

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it is called: words and hyphens.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// What it answers, and what it leaves out.
    pub about: &'static str,
    /// What can be set.
    pub parameters: Vec<Parameter>,
    /// The text, comments included: one statement without semicolon or `FORMAT`.
    pub sql: &'static str,
}

/// Something that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is when it is not set; none when it has to be.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
    /// It is a time.
    pub is_time: bool,
}

impl Question {
    fn of(sql: &'static str) -> Self {
        let head = || sql.lines().map_while(|line| line.strip_prefix("-- "));
        let field = |name: &str| {
            let mut all = head().filter_map(|line| line.split_once(": "));
            all.find(|(found, _)| *found == name).map_or("", |(_, text)| text)
        };
        let parameters = head()
            .filter_map(|line| line.strip_prefix("param: "))
            .map(|line| Parameter::of(line, sql))
            .collect();
        let [name, title, about] = ["name", "title", "about"].map(field);
        Self { name, title, about, parameters, sql }
    }

    /// The one of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        questions().into_iter().find(|question| question.name == name)
    }
}

impl Parameter {
    fn of(line: &'static str, sql: &str) -> Self {
        let (declared, about) = line.split_once('|').unwrap_or((line, ""));
        let (name, default) = match declared.split_once('=') {
            Some((name, default)) => (name.trim(), Some(default.trim())),
            None => (declared.trim(), None),
        };
        let is_time = sql.contains(&format!("{{{name}:DateTime"));
        Self { name, default, about: about.trim(), is_time }
    }
}

/// All questions, those about findings first.
#[must_use]
pub fn questions() -> Vec<Question> {
    TEXTS.iter().map(|text| Question::of(text)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names in `{name:Type}`.
    fn used(sql: &str) -> BTreeSet<&str> {
        sql.split('{').skip(1).filter_map(|rest| Some(rest.split_once(':')?.0)).collect()
    }

    #[test]
    fn every_question_says_what_it_is_and_declares_what_it_uses() {
        let mut names = BTreeSet::new();
        for question in questions() {
            let Question { name, title, about, parameters, sql } = &question;
            assert!(names.insert(*name), "{name}");
            assert!(!title.is_empty() && !title.ends_with('.'), "{name}");
            assert!(about.ends_with('.'), "{name}: {about}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            let declared: BTreeSet<&str> = parameters.iter().map(|one| one.name).collect();
            assert_eq!(declared, used(sql), "{name}");
            assert!(parameters.iter().all(|one| !one.about.is_empty()), "{name}");
            let code: String = sql.lines().filter(|line| !line.starts_with("--")).collect();
            assert!(!code.contains(';') && !code.contains("FORMAT"), "{name}");
        }
        assert_eq!(names.len(), TEXTS.len());
    }

    #[test]
    fn every_file_is_a_question_of_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/clickhouse/queries");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut names: Vec<&str> = questions().iter().map(|question| question.name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn parameters_are_optional_required_or_empty() {
        let sql = "-- name: x\n-- param: a | must be\n-- param: b = | may be\n\
                   -- param: c = 7d | since\nSELECT {c:DateTime('UTC')}\n-- param: d | no\n";
        let got: Vec<_> = Question::of(sql)
            .parameters
            .iter()
            .map(|one| (one.name, one.default, one.is_time))
            .collect();
        assert_eq!(got, [("a", None, false), ("b", Some(""), false), ("c", Some("7d"), true)]);
    }
}
