//! The page at `/`: how clients are set up. Which servers there are is shown to those who may use
//! them, and to nobody else.

use hyper::StatusCode;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use ring::digest::{SHA256, digest};

use super::{Settings, answers, heads};
use crate::portal::Answer;
use crate::portal::html::escaped;
use crate::portal::hub::{Route, View};
use crate::portal::principal::Principal;
use crate::portal::radix::base64;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;\
padding:0 1rem;color:#1b1f24;background:#fff}pre{background:#f3f4f6;padding:.8rem;overflow:auto;\
border-radius:6px}code{font:14px ui-monospace,monospace}h2{margin-top:2rem}\
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#14171a}pre{background:#22262b}\
a{color:#8ab4f8}}";

/// The page.
pub(super) fn page(
    view: &View,
    settings: &Settings,
    authority: Option<String>,
    head: &Parts,
    who: Option<&Principal>,
) -> Answer {
    let host = heads::value(&head.headers, "host").map(str::to_owned).or(authority);
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let base = match &settings.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{host}"),
    };
    let title = escaped(&view.settings.title);
    let url = format!("{base}/mcp");
    let sees = |route: &Route| {
        let own = |who| route.servers.iter().any(|of| view.parts.rulings.sees(who, &of.id));
        who.is_some_and(own)
    };
    let routes = view.settings.routes.values().filter(|route| sees(route));
    let mut names: Vec<&str> =
        routes.map(|route| &*route.name).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let routes: String = names
        .iter()
        .map(|name| format!("<li><code>{}/{}</code></li>", escaped(&url), escaped(name)))
        .collect();
    let routes = match routes.is_empty() {
        true => String::new(),
        false => format!("<h2>Single servers and groups</h2><ul>{routes}</ul>"),
    };
    let snippets: String = snippets(&url)
        .into_iter()
        .map(|(client, how, text)| {
            let (how, text) = (escaped(how), escaped(&text));
            format!("<h2>{client}</h2><p>{how}</p><pre><code>{text}</code></pre>")
        })
        .collect();
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\
         <main><h1>{title}</h1><p>Approved MCP servers, behind one address:</p><pre><code>{}\
         </code></pre>{snippets}{routes}</main></body></html>",
        escaped(&url)
    );
    let mut answer = answers::answer(StatusCode::OK, "text/html; charset=utf-8", html);
    let hash = base64(digest(&SHA256, STYLE.as_bytes()).as_ref());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        const POLICY: HeaderName = header::CONTENT_SECURITY_POLICY;
        answer.headers_mut().insert(POLICY, policy);
    }
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

fn snippets(url: &str) -> Vec<(&'static str, &'static str, String)> {
    let json = |value: serde_json::Value| serde_json::to_string_pretty(&value).unwrap_or_default();
    vec![
        (
            "Claude",
            "In Claude, add a custom connector with the address. For Claude Code:",
            format!("claude mcp add --transport http portal {url}"),
        ),
        (
            "Cursor",
            "In .cursor/mcp.json:",
            json(serde_json::json!({"mcpServers": {"portal": {"url": url}}})),
        ),
        (
            "VS Code",
            "In .vscode/mcp.json:",
            json(serde_json::json!({"servers": {"portal": {"type": "http", "url": url}}})),
        ),
        (
            "Clients that start programs",
            "By mcp-remote:",
            json(serde_json::json!({"mcpServers": {"portal": {"command": "npx",
                "args": ["-y", "mcp-remote", url]}}})),
        ),
        (
            "Inspector",
            "To look at what is offered:",
            format!(
                "npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list"
            ),
        ),
    ]
}
