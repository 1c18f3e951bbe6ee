//! Addresses, five-tuples and directions: the words that every stage shares.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One end of a flow: an address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// IPv4 or IPv6 address. A v4-mapped IPv6 address stays IPv6.
    pub ip: IpAddr,
    /// TCP or UDP port.
    pub port: u16,
}

impl Endpoint {
    /// The unspecified endpoint, `0.0.0.0:0`: an end that is not known.
    pub const UNKNOWN: Self = Self { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };

    /// An endpoint of an address and a port.
    #[must_use]
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port() }
    }
}

/// `192.0.2.1:80` or `[2001:db8::1]:80` (RFC 5952 section 6).
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who sent a segment: the end that opened the flow (sent the first SYN, or the first packet
/// seen of it), or the other one. Nothing is said about client and server at this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end that opened the flow.
    Originator,
    /// The end that was called.
    Responder,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }

    /// 0 for the originator, 1 for the responder: an index into per-side arrays.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Direction once the application protocol has told who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Client to server: requests.
    ToServer,
    /// Server to client: responses.
    ToClient,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// 0 to the server, 1 to the client: an index into per-direction arrays.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Which VLANs and tunnels a packet came through: the same five-tuple in two scopes is
/// two flows. Zero is "none"; other values have no meaning beyond being equal or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_print_as_uri_authorities() {
        let v4 = Endpoint::new("192.0.2.1".parse().unwrap(), 80);
        let v6 = Endpoint::new("2001:db8::1".parse().unwrap(), 443);
        assert_eq!(v4.to_string(), "192.0.2.1:80");
        assert_eq!(v6.to_string(), "[2001:db8::1]:443");
    }
}
