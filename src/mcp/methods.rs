//! Every method of MCP: in which revisions it exists, who sends it, and what it proves.

/// A revision of the specification, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05
    V2024_11_05,
    /// 2025-03-26
    V2025_03_26,
    /// 2025-06-18
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
    /// 2026-07-28
    V2026_07_28,
}

impl Revision {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// As `protocolVersion` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }
}

/// Who sends a method in one revision: a set, empty when the method does not exist there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Senders(u8);

impl Senders {
    /// Nobody: not in this revision.
    pub const NONE: Self = Self(0);
    /// The client.
    pub const CLIENT: Self = Self(1);
    /// The server.
    pub const SERVER: Self = Self(2);
    /// The server, embedded in a result's `inputRequests` (MRTR) instead of as a message.
    pub const EMBEDDED: Self = Self(4);
    /// Through an extension of the revision, by whom the other bits say.
    pub const EXTENSION: Self = Self(8);
    /// Either side.
    pub const BOTH: Self = Self(3);

    const CLIENT_EXTENSION: Self = Self(9);
    const SERVER_EXTENSION: Self = Self(10);

    /// Whether all of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nobody sends it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Whether a method expects an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// It does.
    Request,
    /// It does not.
    Notification,
}

/// What a parsed top-level method says about the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Many protocols have it (`initialize`, `ping`): nothing alone.
    Ambiguous,
    /// Agent2Agent has the same names (`tasks/…`).
    Shared,
    /// Plausible elsewhere: wants a second signal.
    Weak,
    /// Only MCP has it.
    Exclusive,
}

/// One method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// As `method` spells it.
    pub name: &'static str,
    /// Request or notification.
    pub kind: MethodKind,
    /// What it proves.
    pub class: Class,
    /// Who sends it, by [`Revision::ALL`].
    senders: [Senders; 5],
}

impl Method {
    /// Who sends it in a revision.
    #[must_use]
    pub fn senders(&self, revision: Revision) -> Senders {
        self.senders.get(revision as usize).copied().unwrap_or_default()
    }

    /// Whether a revision has it, be it through an extension.
    #[must_use]
    pub fn exists_in(&self, revision: Revision) -> bool {
        !self.senders(revision).is_empty()
    }
}

/// The method of that name, if MCP has one.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Method> {
    let at = METHODS.binary_search_by(|method| method.name.cmp(name)).ok()?;
    METHODS.get(at)
}

/// All methods, sorted by name.
#[must_use]
pub fn all() -> &'static [Method] {
    METHODS
}

const fn row(name: &'static str, class: Class, senders: [Senders; 5]) -> Method {
    let notification = matches!(
        name.as_bytes(),
        [b'n', b'o', b't', b'i', b'f', b'i', b'c', b'a', b't', b'i', b'o', b'n', b's', b'/', ..]
    );
    let kind = if notification { MethodKind::Notification } else { MethodKind::Request };
    Method { name, kind, class, senders }
}

use Class::{Ambiguous, Exclusive, Shared, Weak};

const N: Senders = Senders::NONE;
const C: Senders = Senders::CLIENT;
const S: Senders = Senders::SERVER;
const B: Senders = Senders::BOTH;
const E: Senders = Senders::EMBEDDED;
const XC: Senders = Senders::CLIENT_EXTENSION;
const XS: Senders = Senders::SERVER_EXTENSION;

