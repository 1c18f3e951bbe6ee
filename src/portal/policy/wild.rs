//! Names with `*`, compared exactly as Cedar's `like` compares them.

/// Longest pattern, in bytes.
pub(super) const MAX_BYTES: usize = 1_024;

/// A name in which `*` stands for any characters, none included, and `\*` for itself. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wild {
    /// As written.
    text: String,
    /// What is between the stars: one piece more than stars.
    pieces: Vec<String>,
}

impl Wild {
    /// Any name.
    pub(super) fn any() -> Self {
        Self { text: "*".to_owned(), pieces: vec![String::new(); 2] }
    }

    /// # Errors
    /// What is wrong, where it is empty or too long, or a backslash stands before anything but a
    /// star or another backslash.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(format!("a name has 1 to {MAX_BYTES} bytes"));
        }
        let mut pieces = vec![String::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let plain = match c {
                '*' => {
                    pieces.push(String::new());
                    continue;
                }
                '\\' => match chars.next() {
                    Some(next @ ('*' | '\\')) => next,
                    _ => return Err("`\\` stands before `*` or `\\` only".to_owned()),
                },
                c => c,
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(plain);
            }
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// As written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// What is between the stars.
    pub(super) fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// The only name that fits, if there is but one.
    pub(super) fn exact(&self) -> Option<&str> {
        match &*self.pieces {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether every name fits.
    pub(super) fn is_any(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.iter().all(String::is_empty)
    }

    /// Whether the whole name fits. Takes the first place where a piece fits, which is enough:
    /// linear in the name for each piece.
    pub(super) fn matches(&self, name: &str) -> bool {
        let [first, middle @ .., last] = &*self.pieces else {
            return self.exact() == Some(name);
        };
        let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
        for piece in middle {
            let Some((_, after)) = rest.split_once(piece.as_str()) else { return false };
            rest = after;
        }
        rest.ends_with(last.as_str())
    }

    /// Whether surely every name that fits the other fits this one too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // No name that a pattern can spell holds this, so it stands for the other's stars.
        const STAR: &str = "\u{0}*\u{0}";
        match other.exact() {
            Some(name) => self.matches(name),
            None => self == other || self.matches(&other.pieces.join(STAR)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wild(text: &str) -> Wild {
        Wild::parse(text).unwrap()
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, fits) in [
            ("get_*", "get_", true),
            ("get_*", "get_issue", true),
            ("get_*", "xget_issue", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abab", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a\\\\b", "a\\b", true),
            ("A", "a", false),
            ("a?", "ab", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(wild(pattern).matches(name), fits, "{pattern} {name}");
        }
        for bad in ["", "a\\", "a\\n"] {
            assert!(Wild::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wider_patterns_cover_narrower_ones() {
        for (wide, narrow, covers) in [
            ("*", "a*", true),
            ("a*", "ab*", true),
            ("ab*", "a*", false),
            ("a*", "abc", true),
            ("a*", "*", false),
            ("*a*", "xa*", true),
            ("a*b", "a*b", true),
            ("a*b", "a*c*b", true),
            ("a", "a*", false),
        ] {
            assert_eq!(wild(wide).covers(&wild(narrow)), covers, "{wide} {narrow}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_agrees_with_cedar(
            pattern in proptest::collection::vec("[ab*\"\\\\é]", 1..6), name in "[ab*\"\\\\é]{0,8}",
        ) {
            let text: String = pattern
                .iter()
                .map(|c| if c == "\\" { "\\\\" } else { c.as_str() })
                .collect();
            let wild = wild(&text);
            let cedar = format!(
                "permit(principal, action, resource) when {{ {} like {} }};",
                super::super::literal(&name), super::super::pattern(&wild.pieces),
            );
            let set: cedar_policy::PolicySet = cedar.parse().unwrap();
            let uid = |text: &str| text.parse::<cedar_policy::EntityUid>().unwrap();
            let request = cedar_policy::Request::new(
                uid("A::\"a\""), uid("Action::\"a\""), uid("A::\"a\""),
                cedar_policy::Context::empty(), None,
            ).unwrap();
            let answer = cedar_policy::Authorizer::new().is_authorized(
                &request, &set, &cedar_policy::Entities::empty(),
            );
            let allowed = answer.decision() == cedar_policy::Decision::Allow;
            proptest::prop_assert_eq!(allowed, wild.matches(&name), "{} {}", text, name);
        }
    }
}
