//! The same extraction, plainly, on a document tree: for tests and the fuzzer only.

use serde_json::Value;

use super::{Item, Reader};
use crate::observation::{
    Definition, DefinitionKind, Kind, Message, MessageId, Part, PartName, Software,
};

/// All that a reader says of a text given in pieces of `size` bytes.
pub(super) fn items(text: &[u8], size: usize) -> Vec<Item> {
    let mut reader = Reader::default();
    let mut items = Vec::new();
    for piece in text.chunks(size) {
        reader.push(piece, &mut |item| items.push(item));
    }
    reader.finish(&mut |item| items.push(item));
    items
}

/// The messages among `items`, without what a tree cannot tell: order of keys, spelling of
/// numbers, size, repetition of keys, and sizes of definitions.
pub(super) fn outlines(items: &[Item]) -> Vec<Message> {
    let messages = items.iter().filter_map(|item| match item {
        Item::Message(message) => Some((**message).clone()),
        Item::Anomaly(_) => None,
    });
    messages.map(outline).collect()
}

fn outline(mut message: Message) -> Message {
    message.size = 0;
    message.duplicate_keys = false;
    message.arguments = message
        .arguments
        .map(|text| serde_json::from_str::<Value>(&text).map_or(text, |value| value.to_string()));
    for part in &mut message.parts {
        if let Ok(value) = serde_json::from_str::<Value>(&part.json) {
            part.json = value.to_string();
        }
    }
    // Near the bound the spelling decides what is cut.
    message.parts.retain(|part| part.json.len() < 32 << 10);
    message.parts.sort_by_key(|part| part.name);
    message.id = message.id.map(|MessageId(text)| {
        let integer = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
        let plain = text == "null" || text.starts_with('"') || integer && text != "-0";
        MessageId(if plain { text } else { "number".to_owned() })
    });
    // A tree reads `-0` as a fraction.
    message.error_code = message.error_code.filter(|&code| code != 0);
    for definition in &mut message.definitions {
        (definition.digest, definition.canonical) = (None, None);
    }
    for list in [&mut message.body_keys, &mut message.meta_keys, &mut message.input_requests] {
        list.sort();
        list.dedup();
        // Which ones passed the bound depends on their order.
        list.truncate(if list.len() >= 32 { 0 } else { 32 });
    }
    message.definitions.sort();
    message
}

/// The messages of a text that is one JSON value; `None` when it is not.
pub(super) fn messages(text: &[u8]) -> Option<Vec<Message>> {
    let messages: Vec<_> = match serde_json::from_slice(text).ok()? {
        Value::Array(elements) if elements.first().is_some_and(Value::is_object) => {
            elements.iter().filter_map(|element| message(element, true)).collect()
        }
        value => message(&value, false).into_iter().collect(),
    };
    Some(messages.into_iter().map(outline).collect())
}

/// `value`'s string behind `key`, cut between characters.
fn string(value: Option<&Value>, key: &str, max_bytes: usize) -> Option<String> {
    Some(cut(value?.get(key)?.as_str()?, max_bytes))
}

