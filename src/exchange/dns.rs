//! What DNS answers say: names for the addresses of later flows.

use std::net::IpAddr;

/// A DNS message (RFC 1035 section 4), in what tells something. Names are lower case, without the
/// final dot, lossy UTF-8, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsMessage {
    /// It is a response.
    pub response: bool,
    /// Response code (RFC 6895); 0 in queries.
    pub code: u16,
    /// Name and type (IANA number) of each question.
    pub questions: Vec<(String, u16)>,
    /// Addresses in the answers: of A and AAAA records, and the hints of SVCB and HTTPS records
    /// (RFC 9460 section 7.3), each with the name that was *asked* for, CNAME chains followed.
    pub addresses: Vec<DnsAddress>,
    /// Some SVCB or HTTPS record carries ECH keys (RFC 9848).
    pub ech: bool,
}

/// An address that a name has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAddress {
    /// The name asked for.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Time to live in seconds, the smallest of the chain.
    pub ttl: u32,
}
