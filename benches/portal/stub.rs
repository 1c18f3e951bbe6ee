//! An MCP server that answers at once: `initialize` and a session, or neither, and a tool that echoes.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

/// What it looks at; the rest is not even parsed.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow, default)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    arguments: Option<Arguments<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

const TOOL: &str = r#"{"name":"echo","description":"Echoes","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}"#;

/// Serves until it is killed, on one thread.
pub fn run(port: u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let http = hyper::server::conn::http1::Builder::new();
                let served = http.serve_connection(TokioIo::new(stream), service_fn(answer));
                // Clients go when they are done.
                let _gone = served.await;
            });
        }
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_post = request.method() == hyper::Method::POST;
    let is_modern =
        request.headers().get("mcp-protocol-version").is_some_and(|v| v == "2026-07-28");
    let Ok(body) = request.into_body().collect().await.map(http_body_util::Collected::to_bytes)
    else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    if !is_post {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&body) else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let Some(id) = message.id else { return Ok(empty(StatusCode::ACCEPTED)) };
    let Some(result) = result(&message, is_modern) else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.get());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    if message.method == "initialize" {
        headers.insert("mcp-session-id", hyper::header::HeaderValue::from_static("stub-session"));
    }
    Ok(response)
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn result(message: &Message<'_>, is_modern: bool) -> Option<String> {
    let kind = if is_modern { r#""resultType":"complete","# } else { "" };
    let cached = if is_modern { r#","ttlMs":60000,"cacheScope":"public""# } else { "" };
    Some(match message.method {
        "initialize" => r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"stub","version":"1"}}"#.to_owned(),
        "server/discover" if is_modern => format!(
            r#"{{{kind}"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}},"_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"stub","version":"1"}}}}{cached}}}"#
        ),
        "tools/list" => format!(r#"{{{kind}"tools":[{TOOL}]{cached}}}"#),
        "tools/call" => {
            let text = message.params.as_ref()?.arguments.as_ref()?.text?.get();
            format!(r#"{{{kind}"content":[{{"type":"text","text":{text}}}]}}"#)
        }
        "ping" => "{}".to_owned(),
        _ => return None,
    })
}
