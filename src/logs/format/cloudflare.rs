//! Cloudflare's Logpush: Gateway's HTTP, network and DNS logs, and those of MCP server portals.
//!
//! A job writes whichever fields were chosen, and times in one of three forms: RFC 3339, seconds or
//! nanoseconds, both also as text. Gateway stands between, but clients address the server itself,
//! so the addresses are those of the flow.

use super::json::{Keys, Lines, Notes, Probe, as_it_stands};
use crate::logs::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};

pub(super) static GATEWAY_HTTP: Spec = Spec {
    name: "cloudflare-gateway-http",
    title: "Cloudflare Logpush, gateway_http",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff: |bytes| sniff(bytes, HTTP_KEYS, &["URL", "UserAgent", "Referer"]),
    open: || Lines::open(Keys::of(HTTP).otherwise(HTTP_OTHERWISE), settle_http),
};

pub(super) static GATEWAY_NETWORK: Spec = Spec {
    name: "cloudflare-gateway-network",
    title: "Cloudflare Logpush, gateway_network",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff: |bytes| sniff(bytes, NETWORK_KEYS, &["Transport"]),
    open: || Lines::open(Keys::of(NETWORK).otherwise(IDENTITY), settle_user),
};

pub(super) static GATEWAY_DNS: Spec = Spec {
    name: "cloudflare-gateway-dns",
    title: "Cloudflare Logpush, gateway_dns",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff: |bytes| sniff(bytes, DNS_KEYS, &[]),
    open: || Lines::open(Keys::of(DNS).otherwise(DNS_OTHERWISE), settle_user),
};

pub(super) static MCP_PORTAL: Spec = Spec {
    name: "cloudflare-mcp-portal",
    title: "Cloudflare Logpush, mcp_portal_logs",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff: |bytes| sniff(bytes, PORTAL_KEYS, &["ServerID"]),
    open: || Lines::open(Keys::of(PORTAL).otherwise(PORTAL_OTHERWISE), settle_portal),
};

/// `gateway_http`.
pub(super) const HTTP: &[(&str, Meaning)] = &[
    ("Datetime", Meaning::Time),
    ("SourcePort", Meaning::ClientPort),
    ("DestinationIP", Meaning::Server),
    ("DestinationPort", Meaning::ServerPort),
    ("HTTPMethod", Meaning::Method),
    ("URL", Meaning::Url),
    ("HTTPVersion", Meaning::Version),
    ("HTTPStatusCode", Meaning::Status),
    ("UserAgent", Meaning::UserAgent),
    ("Referer", Meaning::Referer),
    ("Action", Meaning::Action),
    ("UntrustedCertificateAction", Meaning::Action),
    ("RequestID", Meaning::RequestId),
];

/// What is used where a line has nothing better, the best first.
pub(super) const HTTP_OTHERWISE: &[(&str, Meaning)] = &[
    ("SourceInternalIP", Meaning::Client),
    ("SourceIP", Meaning::Client),
    ("Email", Meaning::User),
    ("UserID", Meaning::User),
    ("DeviceName", Meaning::Device),
    ("DeviceID", Meaning::Device),
    ("HTTPHost", Meaning::Host),
];

/// `gateway_network`.
pub(super) const NETWORK: &[(&str, Meaning)] = &[
    ("Datetime", Meaning::Time),
    ("SourcePort", Meaning::ClientPort),
    ("DestinationIP", Meaning::Server),
    ("DestinationPort", Meaning::ServerPort),
    ("SNI", Meaning::Sni),
    ("Transport", Meaning::Transport),
    ("TransportProtocol", Meaning::Transport),
    ("Action", Meaning::Action),
];

/// Who it was, the best first.
pub(super) const IDENTITY: &[(&str, Meaning)] = &[
    ("SourceInternalIP", Meaning::Client),
    ("SourceIP", Meaning::Client),
    ("Email", Meaning::User),
    ("UserID", Meaning::User),
    ("DeviceName", Meaning::Device),
    ("DeviceID", Meaning::Device),
];

