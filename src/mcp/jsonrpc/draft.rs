//! A message while it is read.

use super::super::json::Text;
use super::super::{jcs, json::Recorded};
use super::{DEFINITION_TOO_LARGE, DEFINITION_UNREADABLE, DUPLICATE_METHOD, Limits, MIXED};
use crate::fnv;
use crate::observation::{
    Definition, DefinitionKind, Kind, Message, MessageId, Part, PartName, Software,
};

/// Longest `method`, in bytes.
pub(super) const MAX_METHOD_BYTES: usize = 256;
/// Longest URI, in bytes.
pub(super) const MAX_URI_BYTES: usize = 2048;
/// Longest other string, in bytes.
pub(super) const MAX_STRING_BYTES: usize = 1024;
/// Longest id that is kept as its text; of a longer one a digest stands for it.
const MAX_ID_BYTES: usize = 256;
/// How much of an id goes into its digest, in bytes.
pub(super) const MAX_ID_READ_BYTES: usize = 4096;

const MAX_BODY_KEYS: usize = 32;
const MAX_BODY_KEY_BYTES: usize = 64;
const MAX_META_KEYS: usize = 32;
const MAX_INPUT_REQUESTS: usize = 32;
/// Keys of the top level, besides the known ones, that are watched for repetition.
const MAX_OTHER_KEYS: usize = 32;

/// Keys of the top level that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopKey {
    Jsonrpc,
    Method,
    Id,
    Params,
    Result,
    Error,
}

/// `result` or `error` at the top level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    #[default]
    Absent,
    /// It is `null`.
    Null,
    Given,
}

/// What `_meta` holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Meta {
    pub(super) version: Option<String>,
    pub(super) client: Option<Software>,
    pub(super) server: Option<Software>,
    pub(super) keys: Vec<String>,
}

/// What `params` or `result` holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    pub(super) keys: Vec<String>,
    pub(super) version: Option<String>,
    /// `clientInfo` of params, `serverInfo` of a result.
    pub(super) software: Option<Software>,
    pub(super) meta: Meta,
    pub(super) name: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) arguments: Option<String>,
    pub(super) parts: Vec<Part>,
    pub(super) result_type: Option<String>,
    pub(super) is_error: Option<bool>,
    pub(super) definitions: Vec<Definition>,
    /// Bytes of canonical text in `definitions`.
    pub(super) canonical_bytes: usize,
    pub(super) input_requests: Vec<String>,
}

impl Body {
    pub(super) fn add_key(&mut self, key: Text<'_>) {
        if self.keys.len() < MAX_BODY_KEYS {
            let key = key.to_string_within(MAX_BODY_KEY_BYTES);
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
    }

    pub(super) fn add_meta_key(&mut self, key: Text<'_>) {
        let keys = &mut self.meta.keys;
        if keys.len() < MAX_META_KEYS {
            let key = key.to_string_within(super::super::json::MAX_KEY_BYTES);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }

    pub(super) fn add_input_request(&mut self, method: String) {
        if self.input_requests.len() < MAX_INPUT_REQUESTS {
            self.input_requests.push(method);
        }
    }

    /// A repeated part replaces the earlier one.
    pub(super) fn forget_part(&mut self, name: PartName) {
        self.parts.retain(|part| part.name != name);
    }

    /// A repeated list replaces the earlier one.
    pub(super) fn clear_definitions(&mut self, kind: DefinitionKind) {
        self.definitions.retain(|definition| definition.kind != kind);
        self.canonical_bytes = self
            .definitions
            .iter()
            .filter_map(|definition| definition.canonical.as_ref())
            .map(String::len)
            .sum();
    }

    /// Adds a definition; answers with what was odd about it.
    pub(super) fn add_definition(
        &mut self,
        kind: DefinitionKind,
        name: String,
        recorded: Option<Recorded<'_>>,
        limits: &Limits,
    ) -> Option<&'static str> {
        let mut definition = Definition { kind, name, digest: None, canonical: None };
        let mut odd = Some(DEFINITION_TOO_LARGE);
        if let Some(Recorded::Whole(raw)) = recorded {
            odd = Some(DEFINITION_UNREADABLE);
            if let Some(text) = jcs::canonical(raw) {
                odd = None;
                definition.digest = Some(jcs::digest(&text));
                if self.canonical_bytes + text.len() <= limits.max_canonical_bytes {
                    self.canonical_bytes += text.len();
                    definition.canonical = Some(text);
                }
            }
        }
        self.definitions.push(definition);
        odd
    }
}

/// A message while it is read. Of repeated keys the last one counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// Offset of its opening brace.
    start: u64,
    batched: bool,
    /// `jsonrpc` is `"2.0"`.
    pub(super) is_jsonrpc: bool,
    pub(super) method: Option<String>,
    /// The first of several methods, to compare with.
    first_method: Option<String>,
    pub(super) has_id: bool,
    pub(super) id: Option<MessageId>,
    pub(super) params: Body,
    pub(super) result: Body,
    /// Only `parts` of it.
    pub(super) error: Body,
    pub(super) has_result: Presence,
    pub(super) has_error: Presence,
    pub(super) error_code: Option<i64>,
    /// One bit per [`TopKey`] seen.
    seen: u8,
    /// Hashes of the other keys seen.
    others: Vec<u64>,
    duplicate_keys: bool,
    oddities: Vec<&'static str>,
}