static METHODS: &[Method] = &[
    row("completion/complete", Exclusive, [C, C, C, C, C]),
    row("elicitation/create", Exclusive, [N, N, S, S, E]),
    row("initialize", Ambiguous, [C, C, C, C, N]),
    row("logging/setLevel", Weak, [C, C, C, C, N]),
    // In 2026-07-28 on stdio only.
    row("notifications/cancelled", Weak, [B, B, B, B, C]),
    row("notifications/elicitation/complete", Weak, [N, N, N, S, N]),
    row("notifications/initialized", Exclusive, [C, C, C, C, N]),
    row("notifications/message", Weak, [S, S, S, S, S]),
    row("notifications/progress", Weak, [B, B, B, B, S]),
    row("notifications/prompts/list_changed", Exclusive, [S, S, S, S, S]),
    row("notifications/resources/list_changed", Exclusive, [S, S, S, S, S]),
    row("notifications/resources/updated", Weak, [S, S, S, S, S]),
    row("notifications/roots/list_changed", Exclusive, [C, C, C, C, N]),
    row("notifications/subscriptions/acknowledged", Weak, [N, N, N, N, S]),
    row("notifications/tasks", Shared, [N, N, N, N, XS]),
    row("notifications/tasks/status", Shared, [N, N, N, B, N]),
    row("notifications/tools/list_changed", Exclusive, [S, S, S, S, S]),
    row("ping", Ambiguous, [B, B, B, B, N]),
    row("prompts/get", Exclusive, [C, C, C, C, C]),
    row("prompts/list", Exclusive, [C, C, C, C, C]),
    row("resources/list", Exclusive, [C, C, C, C, C]),
    row("resources/read", Exclusive, [C, C, C, C, C]),
    row("resources/subscribe", Weak, [C, C, C, C, N]),
    row("resources/templates/list", Exclusive, [C, C, C, C, C]),
    row("resources/unsubscribe", Weak, [C, C, C, C, N]),
    row("roots/list", Exclusive, [S, S, S, S, E]),
    row("sampling/createMessage", Exclusive, [S, S, S, S, E]),
    row("server/discover", Exclusive, [N, N, N, N, C]),
    row("subscriptions/listen", Exclusive, [N, N, N, N, C]),
    row("tasks/cancel", Shared, [N, N, N, B, XC]),
    row("tasks/get", Shared, [N, N, N, B, XC]),
    row("tasks/list", Shared, [N, N, N, B, N]),
    row("tasks/result", Shared, [N, N, N, B, N]),
    row("tasks/update", Shared, [N, N, N, N, XC]),
    row("tools/call", Exclusive, [C, C, C, C, C]),
    row("tools/list", Exclusive, [C, C, C, C, C]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the specification's schemas: names, then who sends them per revision.
    const SPECIFIED: &[(&str, &str)] = &[
        ("initialize", "C C C C -"),
        ("server/discover", "- - - - C"),
        ("ping", "CS CS CS CS -"),
        ("tools/list tools/call", "C C C C C"),
        ("prompts/list prompts/get", "C C C C C"),
        ("resources/list resources/templates/list resources/read", "C C C C C"),
        ("resources/subscribe resources/unsubscribe", "C C C C -"),
        ("subscriptions/listen", "- - - - C"),
        ("completion/complete", "C C C C C"),
        ("logging/setLevel", "C C C C -"),
        ("sampling/createMessage roots/list", "S S S S E"),
        ("elicitation/create", "- - S S E"),
        ("tasks/get tasks/cancel", "- - - CS XC"),
        ("tasks/list tasks/result", "- - - CS -"),
        ("tasks/update", "- - - - XC"),
        ("notifications/initialized", "C C C C -"),
        ("notifications/cancelled", "CS CS CS CS C"),
        ("notifications/progress", "CS CS CS CS S"),
        ("notifications/message", "S S S S S"),
        (
            "notifications/tools/list_changed notifications/prompts/list_changed \
             notifications/resources/list_changed notifications/resources/updated",
            "S S S S S",
        ),
        ("notifications/roots/list_changed", "C C C C -"),
        ("notifications/tasks/status", "- - - CS -"),
        ("notifications/tasks", "- - - - XS"),
        ("notifications/elicitation/complete", "- - - S -"),
        ("notifications/subscriptions/acknowledged", "- - - - S"),
    ];

    fn letters(senders: Senders) -> String {
        [
            (Senders::EXTENSION, 'X'),
            (Senders::CLIENT, 'C'),
            (Senders::SERVER, 'S'),
            (Senders::EMBEDDED, 'E'),
        ]
        .into_iter()
        .filter(|&(sender, _)| senders.contains(sender))
        .map(|(_, letter)| letter)
        .collect()
    }

    #[test]
    fn has_exactly_the_specified_methods_and_senders() {
        let mut count = 0;
        for (names, expected) in SPECIFIED {
            for name in names.split_whitespace() {
                let method = lookup(name).unwrap_or_else(|| panic!("{name} is missing"));
                let row = Revision::ALL.map(|revision| match letters(method.senders(revision)) {
                    none if none.is_empty() => "-".to_owned(),
                    some => some,
                });
                assert_eq!(row.join(" "), *expected, "{name}");
                count += 1;
            }
        }
        assert_eq!(count, 36);
        assert_eq!(all().len(), count);
    }

    #[test]
    fn is_sorted_so_that_lookup_finds_all() {
        assert!(all().is_sorted_by(|a, b| a.name < b.name));
        for method in all() {
            assert_eq!(lookup(method.name), Some(method));
        }
    }

    #[test]
    fn names_are_exact() {
        for name in ["", "Tools/call", "tools/call ", "tools", "message/send", "eth_call"] {
            assert_eq!(lookup(name), None, "{name}");
        }
    }

    #[test]
    fn classes_and_kinds() {
        let count = |class| all().iter().filter(|method| method.class == class).count();
        assert_eq!(count(Exclusive), 18);
        for (name, class) in [
            ("initialize", Ambiguous),
            ("ping", Ambiguous),
            ("tasks/get", Shared),
            ("notifications/cancelled", Weak),
            ("resources/subscribe", Weak),
            ("notifications/initialized", Exclusive),
            ("server/discover", Exclusive),
        ] {
            assert_eq!(lookup(name).unwrap().class, class, "{name}");
        }
        let notifications =
            all().iter().filter(|method| method.kind == MethodKind::Notification).count();
        assert_eq!(notifications, 13);
        assert!(!lookup("ping").unwrap().exists_in(Revision::V2026_07_28));
        assert!(lookup("ping").unwrap().exists_in(Revision::V2024_11_05));
        assert_eq!(Revision::V2026_07_28.as_str(), "2026-07-28");
    }
}
