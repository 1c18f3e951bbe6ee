//! The servers of the report: a block for each that speaks MCP, a line for each hint.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use anstyle::Style as Ansi;

use super::super::event::{Client, Period, ServerEvent};
use super::super::printable;
use super::layout::{BOLD, DIM, GREEN, Page, RED, YELLOW, counted, listed};
use crate::exchange::Visibility;
use crate::mcp::Evidence;
use crate::observation::Software;
use crate::time::Timestamp;
use crate::verdict::Verdict;

const MAX_CLIENTS: usize = 6;
const MAX_TOOLS: usize = 12;
const MAX_ENDPOINTS: usize = 4;
const MAX_HINTS: usize = 20;

pub(super) fn write<W: Write>(page: &mut Page<'_, W>, servers: &[ServerEvent]) -> io::Result<()> {
    let (mut proven, hints): (Vec<&ServerEvent>, Vec<&ServerEvent>) =
        servers.iter().partition(|server| server.mcp);
    proven.sort_by_key(|server| Reverse(server.verdict));
    for server in proven {
        page.blank()?;
        block(page, server)?;
    }
    if hints.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.heading("Hints, not proven")?;
    for hint in hints.iter().take(MAX_HINTS) {
        let who = listed(hint.clients.iter().map(|client| known(client.ip)), 3);
        let from = if who.is_empty() { String::new() } else { format!(", from {who}") };
        let key = printable(&hint.server.key);
        let vendor = hint.server.catalogued.as_deref().map(printable);
        let vendor = vendor.map_or_else(String::new, |vendor| format!(" ({vendor})"));
        let line = format!("? {key}{vendor}: {}{from}", hint_in_words(hint));
        page.paragraph(&line, 2, 4)?;
    }
    match hints.len().saturating_sub(MAX_HINTS) {
        0 => Ok(()),
        more => page.paragraph(&format!("and {more} more"), 2, 4),
    }
}

/// Mark, words and colour of a verdict.
const fn label(verdict: Verdict) -> (&'static str, &'static str, Ansi) {
    match verdict {
        Verdict::Approved => ("✓", "approved", GREEN),
        Verdict::Undetermined => ("?", "not determined", YELLOW),
        Verdict::ToolNotAllowed => ("!", "TOOL NOT ALLOWED", YELLOW),
        Verdict::ClientNotAllowed => ("!", "CLIENT NOT ALLOWED", YELLOW),
        Verdict::Expired => ("!", "APPROVAL EXPIRED", YELLOW),
        Verdict::PortalBypass => ("✗", "AROUND THE PORTAL", RED),
        Verdict::Unapproved => ("✗", "NOT APPROVED", RED),
    }
}

fn block<W: Write>(page: &mut Page<'_, W>, server: &ServerEvent) -> io::Result<()> {
    let (mark, words, colour) = label(server.verdict);
    page.styled(colour, &format!("{mark} {words}"))?;
    page.plain("  ")?;
    page.styled(BOLD, &printable(&server.server.key))?;
    if let Some(vendor) = &server.server.catalogued {
        page.styled(DIM, &format!("  {}", printable(vendor)))?;
    }
    page.blank()?;
    page.field("approval", &approval(server))?;
    page.field("what", &what(server))?;
    let endpoints = server.server.endpoints.iter();
    let endpoints = endpoints.filter(|end| !end.ip.is_unspecified()).map(ToString::to_string);
    let proxies = listed(server.server.proxies.iter().map(ToString::to_string), 2);
    let via = match (server.server.via_proxy, proxies.as_str()) {
        (false, _) => String::new(),
        (true, "") => " (a proxy)".to_owned(),
        (true, proxies) => format!(", through the proxy {proxies}"),
    };
    let names = listed(server.server.names.iter().map(|name| printable(name).into_owned()), 3);
    let named = if names.is_empty() { names } else { format!(", by DNS {names}") };
    page.field("where", &format!("{}{named}{via}", listed(endpoints, MAX_ENDPOINTS)))?;
    page.field("who", &listed(server.clients.iter().map(client), MAX_CLIENTS))?;
    page.field("called", &tools(&server.tools_called))?;
    page.field("auth", &listed(server.auth.iter().map(|way| printable(way).into_owned()), 6))?;
    page.field("evidence", evidence_in_words(server.evidence))?;
    if server.refused_attempts > 0 {
        page.field("refused", &format!("{} attempts", server.refused_attempts))?;
    }
    page.field("seen", &period(server.event))
}

