//! A rule as written into a rule to evaluate. Everything wrong with it goes into the report.

mod clause;

use std::collections::HashSet;
use std::time::Duration;

use super::condition::Node;
use super::field::{CATALOGUE, Field, On, Phase, Shape, View};
use super::list::Lists;
use super::literal::{self, Literals};
use super::problem::{Located, Place, Problem, Report, Source};
use super::set::{Choice, Compiled, Group};
use super::syntax::{self, GroupPer as Per, Prefilter, Want};
use super::template::{Fault, Template};
use super::{Lane, Limits, RuleInfo, Status};
use crate::mcp::Evidence;
use crate::time;

/// Longest title, in characters: it is shown in one line of a table.
const MAX_TITLE_CHARS: usize = 100;

/// What a rule of any kind says of itself.
pub(super) struct Card<'a> {
    pub(super) id: &'a Located<String>,
    pub(super) rev: &'a Located<u32>,
    pub(super) title: &'a Located<String>,
    pub(super) status: Status,
    pub(super) why: &'a Located<String>,
    pub(super) confidence: &'a Located<u8>,
    pub(super) refs: &'a [Located<String>],
}

impl<'a> Card<'a> {
    fn of(rule: &'a syntax::Rule) -> Self {
        let syntax::Rule { id, rev, title, status, why, confidence, refs, .. } = rule;
        Self { id, rev, title, status: *status, why, confidence, refs }
    }
}

/// What stands outside of rules, and is compiled for the subjects of rules.
#[derive(Clone, Copy)]
pub(super) struct Outside<'a> {
    pub(super) source: &'a Source,
    pub(super) lists: &'a Lists,
    pub(super) limits: &'a Limits,
}

impl Outside<'_> {
    /// Checks what a rule of any kind says of itself.
    pub(super) fn card(&self, card: &Card<'_>, report: &mut Report) {
        self.with(On::Message, report, |compiler| {
            compiler.identity(card);
            compiler.references(card);
        });
    }

    /// A condition on one kind of subject.
    pub(super) fn condition(
        &self,
        clause: &Located<syntax::Clause>,
        on: On,
        report: &mut Report,
    ) -> Node {
        self.with(on, report, |compiler| compiler.condition(clause))
    }

    /// A field that one kind of subject has.
    pub(super) fn field(
        &self,
        name: &Located<String>,
        on: On,
        report: &mut Report,
    ) -> Option<Field> {
        self.with(on, report, |compiler| compiler.field(name))
    }

    /// The window of a group.
    pub(super) fn group(&self, group: &syntax::Group, report: &mut Report) -> Group {
        self.with(On::Message, report, |compiler| compiler.group(group))
    }

    fn with<R>(
        &self,
        on: On,
        report: &mut Report,
        compile: impl FnOnce(&mut Compiler<'_>) -> R,
    ) -> R {
        let Self { source, lists, limits } = *self;
        compile(&mut Compiler { source, on, lists, limits, report })
    }
}

/// What compiling one rule needs.
struct Compiler<'a> {
    source: &'a Source,
    on: On,
    lists: &'a Lists,
    limits: &'a Limits,
    report: &'a mut Report,
}

/// Compiles one rule; `None` when it has errors.
pub(super) fn rule(
    source: &Source,
    rule: &syntax::Rule,
    lists: &Lists,
    limits: &Limits,
    report: &mut Report,
) -> Option<Compiled> {
    let mut found = Report::default();
    let on = rule.on;
    let mut compiler = Compiler { source, on, lists, limits, report: &mut found };
    compiler.identity(&Card::of(rule));
    compiler.evidence_gate(rule);
    compiler.engine(rule);
    compiler.references(&Card::of(rule));
    compiler.examples(rule);
    let when = compiler.condition(&rule.when);
    let raise = rule.raise.iter();
    let raise: Vec<_> =
        raise.map(|raise| (compiler.condition(&raise.condition), raise.severity)).collect();
    let keep = compiler.fields(&rule.report.keep);
    let text = compiler.sentence(&rule.report.text, &keep);
    let group = compiler.group(&rule.group);
    let (literals, choice) = compiler.literals(rule, &when);
    let failed = found.has_errors();
    report.problems.append(&mut found.problems);
    if failed {
        return None;
    }
    Some(Compiled {
        info: std::sync::Arc::new(info(rule)),
        map: rule.map.clone(),
        noise: rule.noise.clone(),
        on,
        evidence: rule.evidence,
        phase: phase(on, &when),
        group,
        building_block: rule.building_block,
        context: rule.context.clone(),
        tests: rule.tests.clone(),
        file: source.name.clone(),
        when,
        raise,
        text,
        keep,
        literals,
        choice,
    })
}