/// `gateway_dns`.
pub(super) const DNS: &[(&str, Meaning)] = &[
    ("Datetime", Meaning::Time),
    ("SrcPort", Meaning::ClientPort),
    ("DstIP", Meaning::Server),
    ("DstPort", Meaning::ServerPort),
    ("QueryName", Meaning::DnsName),
    ("RCode", Meaning::DnsCode),
    ("ResolvedIPs", Meaning::DnsAddress),
    ("ResolverDecision", Meaning::Action),
];

/// What is used where a line has nothing better, the best first.
pub(super) const DNS_OTHERWISE: &[(&str, Meaning)] = &[
    ("QueryType", Meaning::DnsType),
    ("QueryTypeName", Meaning::DnsType),
    ("SrcIP", Meaning::Client),
    ("Email", Meaning::User),
    ("UserID", Meaning::User),
    ("DeviceName", Meaning::Device),
    ("DeviceID", Meaning::Device),
];

/// `mcp_portal_logs`. The client is the portal's; the server is the one behind it.
pub(super) const PORTAL: &[(&str, Meaning)] = &[
    ("Datetime", Meaning::Time),
    ("ClientIP", Meaning::Client),
    ("ServerURL", Meaning::Url),
    ("Method", Meaning::RpcMethod),
    ("ResourceReadURI", Meaning::RpcUri),
];

/// What is used where a line has nothing better, the best first.
pub(super) const PORTAL_OTHERWISE: &[(&str, Meaning)] = &[
    ("ToolCallName", Meaning::RpcName),
    ("PromptGetName", Meaning::RpcName),
    ("UserEmail", Meaning::User),
    ("UserID", Meaning::User),
];

const HTTP_KEYS: &[&str] = &[
    "HTTPHost",
    "HTTPMethod",
    "HTTPStatusCode",
    "HTTPVersion",
    "UntrustedCertificateAction",
    "UploadedFileNames",
    "DownloadedFileNames",
    "IsIsolated",
];
const NETWORK_KEYS: &[&str] =
    &["SNI", "TransportProtocol", "DetectedProtocol", "OverrideIP", "OverridePort"];
const DNS_KEYS: &[&str] = &[
    "QueryName",
    "QueryType",
    "QueryTypeName",
    "ResolverDecision",
    "RCode",
    "ResolvedIPs",
    "QueryNameReversed",
];
const PORTAL_KEYS: &[&str] =
    &["PortalID", "PortalAUD", "ServerURL", "ServerAUD", "ToolCallName", "ResourceReadURI"];

/// What was not inspected has a name and no URL: nothing is known of what was inside.
pub(super) fn settle_http(record: &mut Record<'_>, notes: &mut Notes<'_>) -> Line {
    if record.target.is_none() && record.scheme.is_none() {
        record.scheme = Some("tls".into());
    }
    settle_user(record, notes)
}

/// Where no user is known, a name says so.
pub(super) fn settle_user(record: &mut Record<'_>, _: &mut Notes<'_>) -> Line {
    if record.user.as_deref().is_some_and(|user| user.starts_with("non_identity@")) {
        record.user = None;
    }
    Line::Record
}

/// JSON-RPC goes in a POST (MCP 2025-06-18, transports); what the portal answers itself is of no
/// server.
pub(super) fn settle_portal(record: &mut Record<'_>, notes: &mut Notes<'_>) -> Line {
    if record.host.is_none() {
        return Line::Nothing;
    }
    if record.rpc_method.is_some() {
        record.method = Some("POST".into());
    }
    as_it_stands(record, notes)
}

