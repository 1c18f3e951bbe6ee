use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use http_body_util::Full;
use hyper::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::mcp::methods::Revision;
use crate::portal::hub::parts::Ending;
use crate::portal::hub::testing::{self, Fakes, Kept};

const OLD: Option<Revision> = Some(Revision::V2025_11_25);
const NEW: Option<Revision> = Some(Revision::V2026_07_28);

struct Portal {
    front: Arc<Front>,
    fakes: Arc<Fakes>,
    kept: Arc<Kept>,
}

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    /// The message of a JSON answer, or the last one of a stream.
    fn json(&self) -> Value {
        let mut data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        let last = data.rfind(|data| !data.is_empty()).unwrap_or(&self.text);
        serde_json::from_str(last).unwrap_or_else(|_| panic!("{}", self.text))
    }

    fn code(&self) -> Value {
        self.json()["error"]["code"].clone()
    }
}

fn portal(servers: &[(&str, Option<Revision>)]) -> Portal {
    portal_with(servers, Settings::default())
}

fn portal_with(servers: &[(&str, Option<Revision>)], settings: Settings) -> Portal {
    let (hub, fakes, kept) = testing::hub(servers);
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    Portal { front: Front::new(hub, settings, address), fakes, kept }
}

impl Portal {
    async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let address = (Ipv4Addr::LOCALHOST, 40_000).into();
        let caller =
            Caller { address, certificates: None, tls: false, audience: Audience::Clients };
        Arc::clone(&self.front).serve(request, caller).await.unwrap()
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
        let answer = self.open(method, path, headers, body).await;
        let (head, body) = answer.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        Got { status: head.status.as_u16(), headers: head.headers, text }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Got {
        let mut all = POST.to_vec();
        all.extend(headers);
        self.send("POST", path, &all, body.to_string().as_bytes()).await
    }

    /// A session of a user who can do everything.
    async fn session(&self, path: &str, user: &str, version: &str) -> String {
        let got = self.post(path, &[("x-user", user)], &initialize(version)).await;
        assert_eq!(got.status, 200, "{}", got.text);
        got.headers["mcp-session-id"].to_str().unwrap().to_owned()
    }

    async fn stateless(&self, path: &str, user: &str, method: &str, params: Value) -> Got {
        let (params, name) = modern(params);
        let mut headers = vec![("x-user", user), ("mcp-protocol-version", "2026-07-28")];
        headers.push(("mcp-method", method));
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let body = json!({"jsonrpc": "2.0", "id": 9, "method": method, "params": params});
        self.post(path, &headers, &body).await
    }
}

const POST: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "clientInfo": {"name": "t", "version": "1"},
        "capabilities": {"elicitation": {}, "sampling": {}, "roots": {}}}})
}

fn modern(mut params: Value) -> (Value, String) {
    let name =
        params["name"].as_str().or_else(|| params["uri"].as_str()).unwrap_or_default().to_owned();
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    (params, name)
}

fn call(name: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": name, "arguments": {}}})
}

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 4, "method": "tools/list"})
}

