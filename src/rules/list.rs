//! Lists that rules refer to as `$name`: texts, host names, networks.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Limits;
use super::problem::{Located, Problem, Report, Source};
use super::syntax::{self, ListKind};

/// A compiled list.
#[derive(Debug)]
pub struct List {
    /// Name, without `$`.
    pub name: String,
    /// What the items are.
    pub kind: ListKind,
    /// Name of the file.
    pub file: String,
    pub(super) items: Items,
}

/// What is looked up.
#[derive(Debug)]
pub(super) enum Items {
    /// Exact texts.
    Texts(HashSet<Box<str>>),
    /// Host names in lower case.
    Hosts(Hosts),
    /// Networks.
    Nets(Nets),
}

/// All lists by name.
pub(super) type Lists = BTreeMap<String, Arc<List>>;

/// Host names in lower case: exact ones, and domains below which everything counts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) exact: HashSet<Box<str>>,
    pub(super) below: HashSet<Box<str>>,
}

impl Hosts {
    /// Whether a host is listed, in any case and with or without the trailing dot of the root.
    pub(super) fn contains(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if self.exact.contains(host.as_str()) {
            return true;
        }
        let parents = host.match_indices('.').filter_map(|(dot, _)| host.get(dot + 1..));
        parents.into_iter().any(|parent| self.below.contains(parent))
    }
}

/// Networks: sorted ranges that do not overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Nets {
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl Nets {
    /// A set of networks.
    pub(super) fn new(nets: Vec<IpNet>) -> Self {
        let nets = IpNet::aggregate(&nets);
        let mut ranges: Vec<_> = nets.iter().map(|net| (net.network(), net.broadcast())).collect();
        ranges.sort_unstable();
        Self { ranges }
    }

    /// First and last address of each, ascending.
    pub(super) fn ranges(&self) -> &[(IpAddr, IpAddr)] {
        &self.ranges
    }

    /// Whether an address is in one of them. An IPv4 address mapped into IPv6 counts as both.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let within = |ip: IpAddr| {
            let after = self.ranges.partition_point(|(first, _)| *first <= ip);
            let range = after.checked_sub(1).and_then(|index| self.ranges.get(index));
            range.is_some_and(|(first, last)| first.is_ipv4() == ip.is_ipv4() && ip <= *last)
        };
        within(ip) || within(ip.to_canonical())
    }
}

/// A network, or an address as a network of its own.
pub(super) fn parse_net(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Compiles a list; what is wrong with it goes into the report.
pub(super) fn compile(
    source: &Source,
    list: &syntax::List,
    limits: &Limits,
    report: &mut Report,
) -> List {
    if !is_name(&list.name.value) {
        let message = format!("`{}` cannot be the name of a list", list.name.value);
        report.push(
            Problem::error(source, list.name.place, "bad-name", message)
                .hint("a letter, then letters, digits and `_`, all lower case"),
        );
    }
    if list.items.len() > limits.max_list_items {
        let message = format!("the list has more than {} items", limits.max_list_items);
        report.push(Problem::error(source, list.name.place, "too-long", message));
    }
    let items = match list.kind {
        ListKind::Text => Items::Texts(texts(source, &list.items, report)),
        ListKind::Host => Items::Hosts(hosts(source, &list.items, report)),
        ListKind::Net => Items::Nets(nets(source, &list.items, report)),
    };
    let (name, file) = (list.name.value.clone(), source.name.clone());
    List { name, kind: list.kind, file, items }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn texts(source: &Source, items: &[Located<String>], report: &mut Report) -> HashSet<Box<str>> {
    let mut texts = HashSet::new();
    for item in items {
        if item.value.is_empty() {
            report.push(Problem::error(source, item.place, "bad-item", "an item is empty"));
        } else if !texts.insert(item.value.as_str().into()) {
            report.push(twice(source, item));
        }
    }
    texts
}

fn hosts(source: &Source, items: &[Located<String>], report: &mut Report) -> Hosts {
    let mut hosts = Hosts::default();
    for item in items {
        let (name, into) = match item.value.strip_prefix("*.") {
            Some(name) => (name, &mut hosts.below),
            None => (item.value.as_str(), &mut hosts.exact),
        };
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !name.split('.').all(label_ok) {
            let message = format!("`{}` is not a host name", item.value);
            report.push(
                Problem::error(source, item.place, "bad-item", message)
                    .hint("a `*` stands only for everything below: `*.example.com`"),
            );
        } else if !into.insert(name.to_ascii_lowercase().into()) {
            report.push(twice(source, item));
        }
    }
    hosts
}

fn nets(source: &Source, items: &[Located<String>], report: &mut Report) -> Nets {
    let mut nets = Vec::new();
    for item in items {
        match parse_net(&item.value) {
            Some(net) => nets.push(net),
            None => {
                let message = format!("`{}` is neither a network nor an address", item.value);
                report.push(Problem::error(source, item.place, "bad-item", message));
            }
        }
    }
    Nets::new(nets)
}

fn twice(source: &Source, item: &Located<String>) -> Problem {
    let message = format!("`{}` occurs twice", item.value);
    Problem::error(source, item.place, "twice", message).warning()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nets: &[&str]) -> Nets {
        Nets::new(nets.iter().map(|net| parse_net(net).unwrap()).collect())
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let nets = set(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "fc00::/7", "0.0.0.0/32"]);
        for (ip, expected) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd00::1", true),
            ("fe00::1", false),
            ("::1", false),
            ("::ffff:10.2.3.4", true),
            ("::ffff:11.2.3.4", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(nets.contains(ip.parse().unwrap()), expected, "{ip}");
        }
        assert!(!set(&[]).contains("10.0.0.1".parse().unwrap()));
        assert!(set(&["::/0"]).contains("fe80::1".parse().unwrap()));
        assert!(!set(&["::/0"]).contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn hosts_match_in_any_case_and_below_a_star() {
        let hosts =
            Hosts { exact: ["example.com".into()].into(), below: ["ngrok.app".into()].into() };
        for (host, expected) in [
            ("example.com", true),
            ("EXAMPLE.com.", true),
            ("a.example.com", false),
            ("a.b.ngrok.app", true),
            ("ngrok.app", false),
            ("xngrok.app", false),
            ("", false),
        ] {
            assert_eq!(hosts.contains(host), expected, "{host}");
        }
    }
}
