//! Approvals: which servers may be used, by whom, for what, until when. Pure data; reading the
//! file is in `read.rs`, judging a use in `judge.rs`.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::civil::Date;

use super::pattern::{Glob, HostPattern, KeyPattern};
use crate::exchange::Scheme;
use crate::time::Timestamp;

/// The owner that a draft carries until somebody takes the server on. An approval of nobody
/// approves nothing, unless drafts are accepted ([`Approvals::accepting_drafts`]).
pub const NO_OWNER: &str = "CHANGE-ME";

/// Approvals are warned of this many days before they expire.
pub const WARN_DAYS: i64 = 30;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// How an approved server may be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Via {
    /// By the clients themselves.
    #[default]
    Direct,
    /// Only through one of our portals.
    Portal,
}

/// Who approved it, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Person or team.
    pub by: String,
    /// Day of the approval.
    pub on: Date,
    /// Ticket of the review.
    pub ticket: Option<String>,
}

/// Which tools may be called: named by `allow` (all, when absent) and not named by `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Allowed tools; `None` allows every tool.
    pub allow: Option<Vec<Glob>>,
    /// Denied tools; wins over `allow`.
    pub deny: Vec<Glob>,
}

impl Tools {
    /// Why a tool may not be called; `None` when it may.
    pub(super) fn refusal(&self, tool: &str) -> Option<&'static str> {
        if self.deny.iter().any(|glob| glob.matches(tool)) {
            return Some("denied by the approval");
        }
        let allowed = self.allow.as_ref().is_none_or(|l| l.iter().any(|glob| glob.matches(tool)));
        (!allowed).then_some("not among the allowed tools")
    }
}

/// The tool list that was reviewed. Judged by whoever knows the tool lists, not by
/// [`Approvals::judge`](super::Approvals::judge).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// SHA-256 over the canonical tool list, 64 hex digits in lower case; `jcs-sha256:` before it
    /// in the file.
    pub tools: String,
    /// Last day (UTC) on which any other list is accepted too: a change that is announced.
    pub accept_until: Option<Date>,
}

impl Pin {
    /// Whether a tool list with this digest (hex, any case, with or without `jcs-sha256:`) is the
    /// one that was reviewed, or a change that is announced for now.
    #[must_use]
    pub fn accepts(&self, digest: &str, at: Timestamp) -> bool {
        let digest = digest.strip_prefix(PIN_PREFIX).unwrap_or(digest);
        let announced = self.accept_until.is_some_and(|day| at < end_of(day));
        announced || digest.eq_ignore_ascii_case(&self.tools)
    }
}

/// What stands before the digest of a pin: JSON in canonical form (RFC 8785), hashed with SHA-256.
pub(super) const PIN_PREFIX: &str = "jcs-sha256:";

/// One approved server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Name, unique in the file.
    pub name: String,
    /// Which keys it covers.
    pub pattern: KeyPattern,
    /// Who answers for it.
    pub owner: String,
    /// Who approved it.
    pub approved: Option<Approved>,
    /// Last day on which it holds, UTC.
    pub expires: Date,
    /// How it may be reached.
    pub via: Via,
    /// Who may use it; empty means anybody.
    pub clients: Vec<IpNet>,
    /// What may be called.
    pub tools: Tools,
    /// Addresses that the server has; empty means any. A name proves nothing in the clear, since
    /// the client writes the `Host` field.
    pub addresses: Vec<IpNet>,
    /// The tool list that was reviewed, if it is held to one.
    pub pin: Option<Pin>,
    /// Class of the data that may go there, in the words of whoever approves: `internal`.
    pub data: Option<String>,
    /// Free text.
    pub notes: Option<String>,
    /// Line of the entry in the file.
    pub line: u64,
}

impl Approval {
    /// The first moment at which it no longer holds: the end of the expiry day, UTC.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        end_of(self.expires)
    }

    /// The tool list that was reviewed, if it is held to one.
    #[must_use]
    pub const fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// Whether nobody has taken it on: its owner is still [`NO_OWNER`].
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.owner.trim().eq_ignore_ascii_case(NO_OWNER)
    }
}

/// The first moment after a day, UTC.
fn end_of(day: Date) -> Timestamp {
    let days = days_since_epoch(day).saturating_add(1);
    Timestamp::from_parts(days.saturating_mul(SECONDS_PER_DAY), 0)
}

pub(super) fn days_since_epoch(date: Date) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    // The difference of two dates in the unit of days always exists and is whole.
    date.since(epoch).map_or(0, |span| i64::from(span.get_days()))
}

/// The UTC day of a time; `None` outside the years that a calendar date can hold.
pub(super) fn day_of(at: Timestamp) -> Option<Date> {
    let days = at.as_nanos().div_euclid(NANOS_PER_SECOND * SECONDS_PER_DAY);
    let span = jiff::Span::new().try_days(days).ok()?;
    Date::constant(1970, 1, 1).checked_add(span).ok()
}

/// What [`Approvals::warnings`] warns of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningKind {
    /// It expires within [`WARN_DAYS`] days of the capture.
    ExpiresSoon {
        /// Days left, 0 on the last day.
        days: i64,
    },
    /// It had expired.
    Expired,
    /// Its owner is still the placeholder of a draft.
    NoOwner,
}

/// An approval that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Name of the approval.
    pub name: String,
    /// Line of its entry.
    pub line: u64,
    /// What about it.
    pub kind: WarningKind,
    /// One sentence.
    pub text: String,
}

