//! Servers that do what they must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::fake::{Does, STREAM, chunk, event, legacy, result, serve, status};
use super::*;

fn spec(url: &str) -> String {
    format!(
        "{{id: a, url: '{url}', private_addresses: true, idle_timeout: 1s, \
         max_response_bytes: 2000, max_message_bytes: 1000, max_concurrent: 2}}"
    )
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn every_fault_is_a_failure_of_its_kind() {
    const JSON: &str = "content-type: application/json\r\n";
    let (url, _) = serve(|asked| {
        legacy(asked, "s-1").unwrap_or_else(|| {
            let good = result(asked, json!({})).to_string();
            let large = format!("\"{}\"", "x".repeat(3000));
            match asked.tool() {
                "closes" => Does::SaysAndCloses(String::new()),
                "hangs" => Does::SaysAndHangs(String::new()),
                "half a head" => Does::SaysAndCloses("HTTP/1.1 200 OK\r\ncont".into()),
                "too long a length" => Does::SaysAndCloses(format!(
                    "HTTP/1.1 200 OK\r\n{JSON}content-length: 999\r\n\r\n{good}"
                )),
                "too short a length" => Does::SaysAndCloses(format!(
                    "HTTP/1.1 200 OK\r\n{JSON}content-length: 9\r\n\r\n{good}"
                )),
                "two lengths" => Does::SaysAndCloses(format!(
                    "HTTP/1.1 200 OK\r\n{JSON}content-length: 9\r\ncontent-length: 8\r\n\r\n{good}"
                )),
                "hangs in the body" => Does::SaysAndHangs(format!(
                    "HTTP/1.1 200 OK\r\n{JSON}content-length: 999\r\n\r\n{{"
                )),
                "bad chunk" => Does::SaysAndCloses(format!("{STREAM}zz\r\n")),
                "no http" => Does::SaysAndCloses("SSH-2.0-fake\r\n".into()),
                "empty" => Does::Says(status("200 OK", JSON, "")),
                "accepted" => Does::Says(status("202 Accepted", "", "")),
                "no json" => Does::Says(status("200 OK", JSON, "<html>")),
                "two keys" => {
                    Does::Says(status("200 OK", JSON, &good.replace("{}", r#"{"a":1,"a":2}"#)))
                }
                "of another" => {
                    Does::Says(fake::json("", &json!({"jsonrpc": "2.0", "id": 99, "result": {}})))
                }
                "too large" => Does::Says(status("200 OK", JSON, &large)),
                "large event" => {
                    Does::Says(format!("{STREAM}{}0\r\n\r\n", chunk(&format!("data: {large}\n\n"))))
                }
                "bad event" => Does::Says(format!("{STREAM}{}0\r\n\r\n", chunk("data: {\n\n"))),
                "empty stream" => Does::Says(format!("{STREAM}0\r\n\r\n")),
                "unfinished event" => {
                    Does::Says(format!("{STREAM}{}0\r\n\r\n", chunk(&format!("data: {good}\n"))))
                }
                "stalls" => Does::SaysAndHangs(format!("{STREAM}{}", chunk("data: {"))),
                "moved" => Does::Says(status("307 Moved", "location: http://127.0.0.1:1/\r\n", "")),
                "trouble" => Does::Says(status("500 Trouble", "", "inside")),
                _ => Does::Says(fake::json("", &result(asked, json!({})))),
            }
        })
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    for (tool, want) in [
        ("closes", "f:Broken"),
        ("hangs", "f:TimedOut"),
        ("half a head", "f:Broken"),
        ("too long a length", "f:Broken"),
        ("too short a length", "f:Garbled"),
        ("two lengths", "f:Garbled"),
        ("hangs in the body", "f:TimedOut"),
        ("bad chunk", "f:Broken"),
        ("no http", "f:Garbled"),
        ("empty", "f:Garbled"),
        ("accepted", "f:Garbled"),
        ("no json", "f:Garbled"),
        ("two keys", "f:Garbled"),
        ("of another", "f:Garbled"),
        ("too large", "f:Garbled"),
        ("large event", "f:Garbled"),
        ("bad event", "f:Garbled"),
        ("empty stream", "f:Broken"),
        ("unfinished event", "f:Broken"),
        ("stalls", "f:TimedOut"),
        ("moved", "f:Status(307"),
        ("trouble", "f:Status(500"),
        ("good", "r:1:{}"),
    ] {
        let mut call = outgoing(1, tool);
        call.idle = Duration::from_millis(500);
        let said = heard(peer.call(call, false).await).await;
        assert!(is(&said, want), "{tool}: {said:?}");
    }
    let (_, counts) = upstreams.counters().next().unwrap();
    assert_eq!((counts.calls, counts.failures.iter().sum::<u64>()), (23, 22));
    assert_eq!((counts.open_streams, counts.last_success.is_some()), (0, true));
    assert_eq!(upstreams.health().next().unwrap().1, Health::Good);
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_sent_twice() {
    for (again, want, posts) in [(true, "r:1:{}", 2), (false, "f:Broken", 1)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let (url, _) = serve(move |asked| {
            legacy(asked, "s-1").unwrap_or_else(|| match counted.fetch_add(1, Ordering::Relaxed) {
                0 => Does::SaysAndCloses(String::new()),
                _ => Does::Says(fake::json("", &result(asked, json!({})))),
            })
        })
        .await;
        let upstreams = upstreams(&spec(&url));
        let peer = peer(&upstreams).await;
        let said = call(&peer, 1, "t", again).await;
        assert!(is(&said, want), "{said:?}");
        assert_eq!(calls.load(Ordering::Relaxed), posts);
    }
}

#[tokio::test]
async fn no_more_calls_than_allowed_are_under_way() {
    let (url, _) = serve(|asked| {
        legacy(asked, "s-1").unwrap_or_else(|| {
            let said = json!({"jsonrpc": "2.0", "method": "notifications/message"});
            Does::SaysAndHangs(format!("{STREAM}{}", event(&said)))
        })
    })
    .await;
    let upstreams = upstreams(&spec(&url));
    let peer = peer(&upstreams).await;
    let first = peer.call(outgoing(1, "t"), false).await.unwrap();
    let second = peer.call(outgoing(2, "t"), false).await.unwrap();
    assert!(is(&call(&peer, 3, "t", false).await, "f:Busy"));
    drop((first, second));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(matches!(peer.call(outgoing(4, "t"), false).await, Ok(Conversation::Stream(_))));
}

#[tokio::test]
async fn addresses_inside_are_refused_and_dead_servers_are_unreachable() {
    let begin = async |spec: &str| {
        let whose = somebody("ann");
        upstreams(spec).peer(&whose, "a", &client(), None, None).await.unwrap_err()
    };
    let inside = begin("{id: a, url: 'https://127.0.0.1:9/'}").await;
    assert!(matches!(&inside, Failure::Unreachable(why) if why.contains("loopback")), "{inside:?}");
    let metadata = "{id: a, url: 'http://169.254.169.254/', private_addresses: true}";
    let metadata = begin(metadata).await;
    assert!(matches!(&metadata, Failure::Unreachable(why) if why.contains("metadata")));
    let dead = begin("{id: a, url: 'http://127.0.0.1:9/', private_addresses: true}").await;
    assert!(matches!(dead, Failure::Unreachable(_)) && dead.is_before());
}
