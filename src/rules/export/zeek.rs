//! A file for Zeek's intelligence framework: public MCP hosts that nobody approved.

use std::collections::BTreeSet;

use super::{Exported, line};
use crate::exchange::Scheme;
use crate::rules::catalog::{Catalog, Strength};
use crate::verdict::Approvals;

/// What is lost, whatever the file.
const NOTES: &str = "\
Zeek then reports whoever looks up, names in TLS or requests one of these hosts.
- A name is a hint. That MCP is spoken, which tools are called and what they carry is not looked at.
- Hosts of the catalog only: servers that nobody has listed, and those on addresses without names,
  are not found.
- An approval covers a host for Zeek whoever may use it, on whatever path, also around the portal,
  and after it has expired. Export again when approvals change.
- Hosts that offer other things too are listed by their paths, which Zeek sees in clear HTTP only.
- Load it with: redef Intel::read_files += {\"FILE\"}; and
  @load frameworks/intel/seen
";

/// The hosts of a catalog that no approval names.
#[must_use]
pub fn zeek_intel(catalog: &Catalog, approvals: &Approvals) -> Exported {
    let mut rows = BTreeSet::new();
    let (mut approved, mut bare) = (BTreeSet::new(), BTreeSet::new());
    for (host, entry) in catalog.hosts() {
        if approvals.names_host(host, Some((Scheme::Https, 443))) {
            approved.insert(host);
            continue;
        }
        let vendors = line(&entry.vendors.join(", "));
        let description = format!("MCP service of {vendors}; not approved");
        if entry.strength != Strength::Shared {
            rows.insert((host.to_owned(), "Intel::DOMAIN", description.clone()));
        }
        let paths: Vec<_> = entry.paths.iter().filter(|path| path.len() > 1).collect();
        if paths.is_empty() && entry.strength == Strength::Shared {
            bare.insert(host);
        }
        for path in paths {
            rows.insert((format!("{host}{}", line(path)), "Intel::URL", description.clone()));
        }
    }
    let mut text = format!(
        "# Exported by shadowtap {}: `rules export zeek-intel`.\n\
         # Public MCP hosts that are not approved. A name is a hint only.\n\
         #fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n",
        env!("CARGO_PKG_VERSION")
    );
    for (indicator, kind, description) in &rows {
        text.push_str(&format!("{indicator}\t{kind}\tshadowtap\t{description}\n"));
    }
    let mut notes = NOTES.to_owned();
    let join = |hosts: &BTreeSet<&str>| hosts.iter().copied().collect::<Vec<_>>().join(", ");
    notes.push_str(&format!("{} indicators\n", rows.len()));
    for (what, hosts) in
        [("approved, so left out", &approved), ("no path to tell them by, so left out", &bare)]
    {
        if !hosts.is_empty() {
            notes.push_str(&format!("{what}: {}\n", join(hosts)));
        }
    }
    Exported { files: vec![("shadowtap-mcp.intel".into(), text)], notes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPROVALS: &str = "schema: shadowtap/approvals@1
servers:
  - {name: asana, key: https://mcp.asana.com, owner: o, expires: 2030-01-01}
";

    #[test]
    fn approved_hosts_are_left_out_and_shared_ones_listed_by_path() {
        let approvals = Approvals::parse(APPROVALS, "approvals").unwrap();
        let exported = zeek_intel(&Catalog::builtin(), &approvals);
        let text = &exported.files[0].1;
        let rows: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').collect())
            .collect();
        assert!(rows.len() > 300);
        assert!(rows.iter().all(|row| row.len() == 4 && row.iter().all(|cell| !cell.is_empty())));
        assert!(rows.is_sorted());
        let has = |indicator: &str| rows.iter().any(|row| row[0] == indicator);
        assert!(!text.contains("asana"));
        assert!(has("mcp.atlassian.com") && has("mcp.atlassian.com/v1/mcp"));
        assert!(!has("api.githubcopilot.com"), "it offers other things too");
        assert!(text.contains("#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n"));
        assert!(exported.notes.contains("approved, so left out: mcp.asana.com"));
    }
}
