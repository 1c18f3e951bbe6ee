//! What the texts of a subject hold: strings of JSON, their decoded views, addresses in them.
//! Made when a rule first asks, and kept for the others: most subjects are never asked.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use super::field::View;
use super::subject::{MessageFacts, Subject};
use crate::inspect::address;
use crate::inspect::strings::{self, strings};
use crate::inspect::view::{folds_by_case_only, view};
use crate::observation::{Kind, PartName};

/// One of the texts of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// `params.arguments` and `params.uri`.
    Arguments,
    /// What a result holds.
    Result,
    /// What an error says.
    Error,
    /// What a server asks a client for.
    Ask,
    /// A definition.
    Tool,
    /// What is new in a definition that changed.
    Added,
}

const AREAS: usize = 6;

/// A string of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Keys that lead to it, with dots; `[]` for elements of arrays.
    pub(super) path: Box<str>,
    pub(super) text: Box<str>,
    /// It is a key itself.
    pub(super) is_key: bool,
}

impl Leaf {
    /// The innermost key that leads to it.
    pub(super) fn name(&self) -> &str {
        let last = self.path.rsplit('.').find(|part| !part.is_empty() && *part != "[]");
        last.map_or("", |name| name.trim_end_matches("[]"))
    }
}

/// An address that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: Box<str>,
    pub(super) host: Box<str>,
    pub(super) ip: Option<IpAddr>,
}

/// One area: its strings, and their views where they differ.
#[derive(Clone, Debug, Default)]
struct Texts {
    leaves: Vec<Leaf>,
    views: [OnceCell<Vec<Box<str>>>; View::ALL.len()],
}

/// What has been made of the texts of one subject so far.
#[derive(Clone, Debug, Default)]
pub struct Content {
    areas: [OnceCell<Texts>; AREAS],
    addresses: [OnceCell<Vec<Address>>; AREAS],
    digest: OnceCell<Option<String>>,
}

impl Content {
    fn texts<'a>(&'a self, subject: &Subject<'_>, area: Area) -> Option<&'a Texts> {
        let cell = self.areas.get(area as usize)?;
        Some(cell.get_or_init(|| Texts { leaves: collect(subject, area), ..Texts::default() }))
    }
}

/// The strings of an area.
pub(super) fn leaves<'a>(subject: &Subject<'a>, area: Area) -> &'a [Leaf] {
    let texts = subject.content.and_then(|content| content.texts(subject, area));
    texts.map_or(&[], |texts| &texts.leaves)
}

/// Gives the texts of an area, keys left out, as a view shows them, to `each` until it answers
/// true.
pub(super) fn visit<'a>(
    subject: &Subject<'a>,
    area: Area,
    of: View,
    wanted: &dyn Fn(&Leaf) -> bool,
    each: &mut dyn FnMut(&'a str) -> bool,
) -> bool {
    let Some(texts) = subject.content.and_then(|content| content.texts(subject, area)) else {
        return false;
    };
    let mut plain = texts.leaves.iter().filter(|leaf| !leaf.is_key);
    if of == View::Raw {
        return plain.any(|leaf| wanted(leaf) && each(&leaf.text));
    }
    let Some(cell) = texts.views.get(of as usize) else { return false };
    let views = cell.get_or_init(|| {
        let leaves = texts.leaves.iter().filter(|leaf| !leaf.is_key);
        leaves.map(|leaf| view(&leaf.text, of).map_or_else(Box::default, Cow::into)).collect()
    });
    // A view that shows nothing new is empty.
    plain.zip(views).any(|(leaf, shown)| !shown.is_empty() && wanted(leaf) && each(shown))
}

/// Gives the texts of an area that folding changes in more than ASCII case to `each`, folded.
pub(super) fn visit_reshaped(subject: &Subject<'_>, area: Area, each: &mut dyn FnMut(&str)) {
    let mut plain = leaves(subject, area).iter().filter(|leaf| !leaf.is_key);
    if plain.all(|leaf| folds_by_case_only(&leaf.text)) {
        return;
    }
    visit(subject, area, View::Folded, &|leaf| !folds_by_case_only(&leaf.text), &mut |shown| {
        each(shown);
        false
    });
}

