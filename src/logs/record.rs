//! What one line says, whatever its format.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use super::endpoint::{UrlParts, address, split_port};
use super::meaning::{Meaning, Value};
use super::{Reason, clock};
use crate::time::Timestamp;

/// Text of a line, borrowed from it where it stands there as it is.
pub type Text<'a> = Cow<'a, str>;

/// Header fields, certificate names, groups and DNS addresses kept of a line, each; further ones
/// are left out.
const MAX_ITEMS: usize = 256;

/// What one line says. What it does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// When it happened.
    pub time: Option<Timestamp>,
    /// Client.
    pub client: Option<IpAddr>,
    /// Its port.
    pub client_port: Option<u16>,
    /// Whom the client talked to, if that is not a proxy.
    pub server: Option<IpAddr>,
    /// Its port.
    pub server_port: Option<u16>,
    /// The proxy that the client talked to.
    pub proxy: Option<(IpAddr, Option<u16>)>,
    /// HTTP method.
    pub method: Option<Text<'a>>,
    /// URI scheme.
    pub scheme: Option<Text<'a>>,
    /// Host, without port.
    pub host: Option<Text<'a>>,
    /// Port of the URL.
    pub port: Option<u16>,
    /// Path and query, as sent; or path alone while [`query`](Self::query) has the rest.
    pub target: Option<Text<'a>>,
    /// Query, where the source has it apart; without `?`.
    pub query: Option<Text<'a>>,
    /// HTTP version as the source writes it.
    pub version: Option<Text<'a>>,
    /// Status code; `None` also where there was no answer.
    pub status: Option<u16>,
    /// Request header fields.
    pub request_fields: Vec<(Text<'a>, Text<'a>)>,
    /// Response header fields.
    pub response_fields: Vec<(Text<'a>, Text<'a>)>,
    /// The fields above are all that there were, on both sides.
    pub has_all_fields: bool,
    /// Body of the request.
    pub request_body: Option<Cow<'a, [u8]>>,
    /// The body of the request was cut.
    pub request_cut: bool,
    /// Body of the response.
    pub response_body: Option<Cow<'a, [u8]>>,
    /// The body of the response was cut.
    pub response_cut: bool,
    /// Bodies are free of content coding already, whatever the fields say.
    pub bodies_are_plain: bool,
    /// Both bodies were logged: one that is not there was empty.
    pub has_bodies: bool,
    /// Method of the JSON-RPC message in the request, where the source tells it without the body.
    pub rpc_method: Option<Text<'a>>,
    /// `params.name` of it.
    pub rpc_name: Option<Text<'a>>,
    /// `params.uri` of it.
    pub rpc_uri: Option<Text<'a>>,
    /// Who was at the client.
    pub user: Option<Text<'a>>,
    /// The client's machine.
    pub device: Option<Text<'a>>,
    /// Groups of the user.
    pub groups: Vec<Text<'a>>,
    /// Host of `server_name`.
    pub sni: Option<Text<'a>>,
    /// ALPN protocol chosen.
    pub alpn: Option<Text<'a>>,
    /// TLS version chosen, as the number of RFC 8446: 0x0304 is TLS 1.3.
    pub tls_version: Option<u16>,
    /// JA4 fingerprint of the client.
    pub ja4: Option<Text<'a>>,
    /// DNS names of the server's certificate.
    pub certificate_names: Vec<Text<'a>>,
    /// Name asked of DNS.
    pub dns_name: Option<Text<'a>>,
    /// Type of that question, IANA number.
    pub dns_type: Option<u16>,
    /// Response code of DNS.
    pub dns_code: Option<u16>,
    /// Addresses in an answer of DNS.
    pub dns_addresses: Vec<IpAddr>,
    /// Community id of the flow.
    pub community_id: Option<Text<'a>>,
    /// The request's id.
    pub request_id: Option<Text<'a>>,
    /// The request was not let through.
    pub blocked: bool,
    /// It went over QUIC or another datagram transport.
    pub is_udp: bool,
}