fn approval(server: &ServerEvent) -> String {
    if !server.reason.is_empty() {
        return printable(&server.reason).into_owned();
    }
    server.approval.as_ref().map_or_else(String::new, |approval| {
        format!(
            "{}, until {}, owner {}",
            printable(&approval.name),
            approval.expires,
            printable(&approval.owner)
        )
    })
}

/// `tracker 1.2, MCP 2025-06-18, Streamable HTTP`.
fn what(server: &ServerEvent) -> String {
    let mut parts: Vec<String> = server.server.software.iter().take(3).map(software).collect();
    if !server.protocol_versions.is_empty() {
        let versions: Vec<&str> =
            server.protocol_versions.iter().take(4).map(String::as_str).collect();
        parts.push(format!("MCP {}", printable(&versions.join(" and "))));
    }
    parts.extend(server.transports.iter().map(|transport| match transport.as_str() {
        "streamable-http" => "Streamable HTTP".to_owned(),
        "streamable-http-stateless" => "stateless HTTP".to_owned(),
        "http+sse" => "HTTP+SSE".to_owned(),
        "websocket" => "WebSocket".to_owned(),
        "json-lines" => "JSON lines".to_owned(),
        other => printable(other).into_owned(),
    }));
    parts.join(", ")
}

fn software(software: &Software) -> String {
    let name = if software.name.is_empty() { "unnamed" } else { &software.name };
    let text = format!("{} {}", printable(name), printable(&software.version));
    text.trim_end().to_owned()
}

/// `10.0.0.1 (agent 0.9)`, and the verdict when it is not the server's.
fn client(client: &Client) -> String {
    let names: Vec<String> = client.software.iter().take(2).map(software).collect();
    let agent = client.user_agents.first().map(|agent| printable(agent).into_owned());
    let name = if names.is_empty() { agent.unwrap_or_default() } else { names.join(" and ") };
    let ip = known(client.ip);
    if name.is_empty() { ip } else { format!("{ip} ({name})") }
}

/// An address that a log need not have.
pub(super) fn known(ip: IpAddr) -> String {
    if ip.is_unspecified() { "an unknown address".to_owned() } else { ip.to_string() }
}

/// Tools by how often they were called.
fn tools(called: &BTreeMap<String, u64>) -> String {
    let mut tools: Vec<(&String, u64)> = called.iter().map(|(name, n)| (name, *n)).collect();
    tools.sort_by_key(|(_, count)| Reverse(*count));
    listed(tools.into_iter().map(|(name, n)| format!("{} ×{n}", printable(name))), MAX_TOOLS)
}

const fn evidence_in_words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Confirmed => "MCP requests and their answers were read",
        Evidence::Parsed => "MCP messages were read, but no answers to them",
        Evidence::Header => "only header fields or documents that MCP uses",
        Evidence::Hint => "only a name, a path or an attempt",
    }
}

/// What a hint rests on.
fn hint_in_words(hint: &ServerEvent) -> String {
    match &hint.tls {
        Some(tls) if hint.visibility == Visibility::Tls => {
            let flows = counted(tls.flows, "encrypted flow");
            let verdict = if hint.verdict == Verdict::Approved { ", approved" } else { "" };
            format!("{flows} to a host of that name{verdict}")
        }
        _ => evidence_in_words(hint.evidence).to_owned(),
    }
}

/// `2026-11-22 08:00:00 to 08:01:00 UTC`.
fn period(Period { start, end }: Period) -> String {
    let (start, end) = (seconds(start), seconds(end));
    match (start.split_once(' '), end.split_once(' ')) {
        _ if start == end => format!("{start} UTC"),
        (Some((day, _)), Some((same, time))) if day == same => format!("{start} to {time} UTC"),
        _ => format!("{start} to {end} UTC"),
    }
}

/// `2026-11-22 08:00:00`.
fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('.').unwrap_or((&text, "")).0.split_once('T') {
        Some((day, time)) => format!("{day} {time}"),
        None => text,
    }
}
