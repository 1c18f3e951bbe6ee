//! What goes with messages: the `_meta` envelope of MCP 2026-07-28 and the fields that mirror it.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::ClientSide;
use crate::mcp::methods::Revision;
use crate::portal::radix::base64;
use crate::portal::wire::{Members, Raw, Request, member, object, raw, text};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The newest revision that begins with `initialize`.
pub(super) const NEWEST_LEGACY: Revision = Revision::V2025_11_25;
/// The newest of all.
pub(super) const NEWEST: Revision = Revision::V2026_07_28;

/// Reads a revision as `protocolVersion` spells it.
pub(super) fn revision(text: &str) -> Option<Revision> {
    Revision::ALL.into_iter().find(|revision| revision.as_str() == text)
}

/// `clientInfo` of a client that gave none.
pub(super) fn own_info() -> Raw {
    raw(&serde_json::json!({"name": "shadowtap-portal", "version": env!("CARGO_PKG_VERSION")}))
}

/// Parameters with the envelope (MCP 2026-07-28, base protocol, `_meta`).
pub(super) fn enveloped(params: Option<&Raw>, revision: Revision, client: &ClientSide) -> Raw {
    let mut members = Members::of_any(params.map(|params| &**params));
    let meta = object(
        members.get("_meta"),
        vec![
            ("io.modelcontextprotocol/protocolVersion", Some(raw(&revision.as_str()))),
            ("io.modelcontextprotocol/clientCapabilities", Some(client.capabilities.clone())),
            (
                "io.modelcontextprotocol/clientInfo",
                Some(client.info.clone().unwrap_or_else(own_info)),
            ),
        ],
    );
    members.set("_meta", meta);
    members.to_raw()
}

/// `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*` of a request.
pub(super) fn mirror(
    headers: &mut HeaderMap,
    request: &Request,
    param_headers: &[(Box<str>, Box<str>)],
) {
    headers.extend(field(&request.method).map(|value| (METHOD, value)));
    let named = match &*request.method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    };
    let name = named.and_then(|named| text(request.params.as_deref(), named));
    headers.extend(name.and_then(|name| field(&name)).map(|value| (NAME, value)));
    for (name, value) in param_headers {
        let name = name.to_ascii_lowercase();
        let name = if name.starts_with("mcp-param-") { name } else { format!("mcp-param-{name}") };
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name), field(value)) {
            headers.insert(name, value);
        }
    }
}

/// A value as it is, or between `=?base64?` and `?=` where a field cannot hold it or would not
/// give it back the same.
pub(super) fn field(value: &str) -> Option<HeaderValue> {
    let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        && value.trim_matches([' ', '\t']) == value
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if is_plain {
        return HeaderValue::from_str(value).ok();
    }
    HeaderValue::from_str(&format!("=?base64?{}?=", base64(value.as_bytes()))).ok()
}

/// `capabilities`, `instructions` and the like of a result of `initialize` or `server/discover`.
pub(super) fn about(revision: Revision, result: &Raw) -> super::About {
    let members = Members::of_any(Some(result));
    let meta: Option<Raw> = member(Some(result), "_meta");
    let info = members.get("serverInfo").map(ToOwned::to_owned);
    let info = info.or_else(|| member(meta.as_deref(), "io.modelcontextprotocol/serverInfo"));
    super::About {
        revision,
        info,
        capabilities: members.get("capabilities").map(ToOwned::to_owned),
        instructions: text(Some(result), "instructions"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_fields_cannot_hold_are_encoded() {
        for (value, want) in [
            ("plain", "plain"),
            ("a b", "a b"),
            ("", ""),
            (" a", "=?base64?IGE=?="),
            ("äöü", "=?base64?w6TDtsO8?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
            ("abé", "=?base64?YWLDqQ==?="),
        ] {
            assert_eq!(field(value).unwrap().to_str().unwrap(), want, "{value}");
        }
    }

    #[test]
    fn the_envelope_keeps_what_is_there() {
        let params: Raw = serde_json::from_str(r#"{"name":"a","_meta":{"x":[ 1 ]}}"#).unwrap();
        let client = ClientSide { info: None, capabilities: raw(&serde_json::json!({})) };
        let done = enveloped(Some(&params), NEWEST, &client);
        assert!(done.get().starts_with(r#"{"name":"a","_meta":{"x":[ 1 ],"#), "{}", done.get());
        assert!(done.get().contains(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#));
    }
}