fn names(got: &Got) -> Vec<String> {
    let tools = got.json()["result"]["tools"].as_array().unwrap().clone();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn p01_foreign_origins_and_hosts_are_refused_on_every_method() {
    let portal = portal(&[("a", OLD)]);
    for method in ["GET", "POST", "DELETE"] {
        let origin = [("origin", "http://evil.example")];
        assert_eq!(portal.send(method, "/mcp", &origin, b"").await.status, 403);
    }
    let local = [("origin", "http://localhost:3000")];
    assert_eq!(portal.post("/mcp", &local, &initialize("2025-11-25")).await.status, 200);
}

#[tokio::test]
async fn p04_policy_is_decided_on_the_body() {
    let portal = portal(&[("a", OLD)]);
    let token = portal.session("/mcp", "ann", "2025-11-25").await;
    let headers = [("mcp-session-id", &*token), ("mcp-method", "tools/list")];
    let got = portal.post("/mcp", &headers, &call("a_forbidden")).await;
    assert_eq!(got.json()["error"]["message"], "Unknown tool: a_forbidden");
    assert_eq!(got.code(), -32602);
    let other = portal.post("/mcp", &headers, &call("a_nothing")).await;
    assert_eq!(other.json()["error"]["message"], "Unknown tool: a_nothing");
    let calls = portal.fakes.seen.lock().unwrap().clone();
    assert!(calls.iter().all(|(_, method, _)| method != "tools/call"));
    assert!(matches!(portal.kept.all()[0].1, Ending::Refused(_)));
}

#[tokio::test]
async fn p05_what_is_not_strict_is_refused_before_policy() {
    let portal = portal(&[("a", OLD)]);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{deep}}}}}"#);
    for body in [
        &b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"method\":\"b\"}"[..],
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\xff\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"} x",
        b"",
        deep.as_bytes(),
    ] {
        let got = portal.send("POST", "/mcp", &POST, body).await;
        assert_eq!(got.status, 400, "{}", String::from_utf8_lossy(body));
    }
    let mut twice = POST.to_vec();
    twice.extend([("mcp-method", "ping"), ("mcp-method", "ping")]);
    assert_eq!(portal.send("POST", "/mcp", &twice, b"{}").await.status, 400);
    let long = vec![b' '; (4 << 20) + 1];
    assert_eq!(portal.send("POST", "/mcp", &POST, &long).await.status, 413);
}

#[tokio::test]
async fn p06_batches_are_for_2025_03_26_and_each_call_is_decided_on() {
    let portal = portal(&[("a", OLD)]);
    let batch = json!([call("a_echo"), call("a_forbidden"),
        {"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    let token = portal.session("/mcp", "ann", "2025-06-18").await;
    let got = portal.post("/mcp", &[("mcp-session-id", &token)], &batch).await;
    assert_eq!(got.status, 400);
    let token = portal.session("/mcp", "ann", "2025-03-26").await;
    let got = portal.post("/mcp", &[("mcp-session-id", &token)], &batch).await;
    let answers: Vec<Value> = serde_json::from_str(&got.text).unwrap();
    assert_eq!(answers.len(), 2);
    assert!(answers[0]["result"].is_object() && answers[1]["error"].is_object());
}

#[tokio::test]
async fn p07_renamed_tools_reach_the_server_by_their_own_name() {
    let portal = portal(&[("a", NEW), ("b", OLD)]);
    for server in ["a", "b"] {
        let name = format!("{server}_echo");
        let got = portal.stateless("/mcp", "ann", "tools/call", json!({"name": name})).await;
        assert_eq!(got.status, 200, "{}", got.text);
    }
    let seen = portal.fakes.seen.lock().unwrap().clone();
    let calls: Vec<_> = seen.iter().filter(|(_, method, _)| method == "tools/call").collect();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|(_, _, params)| params["name"] == "echo"));
}

#[tokio::test]
async fn p03_arguments_that_headers_mirror_are_checked() {
    let portal = portal(&[("a", OLD)]);
    let params = json!({"name": "a_mirrored", "arguments": {"region": "eu"}});
    let got = portal.stateless("/mcp", "ann", "tools/call", params.clone()).await;
    assert_eq!((got.status, got.code()), (400, json!(-32020)));
    let (params, name) = modern(params);
    let body = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params});
    for (region, status) in [("eu", 200), ("us", 400), ("=?base64?ZXU=?=", 200)] {
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", &name),
            ("mcp-param-region", region),
            ("mcp-param-other", "x"),
        ];
        assert_eq!(portal.post("/mcp", &headers, &body).await.status, status, "{region}");
    }
}

