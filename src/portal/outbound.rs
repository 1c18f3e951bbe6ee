//! Connections of the portal to others, guarded: a name is resolved once, what it resolves to is
//! checked, and the connection goes to that very address (MCP 2026-07-28, Security Best Practices,
//! "Server-Side Request Forgery").
//!
//! [`Dialer`] connects, [`Guarded`] fetches documents and posts forms with it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::principal::Secret;
use crate::inspect::address::{Reach, reach};
use crate::sinks::connector::client_config;

/// What the portal says of itself.
pub const AGENT: &str = concat!("shadowtap-portal/", env!("CARGO_PKG_VERSION"));

/// Why nothing was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Not an address that is asked at all; with the reason.
    Forbidden(Box<str>),
    /// Name, connection or TLS failed: nothing was sent.
    Unreachable(Box<str>),
    /// The connection broke behind the request.
    Broken(Box<str>),
    /// It took longer than this.
    TimedOut(Duration),
    /// More than this many bytes.
    TooLarge(usize),
    /// No HTTP, or not what was asked for.
    Garbled(Box<str>),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(why) => write!(f, "not asked: {why}"),
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::Broken(why) => write!(f, "broke off: {why}"),
            Self::TimedOut(after) => write!(f, "no answer within {} s", after.as_secs_f32()),
            Self::TooLarge(bytes) => write!(f, "its answer is larger than {bytes} bytes"),
            Self::Garbled(why) => write!(f, "its answer is none: {why}"),
        }
    }
}

/// Which addresses may be connected to. Metadata services, multicast and unspecified addresses may
/// never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaching {
    /// The machine itself, with or without TLS.
    pub loopback: bool,
    /// Private, link-local and reserved addresses.
    pub private: bool,
    /// Those without TLS too. Public addresses are never spoken to without.
    pub private_clear: bool,
}

impl Reaching {
    /// Everything that is not refused in any case.
    pub const INSIDE: Self = Self { loopback: true, private: true, private_clear: true };

    /// # Errors
    /// Why not.
    fn allows(self, ip: IpAddr, is_tls: bool) -> Result<(), &'static str> {
        let (is_allowed, why) = match reach(ip) {
            Reach::Public => (is_tls, "a public address without TLS"),
            Reach::Loopback => (self.loopback, "a loopback address"),
            Reach::Private | Reach::LinkLocal | Reach::Reserved if self.private => {
                (is_tls || self.private_clear, "a private address without TLS")
            }
            Reach::Private => (false, "a private address"),
            Reach::LinkLocal => (false, "a link-local address"),
            Reach::Reserved => (false, "a reserved address"),
            Reach::Metadata => (false, "a cloud's metadata service"),
            Reach::Unspecified => (false, "the unspecified address"),
            Reach::Multicast => (false, "a multicast address"),
        };
        if is_allowed { Ok(()) } else { Err(why) }
    }
}

/// An `http` or `https` URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// With TLS.
    pub is_tls: bool,
    /// In lower case; IPv6 addresses without brackets.
    pub host: Box<str>,
    /// Port, the scheme's where none is given.
    pub port: u16,
    /// For `Host` and `:authority`: with the port unless it is the scheme's.
    pub authority: Box<str>,
    /// Path and query; at least `/`.
    pub path: Box<str>,
}

impl Target {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("no URL: {error}"))?;
        Self::of(&uri)
    }

    fn of(uri: &Uri) -> Result<Self, String> {
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("a URL must begin with https:// or http://".to_owned()),
        };
        let given = uri.authority().ok_or("a URL must have a host")?;
        if given.as_str().contains('@') {
            return Err("a URL must not hold a user or password".to_owned());
        }
        let name = given.host().to_ascii_lowercase();
        if name.is_empty() {
            return Err("a URL must have a host".to_owned());
        }
        let usual = if is_tls { 443 } else { 80 };
        let port = given.port_u16().unwrap_or(usual);
        let authority = if port == usual { name.clone() } else { format!("{name}:{port}") };
        let host = name.trim_start_matches('[').trim_end_matches(']');
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, host: host.into(), port, authority: authority.into(), path: path.into() })
    }

    /// Another reference, seen from this one (RFC 3986 section 5): absolute URLs and paths.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn join(&self, reference: &str) -> Result<Self, String> {
        let scheme = if self.is_tls { "https" } else { "http" };
        if reference.contains("://") {
            return Self::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let own = self.path.split('?').next().unwrap_or("/");
        let path = if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            format!("{own}{reference}")
        } else {
            let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{reference}")
        };
        Self::parse(&format!("{scheme}://{}{path}", self.authority))
    }

    /// Same scheme, host and port (RFC 6454 section 5).
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.is_tls == other.is_tls && self.host == other.host && self.port == other.port
    }
}

