//! Correlations.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Compiler, subjects};
use crate::mcp::Evidence;
use crate::rules::compile::Card;
use crate::rules::field::{Field, On, Shape};
use crate::rules::problem::{Located, Place, Report, Source};
use crate::rules::syntax::{self, Correlate, CorrelationKind, RuleChoice};
use crate::rules::template::{Fault, Template};
use crate::rules::tuning::correlation::{By, Correlation, Text, What};
use crate::rules::tuning::hit::fixed_hash;
use crate::rules::tuning::number;
use crate::rules::tuning::window::MAX_DISTINCT;
use crate::rules::{Compiled, Lane, RuleInfo, Status};

/// Most steps of a sequence.
const MAX_STEPS: usize = 16;

/// The rules of a correlation, and of each which step of a sequence it makes.
struct Parts<'f> {
    rules: Vec<&'f Compiled>,
    steps: Vec<usize>,
}

impl<'f> Compiler<'f, '_> {
    pub(super) fn correlation(&mut self, source: &'f Source, written: &'f syntax::Correlation) {
        let problems = self.report.problems.len();
        self.card(source, written);
        let Parts { rules, steps } = self.parts(source, written);
        let ons = subjects(&rules);
        self.evidence(source, written, &rules, &steps);
        let correlate = &written.correlate;
        self.keys(source, correlate);
        let by = self.by(source, correlate, &ons);
        let what = self.what(source, correlate, &rules, &steps);
        let within = self.span(source, &correlate.within);
        let (text, keep) = self.report_of(source, written, &rules, &steps);
        let group = self.outside(source).group(&written.group, self.report);
        if let Some([first, ..]) = written.group.by.as_deref() {
            let message = "the groups of a correlation are those of `correlate.by`";
            self.error(source, first.place, "wrong-key", message, "move the fields there");
        }
        let tests = self.examples(source, written, &rules);
        let (Some(what), Some(within), false) = (what, within, self.failed_since(problems)) else {
            return;
        };
        let info = info(written);
        let correlation = Correlation {
            identity: fixed_hash(&format!("{}/{}", info.id, info.rev)).max(1),
            info: Arc::new(info),
            map: written.map.clone(),
            noise: written.noise.clone(),
            rules: rules.iter().map(|rule| rule.info.id.clone()).collect(),
            kind: correlate.kind.value,
            within,
            window: group.window,
            file: source.name.clone(),
            steps: steps
                .iter()
                .zip(&rules)
                .filter_map(|(step, rule)| Some((number(&rule.info.id)?, *step)))
                .collect(),
            by,
            what,
            text,
            keep,
            tests,
        };
        self.add_correlation(correlation, &rules);
    }

    /// What it says of itself, as for rules; and that nothing else has its id.
    fn card(&mut self, source: &'f Source, written: &'f syntax::Correlation) {
        let syntax::Correlation { id, rev, title, status, why, confidence, refs, .. } = written;
        let card = Card { id, rev, title, status: *status, why, confidence, refs };
        self.outside(source).card(&card, self.report);
        let Located { value, place } = id;
        if value.starts_with("SMCP-0") {
            let message = format!("`{value}` is an id of the program itself");
            let hint = "correlations of your own: SMCP-9000 and up";
            self.error(source, *place, "bad-id", message, hint);
        }
        let rule = self.known.rules.get(value.as_str()).copied();
        let first = self.known.correlations.get(value.as_str()).copied();
        let other = rule.or_else(|| first.filter(|first| !std::ptr::eq(*first, source)));
        if let Some(other) = other {
            let message = format!("`{value}` is also the id of another rule or correlation");
            let hint = format!("the other one is in {}", other.name);
            self.error(source, *place, "duplicate-id", message, &hint);
        }
    }

    /// Its rules: for a sequence as written, otherwise each once.
    fn parts(&mut self, source: &Source, written: &syntax::Correlation) -> Parts<'f> {
        let Correlate { rules: names, kind, .. } = &written.correlate;
        let texts = names.texts();
        let loaded = matches!(written.status, Status::Experimental | Status::Stable);
        if kind.value != CorrelationKind::Sequence {
            let mut rules = self.choose(source, &texts, names.place);
            let has = rules.iter().any(|rule| rule.is_active());
            if loaded && !rules.is_empty() && !has {
                let message = "none of the rules is loaded, so it can never fire";
                self.error(source, names.place, "inactive-rule", message, "");
            }
            rules.retain(|rule| rule.is_active() || !loaded);
            return Parts { steps: (0..rules.len()).collect(), rules };
        }
        if !(2..=MAX_STEPS).contains(&texts.len()) {
            let message = format!("a sequence has 2 to {MAX_STEPS} rules");
            self.error(source, names.place, "bad-sequence", message, "");
        }
        let mut parts = Parts { rules: Vec::new(), steps: Vec::new() };
        for (step, text) in texts.iter().enumerate() {
            for id in text.value.split(" or ") {
                let id = Located { value: id.trim().to_owned(), place: text.place };
                if let Some(rule) = self.step(source, &id, loaded) {
                    parts.rules.push(rule);
                    parts.steps.push(step);
                }
            }
        }
        parts
    }

    /// A rule of a sequence.
    fn step(
        &mut self,
        source: &Source,
        id: &Located<String>,
        loaded: bool,
    ) -> Option<&'f Compiled> {
        if id.value.ends_with('*') {
            let message = "the rules of a sequence are named one by one";
            self.error(source, id.place, "bad-sequence", message, "or as `ID or ID`");
            return None;
        }
        let rule = self.rules_of(source, id).first()?;
        if loaded && !rule.is_active() {
            let message = format!("{} is not loaded, so it can never fire", id.value);
            self.error(source, id.place, "inactive-rule", message, "");
        }
        Some(rule)
    }

    /// What somebody is to act on may not rest on hints.
    fn evidence(
        &mut self,
        source: &Source,
        written: &syntax::Correlation,
        rules: &[&Compiled],
        steps: &[usize],
    ) {
        let proves = |rule: &&Compiled| rule.evidence >= Evidence::Parsed;
        let counts_servers = written.correlate.of.as_ref().is_some_and(|of| of.value == "server");
        let well = match written.correlate.kind.value {
            CorrelationKind::Sequence => steps.iter().any(|step| {
                let mut of_step = steps.iter().zip(rules).filter(|(other, _)| *other == step);
                of_step.all(|(_, rule)| proves(rule))
            }),
            // How many servers were tried is said of the client, whose messages were read.
            CorrelationKind::DistinctCount if counts_servers => {
                rules.iter().all(|rule| proves(rule) || rule.on == On::Message)
            }
            _ => rules.iter().all(proves),
        };
        if written.lane.value > Lane::Hunt && !well && !rules.is_empty() {
            let message = "a correlation beyond lane `hunt` needs rules with `evidence: parsed` or \
                           better";
            let hint =
                "all of them; in a sequence one step is enough, and to count servers messages";
            self.error(source, written.lane.place, "weak-evidence", message, hint);
        }
    }

    /// Keys that its type does not have, and keys that it must have.
    fn keys(&mut self, source: &Source, correlate: &Correlate) {
        use CorrelationKind::{Baseline, Count, DistinctCount, Sequence, Sum};
        let kind = correlate.kind.value;
        let name = crate::rules::explain::word(kind);
        let rows: [(&str, Option<Place>, &[CorrelationKind], bool); 7] = [
            ("of", correlate.of.as_ref().map(|of| of.place), &[DistinctCount, Sum], true),
            (
                "at_least",
                correlate.at_least.as_ref().map(|number| number.place),
                &[Count, DistinctCount, Sum],
                true,
            ),
            ("order", correlate.order.as_ref().map(|order| order.place), &[Sequence], false),
            ("join", correlate.join.as_ref().map(|join| join.place), &[Sequence], false),
            ("measure", correlate.measure.as_ref().map(|of| of.place), &[Baseline], true),
            ("floor", correlate.floor.as_ref().map(|floor| floor.place), &[Baseline], true),
            ("factor", correlate.factor.as_ref().map(|factor| factor.place), &[Baseline], true),
        ];
        for (key, place, kinds, is_needed) in rows {
            match place {
                Some(place) if !kinds.contains(&kind) => {
                    let message = format!("`{key}` has no meaning for `type: {name}`");
                    self.error(source, place, "wrong-key", message, "remove it");
                }
                None if is_needed && kinds.contains(&kind) => {
                    let message = format!("`type: {name}` needs the key `{key}`");
                    self.error(source, correlate.kind.place, "missing-key", message, "");
                }
                _ => {}
            }
        }
        if kind == Baseline
            && let [first, ..] = correlate.by.as_slice()
        {
            let message = "a baseline is always by client, server and tool";
            self.error(source, first.place, "wrong-key", message, "remove `by`");
        }
    }

    fn by(&mut self, source: &'f Source, correlate: &Correlate, ons: &BTreeSet<On>) -> Vec<By> {
        if correlate.kind.value == CorrelationKind::Baseline {
            return vec![By::Client, By::Server];
        }
        let mut parts = Vec::new();
        for name in &correlate.by {
            match name.value.as_str() {
                "client" => parts.push(By::Client),
                "server" => parts.push(By::Server),
                "pair" => parts.extend([By::Client, By::Server]),
                _ => parts.extend(self.field(source, name, ons).map(By::Field)),
            }
        }
        parts
    }

    fn what(
        &mut self,
        source: &'f Source,
        correlate: &Correlate,
        rules: &[&'f Compiled],
        steps: &[usize],
    ) -> Option<What> {
        let ons = &subjects(rules);
        let at_least = correlate.at_least.as_ref();
        if let Some(Located { value: 0, place }) = at_least {
            let message = "at least 0 is always so";
            self.error(source, *place, "bad-count", message, "1 or more");
        }
        match correlate.kind.value {
            CorrelationKind::Count => Some(What::Count { at_least: at_least?.value }),
            CorrelationKind::DistinctCount => {
                let of = correlate.of.as_ref()?;
                let of = match of.value.as_str() {
                    "client" => By::Client,
                    "server" => By::Server,
                    _ => By::Field(self.field(source, of, ons)?),
                };
                let Located { value: at_least, place } = at_least?;
                if *at_least > MAX_DISTINCT as u64 {
                    let message = format!("at most {MAX_DISTINCT} values are told apart");
                    self.error(source, *place, "bad-count", message, "");
                }
                Some(What::Distinct { of, at_least: *at_least })
            }
            CorrelationKind::Sum => {
                let of = correlate.of.as_ref()?;
                let field = self.field(source, of, ons)?;
                if field.spec().shape != Shape::Number {
                    let message =
                        format!("`{field}` is {}, and `sum` adds numbers", field.spec().shape);
                    self.error(source, of.place, "wrong-field", message, "");
                }
                Some(What::Sum { of: field, at_least: at_least?.value })
            }
            CorrelationKind::Sequence => {
                let order = correlate.order.as_ref().map(|order| order.value).unwrap_or_default();
                let join = correlate.join.as_ref();
                let join = join.map(|join| self.join(source, join, rules, steps));
                Some(What::Sequence { order, join: join.unwrap_or_default() })
            }
            CorrelationKind::Baseline => self.baseline(source, correlate, ons),
        }
    }

    /// No field, one for all rules, or one for each step.
    fn join(
        &mut self,
        source: &'f Source,
        join: &Located<RuleChoice>,
        rules: &[&'f Compiled],
        steps: &[usize],
    ) -> Vec<Field> {
        let names = join.texts();
        if matches!(join.value, RuleChoice::One(_)) {
            let ons = subjects(rules);
            return names.iter().filter_map(|name| self.field(source, name, &ons)).collect();
        }
        let count = steps.last().map_or(0, |last| last + 1);
        // Rules that did not compile are missing here, but then there are errors already.
        if names.len() != count && !self.report.has_errors() {
            let message = format!("`join` names {} fields for {count} rules", names.len());
            self.error(source, join.place, "bad-join", message, "one for all, or one for each");
        }
        let of_step = |step| {
            let rules = steps.iter().zip(rules).filter(move |(other, _)| **other == step);
            rules.map(|(_, rule)| rule.on).collect::<BTreeSet<On>>()
        };
        let pairs = names.iter().enumerate();
        pairs.filter_map(|(step, name)| self.field(source, name, &of_step(step))).collect()
    }

    fn baseline(
        &mut self,
        source: &'f Source,
        correlate: &Correlate,
        ons: &BTreeSet<On>,
    ) -> Option<What> {
        if ons.iter().any(|on| *on != On::Message) {
            let message = "a baseline is of messages: its rules must be `on: message`";
            self.error(source, correlate.rules.place, "wrong-rule", message, "");
        }
        let factor = correlate.factor.as_ref()?;
        if !(1.0..=1_000_000.0).contains(&factor.value) {
            let message = "`factor` is a number from 1 to 1000000";
            self.error(source, factor.place, "bad-factor", message, "");
        }
        let known =
            |name: &str| Field::parse(name).filter(|field| field.spec().on.contains(&On::Message));
        Some(What::Baseline {
            measure: correlate.measure.as_ref()?.value,
            floor: correlate.floor.as_ref()?.value,
            factor: factor.value,
            tool: ["mcp.name", "asked.name"].into_iter().filter_map(known).collect(),
            size: known("mcp.size"),
        })
    }

    /// The sentence and what is kept: fields that the match which completes can have. In a strict
    /// sequence that is one of the last rule, otherwise one of any.
    fn report_of(
        &mut self,
        source: &'f Source,
        written: &syntax::Correlation,
        rules: &[&'f Compiled],
        steps: &[usize],
    ) -> (Text, Vec<Field>) {
        let correlate = &written.correlate;
        let is_strict = correlate.kind.value == CorrelationKind::Sequence
            && correlate.order.as_ref().is_none_or(|order| order.value == syntax::Order::Strict);
        let pairs = steps.iter().zip(rules);
        let can_be_last = pairs.filter(|(step, _)| !is_strict || Some(*step) == steps.last());
        let ons = can_be_last.map(|(_, rule)| rule.on).collect::<BTreeSet<On>>();
        let syntax::Report { text, keep } = &written.report;
        let keep: Vec<Field> =
            keep.iter().filter_map(|name| self.field_of_any(source, name, &ons)).collect();
        if text.value.trim().is_empty() {
            self.error(source, text.place, "bad-text", "the text is empty", "");
        }
        let mut parts = Vec::new();
        for part in text.value.split("{count}") {
            match Template::parse(part) {
                Ok(template) => parts.push(template),
                Err(Fault::Open) => {
                    self.error(source, text.place, "bad-text", "a `{` has no `}`", "");
                }
                Err(Fault::Unknown(value)) => {
                    self.field_of_any(source, &Located { value, place: text.place }, &ons);
                }
            }
        }
        for field in parts.iter().flat_map(Template::fields) {
            let name = Located { value: field.to_string(), place: text.place };
            let known = self.field_of_any(source, &name, &ons);
            if known.is_some() && field.spec().secret && !keep.contains(field) {
                let message = format!("`{field}` may hold secrets");
                let hint = "add it to `keep`: kept values are masked";
                self.error(source, text.place, "secret-in-text", message, hint);
            }
        }
        (Text(parts), keep)
    }

    /// A field that at least one of these kinds of subject has.
    fn field_of_any(
        &mut self,
        source: &'f Source,
        name: &Located<String>,
        ons: &BTreeSet<On>,
    ) -> Option<Field> {
        let outside = self.outside(source);
        let mut first: Option<Report> = None;
        for on in ons {
            let mut found = Report::default();
            if let Some(field) = outside.field(name, *on, &mut found) {
                return Some(field);
            }
            first.get_or_insert(found);
        }
        self.report.problems.extend(first.into_iter().flat_map(|report| report.problems));
        None
    }
}

fn info(written: &syntax::Correlation) -> RuleInfo {
    RuleInfo {
        id: written.id.value.clone(),
        rev: written.rev.value,
        title: written.title.value.clone(),
        status: written.status,
        lane: written.lane.value,
        severity: written.severity,
        confidence: written.confidence.value,
        why: written.why.value.trim().to_owned(),
        todo: written.todo.clone(),
        refs: written.refs.iter().map(|url| url.value.clone()).collect(),
    }
}
