//! A pin: one digest for all the tools of a server.

use std::fmt::Write as _;

use crate::mcp::jcs;
use crate::observation::{Definition, DefinitionKind};

/// The digest of a server's tools: what an approval pins, and what the portal compares.
///
/// `jcs-sha256:` and 64 lower-case hex digits: SHA-256 over the canonical JSON (RFC 8785) of an
/// array with one array `[name, digest]` for each tool. `digest` is [`Definition::digest`], or
/// null where it is absent. The pairs are sorted by name, then digest, both compared by code
/// points (which is the order of their UTF-8 bytes); a null comes first. Pairs that occur twice
/// stay. Definitions of resources and prompts do not count. No tools at all give the digest of
/// `[]`. Order of the list and spelling of the JSON do not matter.
///
/// Only a list that was seen whole gives a digest worth comparing.
#[must_use]
pub fn tools_digest(definitions: &[Definition]) -> String {
    let tools = definitions.iter().filter(|definition| definition.kind == DefinitionKind::Tool);
    let mut pairs: Vec<(&str, Option<&str>)> =
        tools.map(|tool| (tool.name.as_str(), tool.digest.as_deref())).collect();
    pairs.sort_unstable();
    // Neither strings nor nulls fail to become JSON, nor that JSON to become canonical.
    let text = serde_json::to_vec(&pairs).unwrap_or_default();
    let canonical = jcs::canonical(&text).unwrap_or_default();
    let mut out = String::from("jcs-sha256:");
    // Writing to a string cannot fail.
    _ = write!(out, "{}", jcs::digest(&canonical));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, digest: Option<&str>) -> Definition {
        Definition {
            kind: DefinitionKind::Tool,
            name: name.to_owned(),
            digest: digest.map(str::to_owned),
            canonical: None,
        }
    }

    #[test]
    fn it_is_the_digest_of_the_documented_text() {
        let tools = [tool("b\"\n", Some("22")), tool("a", Some("11")), tool("a", None)];
        let text = r#"[["a",null],["a","11"],["b\"\n","22"]]"#;
        assert_eq!(tools_digest(&tools), format!("jcs-sha256:{}", jcs::digest(text)));
        assert_eq!(tools_digest(&[]), format!("jcs-sha256:{}", jcs::digest("[]")));
    }

    #[test]
    fn order_and_other_kinds_do_not_matter_but_digests_do() {
        let (a, b) = (tool("a", Some("11")), tool("b", Some("22")));
        let prompt = Definition { kind: DefinitionKind::Prompt, ..tool("c", None) };
        let pin = tools_digest(&[a.clone(), b.clone()]);
        assert_eq!(tools_digest(&[prompt, b.clone(), a.clone()]), pin);
        assert_ne!(tools_digest(&[a, tool("b", Some("23"))]), pin);
        assert_ne!(tools_digest(&[b]), pin);
    }
}