/// A connection that takes requests.
#[derive(Debug)]
pub enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Full<Bytes>>),
    /// Many at once; clones share it.
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Connects, with the checks. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    tls: TlsConnector,
    reaching: Reaching,
    /// For the name, the connection, TLS and the HTTP handshake together.
    within: Duration,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("reaching", &self.reaching).finish_non_exhaustive()
    }
}

impl Dialer {
    /// Trusts the system's roots and those of a PEM file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(
        ca_file: Option<&Path>,
        reaching: Reaching,
        within: Duration,
    ) -> Result<Self, String> {
        let mut tls = client_config(ca_file)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(tls)), reaching, within })
    }

    /// Connects to what a target's name stands for now.
    ///
    /// # Errors
    /// `Forbidden`, `Unreachable` or `TimedOut`.
    pub async fn dial(&self, target: &Target) -> Result<Connection, Trouble> {
        let dialled = timeout(self.within, self.connect(target)).await;
        dialled.unwrap_or(Err(Trouble::TimedOut(self.within)))
    }

    async fn connect(&self, target: &Target) -> Result<Connection, Trouble> {
        let stream = self.stream(target).await?;
        if !target.is_tls {
            return handshake1(stream).await;
        }
        let name = ServerName::try_from(target.host.to_string())
            .map_err(|error| Trouble::Unreachable(error.to_string().into()))?;
        let stream = self.tls.connect(name, stream).await;
        let stream = stream.map_err(|error| Trouble::Unreachable(error.to_string().into()))?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            return handshake2(stream).await;
        }
        handshake1(stream).await
    }

    /// Resolves once, and connects to the first address that may be and can be.
    async fn stream(&self, target: &Target) -> Result<TcpStream, Trouble> {
        let found = tokio::net::lookup_host((&*target.host, target.port)).await;
        let found = found
            .map_err(|error| Trouble::Unreachable(format!("{}: {error}", target.host).into()))?;
        let mut trouble = Trouble::Unreachable(format!("{} has no address", target.host).into());
        for address in found {
            if let Err(why) = self.reaching.allows(address.ip(), target.is_tls) {
                trouble = Trouble::Forbidden(format!("{} is {why}", target.host).into());
                continue;
            }
            match open(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    trouble = Trouble::Unreachable(format!("{}: {error}", target.host).into());
                }
            }
        }
        Err(trouble)
    }
}

async fn open(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake1<T>(stream: T) -> Result<Connection, Trouble>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http1::Builder::new().handshake(TokioIo::new(stream)).await;
    let (sender, connection) =
        made.map_err(|error| Trouble::Unreachable(error.to_string().into()))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Http1(sender))
}

async fn handshake2<T>(stream: T) -> Result<Connection, Trouble>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) =
        made.map_err(|error| Trouble::Unreachable(error.to_string().into()))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Http2(sender))
}