#[tokio::test]
async fn p13_p14_sessions_are_their_owners_and_end_for_good() {
    let portal = portal(&[("a", OLD)]);
    let token = portal.session("/mcp", "ann", "2025-11-25").await;
    let ann = [("x-user", "ann"), ("mcp-session-id", &*token)];
    let bob = [("x-user", "bob"), ("mcp-session-id", &*token)];
    assert_eq!(portal.post("/mcp", &ann, &list()).await.status, 200);
    assert_eq!(portal.post("/mcp", &bob, &list()).await.status, 404);
    assert_eq!(portal.post("/mcp/a", &ann, &list()).await.status, 404);
    assert_eq!(portal.post("/mcp", &[], &list()).await.status, 400);
    assert_eq!(portal.send("DELETE", "/mcp", &bob, b"").await.status, 404);
    assert_eq!(portal.send("DELETE", "/mcp", &ann, b"").await.status, 200);
    assert_eq!(portal.fakes.closed.load(SeqCst), 1);
    assert_eq!(portal.post("/mcp", &ann, &list()).await.status, 404);
}

#[tokio::test]
async fn p15_stateless_requests_ignore_sessions_and_have_no_get() {
    let portal = portal(&[("a", OLD)]);
    let version = ("mcp-protocol-version", "2026-07-28");
    for method in ["GET", "DELETE"] {
        let headers = [version, ("accept", "text/event-stream")];
        assert_eq!(portal.send(method, "/mcp", &headers, b"").await.status, 405);
    }
    let (params, _) = modern(json!({}));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params});
    let headers =
        [version, ("mcp-method", "tools/list"), ("mcp-session-id", "x"), ("last-event-id", "1-1")];
    let got = portal.post("/mcp", &headers, &body).await;
    assert_eq!(got.status, 200);
    assert!(!got.headers.contains_key("mcp-session-id"));
    let settings = Settings { has_sessions: false, ..Settings::default() };
    let only = portal_with(&[("a", OLD)], settings);
    assert_eq!(only.send("GET", "/mcp", &[], b"").await.status, 405);
    assert_eq!(only.post("/mcp", &[], &initialize("2025-11-25")).await.status, 400);
}

#[tokio::test]
async fn p16_a_call_that_waits_goes_on_for_its_owner_only() {
    for era in [OLD, NEW] {
        let portal = portal(&[("a", era)]);
        let ask = || json!({"name": "a_ask", "arguments": {"x": 1}});
        let got = portal.stateless("/mcp", "ann", "tools/call", ask()).await;
        let result = got.json()["result"].clone();
        assert_eq!(result["resultType"], "input_required", "{}", got.text);
        let state = result["requestState"].as_str().unwrap();
        assert_ne!(state, "opaque");
        let (key, input) = result["inputRequests"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(input["method"], "elicitation/create");
        let again = |state: &str, x: i32| {
            json!({"name": "a_ask", "arguments": {"x": x}, "requestState": state,
                "inputResponses": {key: {"action": "accept"}}})
        };
        for (user, state, x) in [
            ("bob", state.to_owned(), 1),
            ("ann", format!("{state}A"), 1),
            ("ann", state.into(), 2),
        ] {
            let got = portal.stateless("/mcp", user, "tools/call", again(&state, x)).await;
            assert_eq!(got.code(), -32602, "{user} {}", got.text);
        }
        let got = portal.stateless("/mcp", "ann", "tools/call", again(state, 1)).await;
        let text = got.json()["result"]["content"][0]["text"].clone();
        assert_eq!(text, r#"hello {"action":"accept"}"#, "{}", got.text);
    }
}

#[tokio::test]
async fn p18_lists_are_private_and_each_has_their_own() {
    let portal = portal(&[("a", OLD)]);
    let ann = portal.stateless("/mcp", "ann", "tools/list", json!({})).await;
    let bob = portal.stateless("/mcp", "bob", "tools/list", json!({})).await;
    assert_eq!(ann.json()["result"]["cacheScope"], "private");
    assert_eq!(ann.json()["result"]["resultType"], "complete");
    assert!(names(&ann).contains(&"a_secret".to_owned()));
    assert!(!names(&bob).contains(&"a_secret".to_owned()));
    assert!(!names(&ann).contains(&"a_forbidden".to_owned()));
    let fetched = portal.fakes.seen.lock().unwrap().len();
    assert_eq!(fetched, 2, "one fetch for each of them");
    portal.stateless("/mcp", "ann", "tools/list", json!({})).await;
    assert_eq!(portal.fakes.seen.lock().unwrap().len(), fetched);
}

#[tokio::test]
async fn p25_requests_of_servers_reach_the_session_that_owns_the_call() {
    for era in [OLD, NEW] {
        let portal = portal(&[("a", era)]);
        let ann = portal.session("/mcp", "ann", "2025-11-25").await;
        let bob = portal.session("/mcp", "bob", "2025-11-25").await;
        let mut headers = POST.to_vec();
        let own = [("x-user", "ann"), ("mcp-session-id", &*ann)];
        headers.extend(own);
        let body = call("a_ask").to_string();
        let answer = portal.open("POST", "/mcp", &headers, body.as_bytes()).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        let mut body = answer.into_body();
        let mut text = String::new();
        while !text.contains("elicitation/create") {
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&frame).unwrap());
        }
        let got = Got { status: 200, headers: HeaderMap::new(), text };
        let id = got.json()["id"].clone();
        let reply = json!({"jsonrpc": "2.0", "id": id, "result": {"action": "accept"}});
        let others = [("x-user", "bob"), ("mcp-session-id", &*bob)];
        assert_eq!(portal.post("/mcp", &others, &reply).await.status, 202);
        assert_eq!(portal.post("/mcp", &own, &reply).await.status, 202);
        let rest = body.collect().await.unwrap().to_bytes();
        let rest = String::from_utf8(rest.to_vec()).unwrap();
        assert!(rest.contains("hello {\\\"action\\\":\\\"accept\\\"}"), "{rest}");
        assert!(rest.contains("\"id\":5"), "{rest}");
    }
}

