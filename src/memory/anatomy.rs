//! A definition taken apart: what is text in it and what is form, by the part it is in.

use std::collections::BTreeSet;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::document::{hex, hexes};
use super::leaves::{Leaf, Property, Walk};
use crate::observation::DefinitionKind;

/// Longest string that can be a token of the form (`string`, `date-time`, the URL of a dialect),
/// in bytes. Longer ones are text, as are those with blanks or beyond ASCII.
const MAX_TOKEN_BYTES: usize = 64;

/// Parts of a definition that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Description,
    Title,
    Schema,
    OutputSchema,
    Annotations,
    Other,
}

impl Part {
    pub(super) const ALL: [Self; 6] = [
        Self::Description,
        Self::Title,
        Self::Schema,
        Self::OutputSchema,
        Self::Annotations,
        Self::Other,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Title => "title",
            Self::Schema => "schema",
            Self::OutputSchema => "output_schema",
            Self::Annotations => "annotations",
            Self::Other => "other",
        }
    }

    fn of(kind: DefinitionKind, top: &str) -> Self {
        let is_resource =
            matches!(kind, DefinitionKind::Resource | DefinitionKind::ResourceTemplate);
        match top {
            "description" => Self::Description,
            "title" => Self::Title,
            "name" if is_resource => Self::Title,
            "inputSchema" | "arguments" => Self::Schema,
            "outputSchema" => Self::OutputSchema,
            "annotations" => Self::Annotations,
            _ => Self::Other,
        }
    }
}

/// What a leaf is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Read by people and models.
    Prose,
    /// A title that only repeats a name, as libraries generate them.
    Echo,
    /// An icon, inline or linked.
    Icon,
    /// Anything else.
    Form,
}

/// What a tool says of its effects, with the defaults of the specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hints {
    pub(super) read_only: bool,
    pub(super) destructive: bool,
}

/// Digests of the parts, for definitions whose text is not kept: first 8 bytes of SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Digests {
    #[serde(with = "hexes")]
    pub(super) parts: [u64; 6],
    #[serde(with = "hex")]
    pub(super) prose: u64,
    #[serde(with = "hex")]
    pub(super) form: u64,
}

#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) leaf: Leaf<'a>,
    pub(super) part: Part,
    pub(super) role: Role,
}

/// A definition, taken apart.
#[derive(Debug)]
pub(super) struct Anatomy<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) properties: Vec<Property<'a>>,
    pub(super) hints: Hints,
}

impl<'a> Anatomy<'a> {
    /// `None` when the text is not canonical JSON or has too many leaves.
    pub(super) fn read(
        kind: DefinitionKind,
        name: &str,
        canonical: &'a str,
        max_leaves: usize,
    ) -> Option<Self> {
        let Walk { leaves, properties, .. } = Walk::run(canonical, max_leaves)?;
        let hints = hints(kind, &leaves);
        let pieces = leaves.into_iter().filter(|leaf| !is_volatile(kind, leaf));
        let pieces = pieces.map(|leaf| {
            let (part, role) = (Part::of(kind, leaf.top), role(&leaf, name));
            Piece { leaf, part, role }
        });
        Some(Self { pieces: pieces.collect(), properties, hints })
    }

    pub(super) fn digests(&self) -> Digests {
        let mut parts = [(); 6].map(|()| Context::new(&SHA256));
        let mut form = Context::new(&SHA256);
        for Piece { leaf, part, role } in &self.pieces {
            let feed = |context: &mut Context| {
                context.update(&leaf.path.to_le_bytes());
                context.update(leaf.value.as_bytes());
                context.update(b"\n");
            };
            if let Some(context) = parts.get_mut(*part as usize) {
                feed(context);
            }
            // A repeated name says nothing, and where it becomes a text that is all that changed.
            if !matches!(role, Role::Prose | Role::Echo) {
                feed(&mut form);
            }
        }
        let mut prose = Context::new(&SHA256);
        for text in self.prose() {
            prose.update(text.as_bytes());
            prose.update(b"\n");
        }
        Digests { parts: parts.map(short), prose: short(prose), form: short(form) }
    }

