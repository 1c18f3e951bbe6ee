//! Where in a message the scanner stands: what a key means, given what was entered.

use super::draft::TopKey;
use crate::observation::{DefinitionKind, PartName};

/// Prefix of MCP's own keys in `_meta` (MCP 2026-07-28).
pub(super) const META_PREFIX: &[u8] = b"io.modelcontextprotocol/";

/// `params` or `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Params,
    Result,
}

/// One of the objects that name a software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// `clientInfo` of params, `serverInfo` of a result.
    Plain,
    /// `clientInfo` of `_meta`.
    MetaClient,
    /// `serverInfo` of `_meta`.
    MetaServer,
}

/// An entered container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Batch,
    Message,
    Body(Half),
    Meta(Half),
    Software(Half, Whose),
    Error,
    List(DefinitionKind),
    Definition(DefinitionKind),
    InputRequests,
    InputRequest,
}

/// What the next value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing of interest.
    #[default]
    Other,
    /// The text's own value.
    Top,
    /// An element of a batch.
    Element,
    Key(TopKey),
    Version(Half),
    MetaVersion(Half),
    Meta(Half),
    Software(Half, Whose),
    SoftwareName(Half, Whose),
    SoftwareVersion(Half, Whose),
    Name,
    Uri,
    Arguments,
    Part(Half, PartName),
    ErrorPart(PartName),
    ResultType,
    IsError,
    ErrorCode,
    List(DefinitionKind),
    Definition(DefinitionKind),
    DefinitionName(DefinitionKind),
    InputRequests,
    InputRequest,
    InputRequestMethod,
}

impl Slot {
    /// What the value after `key` is.
    pub(super) fn of_key(place: Option<Place>, key: &[u8]) -> Self {
        match place {
            Some(Place::Message) => top_key(key).map_or(Self::Other, Self::Key),
            Some(Place::Body(half)) => body_slot(half, key),
            Some(Place::Meta(half)) => meta_slot(half, key),
            Some(Place::Software(half, whose)) => match key {
                b"name" => Self::SoftwareName(half, whose),
                b"version" => Self::SoftwareVersion(half, whose),
                _ => Self::Other,
            },
            Some(Place::Definition(kind)) => definition_slot(kind, key),
            Some(Place::Error) => match key {
                b"code" => Self::ErrorCode,
                b"message" => Self::ErrorPart(PartName::ErrorMessage),
                b"data" => Self::ErrorPart(PartName::ErrorData),
                _ => Self::Other,
            },
            Some(Place::InputRequest) if key == b"method" => Self::InputRequestMethod,
            _ => Self::Other,
        }
    }
}

fn top_key(key: &[u8]) -> Option<TopKey> {
    Some(match key {
        b"jsonrpc" => TopKey::Jsonrpc,
        b"method" => TopKey::Method,
        b"id" => TopKey::Id,
        b"params" => TopKey::Params,
        b"result" => TopKey::Result,
        b"error" => TopKey::Error,
        _ => return None,
    })
}

fn body_slot(half: Half, key: &[u8]) -> Slot {
    match (half, key) {
        (_, b"protocolVersion") => Slot::Version(half),
        (_, b"_meta") => Slot::Meta(half),
        (Half::Params, b"clientInfo") | (Half::Result, b"serverInfo") => {
            Slot::Software(half, Whose::Plain)
        }
        (Half::Params, b"name") => Slot::Name,
        (Half::Params, b"uri") => Slot::Uri,
        (Half::Params, b"arguments") => Slot::Arguments,
        (Half::Result, b"resultType") => Slot::ResultType,
        (Half::Result, b"isError") => Slot::IsError,
        (Half::Result, b"inputRequests") => Slot::InputRequests,
        (Half::Result, b"tools") => Slot::List(DefinitionKind::Tool),
        (Half::Result, b"resources") => Slot::List(DefinitionKind::Resource),
        (Half::Result, b"resourceTemplates") => Slot::List(DefinitionKind::ResourceTemplate),
        (Half::Result, b"prompts") => Slot::List(DefinitionKind::Prompt),
        _ => part_name(half, key).map_or(Slot::Other, |name| Slot::Part(half, name)),
    }
}

fn part_name(half: Half, key: &[u8]) -> Option<PartName> {
    Some(match (half, key) {
        (_, b"messages") => PartName::Messages,
        (_, b"capabilities") => PartName::Capabilities,
        (Half::Params, b"systemPrompt") => PartName::SystemPrompt,
        (Half::Params, b"message") => PartName::Message,
        (Half::Params, b"requestedSchema") => PartName::RequestedSchema,
        (Half::Params, b"url") => PartName::Url,
        (Half::Result, b"content") => PartName::Content,
        (Half::Result, b"structuredContent") => PartName::StructuredContent,
        (Half::Result, b"contents") => PartName::Contents,
        (Half::Result, b"instructions") => PartName::Instructions,
        (Half::Result, b"cacheScope") => PartName::CacheScope,
        _ => return None,
    })
}

fn meta_slot(half: Half, key: &[u8]) -> Slot {
    match key.strip_prefix(META_PREFIX) {
        Some(b"protocolVersion") => Slot::MetaVersion(half),
        Some(b"clientInfo") => Slot::Software(half, Whose::MetaClient),
        Some(b"serverInfo") => Slot::Software(half, Whose::MetaServer),
        Some(b"clientCapabilities") => Slot::Part(half, PartName::ClientCapabilities),
        _ => Slot::Other,
    }
}

fn definition_slot(kind: DefinitionKind, key: &[u8]) -> Slot {
    let name: &[u8] = match kind {
        DefinitionKind::Tool | DefinitionKind::Prompt => b"name",
        DefinitionKind::Resource => b"uri",
        DefinitionKind::ResourceTemplate => b"uriTemplate",
    };
    if key == name { Slot::DefinitionName(kind) } else { Slot::Other }
}