fn cut(text: &str, max_bytes: usize) -> String {
    let end = (0..=max_bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or_default().to_owned()
}

fn software(value: Option<&Value>, key: &str) -> Option<Software> {
    let software = value?.get(key)?;
    software.as_object()?;
    Some(Software {
        name: string(Some(software), "name", 1024).unwrap_or_default(),
        version: string(Some(software), "version", 1024).unwrap_or_default(),
    })
}

fn message(value: &Value, batched: bool) -> Option<Message> {
    if value.as_object()?.get("jsonrpc")? != "2.0" {
        return None;
    }
    let object = |key: &str| value.get(key).filter(|value| value.is_object());
    let given = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
    let method = string(Some(value), "method", 256);
    let kind = match (value.get("id"), value.get("result"), value.get("error")) {
        (Some(_), _, _) if method.is_some() => Kind::Request,
        (None, _, _) if method.is_some() => Kind::Notification,
        (_, _, _) if given("error") => Kind::Error,
        (_, Some(_), _) => Kind::Result,
        (_, _, Some(_)) => Kind::Error,
        _ => return None,
    };
    let (params, result) = (object("params"), object("result"));
    let asks = method.is_some();
    let body = if asks { params } else { result };
    let meta = body.and_then(|body| body.get("_meta")).filter(|meta| meta.is_object());
    let meta_version = string(meta, "io.modelcontextprotocol/protocolVersion", 1024);
    let client = params.filter(|_| asks);
    let server = result.filter(|_| !asks);
    Some(Message {
        kind,
        method,
        id: value.get("id").and_then(id),
        name: string(params, "name", 1024),
        uri: string(params, "uri", 2048),
        arguments: params.and_then(|params| params.get("arguments")).map(Value::to_string),
        parts: parts(body, meta, object("error"), asks),
        secrets: Vec::new(),
        personal: Vec::new(),
        modern_envelope: meta_version.is_some(),
        protocol_version: meta_version.or_else(|| string(body, "protocolVersion", 1024)),
        client: software(meta, "io.modelcontextprotocol/clientInfo")
            .or_else(|| software(client, "clientInfo")),
        server: software(meta, "io.modelcontextprotocol/serverInfo")
            .or_else(|| software(server, "serverInfo")),
        definitions: definitions(result),
        meta_keys: keys(meta)
            .filter(|key| key.starts_with("io.modelcontextprotocol/"))
            .map(|key| cut(key, 128))
            .collect(),
        result_type: string(result, "resultType", 1024),
        is_error: result.and_then(|result| result.get("isError")?.as_bool()),
        error_code: object("error").and_then(|error| error.get("code")?.as_i64()),
        body_keys: keys(body).map(|key| cut(key, 64)).collect(),
        input_requests: input_requests(result),
        duplicate_keys: false,
        batched,
        partial: false,
        size: 0,
    })
}

fn parts(
    body: Option<&Value>,
    meta: Option<&Value>,
    error: Option<&Value>,
    asks: bool,
) -> Vec<Part> {
    let of_params = [
        ("systemPrompt", PartName::SystemPrompt),
        ("message", PartName::Message),
        ("requestedSchema", PartName::RequestedSchema),
        ("url", PartName::Url),
    ]
    .as_slice();
    let of_result = [
        ("content", PartName::Content),
        ("structuredContent", PartName::StructuredContent),
        ("contents", PartName::Contents),
        ("instructions", PartName::Instructions),
        ("cacheScope", PartName::CacheScope),
    ]
    .as_slice();
    let both = [("messages", PartName::Messages), ("capabilities", PartName::Capabilities)];
    let mine = if asks { of_params } else { of_result };
    let part = |holder: Option<&Value>, key: &str, name| {
        let json = holder?.get(key)?.to_string();
        Some(Part { name, json, cut: false })
    };
    let plain = mine.iter().chain(&both).filter_map(|(key, name)| part(body, key, *name));
    let in_meta = "io.modelcontextprotocol/clientCapabilities";
    let capabilities = part(meta, in_meta, PartName::ClientCapabilities);
    let embedded = body.filter(|_| !asks).and_then(|body| body.get("inputRequests"));
    let embedded = embedded.filter(|requests| requests.is_object() || requests.is_array());
    let embedded = embedded.map(|requests| Part {
        name: PartName::InputRequests,
        json: requests.to_string(),
        cut: false,
    });
    let errors = [("message", PartName::ErrorMessage), ("data", PartName::ErrorData)];
    let errors = errors.into_iter().filter_map(|(key, name)| part(error, key, name));
    plain.chain(capabilities).chain(embedded).chain(errors).collect()
}

fn id(value: &Value) -> Option<MessageId> {
    let text = match value {
        Value::Null | Value::Number(_) => value.to_string(),
        Value::String(text) => serde_json::to_string(&cut(text, 4096)).ok()?,
        _ => return None,
    };
    if text.len() > 256 {
        return Some(MessageId(format!("sha256:{}", super::super::jcs::digest(&text))));
    }
    Some(MessageId(text))
}

fn keys(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.as_str())
}

fn definitions(result: Option<&Value>) -> Vec<Definition> {
    let lists = [
        ("tools", DefinitionKind::Tool, "name", 1024),
        ("resources", DefinitionKind::Resource, "uri", 2048),
        ("resourceTemplates", DefinitionKind::ResourceTemplate, "uriTemplate", 2048),
        ("prompts", DefinitionKind::Prompt, "name", 1024),
    ];
    let mut found = Vec::new();
    for (list, kind, name, max) in lists {
        let elements = result.and_then(|result| result.get(list)?.as_array());
        for element in elements.into_iter().flatten().filter(|element| element.is_object()) {
            let name = string(Some(element), name, max).unwrap_or_default();
            found.push(Definition { kind, name, digest: None, canonical: None });
        }
    }
    found
}

fn input_requests(result: Option<&Value>) -> Vec<String> {
    let requests: Vec<&Value> = match result.and_then(|result| result.get("inputRequests")) {
        Some(Value::Array(requests)) => requests.iter().collect(),
        Some(Value::Object(requests)) => requests.values().collect(),
        _ => Vec::new(),
    };
    requests.into_iter().filter_map(|request| string(Some(request), "method", 256)).collect()
}