impl<'a> Record<'a> {
    /// Takes the value of a field. `-`, an empty text and zero ports say nothing.
    ///
    /// # Errors
    /// When the value cannot have that meaning (a port that is no number, a time that is none).
    pub fn put(&mut self, meaning: Meaning, value: Value<'a>) -> Result<(), Reason> {
        if meaning == Meaning::Time {
            let time = match &value {
                Value::Int(number) => Some(clock::of_int(*number)),
                Value::Float(number) => Some(of_seconds(*number)),
                Value::Text(text) if is_absent(text) => return Ok(()),
                Value::Text(text) => clock::timestamp(text),
                Value::Bool(_) => None,
            };
            self.time = Some(time.ok_or(Reason::of("the time is in no known form"))?);
            return Ok(());
        }
        match value {
            Value::Text(text) if is_absent(&text) => Ok(()),
            Value::Text(text) => self.put_text(meaning, text),
            Value::Int(number) => self.put_int(meaning, number),
            Value::Float(number) => self.put_text(meaning, number.to_string().into()),
            Value::Bool(value) => {
                if meaning == Meaning::Action {
                    self.blocked |= value;
                }
                Ok(())
            }
        }
    }

    /// Ports and statuses, which most lines have, need no text in between.
    fn put_int(&mut self, meaning: Meaning, number: i64) -> Result<(), Reason> {
        let small = u16::try_from(number).ok();
        let port = || small.ok_or(NO_PORT).map(|port| Some(port).filter(|port| *port > 0));
        match (meaning, small) {
            (Meaning::ClientPort, _) => self.client_port = port()?,
            (Meaning::ServerPort, _) => self.server_port = port()?,
            (Meaning::Port, _) => self.port = port()?,
            (Meaning::Status, Some(status)) => {
                self.status = Some(status).filter(|status| (100..1000).contains(status));
            }
            _ => return self.put_text(meaning, number.to_string().into()),
        }
        Ok(())
    }

    /// A request header field.
    pub fn request_field(&mut self, name: impl Into<Text<'a>>, value: impl Into<Text<'a>>) {
        if self.request_fields.len() < MAX_ITEMS {
            self.request_fields.push((name.into(), value.into()));
        }
    }

    /// A response header field.
    pub fn response_field(&mut self, name: impl Into<Text<'a>>, value: impl Into<Text<'a>>) {
        if self.response_fields.len() < MAX_ITEMS {
            self.response_fields.push((name.into(), value.into()));
        }
    }