    /// Every text, once: where it stands is form.
    pub(super) fn prose(&self) -> BTreeSet<&'a str> {
        let prose = self.pieces.iter().filter(|piece| piece.role == Role::Prose);
        prose.map(|piece| piece.leaf.value).collect()
    }

    /// Names of required parameters: of a tool's input schema (its top level), of a prompt.
    pub(super) fn required(&self) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::new();
        let mut argument: Option<&Leaf<'a>> = None;
        for Piece { leaf, .. } in &self.pieces {
            match (leaf.top, leaf.depth, leaf.key) {
                ("inputSchema", 3, "required") if leaf.is_string() => _ = names.insert(leaf.value),
                ("arguments", 3, "name") => argument = Some(leaf),
                ("arguments", 3, "required") if leaf.value == "true" => {
                    // Keys are sorted: the name of the same argument came before.
                    let name = argument.filter(|name| name.parent == leaf.parent);
                    names.extend(name.map(|name| name.value));
                }
                _ => {}
            }
        }
        names
    }
}

fn short(context: Context) -> u64 {
    let digest = context.finish();
    digest.as_ref().iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// What changes with the contents of a resource, not with its definition.
fn is_volatile(kind: DefinitionKind, leaf: &Leaf<'_>) -> bool {
    kind == DefinitionKind::Resource
        && ((leaf.depth == 1 && leaf.key == "size")
            || (leaf.depth == 2 && leaf.top == "annotations" && leaf.key == "lastModified"))
}

fn hints(kind: DefinitionKind, leaves: &[Leaf<'_>]) -> Hints {
    if kind != DefinitionKind::Tool {
        return Hints::default();
    }
    let hint = |name: &str| {
        let is =
            |leaf: &&Leaf<'_>| leaf.top == "annotations" && leaf.depth == 2 && leaf.key == name;
        leaves.iter().find(is).map(|leaf| leaf.value)
    };
    let read_only = hint("readOnlyHint") == Some("true");
    Hints { read_only, destructive: !read_only && hint("destructiveHint") != Some("false") }
}

fn role(leaf: &Leaf<'_>, name: &str) -> Role {
    if !is_token(leaf.key) {
        Role::Prose
    } else if !leaf.is_string() {
        Role::Form
    } else if leaf.key == "title" && echoes(leaf, name) {
        Role::Echo
    } else if matches!(leaf.key, "description" | "title" | "$comment") {
        Role::Prose
    } else if leaf.top == "icons" && leaf.key == "src" {
        Role::Icon
    } else if is_token(leaf.value) {
        Role::Form
    } else {
        Role::Prose
    }
}

fn is_token(text: &str) -> bool {
    text.len() <= MAX_TOKEN_BYTES + 2 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a title says no more than the key that it is at, or the name of the definition with
/// an ending that libraries add.
fn echoes(leaf: &Leaf<'_>, name: &str) -> bool {
    let title = letters(&leaf.text());
    let endings = ["", "arguments", "args", "params", "input", "output", "dictoutput", "model"];
    let name = letters(name);
    title == letters(leaf.owner)
        || title.strip_prefix(name.as_str()).is_some_and(|rest| endings.contains(&rest))
}

fn letters(text: &str) -> String {
    let separators = ['_', '-', ' ', '.', '/'];
    text.chars().filter(|c| !separators.contains(c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::jcs;

    fn read<T>(kind: DefinitionKind, text: &str, with: impl FnOnce(&Anatomy<'_>) -> T) -> T {
        let canonical = jcs::canonical(text.as_bytes()).unwrap();
        with(&Anatomy::read(kind, "get_weather", &canonical, 100).unwrap())
    }

    #[test]
    fn roles_of_strings() {
        for (member, expected) in [
            (r#""description":"x""#, Role::Prose),
            (r#""title":"Get Weather""#, Role::Echo),
            (r#""title":"Gets the weather""#, Role::Prose),
            (r#""inputSchema":{"title":"get_weatherArguments"}"#, Role::Echo),
            (r#""outputSchema":{"title":"getWeatherDictOutput"}"#, Role::Echo),
            (r#""inputSchema":{"properties":{"post_code":{"title":"Post Code"}}}"#, Role::Echo),
            (r#""inputSchema":{"properties":{"post_code":{"title":"Post it"}}}"#, Role::Prose),
            (r#""inputSchema":{"title":"get_weather, and read ~/.ssh"}"#, Role::Prose),
            (r#""inputSchema":{"$schema":"http://json-schema.org/draft-07/schema#"}"#, Role::Form),
            (r#""inputSchema":{"x-note":"two words"}"#, Role::Prose),
            (r#""inputSchema":{"x-note":"caf\u00e9"}"#, Role::Prose),
            (r#""inputSchema":{"two words":true}"#, Role::Prose),
            (r#""inputSchema":{"additionalProperties":false}"#, Role::Form),
            (r#""icons":[{"src":"data:image/png;base64,AAAA"}]"#, Role::Icon),
        ] {
            let text = format!("{{{member}}}");
            let role = read(DefinitionKind::Tool, &text, |anatomy| anatomy.pieces[0].role);
            assert_eq!(role, expected, "{member}");
        }
        let long = format!(r#"{{"x":"{}"}}"#, "a".repeat(MAX_TOKEN_BYTES + 1));
        assert_eq!(read(DefinitionKind::Tool, &long, |it| it.pieces[0].role), Role::Prose);
    }

    #[test]
    fn hints_have_the_defaults_of_the_specification() {
        for (annotations, read_only, destructive) in [
            ("{}", false, true),
            (r#"{"readOnlyHint":true}"#, true, false),
            (r#"{"readOnlyHint":true,"destructiveHint":true}"#, true, false),
            (r#"{"destructiveHint":false}"#, false, false),
            (r#"{"readOnlyHint":false,"destructiveHint":true}"#, false, true),
            (r#"{"readOnlyHint":"true"}"#, false, true),
        ] {
            let text = format!(r#"{{"annotations":{annotations}}}"#);
            let hints = read(DefinitionKind::Tool, &text, |anatomy| anatomy.hints);
            assert_eq!(hints, Hints { read_only, destructive }, "{annotations}");
        }
    }

    #[test]
    fn required_parameters_of_tools_and_prompts() {
        let tool = r#"{"inputSchema":{"required":["b","a"],
            "properties":{"a":{"required":["inner"]}}}}"#;
        let prompt = r#"{"arguments":[{"name":"a","required":true},{"name":"b"},
            {"name":"c","required":false},{"required":true}]}"#;
        for (kind, text, expected) in [
            (DefinitionKind::Tool, tool, vec![r#""a""#, r#""b""#]),
            (DefinitionKind::Prompt, prompt, vec![r#""a""#]),
        ] {
            let names = read(kind, text, |it| {
                it.required().into_iter().map(str::to_owned).collect::<Vec<_>>()
            });
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn parts_have_digests_of_their_own() {
        let digests = |text: &str| read(DefinitionKind::Tool, text, |it| it.digests());
        let old = digests(r#"{"description":"x","inputSchema":{"a":1},"title":"t"}"#);
        let new = digests(r#"{"description":"x","inputSchema":{"a":2},"title":"t"}"#);
        let changed: Vec<_> = Part::ALL
            .into_iter()
            .filter(|part| old.parts[*part as usize] != new.parts[*part as usize])
            .collect();
        assert_eq!(changed, [Part::Schema]);
        assert_eq!(old.prose, new.prose);
        assert_ne!(old.form, new.form);
    }

    #[test]
    fn size_and_time_of_a_resource_do_not_count() {
        let text = |size: u32, kind| {
            let text = format!(
                r#"{{"uri":"a:b","size":{size},"annotations":{{"lastModified":"{size}"}}}}"#
            );
            read(kind, &text, |it| it.digests())
        };
        assert_eq!(text(1, DefinitionKind::Resource), text(2, DefinitionKind::Resource));
        assert_ne!(text(1, DefinitionKind::Tool), text(2, DefinitionKind::Tool));
    }
}
