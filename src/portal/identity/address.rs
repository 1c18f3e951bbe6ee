//! Absolute addresses of the web, and where the portal itself is.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::Uri;

/// An absolute `http` or `https` address without a user and without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether it is `https`.
    pub is_https: bool,
    /// In lower case, IPv6 in brackets.
    pub host: Box<str>,
    /// Where it is not that of the scheme.
    pub port: Option<u16>,
    /// Begins with `/`, or is empty.
    pub path: Box<str>,
    /// Behind `?`.
    pub query: Option<Box<str>>,
}

impl Address {
    /// Reads one; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '\\', '"', '<'])
        {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let is_https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let usual = if is_https { 443 } else { 80 };
        let path = if uri.path() == "/" { "" } else { uri.path() };
        Some(Self {
            is_https,
            host: authority.host().to_ascii_lowercase().into(),
            port: authority.port_u16().filter(|&port| port != usual),
            path: path.into(),
            query: uri.query().map(Into::into),
        })
    }

    /// Scheme, host and port, as browsers write an origin.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        }
    }

    /// In the one form in which addresses are compared (RFC 8707 section 2; MCP authorization,
    /// "Canonical Server URI"): no fragment, no slash at the end.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = self.origin();
        out.push_str(self.path.trim_end_matches('/'));
        if let Some(query) = &self.query {
            out.push('?');
            out.push_str(query);
        }
        out
    }

    /// Whether it is this machine, as an address or by the name that is reserved for it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Whether secrets may go there: by TLS, or not leaving this machine.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.is_https || self.is_loopback()
    }

    /// Whether another address may be followed that something at this one has named: by TLS, and
    /// without TLS only where both are this machine.
    #[must_use]
    pub fn may_name(&self, other: &Self) -> bool {
        other.is_https || self.is_loopback() && other.is_loopback()
    }

    /// Whether another address is this one, or beneath its path, at the same origin.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let own = self.path.trim_end_matches('/');
        let beneath = other.path.strip_prefix(own);
        self.origin() == other.origin()
            && beneath.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Where the portal is for its clients.
#[derive(Clone, Debug)]
pub struct Place {
    address: Address,
    resource: Arc<str>,
    metadata: Arc<str>,
}

/// Where RFC 9728 has the metadata of a protected resource.
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

impl Place {
    /// From the portal's public address, such as `https://mcp.example.org/mcp`.
    ///
    /// # Errors
    /// When it is no such address.
    pub fn new(public: &str) -> Result<Self, String> {
        let address = Address::parse(public).filter(|address| address.query.is_none());
        let address = address.ok_or_else(|| {
            format!("{public:?} is no address like https://mcp.example.org/mcp, without `?` or `#`")
        })?;
        let path = address.path.trim_end_matches('/');
        let metadata = format!("{}{METADATA}{path}", address.origin());
        Ok(Self { resource: address.canonical().into(), metadata: metadata.into(), address })
    }

    /// Its canonical address (RFC 8707): the audience of tokens.
    #[must_use]
    pub const fn resource(&self) -> &Arc<str> {
        &self.resource
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        self.address.origin()
    }

    /// Where clients find the metadata of RFC 9728.
    #[must_use]
    pub const fn metadata_url(&self) -> &Arc<str> {
        &self.metadata
    }

    /// Whether clients reach it by TLS.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.address.is_https
    }

    /// Whether metadata is asked for at this path: the root form, or the form of an endpoint at or
    /// beneath the portal's (RFC 9728 section 3.1).
    pub(super) fn is_metadata(&self, path: &str) -> bool {
        let own = self.address.path.trim_end_matches('/');
        let Some(of) = path.strip_prefix(METADATA) else { return false };
        let beneath = of.strip_prefix(own);
        of.is_empty() || of == "/" || beneath.is_some_and(|x| x.is_empty() || x.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_one_form() {
        for (text, want) in [
            ("HTTPS://A.Example:443/Mcp/", "https://a.example/Mcp"),
            ("http://a.example:8080", "http://a.example:8080"),
            ("http://[::1]:80/x?y=1", "http://[::1]/x?y=1"),
        ] {
            assert_eq!(Address::parse(text).unwrap().canonical(), want);
        }
        for not in [
            "/x",
            "a.example",
            "ftp://a/",
            "https://u@a/",
            "https://a/#b",
            "https://a /",
            "https://",
            "javascript:alert(1)",
            "https://a/\"",
            "https://a\\@b/",
            "https://ä.example/",
        ] {
            assert_eq!(Address::parse(not), None, "{not}");
        }
    }

    #[test]
    fn paths_cover_what_is_beneath_them() {
        let at = |text: &str| Address::parse(text).unwrap();
        let own = at("https://a/mcp");
        for (other, is_covered) in [
            ("https://a/mcp", true),
            ("https://a/mcp/x", true),
            ("https://a/mcpx", false),
            ("https://a/", false),
            ("https://b/mcp", false),
            ("http://a/mcp", false),
        ] {
            assert_eq!(own.covers(&at(other)), is_covered, "{other}");
        }
        assert!(at("https://a").covers(&own));
        assert!(!own.may_name(&at("http://127.0.0.1/")));
        assert!(at("http://localhost:1").may_name(&at("http://127.0.0.1:2/x")));
    }
}
