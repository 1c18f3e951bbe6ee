//! HTTP with SSE.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// Answers by the stream what comes by POST.
async fn serve(endpoint: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sse", listener.local_addr().unwrap());
    let stream: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>> = Arc::default();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let stream = Arc::clone(&stream);
            tokio::spawn(async move {
                let mut socket = BufReader::new(socket);
                loop {
                    let (mut first, mut length) = (String::new(), 0);
                    socket.read_line(&mut first).await.unwrap();
                    loop {
                        let mut line = String::new();
                        if socket.read_line(&mut line).await.unwrap() <= 2 {
                            break;
                        }
                        if let Some(value) =
                            line.to_ascii_lowercase().strip_prefix("content-length:")
                        {
                            length = value.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    socket.read_exact(&mut body).await.unwrap();
                    if first.starts_with("GET") {
                        let (to, mut from) = mpsc::unbounded_channel();
                        *stream.lock().unwrap() = Some(to);
                        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                        let event = format!("{head}event: endpoint\ndata: {endpoint}\n\n");
                        socket.write_all(event.as_bytes()).await.unwrap();
                        while let Some(event) = from.recv().await {
                            socket.write_all(event.as_bytes()).await.unwrap();
                        }
                        return;
                    }
                    let is_ours = first.starts_with("POST /messages?s=1 ");
                    let line = if is_ours { "202 Accepted" } else { "405 Method Not Allowed" };
                    let answer = format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n");
                    socket.write_all(answer.as_bytes()).await.unwrap();
                    let asked: Value = serde_json::from_slice(&body).unwrap();
                    if is_ours && asked["params"]["name"] == "end" {
                        *stream.lock().unwrap() = None;
                    } else if is_ours && asked.get("id").is_some() {
                        let result = json!({
                            "protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": {},
                        });
                        let said = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
                        let event = format!("event: message\ndata: {said}\n\n");
                        stream.lock().unwrap().as_ref().unwrap().send(event).unwrap();
                    }
                }
            });
        }
    });
    url
}

fn spec(url: &str) -> String {
    format!("{{id: a, url: '{url}', private_addresses: true, idle_timeout: 2s}}")
}

#[tokio::test]
async fn the_oldest_way_is_found_out_and_a_stream_that_ended_is_opened_again() {
    let upstreams = upstreams(&spec(&serve("/messages?s=1").await));
    let peer = peer(&upstreams).await;
    assert_eq!(peer.about().revision.as_str(), "2024-11-05");
    assert!(is(&call(&peer, 41, "t", false).await, "r:41:"));
    assert!(is(&call(&peer, 42, "end", false).await, "f:Broken"));
    assert!(is(&call(&peer, 43, "t", false).await, "r:43:"));
    peer.close().await;
}

#[tokio::test]
async fn an_endpoint_at_another_origin_is_refused() {
    let upstreams = upstreams(&spec(&serve("http://127.0.0.1:1/messages?s=1").await));
    let failure = upstreams.peer(&somebody("ann"), "a", &client(), None, None).await.unwrap_err();
    assert!(matches!(&failure, Failure::Garbled(why) if why.contains("origin")), "{failure:?}");
}
