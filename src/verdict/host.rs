//! What the approvals say of a host of which only the name was seen: whether a hint of it is of
//! any interest.

use std::net::IpAddr;

use super::Verdict;
use super::approvals::{Approval, Approvals};
use super::pattern::normal_host;
use crate::exchange::Scheme;
use crate::time::Timestamp;

/// One client's use of one host, as far as names tell.
#[derive(Clone, Copy, Debug)]
pub struct HostUse<'a> {
    /// Host name or address literal.
    pub host: &'a str,
    /// Scheme and port; `None` for a look-up in DNS, which names neither.
    pub origin: Option<(Scheme, u16)>,
    /// Address that answered, if one did.
    pub server: Option<IpAddr>,
    /// Address of the client.
    pub client: IpAddr,
    /// When, by the capture's clock.
    pub at: Timestamp,
}

impl Approvals {
    /// Whether some approval names a host, whoever may use it and until when. Costs a look-up per
    /// label.
    #[must_use]
    pub fn names_host(&self, host: &str, origin: Option<(Scheme, u16)>) -> bool {
        let host = normal_host(host);
        self.covering_host(&host).any(|approval| of_origin(approval, origin))
    }

    /// An approval under which the client may use some path of the host now. Paths cannot be
    /// seen, so any will do; one that has expired, or is not for this client or not around the
    /// portal, will not.
    #[must_use]
    pub fn allow_host(&self, usage: HostUse<'_>) -> Option<&Approval> {
        let HostUse { host, origin, server, client, at } = usage;
        let host = normal_host(host);
        self.covering_host(&host).find(|approval| {
            of_origin(approval, origin)
                && server.is_none_or(|server| self.at_its_address(approval, server))
                && self.under(approval, client, [], at).0 == Verdict::Approved
        })
    }
}

fn of_origin(approval: &Approval, origin: Option<(Scheme, u16)>) -> bool {
    let pattern = &approval.pattern;
    origin.is_none_or(|(scheme, port)| pattern.scheme == scheme && pattern.port == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "schema: shadowtap/approvals@1
portals: [10.0.0.9]
servers:
  - {name: a, key: https://mcp.a.test/mcp, owner: o, expires: 2030-01-01, clients: [10.0.0.0/24]}
  - {name: b, key: \"https://*.b.test:8443\", owner: o, expires: 2030-01-01}
  - {name: c, key: https://c.test, owner: o, expires: 2020-01-01}
  - {name: d, key: https://d.test, owner: o, expires: 2030-01-01, via: portal}
  - {name: e, key: https://e.test, owner: o, expires: 2030-01-01, addresses: [192.0.2.1]}
";

    fn allowed(host: &str, port: Option<u16>, client: &str) -> Option<String> {
        let approvals = Approvals::parse(FILE, "approvals").unwrap_or_else(|p| panic!("{p:?}"));
        let origin = port.map(|port| (Scheme::Https, port));
        let at = Timestamp::from_parts(1_794_816_000, 0);
        let server = port.map(|_| "192.0.2.7".parse().unwrap());
        let usage = HostUse { host, origin, server, client: client.parse().unwrap(), at };
        approvals.allow_host(usage).map(|approval| approval.name.clone())
    }

    #[test]
    fn an_approval_has_to_hold_for_host_port_client_and_time() {
        for (host, port, client, want) in [
            ("mcp.a.test", Some(443), "10.0.0.1", Some("a")),
            ("MCP.a.test.", Some(443), "10.0.0.1", Some("a")),
            ("mcp.a.test", None, "10.0.0.1", Some("a")),
            ("mcp.a.test", Some(8443), "10.0.0.1", None),
            ("mcp.a.test", Some(443), "10.0.1.1", None),
            ("x.b.test", Some(8443), "10.0.1.1", Some("b")),
            ("x.y.b.test", Some(8443), "10.0.1.1", None),
            ("b.test", None, "10.0.1.1", None),
            ("c.test", Some(443), "10.0.1.1", None),
            ("d.test", Some(443), "10.0.1.1", None),
            ("d.test", Some(443), "10.0.0.9", Some("d")),
            ("e.test", Some(443), "10.0.1.1", None),
            ("e.test", None, "10.0.1.1", Some("e")),
        ] {
            assert_eq!(allowed(host, port, client).as_deref(), want, "{host} {port:?} {client}");
        }
    }

    #[test]
    fn a_host_is_named_also_by_what_no_longer_holds() {
        let approvals = Approvals::parse(FILE, "approvals").unwrap_or_else(|p| panic!("{p:?}"));
        assert!(approvals.names_host("c.test", Some((Scheme::Https, 443))));
        assert!(!approvals.names_host("c.test", Some((Scheme::Http, 443))));
        assert!(!approvals.names_host("other.test", None));
    }
}