/// A body as a whole; of one that came in one piece, the piece itself.
///
/// # Errors
/// `TooLarge`, or `Broken` where it ended before its length.
pub async fn collect(body: &mut Incoming, max_bytes: usize) -> Result<Bytes, Trouble> {
    if body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(Trouble::TooLarge(max_bytes));
    }
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Trouble::Broken(said(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max_bytes.saturating_sub(first.len().max(more.len())) {
            return Err(Trouble::TooLarge(max_bytes));
        }
        if first.is_empty() && more.is_empty() {
            first = data;
            continue;
        }
        if more.is_empty() {
            more.extend_from_slice(&std::mem::take(&mut first));
        }
        more.extend_from_slice(&data);
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// An error of hyper with its causes.
pub(super) fn said(error: &hyper::Error) -> Box<str> {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text.into()
}

/// Bounds of one [`Guarded`]; a request holds at most `max_body_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest answer that is read.
    pub max_body_bytes: usize,
    /// Redirects that are followed, each with the same checks. Forms are never redirected.
    pub max_redirects: u8,
    /// For a connection.
    pub connect: Duration,
    /// For a request with all its redirects.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 256 << 10,
            max_redirects: 3,
            connect: Duration::from_secs(5),
            total: Duration::from_secs(10),
        }
    }
}

/// What was got, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
}

impl Reply {
    /// The body as something that JSON says; only of a 2xx.
    ///
    /// # Errors
    /// `Garbled`, with the status or what is wrong with the JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Trouble> {
        if !(200..300).contains(&self.status) {
            return Err(Trouble::Garbled(format!("status {}", self.status).into()));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Trouble::Garbled(error.to_string().into()))
    }

    /// `max-age` of `Cache-Control` (RFC 9111 section 5.2.2.1); zero for `no-store`/`no-cache`.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        let text = self.headers.get(CACHE_CONTROL)?.to_str().ok()?.to_ascii_lowercase();
        if text.contains("no-store") || text.contains("no-cache") {
            return Some(Duration::ZERO);
        }
        let after = text.split("max-age=").nth(1)?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().map(Duration::from_secs)
    }
}

/// Fetches documents (JWKS, OAuth metadata) and posts forms (token endpoints): TLS only, except to
/// loopback addresses where those are allowed. A connection for each request.
#[derive(Clone, Debug)]
pub struct Guarded {
    dialer: Dialer,
    reaching: Reaching,
    limits: Limits,
}

impl Guarded {
    /// `reaching.private_clear` is not heeded here.
    ///
    /// # Errors
    /// What is wrong with the file of certificates.
    pub fn new(ca_file: Option<&Path>, reaching: Reaching, limits: Limits) -> Result<Self, String> {
        let reaching = Reaching { private_clear: false, ..reaching };
        Ok(Self { dialer: Dialer::new(ca_file, reaching, limits.connect)?, reaching, limits })
    }