    fn put_text(&mut self, meaning: Meaning, text: Text<'a>) -> Result<(), Reason> {
        match meaning {
            Meaning::Time | Meaning::Unused => {}
            Meaning::Date | Meaning::TimeOfDay => return self.half_of_time(meaning, &text),
            Meaning::Client => {
                let Some((ip, port)) = address(&text) else { return Ok(()) };
                self.client = Some(ip);
                self.client_port = port.or(self.client_port);
            }
            Meaning::Server => {
                let Some((ip, port)) = address(&text) else { return Ok(()) };
                self.server = Some(ip);
                self.server_port = port.or(self.server_port);
            }
            Meaning::Proxy => self.proxy = address(&text).or(self.proxy),
            Meaning::ClientPort => self.client_port = port(&text)?,
            Meaning::ServerPort => self.server_port = port(&text)?,
            Meaning::Port => self.port = port(&text)?,
            Meaning::Method => self.method = Some(text),
            Meaning::Url => self.url(text),
            Meaning::Scheme => self.scheme = Some(text),
            Meaning::Host => self.authority(text),
            Meaning::Target | Meaning::Path => self.target = Some(text),
            Meaning::Query => self.query = Some(without_mark(text)),
            Meaning::RequestLine => self.request_line(text),
            Meaning::Version => self.version = Some(text),
            Meaning::Status => {
                let status = text.parse().map_err(|_| Reason::of("the status is no number"))?;
                self.status = Some(status).filter(|status| (100..1000).contains(status));
            }
            Meaning::UserAgent => self.request_field("user-agent", text),
            Meaning::Referer => self.request_field("referer", text),
            Meaning::OriginHeader => self.request_field("origin", text),
            Meaning::Accept => self.request_field("accept", text),
            Meaning::RequestType => self.request_field("content-type", text),
            Meaning::McpSession => self.request_field("mcp-session-id", text),
            Meaning::McpVersion => self.request_field("mcp-protocol-version", text),
            Meaning::McpMethod => self.request_field("mcp-method", text),
            Meaning::McpName => self.request_field("mcp-name", text),
            Meaning::ResponseType => self.response_field("content-type", text),
            Meaning::ResponseMcpSession => self.response_field("mcp-session-id", text),
            Meaning::WwwAuthenticate => self.response_field("www-authenticate", text),
            Meaning::Location => self.response_field("location", text),
            Meaning::RequestBody => self.request_body = Some(into_bytes(text)),
            Meaning::ResponseBody => self.response_body = Some(into_bytes(text)),
            Meaning::RequestBytes | Meaning::ResponseBytes => {}
            Meaning::RpcMethod => self.rpc_method = Some(text),
            Meaning::RpcName => self.rpc_name = Some(text),
            Meaning::RpcUri => self.rpc_uri = Some(text),
            Meaning::User => self.user = Some(text),
            Meaning::Device => self.device = Some(text),
            Meaning::Group => push(&mut self.groups, text),
            Meaning::Sni => self.sni = Some(text),
            Meaning::Alpn => self.alpn = Some(text),
            Meaning::TlsVersion => self.tls_version = tls_version(&text),
            Meaning::Ja4 => self.ja4 = Some(text),
            Meaning::CertificateName => push(&mut self.certificate_names, text),
            Meaning::DnsName => self.dns_name = Some(text),
            Meaning::DnsType => self.dns_type = dns_type(&text),
            Meaning::DnsCode => self.dns_code = dns_code(&text),
            Meaning::DnsAddress => {
                if let Some((ip, _)) = address(&text) {
                    push(&mut self.dns_addresses, ip);
                }
            }
            Meaning::CommunityId => self.community_id = Some(text),
            Meaning::RequestId => self.request_id = Some(text),
            Meaning::Action => self.blocked |= is_refusal(&text),
            Meaning::Transport => {
                self.is_udp |= ["udp", "quic"].iter().any(|udp| text.eq_ignore_ascii_case(udp));
            }
        }
        Ok(())
    }

    /// Date and time of day come one after the other, in whichever order.
    fn half_of_time(&mut self, meaning: Meaning, text: &str) -> Result<(), Reason> {
        let unknown = Reason::of("the date or the time of day is in no known form");
        let half = match meaning {
            Meaning::Date => clock::timestamp(text),
            _ => clock::timestamp(&format!("1970-01-01T{text}")),
        };
        let sum = self.time.unwrap_or(Timestamp::EPOCH).as_nanos();
        let half = half.and_then(|half| sum.checked_add(half.as_nanos())).ok_or(unknown)?;
        self.time = Some(Timestamp::from_nanos(half));
        Ok(())
    }

    fn url(&mut self, text: Text<'a>) {
        match text {
            Cow::Borrowed(text) => {
                let UrlParts { scheme, authority, target } = UrlParts::of(text);
                self.scheme = scheme.map(Cow::Borrowed).or_else(|| self.scheme.take());
                self.authority(Cow::Borrowed(authority));
                self.target = (!target.is_empty()).then_some(Cow::Borrowed(target));
            }
            Cow::Owned(text) => {
                let UrlParts { scheme, authority, target } = UrlParts::of(&text);
                self.scheme =
                    scheme.map(|s| Cow::Owned(s.to_owned())).or_else(|| self.scheme.take());
                self.authority(Cow::Owned(authority.to_owned()));
                self.target = (!target.is_empty()).then(|| Cow::Owned(target.to_owned()));
            }
        }
    }

