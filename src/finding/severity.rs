//! How the circumstances of a hit change its severity.
//!
//! A rule says how bad a thing is as such. The same thing is worse on a server that nobody
//! approved, or when it leaves the network, and less when it was refused. Each [`Dimension`] that
//! the rule names is worth a step down, none, or up; together they are worth one step at most,
//! and the result stays between info and critical. [`table`] is what the documentation shows.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::rules::{Dimension, Severity};
use crate::verdict::Verdict;

/// From where to where a use goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// On one machine.
    Loopback,
    /// Between private addresses; also where it cannot be told.
    #[default]
    Inside,
    /// To a public address.
    ToOutside,
    /// From a public address to a private one.
    FromOutside,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The server refused it, or failed.
    Refused,
    /// The answer was not seen, or the hit is about no single request.
    #[default]
    Unknown,
    /// The server did what it was asked.
    Succeeded,
}

/// The circumstances of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// What the approvals say.
    pub verdict: Verdict,
    /// From where to where.
    pub direction: Reach,
    /// How it ended.
    pub outcome: Outcome,
}

impl Reach {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Loopback, Self::Inside, Self::ToOutside, Self::FromOutside];

    /// By the addresses of both ends. Between two public addresses it cannot be told which one is
    /// ours: that counts as going out.
    #[must_use]
    pub fn between(client: IpAddr, server: IpAddr) -> Self {
        let (client, server) = (client.to_canonical(), server.to_canonical());
        if client.is_loopback() && server.is_loopback() {
            Self::Loopback
        } else if !is_private(server) {
            Self::ToOutside
        } else if !is_private(client) {
            Self::FromOutside
        } else {
            Self::Inside
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "on one machine (loopback)",
            Self::Inside => "between private addresses, or not known",
            Self::ToOutside => "to a public address",
            Self::FromOutside => "from a public address to a private one",
        }
    }

    const fn step(self) -> i8 {
        match self {
            Self::Loopback => -1,
            Self::Inside => 0,
            Self::ToOutside | Self::FromOutside => 1,
        }
    }
}

/// Addresses that no router of the Internet forwards: those of the list `private_nets` of the
/// shipped rules (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            let own = ip.is_private() || ip.is_link_local() || ip.is_loopback();
            own || shared || ip == Ipv4Addr::UNSPECIFIED
        }
        IpAddr::V6(ip) => {
            let own = ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback();
            own || ip == Ipv6Addr::UNSPECIFIED
        }
    }
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Refused, Self::Unknown, Self::Succeeded];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused: an error, a tool error, an HTTP status from 400 on",
            Self::Unknown => "no answer seen, or about no single request",
            Self::Succeeded => "answered with a result",
        }
    }

    const fn step(self) -> i8 {
        match self {
            Self::Refused => -1,
            Self::Unknown => 0,
            Self::Succeeded => 1,
        }
    }
}

/// All verdicts, best first.
const VERDICTS: [Verdict; 7] = [
    Verdict::Approved,
    Verdict::Undetermined,
    Verdict::ToolNotAllowed,
    Verdict::ClientNotAllowed,
    Verdict::Expired,
    Verdict::PortalBypass,
    Verdict::Unapproved,
];

const fn verdict_in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::Undetermined => "undetermined (hints only)",
        Verdict::ToolNotAllowed => "tool not allowed",
        Verdict::ClientNotAllowed => "client not allowed",
        Verdict::Expired => "expired",
        Verdict::PortalBypass => "portal bypass",
        Verdict::Unapproved => "unapproved",
    }
}

const fn verdict_step(verdict: Verdict) -> i8 {
    match verdict {
        Verdict::Approved => -1,
        Verdict::Undetermined
        | Verdict::ToolNotAllowed
        | Verdict::ClientNotAllowed
        | Verdict::Expired => 0,
        Verdict::PortalBypass | Verdict::Unapproved => 1,
    }
}

impl Standing {
    /// The step of one column: -1, 0 or +1.
    #[must_use]
    pub const fn step(&self, dimension: Dimension) -> i8 {
        match dimension {
            Dimension::Approval => verdict_step(self.verdict),
            Dimension::Direction => self.direction.step(),
            Dimension::Outcome => self.outcome.step(),
        }
    }
}

/// The severity of a hit under its circumstances: that of the rule, a step lower or higher by the
/// sum of the columns that the rule names. A column named twice counts once.
#[must_use]
pub fn adjust(base: Severity, context: &[Dimension], standing: Standing) -> Severity {
    let named = Dimension::ALL.iter().filter(|dimension| context.contains(dimension));
    match named.map(|dimension| standing.step(*dimension)).sum::<i8>() {
        1.. => higher(base),
        0 => base,
        ..=-1 => lower(base),
    }
}

const fn higher(severity: Severity) -> Severity {
    match severity {
        Severity::Info => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}

const fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Info | Severity::Low => Severity::Info,
        Severity::Medium => Severity::Low,
        Severity::High => Severity::Medium,
        Severity::Critical => Severity::High,
    }
}

