//! The examples of correlations.

use std::collections::HashSet;

use super::Compiler;
use crate::rules::field::{Field, Shape};
use crate::rules::problem::{Located, Source};
use crate::rules::syntax::{self, GivenMatch, Scalar, Want};
use crate::rules::tuning::number;
use crate::rules::tuning::testing::{Example, Given, Owned};
use crate::rules::{Compiled, Status};
use crate::time::Timestamp;

/// Most matches of one example.
const MAX_GIVEN: u32 = 10_000;

/// Most that one entry of an example stands for.
const MAX_TIMES: u32 = 1_000;

impl<'f> Compiler<'f, '_> {
    pub(super) fn examples(
        &mut self,
        source: &'f Source,
        written: &syntax::Correlation,
        rules: &[&Compiled],
    ) -> Vec<Example> {
        let loaded = matches!(written.status, Status::Experimental | Status::Stable);
        let loaded = loaded && !source.is_cut;
        for (want, name) in [(Want::Hit, "hit"), (Want::None, "none")] {
            if loaded && !written.tests.iter().any(|test| test.want.value == want) {
                let message = format!("a loaded correlation needs a test with `want: {name}`");
                let hint = "or make it `status: draft` for now";
                self.error(source, written.id.place, "too-few-tests", message, hint);
            }
        }
        let mut names = HashSet::new();
        let mut examples = Vec::new();
        for test in &written.tests {
            let name = &test.name;
            if !names.insert(name.value.as_str()) {
                let message = format!("two tests are called `{}`", name.value);
                self.error(source, name.place, "duplicate-test", message, "");
            }
            if test.give.is_empty() {
                self.error(source, name.place, "empty-test", "the test gives nothing", "");
            }
            let given: Vec<Given> =
                test.give.iter().filter_map(|given| self.given(source, given, rules)).collect();
            let total = given.iter().map(|given| given.times).fold(0, u32::saturating_add);
            if total > MAX_GIVEN {
                let message = format!("a test gives at most {MAX_GIVEN} matches");
                self.error(source, name.place, "too-long", message, "");
            }
            let (limit, want) = (test.limit, test.want.clone());
            examples.push(Example { name: name.value.clone(), given, limit, want });
        }
        examples
    }

    fn given(&mut self, source: &Source, given: &GivenMatch, rules: &[&Compiled]) -> Option<Given> {
        let Located { value: id, place } = &given.rule;
        let Some(rule) = rules.iter().find(|rule| rule.info.id == *id) else {
            // What is wrong with its rules may be why it has not got this one.
            if !self.report.has_errors() {
                let message = format!("`{id}` is none of its rules");
                self.error(source, *place, "unknown-rule", message, "");
            }
            return None;
        };
        let client = given.client.as_ref().map(|text| (text, text.value.parse()));
        let client = match client {
            None => std::net::Ipv4Addr::new(10, 77, 0, 10).into(),
            Some((_, Ok(client))) => client,
            Some((text, Err(_))) => {
                let message = format!("`{}` is not an address", text.value);
                self.error(source, text.place, "bad-address", message, "");
                return None;
            }
        };
        let seconds = match &given.at {
            Some(text) if text.value.trim_end_matches(['s', 'm', 'h', 'd']) != "0" => {
                self.span(source, text)?.as_secs()
            }
            _ => 0,
        };
        let times = given.times.as_ref().map_or(1, |times| times.value);
        if let Some(Located { place, .. }) =
            given.times.as_ref().filter(|_| !(1..=MAX_TIMES).contains(&times))
        {
            let message = format!("`times` is a number from 1 to {MAX_TIMES}");
            self.error(source, *place, "bad-count", message, "");
        }
        let mut fields = Vec::new();
        for (name, scalar) in &given.fields {
            let name = Located { value: name.clone(), place: scalar.place };
            let outside = self.outside(source);
            let field = outside.field(&name, rule.on, self.report)?;
            let values = self.given_values(source, &field, scalar)?;
            fields.push((field, values));
        }
        Some(Given {
            rule: number(id)?,
            client,
            server: given.server.clone().unwrap_or_else(|| "http://10.77.0.20:8000/mcp".into()),
            time: Timestamp::from_parts(i64::try_from(seconds).unwrap_or(0), 0),
            times,
            fields,
        })
    }

    fn given_values(
        &mut self,
        source: &Source,
        field: &Field,
        scalar: &Located<Scalar>,
    ) -> Option<Vec<Owned>> {
        let one = |scalar: &Scalar| match (field.spec().shape, scalar) {
            (Shape::Text | Shape::Texts, Scalar::Text(text)) => Some(Owned::Text(text.clone())),
            (Shape::Number, Scalar::Number(number)) => Some(Owned::Number(*number)),
            (Shape::Bool, Scalar::Bool(value)) => Some(Owned::Bool(*value)),
            (Shape::Ip, Scalar::Text(text)) => text.parse().ok().map(Owned::Ip),
            _ => None,
        };
        let values: Option<Vec<Owned>> = match &scalar.value {
            Scalar::List(items) => items.iter().map(|item| one(&item.value)).collect(),
            single => one(single).map(|value| vec![value]),
        };
        if values.is_none() {
            let message = format!("`{field}` is {}", field.spec().shape);
            self.error(source, scalar.place, "wrong-value", message, "");
        }
        values
    }
}