/// One name of its own makes it certain; beside `Datetime`, names that others might have as well
/// make it likely.
fn sniff(bytes: &[u8], own: &[&str], hints: &[&str]) -> Likelihood {
    let probe = Probe::of(bytes);
    let is_dated = probe.has("Datetime");
    match (is_dated, probe.count(own), probe.count(hints)) {
        (true, 1.., _) | (false, 2.., _) => Likelihood::Certain,
        (false, 1, 1..) => Likelihood::Likely,
        (true, 0, 1..) => Likelihood::Likely,
        _ => Likelihood::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, lines, record};
    use crate::time::Timestamp;

    #[test]
    fn all_clocks_say_the_same() {
        let expected = Some(Timestamp::from_parts(1_795_334_400, 0));
        for time in [
            "1795334400",
            "\"1795334400\"",
            "1795334400000000000",
            "\"1795334400000000000\"",
            "\"2026-11-22T08:00:00Z\"",
        ] {
            let line = format!(r#"{{"Datetime":{time},"URL":"https://mcp.example/mcp"}}"#);
            assert_eq!(record(&GATEWAY_HTTP, &line).time, expected, "{time}");
        }
    }

    #[test]
    fn the_best_name_holds_in_any_order() {
        for line in [
            r#"{"SourceIP":"203.0.113.9","SourceInternalIP":"192.0.2.1","UserID":"u","Email":"a@b"}"#,
            r#"{"Email":"a@b","UserID":"u","SourceInternalIP":"192.0.2.1","SourceIP":"203.0.113.9"}"#,
        ] {
            let record = record(&GATEWAY_HTTP, line);
            assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()), "{line}");
            assert_eq!(record.user.as_deref(), Some("a@b"), "{line}");
        }
        let line =
            r#"{"SourceIP":"203.0.113.9","SourceInternalIP":"","Email":"non_identity@t.example"}"#;
        let record = record(&GATEWAY_HTTP, line);
        assert_eq!(record.client, Some("203.0.113.9".parse().unwrap()));
        assert_eq!(record.user, None);
    }

    #[test]
    fn what_was_not_inspected_is_a_tunnel() {
        let line = r#"{"HTTPHost":"mcp.example","URL":"","HTTPMethod":"","HTTPStatusCode":0}"#;
        let record = record(&GATEWAY_HTTP, line);
        assert_eq!(record.scheme.as_deref(), Some("tls"));
        assert_eq!(record.host.as_deref(), Some("mcp.example"));
    }

    #[test]
    fn a_portal_names_the_call_and_the_server() {
        let line = r#"{"Datetime":1,"Method":"tools/call","ToolCallName":"search",
            "PromptGetName":"","ServerURL":"https://mcp.example/mcp","UserEmail":"a@b"}"#;
        let found = record(&MCP_PORTAL, line);
        assert_eq!(found.rpc_name.as_deref(), Some("search"));
        assert_eq!((found.method.as_deref(), found.status), (Some("POST"), None));
        let own = br#"{"Datetime":1,"Method":"initialize","ServerURL":""}"#;
        assert_eq!(lines(&MCP_PORTAL, own).1.records, 0);
    }

    #[test]
    fn any_subset_of_fields_is_known() {
        for (line, spec) in [
            (r#"{"Datetime":1,"URL":"https://h/","Email":"a@b"}"#, &GATEWAY_HTTP),
            (r#"{"HTTPHost":"h","HTTPMethod":"GET"}"#, &GATEWAY_HTTP),
            (r#"{"Datetime":1,"SNI":"h"}"#, &GATEWAY_NETWORK),
            (r#"{"Datetime":1,"QueryName":"h"}"#, &GATEWAY_DNS),
            (r#"{"Datetime":1,"ServerURL":"https://h/mcp"}"#, &MCP_PORTAL),
        ] {
            let found = crate::logs::detect(line.as_bytes());
            assert_eq!(found.first().map(|(spec, _)| spec.name), Some(spec.name), "{line}");
        }
    }

    #[test]
    fn their_fixtures_are_read() {
        check(&GATEWAY_HTTP, "cloudflare-gateway-http.json");
        check(&GATEWAY_NETWORK, "cloudflare-gateway-network.json");
        check(&GATEWAY_DNS, "cloudflare-gateway-dns.json");
        check(&MCP_PORTAL, "cloudflare-mcp-portal.json");
    }
}