/// Hosts compare by their literal part, so that one look-up per label finds every candidate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Origin {
    scheme: Scheme,
    port: u16,
    literal: String,
}

/// All approvals of a file. Memory is proportional to the file, which is bounded
/// ([`MAX_FILE_BYTES`](super::MAX_FILE_BYTES)).
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    approvals: Vec<Approval>,
    pub(super) portals: Vec<IpNet>,
    pub(super) proxies: Vec<IpNet>,
    accept_drafts: bool,
    has_pins: bool,
    /// From the literal part of a host to the approvals with it, as indices.
    by_origin: HashMap<Origin, Vec<usize>>,
    /// The same, whatever scheme and port.
    by_host: HashMap<String, Vec<usize>>,
}

impl Approvals {
    pub(super) fn new(approvals: Vec<Approval>, portals: Vec<IpNet>, proxies: Vec<IpNet>) -> Self {
        let mut by_origin: HashMap<Origin, Vec<usize>> = HashMap::new();
        let mut by_host: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, approval) in approvals.iter().enumerate() {
            let KeyPattern { scheme, port, .. } = approval.pattern;
            let literal = match &approval.pattern.host {
                HostPattern::Exact(host) => host.clone(),
                HostPattern::OneLabel(rest) | HostPattern::Labels(rest) => format!(".{rest}"),
            };
            by_host.entry(literal.clone()).or_default().push(index);
            by_origin.entry(Origin { scheme, port, literal }).or_default().push(index);
        }
        let has_pins = approvals.iter().any(|approval| approval.pin().is_some());
        Self { approvals, portals, proxies, accept_drafts: false, has_pins, by_origin, by_host }
    }

    /// The same; approvals that nobody has taken on count as well, or do not.
    #[must_use]
    pub fn accepting_drafts(mut self, accept: bool) -> Self {
        self.accept_drafts = accept;
        self
    }

    /// Whether an approval may approve anything: somebody answers for it.
    pub(super) fn counts(&self, approval: &Approval) -> bool {
        self.accept_drafts || !approval.is_draft()
    }

    /// The approvals, in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[Approval] {
        &self.approvals
    }

    /// Whether any of them pins what its server lists: asked of every answer.
    #[must_use]
    pub const fn has_pins(&self) -> bool {
        self.has_pins
    }

    /// Addresses of our portals.
    #[must_use]
    pub fn portals(&self) -> &[IpNet] {
        &self.portals
    }

    /// Every approval that covers a key, the most specific first. `host` in normal form.
    pub(super) fn covering(
        &self,
        scheme: Scheme,
        host: &str,
        port: u16,
        path: &str,
    ) -> Vec<&Approval> {
        let rests = host.match_indices('.').filter_map(|(dot, _)| host.get(dot..));
        let mut found: Vec<&Approval> = std::iter::once(host)
            .chain(rests)
            .filter_map(|literal| {
                self.by_origin.get(&Origin { scheme, port, literal: literal.to_owned() })
            })
            .flatten()
            .filter_map(|index| self.approvals.get(*index))
            .filter(|approval| approval.pattern.host.matches(host))
            .filter(|approval| approval.pattern.matches_path(path))
            .collect();
        found.sort_by_key(|approval| std::cmp::Reverse(approval.pattern.specificity()));
        found
    }

    /// Every approval whose host covers a host, in normal form, whatever the rest of its key.
    pub(super) fn covering_host(&self, host: &str) -> impl Iterator<Item = &Approval> {
        let rests = host.match_indices('.').filter_map(|(dot, _)| host.get(dot..));
        let literals = std::iter::once(host).chain(rests);
        let found = literals.filter_map(|literal| self.by_host.get(literal)).flatten();
        found
            .filter_map(|index| self.approvals.get(*index))
            .filter(move |approval| approval.pattern.host.matches(host))
    }

    /// Approvals that expire within [`WARN_DAYS`] days after `at`, that have expired, or that
    /// nobody owns; in the order of the file.
    #[must_use]
    pub fn warnings(&self, at: Timestamp) -> Vec<Warning> {
        self.approvals.iter().flat_map(|approval| warn(approval, self.accept_drafts, at)).collect()
    }
}

fn warn(
    approval: &Approval,
    accept_drafts: bool,
    at: Timestamp,
) -> impl Iterator<Item = Warning> + use<> {
    let Approval { name, line, expires, owner, .. } = approval;
    let warning = |kind, text| Warning { name: name.clone(), line: *line, kind, text };
    let ends = approval.ends();
    let days = i64::try_from(ends.since(at).as_secs()).unwrap_or(i64::MAX) / SECONDS_PER_DAY;
    let expiry = if at >= ends {
        let text = format!("approval of {name} expired on {expires}; owner: {owner}");
        Some(warning(WarningKind::Expired, text))
    } else if days <= WARN_DAYS {
        let text = format!("approval of {name} expires on {expires}; owner: {owner}");
        Some(warning(WarningKind::ExpiresSoon { days }, text))
    } else {
        None
    };
    let so = if accept_drafts { "" } else { ", so it approves nothing" };
    let owner = approval.is_draft().then(|| {
        let text = format!("approval of {name} has no owner{so}: fill in `owner`");
        warning(WarningKind::NoOwner, text)
    });
    expiry.into_iter().chain(owner)
}

/// Whether any of the networks holds an address. IPv4-mapped IPv6 addresses are IPv6: no
/// approval of an IPv4 network covers them, since nobody sends such packets honestly.
pub(super) fn any_contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}
