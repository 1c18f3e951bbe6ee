//! What a correlation does, for people.

use std::fmt::{self, Write as _};

use super::correlation::{By, Correlation, What};
use crate::rules::explain::{references, section, wanted, word};
use crate::rules::syntax::{Measure, Order, Want};

impl Correlation {
    /// Everything about it: what makes it fire, which rules feed it, and how it is tested.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        match self.write(&mut text) {
            Ok(()) | Err(fmt::Error) => text,
        }
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let info = &self.info;
        writeln!(out, "{} rev {}: {}", info.id, info.rev, info.title)?;
        writeln!(out, "  file        {}", self.file)?;
        let (status, lane) = (word(info.status), word(info.lane));
        let (severity, confidence) = (word(info.severity), info.confidence);
        writeln!(
            out,
            "  status      {status}, lane {lane}, severity {severity}, confidence {confidence}"
        )?;
        writeln!(out, "  on          matches of {}", self.parts())?;
        writeln!(out, "  fires       {}", self.condition())?;
        let by: Vec<String> = self.by.iter().map(By::to_string).collect();
        let by = if by.is_empty() { "nothing: all count together".into() } else { by.join(", ") };
        writeln!(out, "  counted by  {by}")?;
        writeln!(out, "  repeats     counted for {} s", self.window.as_secs())?;
        writeln!(out, "\nWhy\n  {}", info.why.replace('\n', "\n  "))?;
        section(out, "What to do", &info.todo)?;
        section(out, "What else looks like this", &self.noise)?;
        writeln!(out, "\nTests")?;
        for test in &self.tests {
            writeln!(out, "  {:<10}  {}", wanted(test.want.value), test.name)?;
        }
        section(out, "References", &references(&self.map, &info.refs))
    }

    /// What its examples want.
    pub(in crate::rules) fn wants(&self) -> impl Iterator<Item = Want> {
        self.tests.iter().map(|test| test.want.value)
    }

    /// Its rules; those of one step of a sequence with `or` between them.
    fn parts(&self) -> String {
        let is_sequence = matches!(self.what, What::Sequence { .. });
        let mut text = String::new();
        for (index, (rule, (_, step))) in self.rules.iter().zip(&self.steps).enumerate() {
            let before = index.checked_sub(1).and_then(|before| self.steps.get(before));
            let between = match before {
                None => "",
                Some((_, before)) if before == step => " or ",
                Some(_) if is_sequence => ", then ",
                Some(_) => ", ",
            };
            text.push_str(between);
            text.push_str(rule);
        }
        match &self.what {
            What::Sequence { order: Order::Any, .. } => text.replace(", then ", ", and "),
            _ => text,
        }
    }

    fn condition(&self) -> String {
        let within = self.within.as_secs();
        match &self.what {
            What::Count { at_least } => format!("at {at_least} matches within {within} s"),
            What::Distinct { of, at_least } => {
                format!("at {at_least} different values of {of} within {within} s")
            }
            What::Sum { of, at_least } => {
                format!("when {of} adds up to {at_least} within {within} s")
            }
            What::Sequence { order, join } => {
                let order = if *order == Order::Any { "any order" } else { "this order" };
                let mut text = format!("when all have matched in {order} within {within} s");
                if !join.is_empty() {
                    let fields: Vec<_> = join.iter().map(ToString::to_string).collect();
                    text.push_str(&format!(", with a value in common: {}", fields.join(", ")));
                }
                text
            }
            What::Baseline { measure, floor, factor, .. } => {
                let what = match measure {
                    Measure::Calls => "matches",
                    Measure::Bytes => "bytes",
                };
                format!(
                    "beyond the usual {what} of client, server and tool within {within} s: the \
                     median and {factor} times the deviation of earlier days, at least {floor}"
                )
            }
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Server => f.write_str("server"),
            Self::Field(field) => field.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::{Limits, builtin, compile};

    #[test]
    fn says_what_makes_it_fire_and_what_feeds_it() {
        let set = compile(&builtin(), &Limits::default()).unwrap().0;
        for (id, parts) in [
            ("SMCP-8010", ["on          matches of SMCP-5900", "at 10 matches within 60 s"]),
            ("SMCP-8011", ["counted by  client\n", "at 5 different values of server within 600 s"]),
            ("SMCP-5014", ["counted by  client, server", "pii.count adds up to 50 within 3600 s"]),
            (
                "SMCP-5015",
                [
                    "SMCP-4001 or SMCP-4002, then SMCP-5010 or SMCP-5013\n",
                    "all have matched in this order within 3600 s\n",
                ],
            ),
            ("SMCP-8020", ["beyond the usual matches", "8 times the deviation"]),
            ("SMCP-8021", ["beyond the usual bytes", "at least 1000000"]),
        ] {
            let text = set.tuning().correlation(id).unwrap().explain();
            for part in parts {
                assert!(text.contains(part), "{part} is not in:\n{text}");
            }
        }
    }
}
