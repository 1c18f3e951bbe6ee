//! The head of an ICAP request (RFC 3507 section 4.3).

use std::net::IpAddr;

use super::Malformed;

/// What a proxy asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// What the service can do.
    #[default]
    Options,
    /// A request on its way to a server (RFC 3507 section 3.1).
    Reqmod,
    /// A response on its way to a client (section 3.2).
    Respmod,
}

/// The head of an ICAP request, in what is used of it. Text is lossy UTF-8, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Path of the URI, without the slash before it and without a query: the service.
    pub service: Box<str>,
    /// So many bytes of the body are sent before the proxy waits for an answer, at most (section
    /// 4.5).
    pub preview: Option<u64>,
    /// A 204 may be answered behind the preview too (section 4.6).
    pub allows_204: bool,
    /// The connection is not used again.
    pub is_last: bool,
    /// Address of the client (`X-Client-IP`).
    pub client: Option<IpAddr>,
    /// Who is there: `X-Authenticated-User`, else `X-Client-Username`.
    pub user: Option<Box<str>>,
    /// `X-Authenticated-Groups`.
    pub groups: Vec<Box<str>>,
    /// What the answer to the REQMOD of this exchange told the proxy to say again
    /// ([`EXCHANGE`]).
    pub exchange: Option<Box<str>>,
    pub(super) sections: Sections,
}

/// Field that ties the RESPMOD of an exchange to its REQMOD, if the proxy shares it between them
/// (Squid: `adaptation_masterx_shared_names X-Shadowtap-Exchange`).
pub const EXCHANGE: &str = "X-Shadowtap-Exchange";

/// What `Encapsulated` announces (RFC 3507 section 4.4.1): where heads end, in bytes from the
/// first one's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sections {
    pub(super) request: Option<(usize, usize)>,
    pub(super) response: Option<(usize, usize)>,
    /// Bytes of all heads.
    pub(super) len: usize,
    pub(super) has_body: bool,
}

/// Longest name of a user or group and longest mark of an exchange, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// Groups kept of a user.
const MAX_GROUPS: usize = 64;

/// Reads a head, from its first line to the empty line.
pub(super) fn read(bytes: &[u8]) -> Result<Request, Malformed> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let first = lines.next().unwrap_or_default();
    let mut request = request_line(&String::from_utf8_lossy(first))?;
    let mut encapsulated = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line).filter(|at| *at > 0).ok_or(Malformed::HeaderLine)?;
        let (name, value) = line.split_at_checked(colon).ok_or(Malformed::HeaderLine)?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let value = String::from_utf8_lossy(value);
        if name.eq_ignore_ascii_case(b"encapsulated") {
            encapsulated = Some(sections(&value)?);
        } else {
            request.field(name, &value)?;
        }
    }
    request.sections = match encapsulated {
        Some(sections) => sections,
        None if request.method == Method::Options => Sections::default(),
        None => return Err(Malformed::EncapsulatedMissing),
    };
    let Sections { request: head, .. } = request.sections;
    if request.method == Method::Reqmod && head.is_none() {
        return Err(Malformed::Encapsulated);
    }
    Ok(request)
}

/// `REQMOD icap://host/service ICAP/1.0`.
fn request_line(line: &str) -> Result<Request, Malformed> {
    let mut parts = line.split_ascii_whitespace();
    let (Some(method), Some(uri), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed::RequestLine);
    };
    let version = version.strip_prefix("ICAP/").ok_or(Malformed::RequestLine)?;
    if !version.starts_with("1.") {
        return Err(Malformed::Version);
    }
    let method = match method {
        "OPTIONS" => Method::Options,
        "REQMOD" => Method::Reqmod,
        "RESPMOD" => Method::Respmod,
        _ => return Err(Malformed::Method),
    };
    let path = match uri.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => uri.strip_prefix('/').unwrap_or(uri),
    };
    let service = path.split('?').next().unwrap_or_default();
    Ok(Request { method, service: bounded(service), ..Request::default() })
}

impl Request {
    fn field(&mut self, name: &[u8], value: &str) -> Result<(), Malformed> {
        let is = |field: &str| name.eq_ignore_ascii_case(field.as_bytes());
        if is("preview") {
            self.preview = Some(value.parse().map_err(|_| Malformed::Preview)?);
        } else if is("allow") {
            self.allows_204 |= value.split(',').any(|item| item.trim() == "204");
        } else if is("connection") {
            self.is_last |= value.eq_ignore_ascii_case("close");
        } else if is("x-client-ip") {
            self.client = value.parse().ok();
        } else if is("x-authenticated-user") {
            self.user = name_of(value).or_else(|| self.user.take());
        } else if is("x-client-username") {
            self.user = self.user.take().or_else(|| name_of(value));
        } else if is("x-authenticated-groups") {
            self.groups = groups(value);
        } else if is(EXCHANGE) {
            self.exchange = Some(bounded(value));
        }
        Ok(())
    }
}

/// A user as proxies tell of one: plain, or Base64 of `scheme://path` (draft-stecher-icap-subid).
fn name_of(value: &str) -> Option<Box<str>> {
    let text = decoded(value).unwrap_or_else(|| value.to_owned());
    let name = text.split_once("://").map_or(text.as_str(), |(_, name)| name).trim();
    (!name.is_empty() && name != "-").then(|| bounded(name))
}

