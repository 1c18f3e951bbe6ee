//! Rule and list files as written: what YAML gives, before anything is checked against anything.

mod clause;
mod correlation;
mod example;
mod exceptions;
mod given;
mod handshake;
mod thresholds;

use serde::{Deserialize, Deserializer};

pub use clause::{Clause, Operand, Scalar, Term};
pub use correlation::{
    CORRELATION_SCHEMA, Correlate, Correlation, CorrelationKind, CorrelationTest, GivenMatch,
    Measure, Order,
};
pub(in crate::rules) use example::any;
pub use example::example;
pub use exceptions::{EXCEPTIONS_SCHEMA, Exception, Exceptions, RuleChoice};
pub use given::{Exchange, Given, GivenContact, Request, Response, Want};
pub use handshake::{Answer as GivenAnswer, Dns as GivenDns, Hello as GivenHello};
pub use thresholds::{Per, THRESHOLDS_SCHEMA, Threshold, ThresholdKind, Thresholds};

use super::field::On;
use super::problem::{Located, Problem, Source};
use super::{Dimension, Lane, Limits, Severity, Status};
use crate::mcp::Evidence;

/// The value of `schema:` in a rule file.
pub const RULE_SCHEMA: &str = "shadowtap/rule@1";
/// The value of `schema:` in a list file.
pub const LIST_SCHEMA: &str = "shadowtap/list@1";

/// A rule file: one rule.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "shadowtap rule")]
pub struct Rule {
    /// Format of the file: `shadowtap/rule@1`.
    #[schemars(extend("const" = RULE_SCHEMA))]
    pub schema: String,
    /// Stable id, `SMCP-` and four digits; never reused. The first digit tells the folder.
    #[schemars(extend("pattern" = "^SMCP-[0-9]{4}$"))]
    pub id: Located<String>,
    /// Revision of the rule, from 1.
    pub rev: Located<u32>,
    /// What it finds, in one line.
    pub title: Located<String>,
    /// Maturity.
    pub status: Status,
    /// What it may do. `alert` and `enforce` need `evidence: parsed` or better.
    pub lane: Located<Lane>,
    /// Severity of its findings, unless raised.
    pub severity: Severity,
    /// How often it is right, 0 to 100.
    #[schemars(extend("maximum" = 100))]
    pub confidence: Located<u8>,
    /// Why it matters, for whoever reads the finding.
    pub why: Located<String>,
    /// What to do about a finding, step by step.
    #[serde(default)]
    pub todo: Vec<String>,
    /// Where it stands in public taxonomies.
    #[serde(default)]
    pub map: Taxonomy,
    /// Where to read more: URLs.
    #[serde(default)]
    pub refs: Vec<Located<String>>,
    /// Least version of the program that can read the rule: `>=0.2`.
    #[serde(default)]
    pub engine: Option<Located<String>>,
    /// Its matches are no findings: they feed correlations.
    #[serde(default)]
    pub building_block: bool,
    /// Which columns of the severity table move the severity; none when absent.
    #[serde(default)]
    pub context: Vec<Dimension>,
    /// What it is evaluated on.
    pub on: On,
    /// Least evidence that the server speaks MCP.
    #[serde(default = "parsed")]
    pub evidence: Evidence,
    /// Literals to look for first; taken from `when` when absent.
    #[serde(default)]
    pub prefilter: Option<Located<Prefilter>>,
    /// When it matches.
    pub when: Located<Clause>,
    /// Severities for special cases; the highest that applies wins.
    #[serde(default)]
    pub raise: Vec<Raise>,
    /// What a finding says and keeps.
    pub report: Report,
    /// What counts as the same finding again.
    #[serde(default)]
    pub group: Group,
    /// What else can look like this.
    #[serde(default)]
    pub noise: Vec<String>,
    /// Examples: what it must and must not match, and what it is known to miss.
    #[serde(default)]
    pub tests: Vec<Test>,
}

const fn parsed() -> Evidence {
    Evidence::Parsed
}

