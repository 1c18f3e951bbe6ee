//! What can be said of a rule before a message is read: most messages need not be read for it.

use super::condition::{Node, Test};
use super::field::{Field, Key, On, Value, View};
use super::set::Compiled;

/// What is known of a message that was not read yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glimpse<'a> {
    /// Its method, if it has one.
    pub method: Option<&'a str>,
    /// Whether any secret is in it.
    pub has_secrets: bool,
    /// Whether any personal data are in it.
    pub has_personal: bool,
}

impl Compiled {
    /// False if it surely does not hold for a message, whatever else is in it.
    #[must_use]
    pub fn may_hold(&self, glimpse: &Glimpse<'_>) -> bool {
        self.on == On::Message && self.when.may_hold(glimpse)
    }

    /// Texts of which one has to be in the JSON text of `params`, in any ASCII case, as JSON writes
    /// them without `\u` and other escapes that it does not need; `None` if it asks for nothing
    /// that could be told so.
    #[must_use]
    pub fn argument_literals(&self) -> Option<Vec<String>> {
        let is_plain = |field: &Field| field.key() == Key::ArgsText && field.view() == View::Raw;
        let entries = self.literals.as_ref()?.entries.iter();
        entries
            .map(|(field, text)| {
                let json = serde_json::to_string(text).ok().filter(|_| is_plain(field))?;
                Some(json.strip_prefix('"')?.strip_suffix('"')?.to_owned())
            })
            .collect()
    }
}

impl Node {
    fn may_hold(&self, glimpse: &Glimpse<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.may_hold(glimpse)),
            Self::Any(nodes) => nodes.iter().any(|node| node.may_hold(glimpse)),
            Self::Not(_) => true,
            Self::Test(field, test) => test.may_hold(field.key(), glimpse),
        }
    }
}

impl Test {
    fn may_hold(&self, key: Key, glimpse: &Glimpse<'_>) -> bool {
        match (key, self) {
            (Key::McpMethod, Self::Exists(wanted)) => glimpse.method.is_some() == *wanted,
            (Key::McpMethod, test) => {
                glimpse.method.is_some_and(|method| test.accepts(Value::Text(method)))
            }
            (_, Self::Exists(false)) => true,
            (Key::SecretKinds | Key::SecretForeign, _) => glimpse.has_secrets,
            (Key::PersonalKinds, _) => glimpse.has_personal,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Limits, builtin, compile};

    #[test]
    fn rules_are_ruled_out_by_method_and_by_what_was_not_found() {
        let (set, _) = compile(&builtin(), &Limits::default()).unwrap();
        let may = |title: &str, method: Option<&str>, has_secrets: bool| {
            let mut rules = set.rules().iter();
            let rule = rules.find(|rule| rule.file.ends_with(title)).unwrap();
            rule.may_hold(&Glimpse { method, has_secrets, has_personal: false })
        };
        let call = Some("tools/call");
        assert!(may("secret-in-arguments.yaml", call, true));
        assert!(!may("secret-in-arguments.yaml", call, false));
        assert!(!may("secret-in-arguments.yaml", Some("tools/list"), true));
        assert!(!may("secret-in-arguments.yaml", None, true));
        assert!(may("path-traversal.yaml", call, false));
        assert!(!may("path-traversal.yaml", None, false));
    }

    #[test]
    fn literals_are_as_json_writes_them() {
        let (set, _) = compile(&builtin(), &Limits::default()).unwrap();
        let of = |title: &str| {
            let mut rules = set.rules().iter();
            rules.find(|rule| rule.file.ends_with(title)).unwrap().argument_literals()
        };
        let climbs = of("path-traversal.yaml").unwrap();
        assert!(climbs.contains(&r"..\\".to_owned()), "{climbs:?}");
        assert_eq!(of("metadata-service.yaml").unwrap(), ["://"]);
        assert_eq!(of("secret-in-arguments.yaml"), None);
    }
}