/// The same of several. A comma inside of a distinguished name does not end one.
fn groups(value: &str) -> Vec<Box<str>> {
    let text = decoded(value).unwrap_or_else(|| value.to_owned());
    let with_schemes = text.contains("://");
    let mut groups: Vec<String> = Vec::new();
    for part in text.split(',') {
        let is_rest = with_schemes && !part.contains("://");
        if let Some(last) = groups.last_mut().filter(|_| is_rest) {
            last.push(',');
            last.push_str(part);
        } else if groups.len() < MAX_GROUPS {
            groups.push(part.to_owned());
        }
    }
    groups.iter().filter_map(|group| name_of(group)).collect()
}

/// What Base64 says, if it is that of `scheme://...`.
fn decoded(value: &str) -> Option<String> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(value.len() / 4 * 3);
    for group in value.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::from(digit(*byte)?);
        }
        bits <<= 6 * (4_usize.saturating_sub(group.len()));
        let [_, decoded @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(decoded.get(..group.len().saturating_sub(1))?);
    }
    let text = String::from_utf8(bytes).ok()?;
    text.contains("://").then_some(text)
}

fn bounded(text: &str) -> Box<str> {
    let mut end = text.len().min(MAX_NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

/// `req-hdr=0, res-hdr=64, res-body=134`: heads first, in this order, the body (or that there is
/// none) last.
fn sections(value: &str) -> Result<Sections, Malformed> {
    let mut sections = Sections::default();
    let mut before: Option<(&str, usize)> = None;
    let mut is_over = false;
    for item in value.split(',') {
        let (name, offset) = item.trim().split_once('=').ok_or(Malformed::Encapsulated)?;
        let offset: usize = offset.trim().parse().map_err(|_| Malformed::Encapsulated)?;
        let ordered = match before {
            None => offset == 0,
            Some((_, start)) => offset >= start && !is_over,
        };
        if !ordered {
            return Err(Malformed::Encapsulated);
        }
        match before {
            Some(("req-hdr", start)) => sections.request = Some((start, offset)),
            Some(("res-hdr", start)) => sections.response = Some((start, offset)),
            _ => {}
        }
        match name {
            "req-hdr" if before.is_none() => {}
            "res-hdr" if sections.response.is_none() => {}
            "req-body" | "res-body" | "opt-body" | "null-body" => {
                is_over = true;
                sections.has_body = name != "null-body";
                sections.len = offset;
            }
            _ => return Err(Malformed::Encapsulated),
        }
        before = Some((name, offset));
    }
    if is_over { Ok(sections) } else { Err(Malformed::Encapsulated) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encapsulated_parts_have_an_order() {
        let read = |text: &str| {
            sections(text).map(|parts| (parts.request, parts.response, parts.len, parts.has_body))
        };
        let bad = Err(Malformed::Encapsulated);
        for (text, expected) in [
            ("null-body=0", Ok((None, None, 0, false))),
            ("req-hdr=0, null-body=64", Ok((Some((0, 64)), None, 64, false))),
            ("req-hdr=0, req-body=84", Ok((Some((0, 84)), None, 84, true))),
            ("req-hdr=0,res-hdr=64,res-body=134", Ok((Some((0, 64)), Some((64, 134)), 134, true))),
            ("res-hdr=0, res-body=9", Ok((None, Some((0, 9)), 9, true))),
            ("res-body=0", Ok((None, None, 0, true))),
            ("req-hdr=0", bad),
            ("req-hdr=1, null-body=64", bad),
            ("req-hdr=0, null-body=64, req-body=70", bad),
            ("req-hdr=0, res-hdr=64, null-body=63", bad),
            ("res-hdr=0, res-hdr=3, null-body=4", bad),
            ("res-hdr=0, req-hdr=3, null-body=4", bad),
            ("head=0, null-body=4", bad),
            ("req-hdr, null-body=4", bad),
            ("", bad),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn request_lines_name_method_and_service() {
        for (line, expected) in [
            ("REQMOD icap://h:1344/reqmod ICAP/1.0", Ok((Method::Reqmod, "reqmod"))),
            ("RESPMOD /respmod?x=1 ICAP/1.1", Ok((Method::Respmod, "respmod"))),
            ("OPTIONS icap://h ICAP/1.0", Ok((Method::Options, ""))),
            ("GET / HTTP/1.1", Err(Malformed::RequestLine)),
            ("REQMOD icap://h/r", Err(Malformed::RequestLine)),
            ("REQMOD icap://h/r ICAP/2.0", Err(Malformed::Version)),
            ("LOGMOD icap://h/r ICAP/1.0", Err(Malformed::Method)),
            ("", Err(Malformed::RequestLine)),
        ] {
            let read = request_line(line);
            let read = read.as_ref().map(|read| (read.method, &*read.service)).map_err(|e| *e);
            assert_eq!(read, expected, "{line}");
        }
    }

    #[test]
    fn users_and_groups_come_plain_or_in_base64() {
        for (value, expected) in [
            ("alice", Some("alice")),
            // WinNT://CORP/alice
            ("V2luTlQ6Ly9DT1JQL2FsaWNl", Some("CORP/alice")),
            // Local://bob
            ("TG9jYWw6Ly9ib2I=", Some("bob")),
            ("LDAP://h/cn=x,dc=y", Some("h/cn=x,dc=y")),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(name_of(value).as_deref(), expected, "{value}");
        }
        let of = |value: &str| groups(value).iter().map(|g| g.to_string()).collect::<Vec<_>>();
        assert_eq!(of("a, b"), ["a", "b"]);
        assert_eq!(of("LDAP://h/cn=x,dc=y,LDAP://h/cn=z"), ["h/cn=x,dc=y", "h/cn=z"]);
        assert_eq!(of(&"g,".repeat(200)).len(), MAX_GROUPS);
        assert_eq!(of(""), Vec::<String>::new());
    }
}
