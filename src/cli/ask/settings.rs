//! What a question leaves open, filled in.

use crate::cli::Failure;
use crate::cli::args::duration;
use crate::sinks::printable;
use crate::sinks::rows::Micros;
use crate::sinks::store::queries::{Parameter, Question};
use crate::time::Timestamp;

/// The values of all parameters of a question: what was typed, and defaults.
pub(super) fn resolved(
    question: &Question,
    set: &[(String, String)],
    since: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let name = question.name;
    let known = |key: &str| question.parameters.iter().any(|one| one.name == key);
    if let Some((key, _)) = set.iter().find(|(key, _)| !known(key)) {
        let all: Vec<&str> = question.parameters.iter().map(|one| one.name).collect();
        let (key, all) = (printable(key), all.join(", "));
        return Err(Failure::new(format!("`{name}` has no `{key}` to set; it has {all}")));
    }
    let mut values = Vec::new();
    for parameter in &question.parameters {
        let typed = set.iter().rev().find(|(key, _)| key == parameter.name);
        let since = since.filter(|_| parameter.name == "since");
        let value = typed.map(|(_, value)| value.as_str()).or(since).or(parameter.default);
        let Some(value) = value else {
            let Parameter { name: key, about, .. } = parameter;
            return Err(Failure::new(format!("`{name}` needs --set {key}=...: {about}")));
        };
        let value = if parameter.is_time { time(value, now)? } else { value.to_owned() };
        values.push((parameter.name, value));
    }
    Ok(values)
}

/// A time as ClickHouse reads it, to the second: `all`, a day, a time, or how long ago.
fn time(text: &str, now: Timestamp) -> Result<String, Failure> {
    let wrong = || {
        let text = printable(text);
        Failure::new(format!("`{text}` is no time: write 7d, 12h, 2026-11-16, or all"))
    };
    let text = text.trim();
    let micros = if text == "all" {
        Micros(0)
    } else if let Ok(ago) = duration(text) {
        let ago = i64::try_from(ago.as_micros()).map_err(|_| wrong())?;
        Micros(Micros::from(now).0.saturating_sub(ago).max(0))
    } else {
        text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).map_err(|_| wrong())?
    };
    let shown = micros.to_string();
    Ok(shown.split('.').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T08:00:00Z.
    const NOW: Timestamp = Timestamp::from_parts(1_795_334_400, 0);

    fn values(set: &[(&str, &str)], since: Option<&str>) -> Result<String, String> {
        let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let question = Question::of_name("server-users").unwrap();
        let values =
            resolved(&question, &set, since, NOW).map_err(|failure| failure.to_string())?;
        let shown: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Ok(shown.join(" "))
    }

    #[test]
    fn values_are_typed_or_defaults() {
        for (set, since, want) in [
            (&[("server", "x")][..], None, "server=x since=2026-10-23 08:00:00 limit=200"),
            (
                &[("server", "x"), ("server", "a=b"), ("limit", "5")],
                Some("all"),
                "server=a=b since=1970-01-01 00:00:00 limit=5",
            ),
            (
                &[("server", ""), ("since", "1h")],
                Some("all"),
                "server= since=2026-11-22 07:00:00 limit=200",
            ),
        ] {
            assert_eq!(values(set, since).as_deref(), Ok(want));
        }
        assert_eq!(
            values(&[], None).unwrap_err(),
            "`server-users` needs --set server=...: key or host of the server, or a part of its key"
        );
        assert_eq!(
            values(&[("sever", "x")], None).unwrap_err(),
            "`server-users` has no `sever` to set; it has server, since, limit"
        );
    }

    #[test]
    fn times_are_days_times_or_ago() {
        for (text, want) in [
            ("all", "1970-01-01 00:00:00"),
            ("90s", "2026-11-22 07:58:30"),
            ("7d", "2026-11-15 08:00:00"),
            ("99999999d", "1970-01-01 00:00:00"),
            ("2026-11-01", "2026-11-01 00:00:00"),
            ("2026-11-01 07:00:01", "2026-11-01 07:00:01"),
            ("2026-11-01T07:00:01.5+01:00", "2026-11-01 06:00:01"),
        ] {
            assert_eq!(time(text, NOW).map_err(|failure| failure.to_string()), Ok(want.to_owned()));
        }
        for text in ["", "yesterday", "2026-13-01", "7w"] {
            assert!(time(text, NOW).is_err(), "{text}");
        }
    }
}