/// Where a rule stands in public taxonomies.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Taxonomy {
    /// OWASP MCP Top 10: `MCP09:2025`.
    #[serde(default)]
    pub owasp_mcp: Vec<String>,
    /// MITRE ATLAS: `AML.T0053`.
    #[serde(default)]
    pub atlas: Vec<String>,
    /// CWE numbers.
    #[serde(default)]
    pub cwe: Vec<u32>,
    /// SAFE-MCP techniques: `SAFE-T1003`.
    #[serde(default)]
    pub safe_mcp: Vec<String>,
}

/// Literals, one of which occurs in a field whenever the rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefilter {
    /// There are none: the rule is evaluated on every subject. Counted against a budget.
    None,
    /// In this field, one of these.
    Any {
        /// Name of a text field.
        field: Located<String>,
        /// Literals; letters match in either case.
        any: Vec<Located<String>>,
        /// Decoded views to look in besides the text itself.
        views: Vec<Located<String>>,
    },
}

impl<'de> Deserialize<'de> for Prefilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Any {
            field: Located<String>,
            any: Vec<Located<String>>,
            #[serde(default)]
            views: Vec<Located<String>>,
        }
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Prefilter;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`none`, or `field` and `any`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                match text {
                    "none" => Ok(Prefilter::None),
                    other => Err(E::unknown_variant(other, &["none"])),
                }
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                let Any { field, any, views } =
                    Any::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Prefilter::Any { field, any, views })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A severity for a special case.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// The case.
    #[serde(rename = "if")]
    pub condition: Located<Clause>,
    /// Severity then, if higher.
    pub severity: Severity,
}

/// What a finding says and keeps.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// One sentence; `{field}` stands for the field's first value.
    pub text: Located<String>,
    /// Fields whose values the finding keeps.
    #[serde(default)]
    pub keep: Vec<Located<String>>,
}

/// What counts as the same finding again.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Further fields whose values tell findings of the rule apart, beside the server and the
    /// client, which always do.
    #[serde(default)]
    pub by: Option<Vec<Located<String>>>,
    /// How long repeats are counted instead of reported: `30s`, `10m`, `1h`, `7d`; `1h` when
    /// absent.
    #[serde(default, rename = "for")]
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    pub window: Option<Located<String>>,
    /// `server` when the rule is about the server, whoever uses it; else clients tell findings
    /// apart.
    #[serde(default)]
    pub per: GroupPer,
}

/// Who tells findings of a rule apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupPer {
    /// Server and client.
    #[default]
    Pair,
    /// The server alone.
    Server,
}

/// An example of what a rule does.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What the example shows.
    pub name: Located<String>,
    /// The traffic: one exchange, or a list of them.
    #[serde(deserialize_with = "given::one_or_many")]
    #[schemars(with = "given::OneOrMany")]
    pub give: Vec<Exchange>,
    /// Approvals in force, as the text of an approvals file.
    #[serde(default)]
    pub approvals: Option<String>,
    /// What the rule does.
    pub want: Located<Want>,
    /// Severity of the hit.
    #[serde(default)]
    pub severity: Option<Severity>,
}

/// What the items of a list are.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// Texts, compared as they are.
    Text,
    /// Networks (`10.0.0.0/8`) and addresses.
    Net,
    /// Host names in any case; `*.example.com` stands for everything below `example.com`.
    Host,
}

