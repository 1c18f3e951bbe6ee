//! Conditions as written into conditions to evaluate.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder};

use super::{Compiler, OPERATORS, operators};
use crate::rules::condition::{Node, Test};
use crate::rules::field::{Field, Shape, View};
use crate::rules::list::{self, List, Nets};
use crate::rules::problem::{Located, Place};
use crate::rules::syntax::{Clause, ListKind, Operand, Scalar, Term};

/// An operator of a condition, the field that it tests, and its value.
struct Operation<'a> {
    field: &'a Field,
    name: &'a str,
    value: &'a Scalar,
    place: Place,
    nocase: bool,
}

/// A test of a field, or of one of its views.
fn viewed(node: Node, views: &[Field]) -> Node {
    match node {
        Node::Test(field, test) if !views.is_empty() && !matches!(test, Test::Exists(_)) => {
            let others = views.iter().map(|view| Node::Test(view.clone(), test.clone()));
            let raw = Node::Test(field, test.clone());
            Node::Any(std::iter::once(raw).chain(others).collect())
        }
        node => node,
    }
}

impl Compiler<'_> {
    /// A condition that must say something.
    pub(super) fn condition(&mut self, clause: &Located<Clause>) -> Node {
        let node = self.clause(&clause.value);
        let mut reads = false;
        node.fields(&mut |_| reads = true);
        if !reads && !self.report.has_errors() {
            let message = "the condition tests nothing, so it would hold for everything";
            let problem = self.error(clause.place, "empty-condition", message);
            self.push(problem);
        }
        node
    }

    fn clause(&mut self, clause: &Clause) -> Node {
        let mut nodes = Vec::new();
        for entry in &clause.0 {
            match (&entry.term, entry.key.value.as_str()) {
                (Term::One(clause), _) => nodes.push(Node::Not(Box::new(self.clause(clause)))),
                (Term::Many(clauses), word) => {
                    if clauses.is_empty() {
                        let message = format!("`{word}` names no condition");
                        let problem = self.error(entry.key.place, "empty-condition", message);
                        self.push(problem);
                    }
                    let parts: Vec<_> = clauses.iter().map(|clause| self.clause(clause)).collect();
                    match word {
                        "any" => nodes.push(Node::Any(parts)),
                        "none" => nodes.push(Node::Not(Box::new(Node::Any(parts)))),
                        _ => nodes.extend(parts),
                    }
                }
                (Term::Test(operand), _) => {
                    if let Some(field) = self.field(&entry.key) {
                        self.operand(&field, operand, &mut nodes);
                    }
                }
            }
        }
        match nodes.len() {
            1 => nodes.pop().unwrap_or_else(|| Node::All(Vec::new())),
            _ => Node::All(nodes),
        }
    }

    fn operand(&mut self, field: &Field, operand: &Located<Operand>, nodes: &mut Vec<Node>) {
        let place = operand.place;
        let operators = match &operand.value {
            Operand::Operators(operators) => operators,
            Operand::Short(value) => {
                let name = if matches!(value, Scalar::List(_)) { "in" } else { "is" };
                let operation = Operation { field, name, value, place, nocase: false };
                nodes.extend(self.test(&operation, place));
                return;
            }
        };
        let nocase = operators.iter().find(|(name, _)| name.value == "nocase");
        let nocase = match nocase.map(|(_, value)| value) {
            None => false,
            Some(Located { value: Scalar::Bool(nocase), .. }) => *nocase,
            Some(Located { place, .. }) => {
                let problem = self.error(*place, "wrong-value", "`nocase` is true or false");
                self.push(problem);
                false
            }
        };
        let views = self.views(field, operators);
        let is_test = |name: &str| !matches!(name, "nocase" | "views");
        let tests: Vec<_> = operators.iter().filter(|(name, _)| is_test(&name.value)).collect();
        if tests.is_empty() {
            let message = format!("`{field}` is not tested for anything");
            let problem = self.error(place, "empty-condition", message);
            self.push(problem);
        }
        for (name, value) in tests {
            let (place, value) = (value.place, &value.value);
            let operation = Operation { field, name: &name.value, value, place, nocase };
            nodes.extend(self.test(&operation, name.place).map(|node| viewed(node, &views)));
        }
    }

    /// The views that a field is to be looked at in, besides itself.
    fn views(
        &mut self,
        field: &Field,
        operators: &[(Located<String>, Located<Scalar>)],
    ) -> Vec<Field> {
        let Some((key, value)) = operators.iter().find(|(name, _)| name.value == "views") else {
            return Vec::new();
        };
        let Scalar::List(items) = &value.value else {
            let problem = self.error(value.place, "wrong-value", "`views` takes a list of views");
            self.push(problem.hint("the views are: percent, folded, decoded"));
            return Vec::new();
        };
        let names = ["percent", "folded", "decoded"];
        let mut views = Vec::new();
        for item in items {
            let view = match &item.value {
                Scalar::Text(text) if names.contains(&text.as_str()) => View::parse(text),
                _ => None,
            };
            let Some(view) = view else {
                let problem = self.error(item.place, "unknown-view", "there is no such view");
                self.push(problem.hint(format!("the views are: {}", names.join(", "))));
                continue;
            };
            let Some(viewed) = field.viewed(view) else {
                let message = format!("`{field}` has no views");
                let problem = self.error(key.place, "no-views", message);
                self.push(problem.hint("texts of arguments, results and definitions have"));
                break;
            };
            views.push(viewed);
        }
        views
    }

    fn test(&mut self, operation: &Operation<'_>, name_place: Place) -> Option<Node> {
        let Operation { field, name, .. } = operation;
        let shape = field.spec().shape;
        if !OPERATORS.iter().any(|(known, _)| known == name) {
            let message = format!("there is no operator `{name}`");
            let problem = self
                .error(name_place, "unknown-operator", message)
                .hint(format!("operators for {shape}: {}", operators(shape).join(", ")))
                .nearest(name, operators(shape).iter().copied());
            self.push(problem);
            return None;
        }
        if !operators(shape).contains(name) {
            let message = format!("`{name}` does not apply to `{field}`, which is {shape}");
            let problem = self
                .error(name_place, "wrong-operator", message)
                .hint(format!("operators for {shape}: {}", operators(shape).join(", ")));
            self.push(problem);
            return None;
        }
        if *name == "exists" {
            let wanted = self.bool(operation)?;
            return Some(Node::Test((*field).clone(), Test::Exists(wanted)));
        }
        let test = match shape {
            Shape::Text | Shape::Texts => self.text_test(operation)?,
            Shape::Number => self.number_test(operation)?,
            Shape::Bool => Test::Bool(self.bool(operation)?),
            Shape::Ip => self.ip_test(operation)?,
        };
        Some(Node::Test((*field).clone(), test))
    }

    fn text_test(&mut self, operation: &Operation<'_>) -> Option<Test> {
        let nocase = operation.nocase;
        if operation.name == "in_list" {
            return self.list(operation, &[ListKind::Text, ListKind::Host]).map(Test::InList);
        }
        let located = self.texts(operation)?;
        if operation.name == "matches" {
            let patterns = located.iter().map(|text| self.pattern(text, nocase));
            let patterns = patterns.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
            return Some(Test::Matches { patterns, nocase });
        }
        if matches!(operation.name, "is" | "in") {
            self.known_values(operation.field, &located);
        }
        let texts: Vec<Box<str>> = located.iter().map(|text| text.value.as_str().into()).collect();
        Some(match operation.name {
            "contains" => {
                let mut builder = AhoCorasick::builder();
                builder.ascii_case_insensitive(nocase);
                let finder = builder.build(located.iter().map(|text| &text.value)).ok()?;
                Test::Contains { texts, finder }
            }
            "starts_with" => Test::StartsWith { texts, nocase },
            "ends_with" => Test::EndsWith { texts, nocase },
            _ => Test::Is { texts, nocase },
        })
    }

    /// Values of a field with few possible ones must be among them.
    fn known_values(&mut self, field: &Field, texts: &[Located<String>]) {
        let values = field.spec().values;
        for text in texts.iter().filter(|text| !values.contains(&text.value.as_str())) {
            if values.is_empty() {
                return;
            }
            let message = format!("`{field}` is never `{}`", text.value);
            let problem = self
                .error(text.place, "unknown-value", message)
                .hint(format!("the values are: {}", values.join(", ")))
                .nearest(&text.value, values.iter().copied());
            self.push(problem);
        }
    }

    fn pattern(&mut self, text: &Located<String>, nocase: bool) -> Option<Regex> {
        if text.value.len() > self.limits.max_pattern_chars {
            let message =
                format!("the expression is longer than {} bytes", self.limits.max_pattern_chars);
            let problem = self.error(text.place, "bad-pattern", message);
            self.push(problem);
            return None;
        }
        let built = RegexBuilder::new(&text.value)
            .case_insensitive(nocase)
            .size_limit(self.limits.max_pattern_bytes)
            .dfa_size_limit(self.limits.max_pattern_bytes)
            .nest_limit(50)
            .build();
        match built {
            Ok(regex) => Some(regex),
            Err(regex::Error::CompiledTooBig(limit)) => {
                let message = format!("the expression needs more than {limit} bytes of memory");
                let problem = self.error(text.place, "bad-pattern", message);
                self.push(problem.hint("repeat less, or match fewer kinds of characters"));
                None
            }
            Err(error) => {
                // The crate's message shows the pattern over several lines; its last one says
                // what is wrong.
                let shown = error.to_string();
                let reason = shown.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ");
                let problem = self.error(text.place, "bad-pattern", reason);
                let missing = reason.contains("look-around") || reason.contains("backreference");
                let hint = "expressions run in linear time, which such features would not allow";
                self.push(if missing { problem.hint(hint) } else { problem });
                None
            }
        }
    }

    fn number_test(&mut self, operation: &Operation<'_>) -> Option<Test> {
        let number = |value: &Scalar| match value {
            Scalar::Number(number) => Some(*number),
            _ => None,
        };
        let test = match (operation.name, operation.value) {
            ("in", Scalar::List(items)) if !items.is_empty() => {
                let numbers: Option<Vec<_>> =
                    items.iter().map(|item| number(&item.value)).collect();
                numbers.map(Test::Equals)
            }
            ("is", value) => number(value).map(|number| Test::Equals(vec![number])),
            ("gt", value) => number(value)
                .and_then(|number| Some(Test::Between(number.checked_add(1)?, i64::MAX))),
            ("gte", value) => number(value).map(|number| Test::Between(number, i64::MAX)),
            ("lt", value) => number(value)
                .and_then(|number| Some(Test::Between(i64::MIN, number.checked_sub(1)?))),
            ("lte", value) => number(value).map(|number| Test::Between(i64::MIN, number)),
            _ => None,
        };
        if test.is_none() {
            let wanted =
                if operation.name == "in" { "a list of whole numbers" } else { "a whole number" };
            self.wrong_value(operation, wanted);
        }
        test
    }

    fn ip_test(&mut self, operation: &Operation<'_>) -> Option<Test> {
        let named = matches!(operation.value, Scalar::Text(text) if text.starts_with('$'));
        if named && operation.name == "in_net" {
            return self.list(operation, &[ListKind::Net]).map(Test::InNetList);
        }
        let texts = self.texts(operation)?;
        let mut nets = Vec::new();
        for text in &texts {
            let net = list::parse_net(&text.value);
            let exact =
                operation.name == "in_net" || text.value.parse::<std::net::IpAddr>().is_ok();
            match net.filter(|_| exact) {
                Some(net) => nets.push(net),
                None => {
                    let kind = if operation.name == "in_net" { "a network" } else { "an address" };
                    let message = format!("`{}` is not {kind}", text.value);
                    let problem = self.error(text.place, "wrong-value", message);
                    self.push(problem.hint("networks: `in_net` with `10.0.0.0/8` or `$list`"));
                }
            }
        }
        Some(Test::InNet(Nets::new(nets)))
    }

    /// The list that `$name` refers to.
    fn list(&mut self, operation: &Operation<'_>, kinds: &[ListKind]) -> Option<Arc<List>> {
        let name = match operation.value {
            Scalar::Text(text) => text.strip_prefix('$'),
            _ => None,
        };
        let Some(name) = name else {
            self.wrong_value(operation, "the name of a list, as `$name`");
            return None;
        };
        let Some(list) = self.lists.get(name) else {
            let message = format!("there is no list `{name}`");
            let problem = self
                .error(operation.place, "unknown-list", message)
                .nearest(name, self.lists.keys().map(String::as_str));
            self.push(problem);
            return None;
        };
        if !kinds.contains(&list.kind) {
            let kind = format!("{:?}", list.kind).to_lowercase();
            let message = format!("`{name}` is a list of kind `{kind}`");
            let problem = self.error(operation.place, "wrong-list", message).hint(format!(
                "`{}` on {} wants another kind",
                operation.name,
                operation.field.spec().shape
            ));
            self.push(problem);
            return None;
        }
        Some(Arc::clone(list))
    }

    /// One text or several, none of them empty.
    fn texts(&mut self, operation: &Operation<'_>) -> Option<Vec<Located<String>>> {
        let one = |value: &Scalar, place| match value {
            Scalar::Text(value) => Some(Located { value: value.clone(), place }),
            _ => None,
        };
        let texts = match (operation.name, operation.value) {
            ("is", Scalar::List(_)) | ("in", Scalar::Text(_)) => None,
            (_, Scalar::List(items)) => {
                items.iter().map(|item| one(&item.value, item.place)).collect()
            }
            (_, value) => one(value, operation.place).map(|text| vec![text]),
        };
        let texts: Option<Vec<_>> = texts.filter(|texts: &Vec<_>| !texts.is_empty());
        let Some(texts) = texts else {
            self.wrong_value(
                operation,
                match operation.name {
                    "is" => "one text",
                    "in" => "a list of texts",
                    _ => "a text or a list of texts",
                },
            );
            return None;
        };
        if texts.iter().any(|text| text.value.is_empty()) && operation.name != "is" {
            self.wrong_value(operation, "a text that is not empty");
            return None;
        }
        Some(texts)
    }

    fn bool(&mut self, operation: &Operation<'_>) -> Option<bool> {
        match operation.value {
            Scalar::Bool(value) => Some(*value),
            _ => {
                self.wrong_value(operation, "true or false");
                None
            }
        }
    }

    fn wrong_value(&mut self, operation: &Operation<'_>, wanted: &str) {
        let Operation { field, name, value, place, .. } = operation;
        let message = format!("`{name}` on `{field}` takes {wanted}");
        let problem = self.error(*place, "wrong-value", message);
        let scalar = match value {
            Scalar::List(items) => items.iter().map(|item| &item.value).find(|v| is_unquoted(v)),
            value => Some(*value).filter(|value| is_unquoted(value)),
        };
        let text_wanted = wanted.contains("text");
        let problem = match scalar {
            Some(_) if text_wanted => problem.hint("put numbers and words like `true` in quotes"),
            _ => problem,
        };
        self.push(problem);
    }
}

/// Whether a scalar would be text in quotes.
const fn is_unquoted(value: &Scalar) -> bool {
    matches!(value, Scalar::Number(_) | Scalar::Bool(_) | Scalar::Other(_))
}
