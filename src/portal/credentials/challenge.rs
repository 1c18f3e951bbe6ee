//! `WWW-Authenticate` of a server (RFC 9110 section 11.6.1; RFC 6750 section 3).

/// More parameters than this are not read.
const MAX_PARAMETERS: usize = 32;

/// What a `Bearer` challenge says, as far as it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// RFC 9728 section 5.1.
    pub resource_metadata: Option<String>,
    /// Why.
    pub error: Option<String>,
    /// What is needed, separated by spaces.
    pub scope: Option<String>,
}

impl Challenge {
    /// Reads the parameters behind `Bearer`, wherever among other challenges it stands. What does
    /// not fit is left out.
    #[must_use]
    pub fn of(value: &str) -> Self {
        let mut found = Self::default();
        let mut rest = bearer(value).unwrap_or_default();
        for _ in 0..MAX_PARAMETERS {
            let Some((name, value, behind)) = parameter(rest) else { break };
            rest = behind;
            let place = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => &mut found.resource_metadata,
                "error" => &mut found.error,
                "scope" => &mut found.scope,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        found
    }
}

/// What is behind the scheme `Bearer`.
fn bearer(value: &str) -> Option<&str> {
    let mut start = 0;
    while let Some(at) = find(value, start) {
        let before = value.get(..at)?.trim_end();
        let behind = value.get(at + 6..)?;
        if (before.is_empty() || before.ends_with(',')) && behind.starts_with([' ', '\t']) {
            return Some(behind);
        }
        start = at + 6;
    }
    None
}

fn find(value: &str, from: usize) -> Option<usize> {
    let bytes = value.as_bytes().get(from..)?;
    let at = bytes.windows(6).position(|six| six.eq_ignore_ascii_case(b"bearer"))?;
    Some(from + at)
}

/// A name, its value and what is behind. A token without `=` begins the next challenge.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let (name, rest) = text.split_once('=')?;
    let name = name.trim();
    if name.is_empty() || name.contains([' ', ',', '"']) {
        return None;
    }
    let rest = rest.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ' ', '\t']).unwrap_or(rest.len());
        let (value, behind) = rest.split_at_checked(end)?;
        return Some((name, value.to_owned(), behind));
    };
    let mut value = String::new();
    let mut is_escaped = false;
    for (at, char) in quoted.char_indices() {
        match char {
            _ if is_escaped => {
                value.push(char);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return Some((name, value, quoted.get(at + 1..)?)),
            _ => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_parameters_of_bearer_are_read_among_others() {
        let some = |text: &str| Some(text.to_owned());
        for (text, metadata, error, scope) in [
            (
                r#"Bearer resource_metadata="https://a/x", scope="a b""#,
                some("https://a/x"),
                None,
                some("a b"),
            ),
            ("bearer error=invalid_token", None, some("invalid_token"), None),
            (r#"Basic realm="Bearer x=1", Bearer error="a\"b""#, None, some("a\"b"), None),
            (r#"Bearer scope="a", DPoP error="b""#, None, None, some("a")),
            ("Basic realm=x", None, None, None),
            ("Bearer", None, None, None),
            (r#"Bearer error="open"#, None, None, None),
        ] {
            let found = Challenge::of(text);
            assert_eq!(found.resource_metadata, metadata, "{text}");
            assert_eq!(found.error, error, "{text}");
            assert_eq!(found.scope, scope, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?i)(bearer|[ ,=\"\\\\a-z])*") {
            prop_assert!(Challenge::of(&text).scope.is_none_or(|scope| scope.len() <= text.len()));
        }
    }
}