/// A list file: values that rules refer to as `$name`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "shadowtap list")]
pub struct List {
    /// Format of the file: `shadowtap/list@1`.
    #[schemars(extend("const" = LIST_SCHEMA))]
    pub schema: String,
    /// The name that rules use, without `$`.
    #[schemars(extend("pattern" = "^[a-z][a-z0-9_]*$"))]
    pub name: Located<String>,
    /// What the items are.
    pub kind: ListKind,
    /// The items.
    pub items: Vec<Located<String>>,
    /// Where they come from, and when that was checked.
    pub source: String,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub enum File {
    /// One rule.
    Rule(Box<Rule>),
    /// One list.
    List(List),
    /// Exceptions.
    Exceptions(Exceptions),
    /// Thresholds.
    Thresholds(Thresholds),
    /// One correlation.
    Correlation(Box<Correlation>),
}

/// The values of `schema:` that files can have.
pub const SCHEMAS: [&str; 5] =
    [RULE_SCHEMA, LIST_SCHEMA, EXCEPTIONS_SCHEMA, THRESHOLDS_SCHEMA, CORRELATION_SCHEMA];

/// Parses one file; the error says what and where.
///
/// # Errors
///
/// The first thing in the file that is not YAML, not of the right type, or not of the format.
pub fn parse(source: &Source, limits: &Limits) -> Result<File, Box<Problem>> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<Located<String>>,
    }
    if source.text.len() > limits.max_file_bytes {
        let message = format!("the file is longer than {} bytes", limits.max_file_bytes);
        return Err(Box::new(Problem::of_file(&source.name, "too-long", message)));
    }
    let head: Head = read(source)?;
    let schema = head.schema.as_ref().map(|schema| schema.value.as_str());
    match schema {
        Some(RULE_SCHEMA) => Ok(File::Rule(Box::new(read(source)?))),
        Some(LIST_SCHEMA) => Ok(File::List(read(source)?)),
        Some(EXCEPTIONS_SCHEMA) => Ok(File::Exceptions(read(source)?)),
        Some(THRESHOLDS_SCHEMA) => Ok(File::Thresholds(read(source)?)),
        Some(CORRELATION_SCHEMA) => Ok(File::Correlation(Box::new(read(source)?))),
        Some(schema) => {
            let message = format!("unknown format `{schema}`");
            let place = head.schema.as_ref().map(|schema| schema.place).unwrap_or_default();
            let problem = Problem::error(source, place, "unknown-schema", message)
                .hint(format!("this build reads `{}`", SCHEMAS.join("`, `")))
                .nearest(schema, SCHEMAS);
            Err(Box::new(problem))
        }
        None => {
            let problem =
                Problem::of_file(&source.name, "no-schema", "the file does not say what it is")
                    .hint(format!("begin it with `schema: {RULE_SCHEMA}`"));
            Err(Box::new(problem))
        }
    }
}

/// One YAML document into a type, within budgets: aliases, merge keys and deep nesting have no
/// use in rule files, so little of them is allowed.
pub(crate) fn read<'de, T: Deserialize<'de>>(source: &'de Source) -> Result<T, Box<Problem>> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            flow_nesting_limit: 32,
            max_events: 200_000,
            max_nodes: 100_000,
            max_aliases: 64,
            max_anchors: 64,
            max_merge_keys: 16,
            max_total_scalar_bytes: 4 * 1024 * 1024,
        },
    };
    serde_saphyr::from_str_with_options(&source.text, options)
        .map_err(|error| Box::new(explain(source, &error)))
}

/// An error of the YAML reader as a problem.
fn explain(source: &Source, error: &serde_saphyr::Error) -> Problem {
    use serde_saphyr::Error;
    let place = error.location().map_or_else(Default::default, super::problem::Place::from);
    let at = |code, message: String| Problem::error(source, place, code, message);
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            at("unknown-key", format!("there is no key `{field}` here"))
                .hint(format!("the keys are: {}", expected.join(", ")))
                .nearest(field, expected.iter().copied())
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            at("unknown-value", format!("`{variant}` is not one of the values it can have"))
                .hint(format!("the values are: {}", expected.join(", ")))
                .nearest(variant, expected.iter().copied())
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            at("duplicate-key", format!("the key `{key}` occurs twice"))
        }
        Error::SerdeMissingField { field, .. } => {
            at("missing-key", format!("the key `{field}` is missing"))
        }
        Error::InvalidScalar { ty, .. } => {
            let wanted = match ty.strip_prefix(['u', 'i']) {
                Some(bits) if !bits.is_empty() => "a whole number that fits",
                _ => ty,
            };
            at("wrong-type", format!("{wanted} is wanted here"))
        }
        Error::Budget { .. } => {
            at("too-complex", "the file is too deep, long or repetitive".into())
        }
        Error::MultipleDocuments { .. } => {
            at("several-documents", "a file holds one rule or one list".into())
                .hint("move what follows `---` to a file of its own")
        }
        other => {
            let text = other.to_string();
            let text = text.split_once(" at line ").map_or(text.as_str(), |(before, _)| before);
            at("yaml", text.to_owned())
        }
    }
}
