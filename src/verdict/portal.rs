//! An approvals file for what is behind a portal: what the portal uses is approved, and whoever uses
//! the same servers past it is found.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;
use jiff::civil::Date;

use super::draft::own_pattern;
use super::read::SCHEMA;
use super::yaml::{comment, printable, quoted};

/// A server behind a portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalServer {
    /// Its id in the portal's configuration; becomes the name of the approval.
    pub id: String,
    /// Its URL; of a child process something that is none.
    pub url: String,
    /// Who answers for it, if it is somebody else than for the portal.
    pub owner: Option<String>,
}

/// A portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalDraft {
    /// Its own URL, which clients use.
    pub url: Option<String>,
    /// Addresses that it connects to servers from.
    pub addresses: Vec<IpNet>,
    /// Who answers for it.
    pub owner: String,
    /// Last day on which the approvals hold.
    pub expires: Date,
    /// What is behind it.
    pub servers: Vec<PortalServer>,
}

/// Writes the approvals file of a portal: `via: portal` for each server behind it, and an entry of
/// its own for the portal. Children and what no pattern can name are listed in comments: no flow
/// of theirs is on a network, or none that could be told.
///
/// # Errors
/// What is missing: an address of the portal, without which each of its own flows would be taken
/// for one around it.
pub fn portal_approvals(portal: &PortalDraft) -> Result<String, String> {
    let PortalDraft { url, addresses, owner, expires, servers } = portal;
    if addresses.is_empty() {
        return Err(
            "the portal's own addresses are not known; name those that it connects from".to_owned()
        );
    }
    let mut text = format!(
        "# Made from a portal's configuration: its own flows to these servers are approved, and \
         flows\n# of others to them go around it (SMCP-3004).\nschema: {SCHEMA}\nportals:\n"
    );
    for address in addresses {
        _ = writeln!(text, "  - {}", quoted(&address.to_string()));
    }
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    let (mut entries, mut left_out) = (String::new(), Vec::new());
    let own = url.iter().map(|url| ("portal", url, owner, "direct"));
    let behind = servers.iter().map(|server| {
        (server.id.as_str(), &server.url, server.owner.as_ref().unwrap_or(owner), "portal")
    });
    for (id, url, owner, via) in own.chain(behind) {
        let url = without_query(url);
        let Some(pattern) = own_pattern(url) else {
            left_out.push((id, "no address on a network"));
            continue;
        };
        let key = pattern.to_string();
        if !keys.insert(key.clone()) {
            left_out.push((id, "the same address as one above"));
            continue;
        }
        let name = printable(id);
        let mut candidates =
            std::iter::once(name.clone()).chain((2_u64..).map(|n| format!("{name} {n}")));
        let taken = candidates.find(|one| names.insert(one.to_lowercase()));
        let name = taken.unwrap_or(name);
        _ = write!(
            entries,
            "  - name: {}\n    key: {}\n    owner: {}\n    expires: {expires}\n    via: {via}\n",
            quoted(&name),
            quoted(&key),
            quoted(owner),
        );
    }
    text.push_str(if entries.is_empty() { "servers: []\n" } else { "servers:\n" });
    text.push_str(&entries);
    for (id, why) in left_out {
        _ = writeln!(text, "# left out, {why}: {}", comment(id));
    }
    Ok(text)
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::super::{Approvals, KeyParts, Use, Verdict};
    use super::*;
    use crate::exchange::Scheme;
    use crate::mcp::Evidence;
    use crate::time::Timestamp;

    fn portal() -> PortalDraft {
        let server = |id: &str, url: &str| PortalServer {
            id: id.to_owned(),
            url: url.to_owned(),
            owner: None,
        };
        PortalDraft {
            url: Some("https://mcp.corp.example/".to_owned()),
            addresses: vec!["10.0.9.1/32".parse().unwrap(), "2001:db8:9::/64".parse().unwrap()],
            owner: "team \"portal\"".to_owned(),
            expires: jiff::civil::date(2027, 3, 31),
            servers: vec![
                server("wiki", "https://wiki.example/mcp?key=x"),
                server("wiki2", "https://wiki.example:443/mcp"),
                server("git\nhub", "http://git.example:8080/mcp"),
                server("files", "npx files-server /data"),
            ],
        }
    }

    fn verdict(text: &str, key: (&str, Scheme, u16), client: &str) -> Verdict {
        let approvals = Approvals::parse(text, "portal.yaml")
            .unwrap_or_else(|found| panic!("{found:?}\n{text}"));
        let (host, scheme, port) = key;
        let usage = Use {
            key: KeyParts { scheme, host, port, path: "/mcp" },
            client: client.parse().unwrap(),
            server: "192.0.2.7".parse().unwrap(),
            tools: [],
            at: Timestamp::from_parts(1_794_816_000, 0),
            evidence: Evidence::Confirmed,
        };
        approvals.judge(usage).verdict
    }

    #[test]
    fn flows_of_the_portal_are_approved_and_others_go_around_it() {
        let text = portal_approvals(&portal()).unwrap();
        let wiki = ("wiki.example", Scheme::Https, 443);
        let git = ("git.example", Scheme::Http, 8080);
        for (key, client, want) in [
            (wiki, "10.0.9.1", Verdict::Approved),
            (wiki, "2001:db8:9::7", Verdict::Approved),
            (wiki, "10.0.9.2", Verdict::PortalBypass),
            (git, "10.0.9.1", Verdict::Approved),
            (git, "10.20.1.1", Verdict::PortalBypass),
            (("other.example", Scheme::Https, 443), "10.0.9.1", Verdict::Unapproved),
        ] {
            assert_eq!(verdict(&text, key, client), want, "{key:?} {client}");
        }
        let own = ("mcp.corp.example", Scheme::Https, 443);
        assert_ne!(verdict(&text, own, "10.20.1.1"), Verdict::PortalBypass);
    }

    #[test]
    fn what_is_on_no_network_is_listed_and_a_portal_without_address_refused() {
        let text = portal_approvals(&portal()).unwrap();
        assert!(text.contains("# left out, no address on a network: files\n"), "{text}");
        assert!(text.contains("# left out, the same address as one above: wiki2\n"), "{text}");
        assert!(!text.contains("key=x") && text.contains("via: portal"));
        let nowhere = PortalDraft { addresses: Vec::new(), ..portal() };
        assert!(portal_approvals(&nowhere).unwrap_err().contains("own addresses"));
        let empty = PortalDraft { servers: Vec::new(), url: None, ..portal() };
        assert!(Approvals::parse(&portal_approvals(&empty).unwrap(), "x").is_ok());
    }
}
