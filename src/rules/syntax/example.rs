//! An example on its own: what stands under `give` of a test, in a file.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::given::{self, Exchange, Given};
use crate::rules::Limits;
use crate::rules::problem::{Problem, Source};

/// A whole test, or the parts of it that say what happened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(deserialize_with = "given::one_or_many")]
    give: Vec<Exchange>,
    #[serde(default)]
    approvals: Option<String>,
    #[serde(default, rename = "name")]
    _name: Option<IgnoredAny>,
    #[serde(default, rename = "want")]
    _want: Option<IgnoredAny>,
    #[serde(default, rename = "severity")]
    _severity: Option<IgnoredAny>,
}

/// What stands under `give`.
#[derive(Deserialize)]
#[serde(transparent)]
struct Bare {
    #[serde(deserialize_with = "given::one_or_many")]
    give: Vec<Exchange>,
}

/// Reads an example: an exchange, a list of them, or a test with `give` and `approvals`; YAML or
/// JSON.
///
/// # Errors
///
/// The first thing that is not YAML or no example.
pub fn example(source: &Source, limits: &Limits) -> Result<Given, Box<Problem>> {
    if source.text.len() > limits.max_file_bytes {
        let message = format!("the file is longer than {} bytes", limits.max_file_bytes);
        return Err(Box::new(Problem::of_file(&source.name, "too-long", message)));
    }
    let shape: serde_json::Value = super::read(source)?;
    let given = if shape.get("give").is_some() {
        let Whole { give, approvals, .. } = super::read(source)?;
        Given { exchanges: give, approvals }
    } else {
        let Bare { give } = super::read(source)?;
        Given { exchanges: give, approvals: None }
    };
    if given.exchanges.is_empty() {
        return Err(Box::new(Problem::of_file(&source.name, "empty-test", "it gives nothing")));
    }
    Ok(given)
}

/// Reads any YAML within the budgets of rule files, for comparing what two texts say.
pub(in crate::rules) fn any(source: &Source) -> Result<serde_json::Value, Box<Problem>> {
    super::read(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Given, Box<Problem>> {
        example(&Source::new("x.yaml", text), &Limits::default())
    }

    #[test]
    fn one_exchange_a_list_and_a_whole_test_are_examples() {
        for (text, exchanges, approvals) in [
            ("{tls: true}", 1, false),
            ("[{tls: true}, {client: 10.0.0.1}]", 2, false),
            ("{\"request\": {\"body\": {\"jsonrpc\": \"2.0\"}}}", 1, false),
            ("give: {tls: true}\nwant: hit\nname: x\nseverity: low", 1, false),
            ("give: [{tls: true}]\napprovals: |\n  schema: x\n", 1, true),
        ] {
            let given = read(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!(given.exchanges.len(), exchanges, "{text}");
            assert_eq!(given.approvals.is_some(), approvals, "{text}");
        }
    }

    #[test]
    fn other_files_are_refused_with_their_place() {
        for text in ["{tsl: true}", "[]", "5", "", "give: {tsl: true}", "give: {}\nwnat: hit"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("tls: true\nrequst: {}").unwrap_err().to_string().contains("x.yaml:2:1"));
    }
}
