//! What a client sees whose request was refused. Nothing of the request is in it but the id of its
//! call: what happened is masked text of the rule.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::html::entity;
use crate::intake::Refusal;

/// An HTTP response.
#[derive(Debug)]
pub(super) struct Page {
    /// Status line and fields, with the empty line.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// Server error of JSON-RPC 2.0 (section 5.1) that MCP gives no other meaning.
const CODE: i32 = -32_003;

/// As far as a call has to be known to answer it.
#[derive(Deserialize)]
struct Call<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// The page for a refusal, or for a request that was not decided on in time; `request` is its body.
pub(super) fn of(refusal: Option<&Refusal>, contact: Option<&str>, request: &[u8]) -> Page {
    let (rule, title) = match refusal {
        Some(refusal) => (refusal.rule.id.as_str(), refusal.rule.title.as_str()),
        None => ("none", "No decision was reached in time"),
    };
    let reason =
        refusal.map_or("The policy is to refuse what was not decided on.", |r| r.text.as_str());
    let ask = contact.map(|contact| format!("Where to ask: {contact}")).unwrap_or_default();
    match call(request) {
        Some(id) => {
            let message = format!(
                "Refused by policy ({rule}: {title}). {}. {ask}",
                reason.trim_end_matches('.')
            );
            let error = serde_json::json!({
                "code": CODE,
                "message": message.trim_end(),
                "data": {"rule": rule, "title": title, "reason": reason, "contact": contact},
            });
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
            page("application/json", rule, body)
        }
        None => {
            let [rule_text, title, reason, ask] = [rule, title, reason, &ask].map(escaped);
            let body = format!(
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
                 <title>Request refused</title></head><body>\n<h1>Request refused</h1>\n\
                 <p><strong>{title}</strong> (rule {rule_text})</p>\n<p>{reason}</p>\n\
                 <p>{ask}</p>\n</body></html>\n"
            );
            page("text/html; charset=utf-8", rule, body)
        }
    }
}

/// The id of the call that a body is.
fn call(body: &[u8]) -> Option<&str> {
    let call: Call<'_> = serde_json::from_slice(body).ok()?;
    (call.jsonrpc == "2.0").then(|| call.id.map_or("null", RawValue::get))
}

fn page(kind: &str, rule: &str, body: String) -> Page {
    let head = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         X-Shadowtap-Rule: {rule}\r\n\r\n",
        body.len()
    );
    Page { head, body: body.into_bytes() }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match entity(character) {
            Some(entity) => out.push_str(entity),
            None => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(contact: Option<&str>, request: &str) -> (String, String) {
        let page = of(None, contact, request.as_bytes());
        (page.head, String::from_utf8(page.body).unwrap())
    }

    #[test]
    fn a_call_is_answered_as_a_call() {
        for (request, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"a":"fake-secret"}}"#, "7"),
            (r#"{"method":"initialize","id":"x","jsonrpc":"2.0"}"#, r#""x""#),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "null"),
        ] {
            let (head, body) = text(Some("it@corp.example"), request);
            assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(parsed["id"].to_string(), id);
            assert!(parsed["error"]["message"].as_str().unwrap().contains("it@corp.example"));
            assert!(!body.contains("fake-secret"));
        }
    }

    #[test]
    fn all_else_is_answered_for_people() {
        for request in ["", "{}", "[]", "a=b", "\u{0}", r#"{"jsonrpc":"1.0","id":1}"#] {
            let (head, body) = text(Some("<b>it</b>"), request);
            assert!(head.contains("text/html"), "{request}");
            assert!(body.contains("&lt;b&gt;it&lt;/b&gt;") && !body.contains("<b>it"), "{body}");
        }
    }
}
