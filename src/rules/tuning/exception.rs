//! Exceptions: when they hold, until when, and what they may cost.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;

use super::{Raised, Seen};
use crate::rules::condition::Node;
use crate::rules::field::On;
use crate::rules::subject::Subject;
use crate::rules::{Lane, RuleInfo, Severity, Status};
use crate::time::Timestamp;
use crate::verdict::{NO_OWNER, WARN_DAYS};

const SECONDS_PER_DAY: i64 = 86_400;

/// Id of the finding of an exception beyond its ceiling.
pub const CEILING_ID: &str = "SMCP-0001";

/// Matches that make no finding, for a while.
#[derive(Debug)]
pub struct Exception {
    /// Stable name, unique over all files.
    pub name: String,
    /// The ids and patterns of its rules, as written.
    pub rules: Vec<String>,
    /// Why the matches are all right.
    pub because: String,
    /// Who answers for it.
    pub owner: String,
    /// Last day on which it holds, UTC.
    pub expires: Date,
    /// What is expected of it at most.
    pub ceiling: Option<Ceiling>,
    /// Name of its file.
    pub file: String,
    /// Line of its entry in the file.
    pub line: u32,
    /// Its conditions, compiled for each kind of subject that its rules have.
    pub(super) when: Vec<(On, Node)>,
    /// The same in every run, while the name is.
    pub(super) identity: u64,
}

/// How many matches of an exception are expected.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// So many.
    pub most: u64,
    /// In a window so long, which begins with a match.
    pub period: Duration,
    /// As written: `200/day`.
    pub text: String,
    /// What the finding repeats.
    pub(super) info: Arc<RuleInfo>,
}

impl Exception {
    /// The first moment at which it no longer holds: the end of the expiry day, UTC.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        Timestamp::from_parts(days(self.expires).saturating_add(1).saturating_mul(86_400), 0)
    }

    /// Its conditions, one for each kind of subject.
    pub(in crate::rules) fn conditions(&self) -> impl Iterator<Item = &Node> {
        self.when.iter().map(|(_, when)| when)
    }

    /// Whether its conditions hold, expired or not.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        self.when.iter().any(|(on, when)| *on == subject.on && when.holds(subject))
    }

    /// The finding of a match beyond the ceiling.
    pub(super) fn raised<'r>(&self, ceiling: &'r Ceiling, rule: &str, at: &Seen<'_>) -> Raised<'r> {
        let Self { name, owner, because, file, .. } = self;
        let text = format!(
            "The exception `{name}` of {owner} has taken more than {} matches; the one beyond is \
             of {rule}",
            ceiling.text
        );
        let kept = [
            ("exception.name", name.as_str()),
            ("exception.because", because),
            ("exception.file", file),
            ("exception.rule", rule),
        ];
        Raised {
            info: &ceiling.info,
            severity: ceiling.info.severity,
            text,
            excerpt: kept.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            group: self.identity,
            window: ceiling.period,
            client: at.client,
            server_key: at.server_key.into(),
            packets: vec![at.packet],
        }
    }

    pub(super) fn warnings(&self, at: Timestamp) -> impl Iterator<Item = Warning> + use<> {
        let Self { name, owner, expires, file, line, .. } = self;
        let warning = |kind, text| Warning {
            name: name.clone(),
            file: file.clone(),
            line: *line,
            kind,
            text,
        };
        let ends = self.ends();
        let left = i64::try_from(ends.since(at).as_secs()).unwrap_or(i64::MAX) / SECONDS_PER_DAY;
        let expiry = if at >= ends {
            let text = format!("exception {name} expired on {expires}; owner: {owner}");
            Some(warning(WarningKind::Expired, text))
        } else if left <= WARN_DAYS {
            let text = format!("exception {name} expires on {expires}; owner: {owner}");
            Some(warning(WarningKind::ExpiresSoon { days: left }, text))
        } else {
            None
        };
        let unowned = (owner == NO_OWNER).then(|| {
            let text = format!("exception {name} has no owner: fill in `owner`");
            warning(WarningKind::NoOwner, text)
        });
        expiry.into_iter().chain(unowned)
    }
}

/// What a warning is about.
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

/// An exception that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Name of the exception.
    pub name: String,
    /// Name of its file.
    pub file: String,
    /// Line of its entry.
    pub line: u32,
    /// What about it.
    pub kind: WarningKind,
    /// One sentence.
    pub text: String,
}

fn days(date: Date) -> i64 {
    // The difference of two dates in the unit of days always exists and is whole.
    date.since(Date::constant(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days()))
}

/// What the findings of ceilings repeat.
pub(super) fn ceiling_info() -> RuleInfo {
    RuleInfo {
        id: CEILING_ID.to_owned(),
        rev: 1,
        title: "Exception beyond its ceiling".to_owned(),
        status: Status::Stable,
        lane: Lane::Alert,
        severity: Severity::Medium,
        confidence: 100,
        why: "An exception hides more than was expected when it was made: what it was made for \
              has changed, or something hides behind it."
            .to_owned(),
        todo: vec![
            "Look at what the exception takes: run without it on the same traffic".to_owned(),
            "Ask its owner what has changed".to_owned(),
            "Narrow its conditions, or raise its ceiling".to_owned(),
        ],
        refs: Vec::new(),
    }
}

/// `200/day`, `10/h`, `5/m`, `1/s`; not zero.
pub(super) fn parse_ceiling(text: &str) -> Option<(u64, Duration)> {
    let (most, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    let digits = !most.is_empty() && most.bytes().all(|byte| byte.is_ascii_digit());
    let most = most.parse().ok().filter(|most| digits && *most > 0)?;
    Some((most, Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_have_a_number_and_a_unit() {
        for (text, want) in [
            ("200/day", Some((200, 86_400))),
            ("1/s", Some((1, 1))),
            ("10/h", Some((10, 3_600))),
            ("5/m", Some((5, 60))),
            ("0/day", None),
            ("+5/day", None),
            ("5/d", None),
            ("5", None),
            ("/day", None),
            ("99999999999999999999/day", None),
        ] {
            let want = want.map(|(most, seconds)| (most, Duration::from_secs(seconds)));
            assert_eq!(parse_ceiling(text), want, "{text}");
        }
    }

    #[test]
    fn the_last_day_counts_and_warnings_begin_thirty_days_before() {
        let mut exception = Exception {
            name: "a".into(),
            rules: Vec::new(),
            because: "b".into(),
            owner: "platform".into(),
            expires: "2027-01-15".parse().unwrap(),
            ceiling: None,
            file: "f.yaml".into(),
            line: 3,
            when: Vec::new(),
            identity: 1,
        };
        let end = 1_800_057_600;
        assert_eq!(exception.ends(), Timestamp::from_parts(end, 0));
        assert_eq!(exception.ends().to_string(), "2027-01-16T00:00:00.000000Z");
        let kinds = |exception: &Exception, seconds: i64| -> Vec<WarningKind> {
            let at = Timestamp::from_parts(seconds, 0);
            exception.warnings(at).map(|warning| warning.kind).collect()
        };
        assert_eq!(kinds(&exception, end), [WarningKind::Expired]);
        assert_eq!(kinds(&exception, end - 1), [WarningKind::ExpiresSoon { days: 0 }]);
        let month = 30 * SECONDS_PER_DAY;
        assert_eq!(kinds(&exception, end - month), [WarningKind::ExpiresSoon { days: 30 }]);
        assert_eq!(kinds(&exception, end - month - SECONDS_PER_DAY), []);
        exception.owner = NO_OWNER.into();
        assert_eq!(kinds(&exception, 0), [WarningKind::NoOwner]);
    }
}
