//! The field catalogue: everything that a rule can read, by name.
//!
//! One row per field: its name, what its values look like, which subjects have it, the phase of
//! an exchange at which it is known, and the text that editors and `rules explain` show.

mod catalogue;
mod contact;
mod names;
mod read;
mod texts;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) use catalogue::Key;
pub use catalogue::{CATALOGUE, Spec};
pub(crate) use names::tls_version_name;
pub use read::Value;
pub(super) use read::evidence_name;

use super::content::Area;
pub(super) use crate::inspect::view::View;

/// What a rule is evaluated on.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// One HTTP request, with its response head when that is known.
    Exchange,
    /// One JSON-RPC message.
    Message,
    /// One client's use of one server, again whenever its facts change.
    Server,
    /// One flow in TLS or QUIC whose content the sensor does not see: a hint at most.
    Tls,
    /// One DNS message: a hint at most.
    Dns,
    /// One definition of a tool, prompt or resource (or the instructions) that a server gives,
    /// when it is new or has changed.
    Tool,
}

impl On {
    /// Every subject, in the order of their discriminants.
    pub const ALL: [Self; 6] =
        [Self::Exchange, Self::Message, Self::Server, Self::Tls, Self::Dns, Self::Tool];

    /// The name that rules use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Message => "message",
            Self::Server => "server",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Tool => "tool",
        }
    }

    /// Whether there are so many that rules on them need literals to be looked for first. Servers
    /// and definitions are asked about when something of them is new.
    #[must_use]
    pub const fn is_frequent(self) -> bool {
        !matches!(self, Self::Server | Self::Tool)
    }

    /// Whether it shows names only, which never prove that MCP is spoken.
    #[must_use]
    pub const fn is_names_only(self) -> bool {
        matches!(self, Self::Tls | Self::Dns)
    }
}

/// The point of an exchange at which a field is known. A rule can decide at the latest phase of
/// the fields that it reads; one that decides by the request can refuse traffic inline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// With a DNS message.
    Lookup,
    /// With the handshake of TLS or QUIC.
    Handshake,
    /// With the request line and header fields.
    RequestHead,
    /// With the request body.
    RequestBody,
    /// With the response.
    Response,
    /// With the inventory: what other exchanges have shown.
    Server,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "DNS message",
            Self::Handshake => "handshake",
            Self::RequestHead => "request head",
            Self::RequestBody => "request body",
            Self::Response => "response",
            Self::Server => "server",
        })
    }
}

/// What the values of a field look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One text.
    Text,
    /// Any number of texts; a test holds when it holds for at least one of them.
    Texts,
    /// A whole number.
    Number,
    /// True or false.
    Bool,
    /// An IP address.
    Ip,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Texts => "list of text",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Ip => "IP address",
        })
    }
}

/// What it means that a log does not show a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InLogs {
    /// That there is none.
    Always,
    /// Nothing; a value that is shown is the only one.
    Maybe,
    /// Nothing, and there may be more values than are shown.
    Some,
}

/// A field of the catalogue; for header fields, of one name or (with a trailing `*`) one prefix.
#[derive(Clone)]
pub struct Field {
    spec: &'static Spec,
    header: Option<Header>,
    view: View,
}

/// Which header fields a [`Field`] reads, name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Header {
    /// The name, or the prefix.
    pub(super) name: Box<str>,
    /// Whether every name that begins so is meant.
    pub(super) prefix: bool,
}

impl Field {
    /// What logs show of it: most have the request line and a few header fields.
    pub(super) const fn in_logs(&self) -> InLogs {
        match (self.spec.key, self.spec.phase) {
            (
                Key::RequestHeaderNames
                | Key::RequestHeader
                | Key::ResponseHeaderNames
                | Key::ResponseHeader
                | Key::HttpAuth
                | Key::HttpGroups
                | Key::HttpTokenAudience,
                _,
            ) => InLogs::Some,
            (
                Key::HttpMethod
                | Key::HttpPath
                | Key::HttpHost
                | Key::HttpPort
                | Key::HttpScheme
                | Key::HttpVisibility
                | Key::HttpSource
                | Key::HttpViaProxy
                | Key::HttpHostIsIp,
                _,
            )
            | (_, Phase::Server | Phase::Lookup | Phase::Handshake) => InLogs::Always,
            (_, Phase::RequestHead | Phase::RequestBody | Phase::Response) => InLogs::Maybe,
        }
    }