#[tokio::test]
async fn p26_a_client_that_goes_cancels_a_stateless_call_only() {
    let portal = portal(&[("a", OLD)]);
    let cancelled = || portal.fakes.cancelled.load(SeqCst);
    let (params, name) = modern(json!({"name": "a_slow"}));
    let body = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params});
    let mut headers = POST.to_vec();
    let of = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")];
    headers.extend(of);
    headers.push(("mcp-name", &name));
    drop(portal.open("POST", "/mcp", &headers, body.to_string().as_bytes()).await);
    assert_eq!(cancelled(), 1);
    let token = portal.session("/mcp", "ann", "2025-11-25").await;
    let mut headers = POST.to_vec();
    headers.push(("mcp-session-id", &token));
    let body = call("a_slow").to_string();
    // Once while it is waited for, once when it is a stream already.
    let begun = portal.open("POST", "/mcp", &headers, body.as_bytes());
    drop(tokio::time::timeout(Duration::from_millis(50), begun).await);
    drop(portal.open("POST", "/mcp", &headers, body.as_bytes()).await);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(cancelled(), 1);
    let ends: Vec<_> = portal.kept.all().into_iter().map(|(_, ending)| ending).collect();
    assert_eq!(ends, [Ending::Cancelled, Ending::Result(false), Ending::Result(false)]);
}

#[tokio::test]
async fn a_session_cancels_by_notification() {
    let portal = portal(&[("a", OLD)]);
    let token = portal.session("/mcp", "ann", "2025-11-25").await;
    let own = [("mcp-session-id", &*token)];
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 5}});
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        portal.post("/mcp", &own, &cancel).await
    };
    let body = call("a_slow");
    let (got, cancelled) = tokio::join!(portal.post("/mcp", &own, &body), later);
    assert_eq!(cancelled.status, 202);
    assert!(!got.text.contains("slow"), "{}", got.text);
    assert_eq!(portal.fakes.cancelled.load(SeqCst), 1);
}