    fn authority(&mut self, text: Text<'a>) {
        if text.is_empty() {
            return;
        }
        let (host, port) = match text {
            Cow::Borrowed(text) => {
                let (host, port) = split_port(text);
                (Cow::Borrowed(host), port)
            }
            Cow::Owned(text) => {
                let (host, port) = split_port(&text);
                (Cow::Owned(host.to_owned()), port)
            }
        };
        self.host = Some(host);
        self.port = port.or(self.port);
    }

    fn request_line(&mut self, text: Text<'a>) {
        let parts = match text {
            Cow::Borrowed(text) => split_request_line(text).map(|part| part.map(Cow::Borrowed)),
            Cow::Owned(text) => {
                split_request_line(&text).map(|part| part.map(|part| Cow::Owned(part.to_owned())))
            }
        };
        let [method, target, version] = parts;
        (self.method, self.version) = (method, version.or_else(|| self.version.take()));
        match target {
            Some(target) if target.starts_with('/') || target == "*" => self.target = Some(target),
            Some(target) => self.url(target),
            None => {}
        }
    }
}

fn split_request_line(text: &str) -> [Option<&str>; 3] {
    let mut parts = text.splitn(2, ' ');
    let method = parts.next().filter(|method| !method.is_empty());
    let rest = parts.next();
    match rest.and_then(|rest| rest.rsplit_once(' ')) {
        Some((target, version)) if version.starts_with("HTTP/") => {
            [method, Some(target), Some(version)]
        }
        _ => [method, rest, None],
    }
}

fn is_absent(text: &str) -> bool {
    matches!(text, "" | "-" | "\"-\"" | "(empty)")
}

fn without_mark(text: Text<'_>) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix('?').unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix('?').map(str::to_owned).unwrap_or(text)),
    }
}

fn into_bytes(text: Text<'_>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_ITEMS {
        list.push(item);
    }
}

const NO_PORT: Reason = Reason::of("a port is no number of 16 bits");

fn port(text: &str) -> Result<Option<u16>, Reason> {
    let port: u16 = text.parse().map_err(|_| NO_PORT)?;
    Ok(Some(port).filter(|port| *port > 0))
}

/// Seconds with a fraction; larger units by size, as whole numbers are told apart.
fn of_seconds(value: f64) -> Timestamp {
    if value.abs() >= 1e11 {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, which is what is wanted")]
        return clock::of_int(value as i64);
    }
    let span = Duration::try_from_secs_f64(value.max(0.0)).unwrap_or_default();
    Timestamp::EPOCH.plus(span)
}

/// `TLSv1.3`, `TLSv13`, `TLS 1.2`, `TLS1_2`, `1.3`.
fn tls_version(text: &str) -> Option<u16> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    Some(match digits.as_str() {
        "13" => 0x0304,
        "12" => 0x0303,
        "11" => 0x0302,
        "1" | "10" => 0x0301,
        "3" | "30" => 0x0300,
        _ => return None,
    })
}

/// IANA numbers of the types that name addresses or services.
fn dns_type(text: &str) -> Option<u16> {
    const TYPES: [(&str, u16); 12] = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("SVCB", 64),
        ("HTTPS", 65),
        ("ANY", 255),
    ];
    let known = TYPES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known.map(|(_, number)| *number).or_else(|| text.parse().ok())
}

fn dns_code(text: &str) -> Option<u16> {
    const CODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    let known = (0_u16..).zip(CODES).find(|(_, name)| text.eq_ignore_ascii_case(name));
    known.map(|(number, _)| number).or_else(|| text.parse().ok())
}