impl Draft {
    /// Begins another message. Most objects of ordinary JSON have at most an `id` in common with
    /// a message, and little to forget.
    pub(super) fn restart(&mut self, start: u64, batched: bool) {
        if self.seen & !(1 << TopKey::Id as u8) == 0 {
            (self.has_id, self.id, self.seen) = (false, None, 0);
            self.others.clear();
            self.duplicate_keys = false;
            self.oddities.clear();
        } else {
            *self = Self::default();
        }
        (self.start, self.batched) = (start, batched);
    }

    /// Notes an oddity, once.
    pub(super) fn odd(&mut self, kind: &'static str) {
        if !self.oddities.contains(&kind) {
            self.oddities.push(kind);
        }
    }

    /// Notes a key of the top level.
    pub(super) fn see(&mut self, known: Option<TopKey>, key: &[u8]) {
        let Some(known) = known else {
            if self.others.len() < MAX_OTHER_KEYS {
                // A forged collision only claims a repeated key.
                let hash = fnv::add(fnv::BASIS, key);
                self.duplicate_keys |= self.others.contains(&hash);
                self.others.push(hash);
            }
            return;
        };
        let bit = 1 << known as u8;
        self.duplicate_keys |= self.seen & bit != 0;
        self.seen |= bit;
    }

    pub(super) fn set_method(&mut self, method: String) {
        match &self.first_method {
            Some(first) if *first != method => self.odd(DUPLICATE_METHOD),
            Some(_) => {}
            None => self.first_method = Some(method.clone()),
        }
        self.method = Some(method);
    }

    /// A string id, re-encoded so that its spelling does not matter.
    pub(super) fn set_string_id(&mut self, text: Text<'_>) {
        let decoded = text.to_string_within(MAX_ID_READ_BYTES);
        let encoded = serde_json::to_string(&decoded).unwrap_or_default();
        self.id = Some(bounded_id(encoded));
    }

    /// A number or null as id. Booleans are none.
    pub(super) fn set_scalar_id(&mut self, text: Text<'_>) {
        if matches!(text.bytes.first(), Some(b't' | b'f')) {
            self.odd(super::INVALID_ID);
        } else {
            self.id = Some(bounded_id(text.to_string_within(MAX_ID_READ_BYTES)));
        }
    }

    /// What kind of message it is, if it is one.
    pub(super) fn kind(&self, partial: bool) -> Option<Kind> {
        if !self.is_jsonrpc {
            return None;
        }
        if let Some(method) = &self.method {
            // The id may be in the part that was not seen.
            let request = self.has_id || partial && !method.starts_with("notifications/");
            return Some(if request { Kind::Request } else { Kind::Notification });
        }
        match (self.has_result, self.has_error) {
            (_, Presence::Given) | (Presence::Absent, Presence::Null) => Some(Kind::Error),
            (Presence::Absent, Presence::Absent) => None,
            _ => Some(Kind::Result),
        }
    }

    /// The message and its oddities. `end` is the offset after its last byte.
    pub(super) fn into_message(
        mut self,
        kind: Kind,
        end: u64,
        partial: bool,
    ) -> (Message, Vec<&'static str>) {
        let parts = [
            self.method.is_some(),
            self.has_result == Presence::Given,
            self.has_error == Presence::Given,
        ];
        if parts.into_iter().filter(|&part| part).count() > 1 {
            self.odd(MIXED);
        }
        let asks = self.method.is_some();
        let Self { params, result, error, .. } = self;
        let (client, server) = if asks { (params.software, None) } else { (None, result.software) };
        let body = if asks {
            (params.version, params.meta, params.keys, params.parts)
        } else {
            (result.version, result.meta, result.keys, result.parts)
        };
        let (version, meta, body_keys, mut parts) = body;
        parts.extend(error.parts);
        let message = Message {
            kind,
            method: self.method,
            id: self.id,
            name: params.name,
            uri: params.uri,
            arguments: params.arguments,
            parts,
            secrets: Vec::new(),
            personal: Vec::new(),
            modern_envelope: meta.version.is_some(),
            protocol_version: meta.version.or(version),
            client: meta.client.or(client),
            server: meta.server.or(server),
            definitions: result.definitions,
            meta_keys: meta.keys,
            result_type: result.result_type,
            is_error: result.is_error,
            error_code: self.error_code,
            body_keys,
            input_requests: result.input_requests,
            duplicate_keys: self.duplicate_keys,
            batched: self.batched,
            partial,
            size: end - self.start,
        };
        (message, self.oddities)
    }
}

/// An id's JSON text, or its digest when that is too long: no JSON text looks like it.
fn bounded_id(text: String) -> MessageId {
    if text.len() <= MAX_ID_BYTES {
        return MessageId(text);
    }
    MessageId(format!("sha256:{}", jcs::digest(&text)))
}