/// The table in Markdown, for `rules/README.md`.
#[must_use]
pub fn table() -> String {
    let verdicts = VERDICTS.map(|verdict| (verdict_in_words(verdict), verdict_step(verdict)));
    let reaches = Reach::ALL.map(|reach| (reach.as_str(), reach.step()));
    let outcomes = Outcome::ALL.map(|outcome| (outcome.as_str(), outcome.step()));
    let mut text = String::from("| `context` | Case | Step |\n|---|---|---|\n");
    for dimension in Dimension::ALL {
        let cases: &[(&str, i8)] = match dimension {
            Dimension::Approval => &verdicts,
            Dimension::Direction => &reaches,
            Dimension::Outcome => &outcomes,
        };
        for step in [-1, 0, 1] {
            let same = cases.iter().filter(|case| case.1 == step).map(|case| case.0);
            let sign = if step == 0 { "0".to_owned() } else { format!("{step:+}") };
            let cases = same.collect::<Vec<_>>().join("; ");
            _ = writeln!(text, "| `{}` | {cases} | {sign} |", dimension.as_str());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVERITIES: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    fn contexts() -> Vec<Vec<Dimension>> {
        let named = |bits: usize| {
            let of = |(index, dimension)| (bits >> index & 1 == 1).then_some(dimension);
            Dimension::ALL.into_iter().enumerate().filter_map(of).collect()
        };
        (0..8).map(named).collect()
    }

    fn standings() -> Vec<Standing> {
        let mut all = Vec::new();
        for verdict in VERDICTS {
            for direction in Reach::ALL {
                for outcome in Outcome::ALL {
                    all.push(Standing { verdict, direction, outcome });
                }
            }
        }
        all
    }

    fn distance(a: Severity, b: Severity) -> i32 {
        b as i32 - a as i32
    }

    #[test]
    fn every_combination_is_the_clamped_sum_of_its_columns() {
        let mut combinations = 0;
        for base in SEVERITIES {
            for context in contexts() {
                for standing in standings() {
                    let sum: i32 =
                        context.iter().map(|dimension| i32::from(standing.step(*dimension))).sum();
                    let want = (base as i32 + sum.clamp(-1, 1)).clamp(0, 4);
                    let got = adjust(base, &context, standing);
                    assert_eq!(got as i32, want, "{base:?} {context:?} {standing:?}");
                    combinations += 1;
                }
            }
        }
        assert_eq!(combinations, 5 * 8 * 7 * 4 * 3);
    }

    #[test]
    fn no_column_named_changes_nothing() {
        for base in SEVERITIES {
            for standing in standings() {
                assert_eq!(adjust(base, &[], standing), base);
            }
        }
    }

    #[test]
    fn a_worse_verdict_never_lowers_and_success_is_never_less_than_refusal() {
        for base in SEVERITIES {
            for context in contexts() {
                for standing in standings() {
                    let got = adjust(base, &context, standing);
                    for verdict in VERDICTS.into_iter().filter(|v| *v >= standing.verdict) {
                        assert!(adjust(base, &context, Standing { verdict, ..standing }) >= got);
                    }
                    for outcome in Outcome::ALL.into_iter().filter(|o| *o >= standing.outcome) {
                        assert!(adjust(base, &context, Standing { outcome, ..standing }) >= got);
                    }
                    for direction in Reach::ALL.into_iter().filter(|d| *d >= standing.direction) {
                        assert!(adjust(base, &context, Standing { direction, ..standing }) >= got);
                    }
                    for better in SEVERITIES.into_iter().filter(|better| *better <= base) {
                        assert!(adjust(better, &context, standing) <= got, "order of rules kept");
                    }
                    assert!(distance(base, got).abs() <= 1);
                }
            }
        }
    }

    #[test]
    fn a_column_named_twice_counts_once() {
        let standing = Standing {
            verdict: Verdict::Unapproved,
            direction: Reach::Loopback,
            outcome: Outcome::Unknown,
        };
        let twice = [Dimension::Approval, Dimension::Approval, Dimension::Direction];
        assert_eq!(adjust(Severity::Medium, &twice, standing), Severity::Medium);
    }

    #[test]
    fn reach_is_told_by_addresses() {
        for (client, server, want) in [
            ("127.0.0.1", "127.0.0.53", Reach::Loopback),
            ("::1", "::1", Reach::Loopback),
            ("10.0.0.1", "10.0.0.1", Reach::Inside),
            ("10.0.0.1", "192.168.7.7", Reach::Inside),
            ("10.0.0.1", "100.64.0.1", Reach::Inside),
            ("10.0.0.1", "100.128.0.1", Reach::ToOutside),
            ("10.0.0.1", "169.254.169.254", Reach::Inside),
            ("fd00::1", "fe80::2", Reach::Inside),
            ("fd00::1", "2001:db8::2", Reach::ToOutside),
            ("10.0.0.1", "203.0.113.7", Reach::ToOutside),
            ("203.0.113.7", "10.0.0.1", Reach::FromOutside),
            ("203.0.113.7", "198.51.100.1", Reach::ToOutside),
            ("::ffff:10.0.0.1", "10.0.0.2", Reach::Inside),
        ] {
            let got = Reach::between(client.parse().unwrap(), server.parse().unwrap());
            assert_eq!(got, want, "{client} {server}");
        }
    }

    #[test]
    fn what_is_private_is_what_the_shipped_list_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/lists/private-nets.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let nets: Vec<ipnet::IpNet> =
            text.lines().filter_map(|line| line.split('"').nth(1)?.parse().ok()).collect();
        assert_eq!(nets.len(), 11);
        for net in &nets {
            assert!(is_private(net.network()) && is_private(net.broadcast()), "{net}");
        }
        let around = |text: &str| text.parse::<IpAddr>().unwrap();
        for ip in ["9.255.255.255", "11.0.0.0", "172.32.0.0", "0.0.0.1", "fe00::", "fec0::", "::2"]
        {
            assert!(!is_private(around(ip)), "{ip}");
        }
    }

    /// The documentation is made from the code: BLESS=1 rewrites it.
    #[test]
    fn the_table_in_the_documentation_is_current() {
        const BEGIN: &str = "<!-- severity table: made by finding::severity, do not edit -->\n";
        const END: &str = "<!-- end of the severity table -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/README.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (written, after) = rest.split_once(END).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        } else {
            assert!(written == table(), "rules/README.md is stale: run this test with BLESS=1");
        }
    }
}