    /// Finds a field by the name that rules use.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((name, view)) = name.split_once('@') {
            let view = View::parse(view).filter(|view| *view != View::Raw)?;
            return Self::parse(name)?.viewed(view);
        }
        if let Some(spec) = CATALOGUE.iter().find(|spec| spec.name == name && !spec.is_family()) {
            return Some(Self { spec, header: None, view: View::Raw });
        }
        let (spec, rest) = CATALOGUE
            .iter()
            .filter(|spec| spec.is_family())
            .find_map(|spec| Some((spec, name.strip_prefix(spec.stem())?)))?;
        let (token, prefix) = rest.strip_suffix('*').map_or((rest, false), |stem| (stem, true));
        let name_ok = !token.is_empty() && token.bytes().all(is_lower_token_byte);
        name_ok.then(|| Self {
            spec,
            header: Some(Header { name: token.into(), prefix }),
            view: View::Raw,
        })
    }

    /// The field of a key that is not a family.
    pub(super) fn of(key: Key) -> Option<Self> {
        let spec = CATALOGUE.iter().find(|spec| spec.key == key && !spec.is_family())?;
        Some(Self { spec, header: None, view: View::Raw })
    }

    /// The same field as a view shows it; `None` when it has no views.
    pub(super) fn viewed(&self, view: View) -> Option<Self> {
        self.spec.views.then(|| Self { view, ..self.clone() })
    }

    /// The same field without a view; `None` when it has none.
    pub(super) fn raw(&self) -> Option<Self> {
        (self.view != View::Raw).then(|| Self { view: View::Raw, ..self.clone() })
    }

    /// All members of the family that it is a member of, in the same view.
    pub(super) fn family(&self) -> Option<Self> {
        let header = Header { name: "".into(), prefix: true };
        self.header.is_some().then(|| Self { header: Some(header), ..self.clone() })
    }

    /// The texts that it gives all of.
    pub(super) fn area(&self) -> Option<Area> {
        texts::area(self.key())
    }

    /// The view.
    pub(super) const fn view(&self) -> View {
        self.view
    }

    /// Its row of the catalogue.
    #[must_use]
    pub const fn spec(&self) -> &'static Spec {
        self.spec
    }

    pub(super) const fn key(&self) -> Key {
        self.spec.key
    }

    pub(super) const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    fn identity(&self) -> (Key, Option<&Header>, View) {
        (self.spec.key, self.header.as_ref(), self.view)
    }
}

/// RFC 9110 section 5.6.2, without upper case: field names are compared in lower case.
const fn is_lower_token_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Field {}

impl PartialOrd for Field {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Field {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.header {
            None => f.write_str(self.spec.name)?,
            Some(header) => {
                let star = if header.prefix { "*" } else { "" };
                write!(f, "{}{}{star}", self.spec.stem(), header.name)?;
            }
        }
        match self.view {
            View::Raw => Ok(()),
            view => write!(f, "@{}", view.as_str()),
        }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_catalogue_parses_to_itself() {
        for spec in CATALOGUE {
            let name = spec.name.replace("<name>", "x-test");
            assert_eq!(Field::parse(&name).unwrap().to_string(), name);
            assert!(!spec.doc.is_empty() && !spec.on.is_empty(), "{name}");
        }
    }

    #[test]
    fn names_are_unique() {
        for (index, spec) in CATALOGUE.iter().enumerate() {
            assert!(CATALOGUE[index + 1..].iter().all(|other| other.name != spec.name));
            assert!(CATALOGUE[index + 1..].iter().all(|other| other.key != spec.key));
        }
    }

    #[test]
    fn header_fields_take_a_lower_case_name_or_a_prefix() {
        let exact = Field::parse("http.request.header.mcp-name").unwrap();
        assert_eq!(exact.header().unwrap(), &Header { name: "mcp-name".into(), prefix: false });
        let prefix = Field::parse("http.request.header.mcp-param-*").unwrap();
        assert!(prefix.header().unwrap().prefix);
        for bad in ["http.request.header.", "http.request.header.*", "http.request.header.A b"] {
            assert_eq!(Field::parse(bad), None, "{bad}");
        }
        assert_eq!(Field::parse("http.request.header.Mcp-Name"), None);
        assert_eq!(Field::parse("http.request.header.<name>"), None);
    }
}