/// Words by which proxies say that they did not let a request through.
fn is_refusal(text: &str) -> bool {
    const WORDS: [&str; 9] =
        ["block", "deny", "denied", "drop", "reset", "quarantine", "reject", "refuse", "prohibit"];
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(Meaning, &'static str)]) -> Record<'static> {
        let mut record = Record::default();
        for (meaning, text) in pairs {
            record.put(*meaning, Value::text(text)).unwrap();
        }
        record
    }

    #[test]
    fn urls_and_request_lines_fall_into_their_parts() {
        let expected = Record {
            scheme: Some("https".into()),
            host: Some("mcp.example".into()),
            port: Some(8443),
            target: Some("/mcp?a=1".into()),
            ..Record::default()
        };
        assert_eq!(of(&[(Meaning::Url, "https://mcp.example:8443/mcp?a=1")]), expected);
        let line = of(&[(Meaning::RequestLine, "POST https://mcp.example:8443/mcp?a=1 HTTP/1.1")]);
        let method = Some("POST".into());
        assert_eq!(line, Record { method, version: Some("HTTP/1.1".into()), ..expected });
        let tunnel = of(&[(Meaning::RequestLine, "CONNECT mcp.example:443 HTTP/1.1")]);
        assert_eq!((tunnel.host.as_deref(), tunnel.port), (Some("mcp.example"), Some(443)));
        assert_eq!(tunnel.target, None);
    }

    #[test]
    fn a_target_with_blanks_stays_whole() {
        let record = of(&[(Meaning::RequestLine, "GET /a b c HTTP/1.0")]);
        assert_eq!(record.target.as_deref(), Some("/a b c"));
        assert_eq!(record.version.as_deref(), Some("HTTP/1.0"));
    }

    #[test]
    fn what_says_nothing_leaves_nothing() {
        for text in ["-", "", "(empty)"] {
            for meaning in [Meaning::Time, Meaning::User, Meaning::ClientPort, Meaning::Status] {
                assert_eq!(of(&[(meaning, text)]), Record::default(), "{meaning:?} {text:?}");
            }
        }
        assert_eq!(of(&[(Meaning::ServerPort, "0")]), Record::default());
        assert_eq!(of(&[(Meaning::Status, "0")]), Record::default());
    }

    #[test]
    fn what_cannot_be_is_a_reason() {
        let mut record = Record::default();
        for (meaning, text) in [
            (Meaning::ClientPort, "70000"),
            (Meaning::Status, "OK"),
            (Meaning::Time, "noon"),
            (Meaning::Date, "noon"),
        ] {
            assert!(record.put(meaning, Value::text(text)).is_err(), "{meaning:?}");
        }
    }

    #[test]
    fn dates_and_times_of_day_add_up_in_either_order() {
        let expected = Some(Timestamp::from_parts(1_795_334_400, 0));
        let (date, time) = ((Meaning::Date, "2026-11-22"), (Meaning::TimeOfDay, "08:00:00"));
        assert_eq!(of(&[date, time]).time, expected);
        assert_eq!(of(&[time, date]).time, expected);
    }

    #[test]
    fn numbers_are_told_by_their_units() {
        for value in [Value::Int(1_795_334_400), Value::Float(1_795_334_400.0)] {
            let mut record = Record::default();
            record.put(Meaning::Time, value).unwrap();
            assert_eq!(record.time, Some(Timestamp::from_parts(1_795_334_400, 0)));
        }
    }

    #[test]
    fn numbers_mean_what_their_texts_mean() {
        for meaning in [Meaning::ClientPort, Meaning::Port, Meaning::Status, Meaning::User] {
            for number in [-1, 0, 80, 200, 999, 1000, 65_535, 65_536, i64::MAX] {
                let [mut of_int, mut of_text] = [Record::default(), Record::default()];
                let read = of_int.put(meaning, Value::Int(number));
                assert_eq!(read, of_text.put(meaning, Value::Text(number.to_string().into())));
                assert_eq!(of_int, of_text, "{meaning:?} {number}");
            }
        }
    }

    #[test]
    fn refusals_have_many_words() {
        for (text, blocked) in [
            ("TCP_DENIED/403", true),
            ("blocked", true),
            ("Drop", true),
            ("allow", false),
            ("TCP_MISS", false),
            ("reset-both", true),
        ] {
            assert_eq!(of(&[(Meaning::Action, text)]).blocked, blocked, "{text}");
        }
    }
}
