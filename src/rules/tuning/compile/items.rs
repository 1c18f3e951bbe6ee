//! Exceptions and thresholds.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use super::{Compiler, is_line, subjects, written};
use crate::rules::condition::Node;
use crate::rules::field::On;
use crate::rules::problem::{Located, Report, Source};
use crate::rules::syntax::{self, Clause};
use crate::rules::tuning::exception::{ceiling_info, parse_ceiling};
use crate::rules::tuning::hit::fixed_hash;
use crate::rules::tuning::{Ceiling, Exception, Threshold};

/// Longest name of an exception, in bytes.
const MAX_NAME_BYTES: usize = 100;

impl<'f> Compiler<'f, '_> {
    pub(super) fn exception(&mut self, source: &'f Source, item: &'f syntax::Exception) {
        let problems = self.report.problems.len();
        self.exception_name(source, &item.name);
        for (text, code, key) in
            [(&item.because, "no-reason", "because"), (&item.owner, "no-owner", "owner")]
        {
            if !is_line(text) {
                let message = format!("`{key}` is one line that is not empty");
                self.error(source, text.place, code, message, "");
            }
        }
        let texts = item.rule.texts();
        let rules = self.choose(source, &texts, item.rule.place);
        let when = self.conditions(source, &item.when, &subjects(&rules));
        let expires = self.date(source, &item.expires);
        let ceiling = item.ceiling.as_ref().and_then(|text| self.ceiling(source, text));
        let failed = self.failed_since(problems);
        let Some(expires) = expires.filter(|_| !failed) else { return };
        let exception = Exception {
            name: item.name.value.clone(),
            rules: written(&texts),
            because: item.because.value.trim().to_owned(),
            owner: item.owner.value.trim().to_owned(),
            expires,
            ceiling,
            file: source.name.clone(),
            line: item.name.place.line,
            when,
            identity: fixed_hash(&item.name.value).max(1),
        };
        self.add_exception(exception, &rules);
    }

    /// Small letters, digits, `_`, `.`, `-`; unique.
    fn exception_name(&mut self, source: &'f Source, name: &'f Located<String>) {
        let Located { value, place } = name;
        let first = value.bytes().next();
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        let well = first.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && value.bytes().all(allowed)
            && value.len() <= MAX_NAME_BYTES;
        if !well {
            let message = format!("`{value}` cannot be the name of an exception");
            let hint = "a small letter or digit, then also `_`, `.` and `-`; at most 100 of them";
            self.error(source, *place, "bad-name", message, hint);
        }
        if let Some(first) = self.names.insert(value, source) {
            let message = format!("`{value}` is the name of two exceptions");
            let hint = format!("the other one is in {}", first.name);
            self.error(source, *place, "duplicate-exception", message, &hint);
        }
    }

    /// The conditions for each kind of subject.
    fn conditions(
        &mut self,
        source: &'f Source,
        when: &Located<Clause>,
        ons: &BTreeSet<On>,
    ) -> Vec<(On, Node)> {
        let outside = self.outside(source);
        let mut nodes = Vec::new();
        for on in ons {
            let mut found = Report::default();
            nodes.push((*on, outside.condition(when, *on, &mut found)));
            let failed = found.has_errors();
            self.report.problems.append(&mut found.problems);
            if failed {
                break;
            }
        }
        nodes
    }

    fn date(&mut self, source: &Source, text: &Located<String>) -> Option<Date> {
        let date = text.value.parse::<Date>().ok().filter(|_| text.value.len() == 10);
        if date.is_none() {
            let message = format!("`{}` is not a date", text.value);
            self.error(source, text.place, "bad-date", message, "as in `2027-01-15`");
        }
        date
    }

    fn ceiling(&mut self, source: &Source, text: &Located<String>) -> Option<Ceiling> {
        let Some((most, period)) = parse_ceiling(&text.value) else {
            let message = format!("`{}` is not a ceiling", text.value);
            let hint = "a number, `/`, and `s`, `m`, `h` or `day`: `200/day`";
            self.error(source, text.place, "bad-ceiling", message, hint);
            return None;
        };
        let info = Arc::new(ceiling_info());
        Some(Ceiling { most, period, text: text.value.clone(), info })
    }

    pub(super) fn threshold(&mut self, source: &'f Source, item: &'f syntax::Threshold) {
        let problems = self.report.problems.len();
        let texts = item.rule.texts();
        let rules = self.choose(source, &texts, item.rule.place);
        let within = self.span(source, &item.within);
        if item.count.value == 0 {
            let message = "a threshold of 0 would let nothing pass";
            let hint = "1 or more; to silence a rule, write an exception, which expires";
            self.error(source, item.count.place, "bad-count", message, hint);
        }
        let (rules_written, kind, per) = (written(&texts), item.kind, item.per);
        let says = format!("{rules_written:?} {kind:?} {} {within:?} {per:?}", item.count.value);
        let identity = fixed_hash(&says).max(1);
        let same = self.tuning.thresholds.iter().find(|other| other.identity == identity);
        if let Some(other) = same {
            let hint = format!("the other one is in {}, line {}", other.file, other.line);
            let message = "the same threshold stands here twice";
            self.error(source, item.rule.place, "duplicate-threshold", message, &hint);
        }
        let failed = self.failed_since(problems);
        let Some(within) = within.filter(|_| !failed) else { return };
        let (count, file, line) = (item.count.value, source.name.clone(), item.rule.place.line);
        let rules_written =
            Threshold { rules: rules_written, kind, count, within, per, file, line, identity };
        self.add_threshold(rules_written, &rules);
    }
}