fn info(rule: &syntax::Rule) -> RuleInfo {
    RuleInfo {
        id: rule.id.value.clone(),
        rev: rule.rev.value,
        title: rule.title.value.clone(),
        status: rule.status,
        lane: rule.lane.value,
        severity: rule.severity,
        confidence: rule.confidence.value,
        why: rule.why.value.trim().to_owned(),
        todo: rule.todo.clone(),
        refs: rule.refs.iter().map(|url| url.value.clone()).collect(),
    }
}

/// The latest phase of the fields that a condition reads. What is known of a name is known as
/// soon as the name is.
fn phase(on: On, when: &Node) -> Phase {
    match on {
        On::Tls => return Phase::Handshake,
        On::Dns => return Phase::Lookup,
        On::Exchange | On::Message | On::Server | On::Tool => {}
    }
    let mut phase = Phase::RequestHead;
    when.fields(&mut |field| phase = phase.max(field.spec().phase));
    phase
}

/// `SMCP-` and four digits.
pub(super) fn is_id(id: &str) -> bool {
    id.strip_prefix("SMCP-")
        .is_some_and(|number| number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// `0.2` or `0.2.1`: major, minor, patch.
fn parse_version(text: &str) -> Option<[u32; 3]> {
    let mut version = [0; 3];
    let mut parts = text.trim().split('.');
    for (index, slot) in version.iter_mut().enumerate() {
        match parts.next() {
            Some(part) => *slot = part.parse().ok()?,
            None if index > 0 => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(version)
}

/// `90s`, `10m`, `1h`, `7d`; not zero, and at most a year.
pub(super) fn parse_window(text: &str) -> Option<Duration> {
    let span = time::span(text)?;
    (1..=366 * 86_400).contains(&span.as_secs()).then_some(span)
}

impl Compiler<'_> {
    fn error(&self, place: Place, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::error(self.source, place, code, message)
    }

    fn push(&mut self, problem: Problem) {
        self.report.push(problem);
    }

    fn identity(&mut self, rule: &Card<'_>) {
        let Located { value: id, place } = rule.id;
        if !is_id(id) {
            let problem = self.error(*place, "bad-id", format!("`{id}` is not a rule id"));
            self.push(problem.hint("`SMCP-` and four digits; rules of your own: SMCP-9000 and up"));
        }
        if rule.rev.value == 0 {
            let problem = self.error(rule.rev.place, "bad-rev", "revisions count from 1");
            self.push(problem);
        }
        let title = rule.title;
        let length = title.value.chars().count();
        if length == 0 || length > MAX_TITLE_CHARS || title.value.contains('\n') {
            let message = format!("a title is one line of 1 to {MAX_TITLE_CHARS} characters");
            let problem = self.error(title.place, "bad-title", message);
            self.push(problem);
        }
        if rule.why.value.trim().is_empty() {
            let problem = self.error(rule.why.place, "no-why", "say why it matters");
            self.push(problem);
        }
        if rule.confidence.value > 100 {
            let place = rule.confidence.place;
            let problem = self.error(place, "bad-confidence", "confidence goes from 0 to 100");
            self.push(problem);
        }
    }

    /// Rules that somebody is to act on may not rest on hints.
    fn evidence_gate(&mut self, rule: &syntax::Rule) {
        if rule.lane.value > Lane::Hunt && rule.evidence < Evidence::Parsed {
            let message = "a rule beyond lane `hunt` needs `evidence: parsed` or better";
            let problem = self.error(rule.lane.place, "weak-evidence", message);
            self.push(problem.hint("a host name or a header does not prove that MCP is spoken"));
        }
        if self.on.is_names_only() && rule.evidence > Evidence::Hint {
            let on = self.on.as_str();
            let message = format!("a rule `on: {on}` never matches with better than a hint");
            let problem = self.error(rule.when.place, "names-prove-nothing", message);
            self.push(problem.hint("write `evidence: hint` and `lane: hunt`"));
        }
    }

    /// A rule may need a newer program than this one.
    fn engine(&mut self, rule: &syntax::Rule) {
        let Some(engine) = &rule.engine else { return };
        let wanted = engine.value.strip_prefix(">=").and_then(parse_version);
        match (wanted, parse_version(env!("CARGO_PKG_VERSION"))) {
            (None, _) => {
                let message = format!("`{}` is not a least version", engine.value);
                let problem = self.error(engine.place, "bad-engine", message);
                self.push(problem.hint("write it as `>=0.2`"));
            }
            (Some(wanted), Some(have)) if wanted > have => {
                let message = format!("the rule needs version {}", engine.value);
                let problem = self.error(engine.place, "newer-engine", message);
                let have = env!("CARGO_PKG_VERSION");
                self.push(
                    problem
                        .hint(format!("this is {have}: update the program, or leave the rule out")),
                );
            }
            _ => {}
        }
    }

    fn references(&mut self, rule: &Card<'_>) {
        for url in rule.refs {
            let rest = url.value.strip_prefix("https://");
            let rest = rest.or_else(|| url.value.strip_prefix("http://"));
            let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
            let clean = !url.value.contains(|c: char| c.is_whitespace() || c.is_control());
            if !host.contains('.') || !clean {
                let message = format!("`{}` is not a URL", url.value);
                let problem = self.error(url.place, "bad-ref", message);
                self.push(problem.hint("write it in full, with `https://`"));
            }
        }
        let loaded = matches!(rule.status, Status::Experimental | Status::Stable);
        if loaded && rule.refs.is_empty() {
            let message = "a loaded rule needs a reference";
            let problem = self.error(rule.id.place, "no-ref", message);
            self.push(problem.hint("add a URL under `refs`"));
        }
    }

    /// A loaded rule shows what it matches and what it spares; example names are unique, and
    /// their addresses can be read.
    fn examples(&mut self, rule: &syntax::Rule) {
        let has = |want| rule.tests.iter().any(|test| test.want.value == want);
        let loaded = matches!(rule.status, Status::Experimental | Status::Stable);
        for (want, name) in [(Want::Hit, "hit"), (Want::None, "none")] {
            if loaded && !has(want) && !self.source.is_cut {
                let message = format!("a loaded rule needs a test with `want: {name}`");
                let problem = self.error(rule.id.place, "too-few-tests", message);
                self.push(problem.hint("or make it `status: draft` for now"));
            }
        }
        let mut names = HashSet::new();
        for test in &rule.tests {
            if !names.insert(test.name.value.as_str()) {
                let message = format!("two tests are called `{}`", test.name.value);
                let problem = self.error(test.name.place, "duplicate-test", message);
                self.push(problem);
            }
            if test.give.is_empty() {
                let problem = self.error(test.name.place, "empty-test", "the test gives nothing");
                self.push(problem);
            }
            for exchange in &test.give {
                let readable = [
                    (exchange.client().is_some(), &exchange.client),
                    (exchange.server().is_some(), &exchange.server),
                ];
                for (readable, text) in readable {
                    if let (false, Some(Located { value, place })) = (readable, text) {
                        let message = format!("`{value}` is not an address");
                        let problem = self.error(*place, "bad-address", message);
                        self.push(
                            problem.hint("`192.0.2.1`, `192.0.2.1:80` or `[2001:db8::1]:80`"),
                        );
                    }
                }
            }
        }
    }

    /// Finds a field that this kind of subject has.
    fn field(&mut self, name: &Located<String>) -> Option<Field> {
        let Some(field) = Field::parse(&name.value) else {
            let problem = self.unknown_field(&name.value, name.place, "field");
            self.push(problem);
            return None;
        };
        if field.spec().on.contains(&self.on) {
            return Some(field);
        }
        let message = format!("`{field}` is not known for `on: {}`", self.on.as_str());
        let subjects: Vec<_> = field.spec().on.iter().map(|on| on.as_str()).collect();
        let problem = self
            .error(name.place, "field-not-here", message)
            .hint(format!("it is known for `on: {}`", subjects.join("`, `on: ")));
        self.push(problem);
        None
    }

    fn unknown_field(&self, name: &str, place: Place, what: &str) -> Problem {
        let problem = self.error(place, "unknown-field", format!("no {what} is called `{name}`"));
        let lower = name.to_ascii_lowercase();
        if Field::parse(&lower).is_some() {
            return problem.hint(format!("names are in lower case: `{lower}`"));
        }
        let here = CATALOGUE.iter().filter(|spec| spec.on.contains(&self.on));
        let words = ["all", "any", "none", "not"];
        problem.nearest(name, here.map(|spec| spec.name).chain(words))
    }

    fn fields(&mut self, names: &[Located<String>]) -> Vec<Field> {
        names.iter().filter_map(|name| self.field(name)).collect()
    }

    fn sentence(&mut self, text: &Located<String>, keep: &[Field]) -> Template {
        let template = match Template::parse(&text.value) {
            Ok(template) => template,
            Err(Fault::Open) => {
                let problem = self.error(text.place, "bad-text", "a `{` has no `}`");
                self.push(problem);
                return Template::default();
            }
            Err(Fault::Unknown(name)) => {
                let problem = self.unknown_field(&name, text.place, "field");
                self.push(problem);
                return Template::default();
            }
        };
        if text.value.trim().is_empty() {
            let problem = self.error(text.place, "bad-text", "the text is empty");
            self.push(problem);
        }
        for field in template.fields() {
            let known = self.field(&Located { value: field.to_string(), place: text.place });
            if known.is_some() && field.spec().secret && !keep.contains(field) {
                let message = format!("`{field}` may hold secrets");
                let problem = self.error(text.place, "secret-in-text", message);
                self.push(problem.hint("add it to `keep`: kept values are masked"));
            }
        }
        template
    }

    fn group(&mut self, group: &syntax::Group) -> Group {
        let by = match &group.by {
            Some(names) => self.fields(names),
            None => Vec::new(),
        };
        let hour = Duration::from_secs(3_600);
        let window = match &group.window {
            None => hour,
            Some(text) => parse_window(&text.value).unwrap_or_else(|| {
                let message = format!("`{}` is not a time span", text.value);
                let problem = self.error(text.place, "bad-window", message);
                self.push(problem.hint("a number and `s`, `m`, `h` or `d`; at most `366d`"));
                hour
            }),
        };
        Group { by, window, per_server: group.per == Per::Server }
    }

    /// The literals to look for first: those that the rule names, else those that its conditions
    /// need.
    fn literals(&mut self, rule: &syntax::Rule, when: &Node) -> (Option<Literals>, Choice) {
        match rule.prefilter.as_ref().map(|prefilter| (&prefilter.value, prefilter.place)) {
            Some((Prefilter::Any { field, any, views }, place)) => {
                (self.given_literals(field, any, views, place), Choice::Given)
            }
            Some((Prefilter::None, place)) => {
                if let Some(found) = literal::required(when).filter(|_| self.on.is_frequent()) {
                    let message = "the conditions have literals, so they can be filtered";
                    let problem = self.error(place, "needless-none", message);
                    self.push(problem.hint(format!("remove `prefilter`: {found} will be used")));
                }
                (None, Choice::Unfiltered)
            }
            None => match literal::required(when) {
                Some(found) => (Some(found), Choice::Extracted),
                None => {
                    // What is wrong with the conditions may be why they have no literal.
                    if self.on.is_frequent() && !self.report.has_errors() {
                        self.no_literal(rule);
                    }
                    (None, Choice::Unfiltered)
                }
            },
        }
    }

    fn no_literal(&mut self, rule: &syntax::Rule) {
        let message = "no text of the conditions must occur in what the rule matches";
        let problem = self.error(rule.when.place, "no-literal", message).hint(format!(
            "name texts of {} bytes or more under `prefilter: {{field: ..., any: [...]}}`, or say \
             `prefilter: none`",
            literal::MIN_BYTES
        ));
        self.push(problem);
    }

    fn given_literals(
        &mut self,
        name: &Located<String>,
        any: &[Located<String>],
        views: &[Located<String>],
        place: Place,
    ) -> Option<Literals> {
        let field = self.field(name)?;
        if !literal::is_searchable(&field) {
            let message = format!("`{field}` is no field to search literals in");
            let problem = self.error(name.place, "bad-prefilter", message);
            self.push(problem.hint("take a text field with many possible values"));
            return None;
        }
        if any.is_empty() {
            let problem = self.error(place, "bad-prefilter", "`any` names no literal");
            self.push(problem);
        }
        for text in any.iter().filter(|text| text.value.len() < literal::MIN_BYTES) {
            let message = format!("`{}` is too short to filter anything", text.value);
            let problem = self.error(text.place, "bad-prefilter", message);
            self.push(problem.hint(format!("at least {} bytes", literal::MIN_BYTES)));
        }
        let mut fields = vec![field.clone()];
        for name in views {
            match View::parse(&name.value).and_then(|view| field.viewed(view)) {
                Some(viewed) => fields.push(viewed),
                None => {
                    let message = format!("`{field}` has no view `{}`", name.value);
                    let problem = self.error(name.place, "no-views", message);
                    self.push(problem.hint("the views are: percent, folded, decoded"));
                }
            }
        }
        Literals::in_fields(&fields, any)
    }
}

/// The operators of a shape, for advice.
pub(super) fn operators(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Text | Shape::Texts => &[
            "is",
            "in",
            "contains",
            "starts_with",
            "ends_with",
            "matches",
            "in_list",
            "exists",
            "nocase",
            "views",
        ],
        Shape::Number => &["is", "in", "gt", "gte", "lt", "lte", "exists"],
        Shape::Bool => &["is", "exists"],
        Shape::Ip => &["is", "in", "in_net", "exists"],
    }
}

/// Every operator, and what it says of a field.
pub(super) const OPERATORS: [(&str, &str); 15] = [
    ("is", "It is this value."),
    ("in", "It is one of these values."),
    ("contains", "This text, or one of these, is somewhere in it."),
    ("starts_with", "It begins with this text, or with one of these."),
    ("ends_with", "It ends with this text, or with one of these."),
    ("matches", "This regular expression, or one of these, matches somewhere in it."),
    ("in_list", "It is an item of this list of texts or hosts: `$name`."),
    ("in_net", "It lies in this network, in one of these, or in one of the list `$name`."),
    ("gt", "It is greater."),
    ("gte", "It is greater or equal."),
    ("lt", "It is less."),
    ("lte", "It is less or equal."),
    ("exists", "There is a value (true), or there is none (false)."),
    ("nocase", "The other operators of this field take ASCII letters in either case."),
    (
        "views",
        "The other operators of this field look at these decoded views of the text too: `percent`, \
         `folded`, `decoded`.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_a_unit_and_a_bound() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("10m", Some(600)),
            ("1h", Some(3_600)),
            ("7d", Some(604_800)),
            ("0s", None),
            ("367d", None),
            ("1", None),
            ("h", None),
            ("-1h", None),
            ("1 h", None),
            ("99999999999999999999d", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(parse_window(text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn ids_have_four_digits() {
        for (id, expected) in
            [("SMCP-0001", true), ("SMCP-1", false), ("smcp-0001", false), ("SMCP-00001", false)]
        {
            assert_eq!(is_id(id), expected, "{id}");
        }
    }
}
