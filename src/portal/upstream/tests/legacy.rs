//! Sessions of MCP 2025-03-26 to 2025-11-25.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::fake::{Asked, Does, STREAM, chunk, event, legacy, result, serve, status};
use super::*;

fn spec(url: &str) -> String {
    format!("{{id: a, url: '{url}', private_addresses: true, idle_timeout: 2s}}")
}

fn answered(asked: &Asked) -> Does {
    Does::Says(fake::json("", &result(asked, json!({"content": []}))))
}

#[tokio::test]
async fn a_session_is_begun_used_and_ended() {
    let (url, log) = serve(|asked| legacy(asked, "s-1").unwrap_or_else(|| answered(asked))).await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    assert_eq!(peer.about().revision.as_str(), "2025-11-25");
    assert_eq!(peer.about().info.as_ref().unwrap().get(), r#"{"name":"fake","version":"1"}"#);
    assert_eq!(call(&peer, 7, "t", false).await, [r#"r:7:{"content":[]}"#]);
    let ticket = peer.ticket().unwrap();
    assert_eq!(ticket.session.as_deref(), Some("s-1"));
    upstreams.end(&somebody("ann").owner, "one").await;
    let log = log.lock().unwrap().clone();
    let methods: Vec<_> = log.iter().map(|asked| (&*asked.verb, asked.method())).collect();
    let want = [
        ("POST", "server/discover"),
        ("POST", "initialize"),
        ("POST", "notifications/initialized"),
        ("POST", "tools/call"),
        ("DELETE", ""),
    ];
    assert_eq!(methods, want);
    assert_eq!(log[1].body["params"]["clientInfo"]["name"], "agent");
    assert_eq!(log[1].body["params"]["capabilities"], json!({"sampling": {}}));
    for asked in &log[2..] {
        assert_eq!(asked.field("mcp-session-id"), Some("s-1"));
        assert_eq!(asked.field("mcp-protocol-version"), Some("2025-11-25"));
    }
    assert_eq!(log[3].field("authorization"), Some("Bearer fake-stale-ann"));
    assert!(log[3].body["params"].get("_meta").is_none());
    // Everything by one connection.
    assert!(log.iter().all(|asked| asked.connection == 0), "{log:?}");
}

#[tokio::test]
async fn what_is_known_of_a_server_is_not_asked_again_and_nothing_is_shared() {
    let (url, log) = serve(|asked| legacy(asked, "s-1").unwrap_or_else(|| answered(asked))).await;
    let upstreams = upstreams(&spec(&url));
    for (subject, conversation) in [("ann", "one"), ("bob", "two"), ("ann", "one")] {
        let peer = upstreams
            .peer(&somebody(subject), "a", &client(), Some(conversation), None)
            .await
            .unwrap();
        call(&peer, 1, "t", false).await;
    }
    let log = log.lock().unwrap().clone();
    let count = |method: &str| log.iter().filter(|asked| asked.method() == method).count();
    assert_eq!((count("server/discover"), count("initialize"), count("tools/call")), (1, 2, 3));
    for asked in log.iter().filter(|asked| asked.method() != "") {
        let whose = asked.field("authorization").unwrap();
        assert_eq!(asked.connection == 0, whose.ends_with("ann"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_session_that_expired_is_begun_anew_and_the_call_answered() {
    for refusal in ["404 Not Found", "400 Bad Request"] {
        let sessions = Arc::new(AtomicUsize::new(0));
        let begun = Arc::clone(&sessions);
        let (url, log) = serve(move |asked| {
            if asked.method() == "initialize" {
                begun.fetch_add(1, Ordering::Relaxed);
            }
            let session = format!("s-{}", begun.load(Ordering::Relaxed));
            if asked.field("mcp-session-id") == Some("s-1") && asked.method() == "tools/call" {
                return Does::Says(status(refusal, "", "Session not found"));
            }
            legacy(asked, &session).unwrap_or_else(|| answered(asked))
        })
        .await;
        let upstreams = upstreams(&spec(&url));
        let peer = peer(&upstreams).await;
        let calls = (0..20).map(|id| {
            let peer = Arc::clone(&peer);
            tokio::spawn(async move { (id, call(&peer, id, "t", false).await) })
        });
        for done in calls.collect::<Vec<_>>() {
            let (id, said) = done.await.unwrap();
            assert_eq!(said, [format!(r#"r:{id}:{{"content":[]}}"#)]);
        }
        assert_eq!(sessions.load(Ordering::Relaxed), 2, "one for all calls");
        drop(log);
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_had_again_is_lost_and_no_success() {
    let begun = AtomicUsize::new(0);
    let (url, _) = serve(move |asked| {
        if asked.method() == "initialize" && begun.fetch_add(1, Ordering::Relaxed) > 0 {
            return Does::Says(status("503 Service Unavailable", "", "restarting"));
        }
        legacy(asked, "s-1")
            .unwrap_or_else(|| Does::Says(status("404 Not Found", "", "no such session")))
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    assert!(is(&call(&peer, 1, "t", true).await, "f:Status(503"));
}

#[tokio::test]
async fn streams_are_heard_in_order_and_answers_alone_come_at_once() {
    let (url, log) = serve(|asked| {
        legacy(asked, "s-1").unwrap_or_else(|| {
            let id = &asked.body["id"];
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress"});
            let asks = json!({"jsonrpc": "2.0", "id": "q1", "method": "sampling/createMessage"});
            let ping = json!({"jsonrpc": "2.0", "id": "q2", "method": "ping"});
            let last = json!({"jsonrpc": "2.0", "id": id, "result": {}});
            let alone = asked.tool() == "alone";
            let said = if alone { vec![last] } else { vec![progress, ping, asks, last] };
            let body: String = said.iter().map(event).collect();
            Does::Says(format!("{STREAM}{body}0\r\n\r\n"))
        })
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    let said = call(&peer, 1, "t", false).await;
    assert_eq!(said, ["n:notifications/progress", "q:sampling/createMessage", "r:1:{}"]);
    let done = peer.call(outgoing(2, "alone"), false).await;
    assert!(matches!(done, Ok(Conversation::Answer(_))));
    let answer = Response { id: Some(Id::Text("q1".into())), outcome: Ok(raw(&json!({}))) };
    peer.reply(answer).await.unwrap();
    let log = log.lock().unwrap();
    for id in ["q1", "q2"] {
        assert!(
            log.iter().any(|asked| asked.body["id"] == id && asked.method().is_empty()),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_breaks_behind_an_id_is_resumed() {
    let (url, log) = serve(|asked| {
        if asked.verb == "GET" && asked.field("last-event-id") == Some("e1") {
            let last = json!({"jsonrpc": "2.0", "id": 1, "result": {"resumed": true}});
            return Does::Says(format!("{STREAM}{}0\r\n\r\n", event(&last)));
        }
        legacy(asked, "s-1").unwrap_or_else(|| {
            let primed = chunk("id: e1\nretry: 10\ndata:\n\n");
            match asked.tool() {
                "closed" => Does::Says(format!("{STREAM}{primed}0\r\n\r\n")),
                "cut" => Does::SaysAndCloses(format!("{STREAM}{primed}")),
                _ => Does::SaysAndCloses(STREAM.to_owned()),
            }
        })
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    for tool in ["closed", "cut"] {
        assert_eq!(call(&peer, 1, tool, false).await, [r#"r:1:{"resumed":true}"#], "{tool}");
    }
    assert!(is(&call(&peer, 1, "without id", false).await, "f:Broken"));
    let (_, counts) = upstreams.counters().next().unwrap();
    assert_eq!((counts.reconnects, counts.open_streams), (2, 0));
    let posts = log.lock().unwrap().iter().filter(|asked| asked.method() == "tools/call").count();
    assert_eq!(posts, 3, "nothing was sent twice");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    let (url, log) = serve(|asked| {
        legacy(asked, "s-1").unwrap_or_else(|| Does::SaysAndHangs(STREAM.to_owned()))
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    let dropped =
        tokio::time::timeout(Duration::from_millis(200), peer.call(outgoing(9, "t"), false));
    assert!(dropped.await.is_err());
    let late = call(&peer, 10, "t", true).await;
    assert!(is(&late, "f:TimedOut"), "{late:?}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let log = log.lock().unwrap();
    let cancelled: Vec<_> = log
        .iter()
        .filter(|asked| asked.method() == "notifications/cancelled")
        .map(|asked| asked.body["params"]["requestId"].as_i64().unwrap())
        .collect();
    assert_eq!(cancelled, [9, 10]);
}

#[tokio::test]
async fn the_stream_of_the_server_is_listened_to() {
    let (url, log) = serve(|asked| {
        if asked.verb == "GET" {
            let said = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
            return Does::SaysAndHangs(format!("{STREAM}{}", event(&said)));
        }
        legacy(asked, "s-1").unwrap_or_else(|| answered(asked))
    })
    .await;
    let with = upstreams(&spec(&url));
    let mut from = peer(&with).await.listen(None).await.unwrap().unwrap();
    assert_eq!(told(from.recv().await.unwrap()), "n:notifications/tools/list_changed");
    // Another one hears by the same stream, and the next one after both by another.
    let peer_with = peer(&with).await;
    let second = peer_with.listen(None).await.unwrap().unwrap();
    let gets = || log.lock().unwrap().iter().filter(|asked| asked.verb == "GET").count();
    assert_eq!(gets(), 1);
    drop((from, second));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut from = peer_with.listen(None).await.unwrap().unwrap();
    assert_eq!(told(from.recv().await.unwrap()), "n:notifications/tools/list_changed");
    assert_eq!(gets(), 2);
    let (url, _) = serve(|asked| legacy(asked, "s-1").unwrap_or_else(|| answered(asked))).await;
    let without = upstreams(&spec(&url));
    assert!(peer(&without).await.listen(None).await.unwrap().is_none());
}

#[tokio::test]
async fn p25_what_is_asked_beside_a_call_is_heard_with_the_only_one() {
    let (url, log) = serve(|asked| {
        let ask = json!({"jsonrpc": "2.0", "id": 77, "method": "elicitation/create", "params": {}});
        match (&*asked.verb, asked.tool()) {
            ("GET", _) => Does::SaysAndHangs(format!("{STREAM}{}", event(&ask))),
            (_, "asks") => Does::SaysAndHangs(String::new()),
            _ => legacy(asked, "s-1").unwrap_or_else(|| answered(asked)),
        }
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    let asking = Outgoing { hears_beside: true, ..outgoing(7, "asks") };
    let Ok(Conversation::Stream(mut from)) = peer.call(asking, false).await else { panic!() };
    assert_eq!(told(from.recv().await.unwrap()), "q:elicitation/create");
    // Servers have one such stream: whoever else listens has the same.
    let listeners =
        [peer.listen(None).await.unwrap().unwrap(), peer.listen(None).await.unwrap().unwrap()];
    let quick = Outgoing { hears_beside: true, ..outgoing(8, "t") };
    assert_eq!(heard(peer.call(quick, false).await).await, [r#"r:8:{"content":[]}"#]);
    let gets = log.lock().unwrap().iter().filter(|asked| asked.verb == "GET").count();
    assert_eq!(gets, 1);
    drop((listeners, from));
    // Servers without one are asked once, and calls are made as ever.
    let (url, log) = serve(|asked| legacy(asked, "s-1").unwrap_or_else(|| answered(asked))).await;
    let without = super::upstreams(&spec(&url));
    let peer = super::peer(&without).await;
    for id in 1..3 {
        let call = Outgoing { hears_beside: true, ..outgoing(id, "t") };
        let want = format!(r#"r:{id}:{{"content":[]}}"#);
        assert_eq!(heard(peer.call(call, false).await).await, [want]);
    }
    let gets = log.lock().unwrap().iter().filter(|asked| asked.verb == "GET").count();
    assert_eq!(gets, 1);
}

#[tokio::test]
async fn a_ticket_goes_on_with_a_session() {
    let (url, log) = serve(|asked| legacy(asked, "s-9").unwrap_or_else(|| answered(asked))).await;
    let upstreams = upstreams(&spec(&url));
    let ticket = Ticket { revision: "2025-06-18".into(), session: Some("s-5".into()) };
    let whose = somebody("ann");
    let peer = upstreams.peer(&whose, "a", &client(), Some("one"), Some(&ticket)).await.unwrap();
    assert!(is(&call(&peer, 1, "t", false).await, "r:"));
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].field("mcp-session-id"), Some("s-5"));
    assert_eq!(log[0].field("mcp-protocol-version"), Some("2025-06-18"));
}

#[tokio::test]
async fn refused_credentials_are_renewed_once() {
    let seen = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&seen);
    let (url, _) = serve(move |asked| {
        let proof = asked.field("authorization").unwrap_or_default();
        if asked.tool() == "never" || proof.contains("stale") {
            *counted.lock().unwrap() += 1;
            let challenge = "www-authenticate: Bearer error=\"invalid_token\"\r\n";
            return Does::Says(status("401 Unauthorized", challenge, ""));
        }
        legacy(asked, "s-1").unwrap_or_else(|| answered(asked))
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    assert!(is(&call(&peer, 1, "t", false).await, "r:"));
    assert!(is(&call(&peer, 1, "never", true).await, "f:Refused(401, \"Bearer error="));
}
