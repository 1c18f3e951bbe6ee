//! MCP 2026-07-28.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::fake::{Does, STREAM, event, legacy, modern, result, serve, status};
use super::*;

fn spec(url: &str) -> String {
    format!("{{id: a, url: '{url}', private_addresses: true, idle_timeout: 2s}}")
}

#[tokio::test]
async fn requests_have_their_envelope_and_what_mirrors_it() {
    let (url, log) = serve(|asked| {
        modern(asked).unwrap_or_else(|| Does::Says(fake::json("", &result(asked, json!({})))))
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    assert_eq!(peer.about().revision.as_str(), "2026-07-28");
    assert_eq!(peer.about().info.as_ref().unwrap().get(), r#"{"name":"new","version":"2"}"#);
    assert_eq!(call(&peer, 3, "täglich", false).await, ["r:3:{}"]);
    assert!(
        peer.tell(Notification { method: "notifications/cancelled".into(), params: None })
            .await
            .is_ok()
    );
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 2);
    let asked = &log[1];
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "=?base64?dMOkZ2xpY2g=?="),
        ("mcp-param-region", "=?base64?esO8cmljaA==?="),
        ("accept", "application/json, text/event-stream"),
    ] {
        assert_eq!(asked.field(name), Some(value), "{name}");
    }
    assert_eq!(asked.field("mcp-session-id"), None);
    let meta = &asked.body["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"sampling": {}}));
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "agent");
}

#[tokio::test]
async fn errors_of_the_server_are_answers() {
    let (url, _) = serve(|asked| {
        modern(asked).unwrap_or_else(|| {
            let (line, code) = match asked.tool() {
                "unknown" => ("404 Not Found", -32601),
                "mismatch" => ("400 Bad Request", -32020),
                _ => ("200 OK", -32602),
            };
            let error = json!({
                "jsonrpc": "2.0", "id": asked.body["id"],
                "error": {"code": code, "message": "no"},
            });
            Does::Says(status(line, "content-type: application/json\r\n", &error.to_string()))
        })
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    for (tool, want) in [("unknown", "e:-32601"), ("mismatch", "e:-32020"), ("x", "e:-32602")] {
        assert_eq!(call(&peer, 1, tool, false).await, [want]);
    }
}

#[tokio::test]
async fn a_server_that_changes_its_revision_is_asked_anew() {
    let is_modern = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&is_modern);
    let (url, _) = serve(move |asked| {
        let known = if now.load(Ordering::Relaxed) { modern(asked) } else { legacy(asked, "s-1") };
        let has_session = asked.field("mcp-session-id").is_some();
        if now.load(Ordering::Relaxed) && has_session {
            return Does::Says(status("404 Not Found", "", ""));
        }
        known.unwrap_or_else(|| Does::Says(fake::json("", &result(asked, json!({})))))
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    for (turn, revision) in [(true, "2026-07-28"), (false, "2025-11-25"), (true, "2026-07-28")] {
        is_modern.store(turn, Ordering::Relaxed);
        assert_eq!(call(&peer, 1, "t", false).await, ["r:1:{}"], "{revision}");
        assert_eq!(peer.about().revision.as_str(), revision);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let (url, log) = serve(|asked| {
        modern(asked).unwrap_or_else(|| match asked.tool() {
            "hang" => Does::SaysAndHangs(STREAM.to_owned()),
            _ => Does::Says(fake::json("", &result(asked, json!({})))),
        })
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    let call_it = peer.call(outgoing(1, "hang"), false);
    assert!(tokio::time::timeout(Duration::from_millis(200), call_it).await.is_err());
    assert_eq!(call(&peer, 2, "t", false).await, ["r:2:{}"]);
    let log = log.lock().unwrap();
    let last = log.last().unwrap();
    assert_eq!((log.len(), last.connection), (3, 1), "no notification, and another connection");
}

#[tokio::test]
async fn subscriptions_are_listened_to_until_they_end() {
    let (url, log) = serve(|asked| {
        modern(asked).unwrap_or_else(|| {
            let said = json!({
                "jsonrpc": "2.0",
                "method": "notifications/subscriptions/acknowledged",
                "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": asked.body["id"]}},
            });
            Does::SaysAndCloses(format!("{STREAM}{}", event(&said)))
        })
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    let wanted = raw(&json!({"notifications": {"toolsListChanged": true}}));
    let mut from = peer.listen(Some(wanted)).await.unwrap().unwrap();
    assert_eq!(told(from.recv().await.unwrap()), "n:notifications/subscriptions/acknowledged");
    assert!(told(from.recv().await.unwrap()).starts_with("f:Broken"));
    assert_eq!(log.lock().unwrap()[1].field("mcp-method"), Some("subscriptions/listen"));
}