/// The addresses that an area names.
pub(super) fn addresses<'a>(subject: &Subject<'a>, area: Area) -> &'a [Address] {
    let cell = subject.content.and_then(|content| content.addresses.get(area as usize));
    cell.map_or(&[], |cell| cell.get_or_init(|| find_addresses(leaves(subject, area))))
}

/// Digest of the arguments in canonical form (RFC 8785).
pub(super) fn arguments_digest<'a>(subject: &Subject<'a>) -> Option<&'a str> {
    let arguments = subject.message?.message.arguments.as_deref()?;
    let cell = &subject.content?.digest;
    let digest =
        || Some(crate::mcp::jcs::digest(&crate::mcp::jcs::canonical(arguments.as_bytes())?));
    cell.get_or_init(digest).as_deref()
}

impl<'a> Subject<'a> {
    /// The strings of the arguments, keys left out.
    pub fn argument_texts(&self) -> impl Iterator<Item = &'a str> {
        plain_texts(leaves(self, Area::Arguments))
    }

    /// The strings of the result, keys left out.
    pub fn result_texts(&self) -> impl Iterator<Item = &'a str> {
        plain_texts(leaves(self, Area::Result))
    }
}

fn plain_texts(leaves: &[Leaf]) -> impl Iterator<Item = &str> {
    leaves.iter().filter(|leaf| !leaf.is_key).map(|leaf| &*leaf.text)
}

fn find_addresses(leaves: &[Leaf]) -> Vec<Address> {
    let mut found = Vec::new();
    for leaf in leaves.iter().filter(|leaf| !leaf.is_key) {
        address::urls(&leaf.text, &mut |url| {
            found.push(Address {
                scheme: url.scheme.to_ascii_lowercase().into(),
                host: url.host.as_ref().into(),
                ip: url.ip,
            });
        });
    }
    found
}

fn collect(subject: &Subject<'_>, area: Area) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    match (area, subject.tool, subject.message) {
        (Area::Tool, Some(tool), _) => {
            read(&tool.json, &mut leaves);
            // Names of arguments are read by models as the rest is.
            leaves.extend(tool.identifiers.iter().skip(1).map(|name| plain("properties", name)));
        }
        (Area::Added, Some(tool), _) => {
            let added = tool.added_text.iter();
            leaves.extend(added.map(|text| plain("", text)));
        }
        (_, _, Some(facts)) => of_message(area, &facts, &mut leaves),
        _ => {}
    }
    leaves
}

fn plain(path: &str, text: &str) -> Leaf {
    Leaf { path: path.into(), text: text.into(), is_key: false }
}

fn of_message(area: Area, facts: &MessageFacts<'_>, leaves: &mut Vec<Leaf>) {
    let message = facts.message;
    let names: &[PartName] = match (area, message.kind) {
        (Area::Arguments, Kind::Request | Kind::Notification) => {
            if let Some(arguments) = &message.arguments {
                read(arguments, leaves);
            }
            leaves.extend(message.uri.iter().map(|uri| plain("uri", uri)));
            return;
        }
        (Area::Result, Kind::Result) => &[
            PartName::Content,
            PartName::StructuredContent,
            PartName::Contents,
            PartName::Messages,
        ],
        (Area::Error, Kind::Error) => &[PartName::ErrorMessage, PartName::ErrorData],
        (Area::Ask, Kind::Request) => &[
            PartName::Message,
            PartName::RequestedSchema,
            PartName::Url,
            PartName::Messages,
            PartName::SystemPrompt,
        ],
        (Area::Ask, Kind::Result) => &[PartName::InputRequests],
        _ => return,
    };
    for part in message.parts.iter().filter(|part| names.contains(&part.name)) {
        read(&part.json, leaves);
    }
}

/// Images and sounds: base64 that no text is in.
const MIN_BLOB_BYTES: usize = 256;

fn read(json: &str, leaves: &mut Vec<Leaf>) {
    strings(json, &strings::Limits::default(), &mut |leaf| {
        let leaf = Leaf { path: leaf.path.into(), text: leaf.text.into(), is_key: leaf.is_key };
        let is_blob = leaf.text.len() >= MIN_BLOB_BYTES && matches!(leaf.name(), "data" | "blob");
        if !is_blob {
            leaves.push(leaf);
        }
    });
}