#[tokio::test]
async fn p17_resumption_gives_the_stream_of_the_same_session_only() {
    let portal = portal(&[("a", OLD)]);
    let token = portal.session("/mcp", "ann", "2025-11-25").await;
    let own = [("x-user", "ann"), ("mcp-session-id", &*token)];
    let got = portal.post("/mcp", &own, &call("a_steps")).await;
    assert!(got.text.starts_with("id: 1-0\nretry: 500\ndata: \n\n"), "{}", got.text);
    assert!(got.text.contains("done"));
    let resume = |user: &'static str, last: &'static str| {
        [
            ("x-user", user),
            ("mcp-session-id", &*token),
            ("accept", "text/event-stream"),
            ("last-event-id", last),
        ]
    };
    let again = portal.send("GET", "/mcp", &resume("ann", "1-0"), b"").await;
    assert!(again.text.contains("done"), "{}", again.text);
    assert_eq!(portal.send("GET", "/mcp", &resume("bob", "1-0"), b"").await.status, 404);
    assert_eq!(portal.send("GET", "/mcp", &resume("ann", "x"), b"").await.status, 400);
}

#[tokio::test]
async fn p28_lists_are_merged_under_names_that_do_not_clash() {
    let portal = portal(&[("a", OLD), ("b_c", NEW), ("dead", None)]);
    let got = portal.stateless("/mcp", "ann", "tools/list", json!({})).await;
    let all = names(&got);
    assert!(all.contains(&"a_echo".to_owned()));
    assert!(all.iter().any(|name| name.starts_with("b-c-0") && name.ends_with("_echo")));
    assert!(all.iter().all(|name| !name.ends_with("bad")), "{all:?}");
    let dotted = all.iter().find(|name| name.starts_with("a_files_read_0")).unwrap();
    let call = portal.stateless("/mcp", "ann", "tools/call", json!({"name": dotted})).await;
    assert!(call.text.contains("files.read"), "{}", call.text);
    let result = &got.json()["result"];
    assert_eq!(result["_meta"]["shadowtap/unavailable"][0]["server"], "dead");
    assert!(got.text.contains(r#""x-unknown":[1.5"#), "{}", got.text);
    let plain = portal.stateless("/mcp/a", "ann", "tools/list", json!({})).await;
    assert!(names(&plain).contains(&"files.read".to_owned()));
    // The list says what is wrong, so there has to be one.
    let found = portal.stateless("/mcp/dead", "ann", "server/discover", json!({})).await;
    assert!(found.json()["result"]["capabilities"]["tools"].is_object(), "{}", found.text);
    assert_eq!(portal.stateless("/mcp/dead", "ann", "tools/list", json!({})).await.code(), -32603);
}

#[tokio::test]
async fn p30_clients_and_servers_of_all_eras_work_together() {
    for era in [Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25] {
        for server in [OLD, NEW] {
            let portal = portal(&[("a", server), ("b", OLD)]);
            let token = portal.session("/mcp", "ann", era.as_str()).await;
            let own = [("mcp-session-id", &*token), ("mcp-protocol-version", era.as_str())];
            let got = portal.post("/mcp", &own, &call("a_echo")).await;
            assert_eq!(got.json()["id"], 5, "{}", got.text);
            let mut steps = call("a_steps");
            steps["params"]["_meta"] = json!({"progressToken": "mine"});
            let got = portal.post("/mcp", &own, &steps).await;
            assert!(got.text.contains(r#""progressToken":"mine""#), "{}", got.text);
            let read = json!({"jsonrpc": "2.0", "id": 6, "method": "resources/read",
                "params": {"uri": "b://one"}});
            let got = portal.post("/mcp", &own, &read).await;
            assert_eq!(got.json()["result"]["contents"][0]["uri"], "b://one", "{}", got.text);
            let ping = json!({"jsonrpc": "2.0", "id": 7, "method": "ping"});
            assert_eq!(portal.post("/mcp", &own, &ping).await.json()["result"], json!({}));
        }
    }
    for server in [OLD, NEW] {
        let portal = portal(&[("a", server)]);
        let got = portal.stateless("/mcp", "ann", "tools/call", json!({"name": "a_echo"})).await;
        assert_eq!(got.json()["result"]["resultType"], "complete", "{}", got.text);
        let got =
            portal.stateless("/mcp", "ann", "resources/read", json!({"uri": "a://one"})).await;
        assert_eq!(got.json()["result"]["cacheScope"], "private", "{}", got.text);
        let got = portal.stateless("/mcp", "ann", "server/discover", json!({})).await;
        let result = got.json()["result"].clone();
        assert!(result["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
        assert!(result["capabilities"]["tools"].is_object(), "{}", got.text);
    }
}

#[tokio::test]
async fn p31_unknown_methods_are_404_for_stateless_clients() {
    let portal = portal(&[("a", OLD)]);
    let gone =
        ["ping", "initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];
    let all = [&["x/y"][..], &gone].concat();
    for (path, method) in all.iter().flat_map(|method| [("/mcp", *method), ("/mcp/a", *method)]) {
        let got = portal.stateless(path, "ann", method, json!({"uri": "a://one"})).await;
        assert_eq!((got.status, got.code()), (404, json!(-32601)), "{path} {method}");
    }
}

#[tokio::test]
async fn refusals_tell_their_kind_and_no_more() {
    let portal = portal(&[("a", OLD)]);
    let params = json!({"name": "blocked"});
    let got = portal.stateless("/mcp/a", "ann", "tools/call", params).await;
    assert_eq!(got.json()["error"]["data"], json!({"kind": "policy"}));
    let params = json!({"name": "a_echo", "arguments": {"p": "hunter2"}});
    let got = portal.stateless("/mcp", "ann", "tools/call", params).await;
    assert_eq!(got.json()["error"]["message"], "refused: secret in arguments");
    assert!(!got.text.contains("hunter2"));
}

#[tokio::test]
async fn subscriptions_begin_with_what_is_heard() {
    let portal = portal(&[("a", OLD)]);
    let (params, _) = modern(json!({"notifications": {"toolsListChanged": true}}));
    let body = json!({"jsonrpc": "2.0", "id": 17, "method": "subscriptions/listen",
        "params": params});
    let mut headers = POST.to_vec();
    headers.push(("mcp-protocol-version", "2026-07-28"));
    headers.push(("mcp-method", "subscriptions/listen"));
    let answer = portal.open("POST", "/mcp", &headers, body.to_string().as_bytes()).await;
    let mut body = answer.into_body();
    for method in ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"] {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        assert!(text.contains(method), "{text}");
        assert!(text.contains(r#""io.modelcontextprotocol/subscriptionId":17"#), "{text}");
    }
}

#[tokio::test]
async fn clients_of_2024_11_05_get_everything_by_their_stream() {
    let settings = Settings { has_sse: true, ..Settings::default() };
    let portal = portal_with(&[("a", OLD)], settings);
    let mut body = portal.open("GET", "/sse", &[("x-user", "ann")], b"").await.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    let first = next().await;
    let path = first.strip_prefix("event: endpoint\ndata: ").unwrap().trim().to_owned();
    let got = portal.post(&path, &[("x-user", "bob")], &initialize("2024-11-05")).await;
    assert_eq!(got.status, 404);
    let got = portal.post(&path, &[("x-user", "ann")], &initialize("2024-11-05")).await;
    assert_eq!(got.status, 202);
    assert!(next().await.contains(r#""protocolVersion":"2024-11-05""#));
    portal.post(&path, &[("x-user", "ann")], &call("a_echo")).await;
    let mut text = next().await;
    while !text.contains("\"id\":5") {
        text = next().await;
    }
    assert!(text.contains("\"result\""), "{text}");
}

#[tokio::test]
async fn pages_for_operators_and_people() {
    let portal = portal(&[("a", OLD)]);
    for (path, part) in [
        ("/healthz", "ok"),
        ("/readyz", "ready"),
        ("/metrics", "shadowtap_portal_requests_total 3"),
        ("/", "claude mcp add"),
    ] {
        let got = portal.send("GET", path, &[], b"").await;
        assert_eq!(got.status, 200);
        assert!(got.text.contains(part), "{path}: {}", got.text);
    }
    let home = portal.send("GET", "/", &[], b"").await;
    assert!(
        home.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'")
    );
    portal.front.drain();
    assert_eq!(portal.send("GET", "/readyz", &[], b"").await.status, 503);
}

#[tokio::test]
async fn it_listens_and_ends() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let portal = portal(&[("a", OLD)]);
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listening =
        Listening::start(Arc::clone(&portal.front), listener, Audience::Clients, None, 1).unwrap();
    let address = listening.local_addr();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut bytes = [0; 12];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"HTTP/1.1 200");
    // There is room for one.
    let mut second = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(second.read(&mut bytes).await.unwrap_or(0), 0);
    listening.stop(Duration::from_secs(5)).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

const PEOPLE: [&str; 3] = ["ann7", "bob", "cal7"];

/// Somebody does something, with the session or the waiting call of whoever.
async fn step(
    portal: &Portal,
    sessions: &[String],
    states: &mut [Option<Value>; 3],
    (who, whose, action): (usize, usize, u8),
) {
    let (user, is_own) = (PEOPLE[who], who == whose);
    let got = match action {
        0 | 1 => {
            let body = if action == 0 { call("a_echo") } else { list() };
            let headers = [("x-user", user), ("mcp-session-id", &*sessions[whose])];
            let got = portal.post("/mcp", &headers, &body).await;
            assert_eq!(got.status, if is_own { 200 } else { 404 }, "{}", got.text);
            got
        }
        2 => portal.stateless("/mcp", user, "tools/call", json!({"name": "b_echo"})).await,
        3 => {
            let got = portal.stateless("/mcp", user, "tools/list", json!({})).await;
            let sees = names(&got).iter().any(|name| name == "a_secret");
            assert_eq!(sees, user != "bob");
            got
        }
        4 => {
            let got = portal.stateless("/mcp", user, "tools/call", json!({"name": "a_ask"})).await;
            states[who] = Some(got.json()["result"]["requestState"].clone());
            got
        }
        _ => {
            let Some(state) = states[whose].clone() else { return };
            let answer = json!({"action": "accept", "content": {"name": user}});
            let params = json!({"name": "a_ask", "requestState": state,
                "inputResponses": {"input-1": answer}});
            let got = portal.stateless("/mcp", user, "tools/call", params).await;
            if is_own {
                states[whose] = None;
            }
            assert_eq!(got.json().get("result").is_some(), is_own, "{}", got.text);
            got
        }
    };
    // What is sealed is random, and holds short names by chance.
    let json: Value = serde_json::from_str(&got.text).unwrap_or_default();
    let sealed = json["result"]["requestState"].as_str().filter(|sealed| !sealed.is_empty());
    let text = sealed.map_or_else(|| got.text.clone(), |sealed| got.text.replace(sealed, ""));
    let others = PEOPLE.iter().filter(|other| **other != user);
    others.for_each(|other| assert!(!text.contains(other), "{user}: {text}"));
    if matches!(action, 0 | 2) && got.status == 200 {
        assert!(got.text.contains(&format!("{user}:")), "{}", got.text);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Sessions, lists, conversations and waiting calls, in any order.
    #[test]
    fn people_interleaved_never_see_each_others_data(
        steps in proptest::collection::vec((0_usize..3, 0_usize..3, 0_u8..6), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let portal = portal(&[("a", OLD), ("b", NEW)]);
            let mut sessions = Vec::new();
            for user in PEOPLE {
                sessions.push(portal.session("/mcp", user, "2025-11-25").await);
            }
            let mut states = [None, None, None];
            for at in steps {
                step(&portal, &sessions, &mut states, at).await;
            }
        });
    }
}