    /// Checks what can be checked of a URL without asking anybody.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn check(&self, url: &str) -> Result<Target, Trouble> {
        let target = Target::parse(url).map_err(|why| Trouble::Forbidden(why.into()))?;
        if !target.is_tls && !self.reaching.loopback {
            return Err(Trouble::Forbidden("only https:// is asked".into()));
        }
        Ok(target)
    }

    /// A document of JSON; redirects are followed, each checked as the first address was.
    ///
    /// # Errors
    /// See [`Trouble`]. An answer of any status is none.
    pub async fn get_json(
        &self,
        url: &str,
        headers: &[(HeaderName, Secret)],
    ) -> Result<Reply, Trouble> {
        let mut fields = HeaderMap::new();
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        add(&mut fields, headers)?;
        let all = self.follow(url, fields);
        timeout(self.limits.total, all).await.unwrap_or(Err(Trouble::TimedOut(self.limits.total)))
    }

    /// Posts a form (`application/x-www-form-urlencoded`); a redirect is returned, not followed.
    ///
    /// # Errors
    /// See [`Trouble`]. An answer of any status is none.
    pub async fn post_form(
        &self,
        url: &str,
        form: &[(&str, &str)],
        headers: &[(HeaderName, Secret)],
    ) -> Result<Reply, Trouble> {
        let form = encoded(form);
        self.post(url, "application/x-www-form-urlencoded", form.into(), headers).await
    }

    /// Posts a JSON text; a redirect is returned, not followed.
    ///
    /// # Errors
    /// See [`Trouble`]. An answer of any status is none.
    pub async fn post_json(
        &self,
        url: &str,
        json: String,
        headers: &[(HeaderName, Secret)],
    ) -> Result<Reply, Trouble> {
        self.post(url, "application/json", json.into(), headers).await
    }

    async fn post(
        &self,
        url: &str,
        kind: &'static str,
        body: Bytes,
        headers: &[(HeaderName, Secret)],
    ) -> Result<Reply, Trouble> {
        let mut fields = HeaderMap::new();
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        add(&mut fields, headers)?;
        let target = self.check(url)?;
        let all = self.once(&target, Method::POST, fields, body);
        timeout(self.limits.total, all).await.unwrap_or(Err(Trouble::TimedOut(self.limits.total)))
    }

    async fn follow(&self, url: &str, mut headers: HeaderMap) -> Result<Reply, Trouble> {
        let mut target = self.check(url)?;
        let mut left = self.limits.max_redirects;
        loop {
            let reply = self.once(&target, Method::GET, headers.clone(), Bytes::new()).await?;
            let to = reply.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            let (true, Some(to)) = (matches!(reply.status, 301 | 302 | 303 | 307 | 308), to) else {
                return Ok(reply);
            };
            left = left
                .checked_sub(1)
                .ok_or_else(|| Trouble::Forbidden("redirected too often".into()))?;
            let next = target.join(to).map_err(|why| Trouble::Forbidden(why.into()))?;
            if !next.is_tls && (target.is_tls || !self.reaching.loopback) {
                return Err(Trouble::Forbidden("redirected away from https://".into()));
            }
            if !next.is_same_origin(&target) {
                // What proves who asks is not for others.
                let accept = headers.remove(ACCEPT);
                headers.clear();
                headers.extend(accept.map(|accept| (ACCEPT, accept)));
            }
            target = next;
        }
    }

    async fn once(
        &self,
        target: &Target,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Reply, Trouble> {
        let connection = self.dialer.dial(target).await?;
        let is_http2 = matches!(connection, Connection::Http2(_));
        let request = request(target, method, headers, body, is_http2)?;
        let answer = match connection {
            Connection::Http1(mut sender) => sender.send_request(request).await,
            Connection::Http2(mut sender) => sender.send_request(request).await,
        };
        let answer = answer.map_err(|error| Trouble::Broken(said(&error)))?;
        let (parts, mut body) = answer.into_parts();
        let body = collect(&mut body, self.limits.max_body_bytes).await?;
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// A request as its version of HTTP wants it: the host is in a field, or in the URI.
pub(super) fn request(
    target: &Target,
    method: Method,
    mut headers: HeaderMap,
    body: Bytes,
    is_http2: bool,
) -> Result<Request<Full<Bytes>>, Trouble> {
    let wrong = |what: &dyn fmt::Display| Trouble::Forbidden(format!("no URL: {what}").into());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = if is_http2 {
        headers.remove(HOST);
        let scheme = if target.is_tls { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(&*target.authority);
        uri.path_and_query(&*target.path).build().map_err(|error| wrong(&error))?
    } else {
        let host = HeaderValue::from_str(&target.authority).map_err(|error| wrong(&error))?;
        headers.insert(HOST, host);
        target.path.parse().map_err(|error| wrong(&error))?
    };
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    *request.headers_mut() = headers;
    if is_http2 {
        *request.version_mut() = Version::HTTP_2;
    }
    Ok(request)
}

/// Adds secrets, marked so that no table of a connection keeps them (RFC 7541 section 7.1.3).
pub(super) fn add(fields: &mut HeaderMap, headers: &[(HeaderName, Secret)]) -> Result<(), Trouble> {
    for (name, secret) in headers {
        let mut value = HeaderValue::from_str(secret.expose())
            .map_err(|_| Trouble::Forbidden(format!("{name} cannot be a field").into()))?;
        value.set_sensitive(true);
        fields.insert(name.clone(), value);
    }
    Ok(())
}

/// `application/x-www-form-urlencoded` (WHATWG URL section 5.2).
#[must_use]
pub fn encoded(form: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in form {
        if !out.is_empty() {
            out.push('&');
        }
        push_encoded(&mut out, name);
        out.push('=');
        push_encoded(&mut out, value);
    }
    out
}

fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
