//! Values of columns in the forms that formats want.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use crate::sinks::rows::Micros;
use crate::time::Timestamp;

/// The value of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'r> {
    Time(Micros),
    Text(&'r str),
    Number(u64),
    Address(IpAddr),
    List(&'r [String]),
    Flag(bool),
    Maybe(Option<i64>),
    /// Nothing is known.
    Nothing,
}

/// An address of a row: mapped ones as they are, `::` as nothing.
pub(super) fn address<'r>(ip: Ipv6Addr) -> Cell<'r> {
    if ip.is_unspecified() { Cell::Nothing } else { Cell::Address(ip.to_canonical()) }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Same,
    /// A number of which 0 means that it is not known.
    Known,
    /// The same, as text.
    KnownText,
    /// RFC 3339.
    Iso,
    /// Milliseconds since 1970.
    EpochMillis,
    /// As Suricata writes times.
    EveTime,
    /// A text of digits as a number.
    NumberOf,
    /// A list of one.
    One,
    /// Items on lines of their own.
    Lines,
    /// In upper case.
    Upper,
    /// A host, unless it is an address.
    DomainName,
    /// Scheme of a server's key.
    UrlScheme,
    /// Path of a server's key.
    UrlPath,
    /// An address of version 4.
    IpV4,
    /// An address of version 6.
    IpV6,
    /// 5 becomes 1.
    Inverted,
    /// OCSF's word for a severity.
    SeverityCaption,
    /// 0 to 10.
    Cef,
    /// Low, Medium, High as 1, 2, 3.
    ConfidenceId,
    /// The same in a word.
    ConfidenceWord,
    /// Whether somebody is to act on it.
    Alertable,
    /// 1 when a finding begins, 2 when it is told again.
    CreateOrUpdate,
    /// The same with the number of the class.
    CreateOrUpdateType,
    /// IP protocol number.
    ProtocolNumber,
    /// A number from the community id.
    FlowId,
    /// A number from the id of the rule.
    SignatureId,
    /// File of the first packet.
    FirstFile,
    /// Number of the first packet.
    FirstNumber,
    /// `to_server`, `to_client`.
    FlowDirection,
    /// What came of a request.
    OutcomeWord,
    /// The same as OCSF numbers it.
    OutcomeId,
    /// `POST` where a request body carried it.
    HttpMethod,
    /// The same as OCSF numbers it.
    HttpActivity,
    /// The same in a word.
    HttpActivityName,
    /// The same with the number of the class.
    HttpActivityType,
    /// Protocol that carried it.
    AppProtocol,
}

impl Form {
    /// What it does, for the documentation; empty when it does nothing.
    pub(super) const fn note(self) -> &'static str {
        match self {
            Self::Same | Self::Known => "",
            Self::KnownText => "as text",
            Self::Iso => "RFC 3339",
            Self::EpochMillis => "milliseconds since 1970",
            Self::EveTime => "`2026-11-22T08:00:00.000000+0000`",
            Self::NumberOf => "as a number",
            Self::One => "list of one",
            Self::Lines => "one item a line",
            Self::Upper => "upper case",
            Self::DomainName => "names only",
            Self::UrlScheme => "its scheme",
            Self::UrlPath => "its path",
            Self::IpV4 => "IPv4",
            Self::IpV6 => "IPv6",
            Self::Inverted => "1 is the worst: 6 minus it",
            Self::SeverityCaption => "Informational, Low, Medium, High, Critical",
            Self::Cef => "1, 3, 5, 8, 10",
            Self::ConfidenceId => "1 below 50, 2 below 80, else 3",
            Self::ConfidenceWord => "Low below 50, Medium below 80, else High",
            Self::Alertable => "true unless `hunt`",
            Self::CreateOrUpdate => "1 at first, 2 when told again",
            Self::CreateOrUpdateType => "200401 at first, 200402 when told again",
            Self::ProtocolNumber => "6, 17",
            Self::FlowId => "FNV-1a of it, 53 bits",
            Self::SignatureId => "9100000 plus its digits",
            Self::FirstFile => "file of the first",
            Self::FirstNumber => "number of the first",
            Self::FlowDirection => "`to_server`, `to_client`",
            Self::OutcomeWord => "`success` of results, `failure` of errors",
            Self::OutcomeId => "1 of results, 2 of errors, else 0",
            Self::HttpMethod => "`POST` for `request_body`",
            Self::HttpActivity => "6 (Post) for `request_body`, else 99",
            Self::HttpActivityName => "Post for `request_body`, else itself",
            Self::HttpActivityType => "400206 for `request_body`, else 400299",
            Self::AppProtocol => "`http`, `websocket`",
        }
    }

    /// The value in this form; `None` when there is nothing to say.
    pub(super) fn apply(self, cell: Cell<'_>) -> Option<Value> {
        match cell {
            Cell::Time(time) => self.of_time(time),
            Cell::Text(text) => self.of_text(text),
            Cell::Number(number) => self.of_number(number),
            Cell::Address(ip) => match (self, ip) {
                (Self::IpV4, IpAddr::V6(_)) | (Self::IpV6, IpAddr::V4(_)) => None,
                _ => Some(ip.to_string().into()),
            },
            Cell::List([]) | Cell::Nothing => None,
            Cell::List(items @ [first, ..]) => match self {
                Self::Lines => Some(items.join("\n").into()),
                Self::FirstFile => Some(first.rsplit_once(':')?.0.into()),
                Self::FirstNumber => Some(first.rsplit_once(':')?.1.parse::<u64>().ok()?.into()),
                _ => Some(items.to_vec().into()),
            },
            Cell::Flag(flag) => Some(flag.into()),
            Cell::Maybe(number) => number.map(Value::from),
        }
    }

    fn of_time(self, Micros(micros): Micros) -> Option<Value> {
        if self == Self::EpochMillis {
            return Some(micros.div_euclid(1_000).into());
        }
        let mut text = iso(Micros(micros));
        if self == Self::EveTime && text.ends_with('Z') {
            text.truncate(text.len() - 1);
            text.push_str("+0000");
        }
        Some(text.into())
    }

    fn of_number(self, number: u64) -> Option<Value> {
        let value = match self {
            Self::Known if number == 0 => return None,
            Self::KnownText if number == 0 => return None,
            Self::KnownText => return Some(number.to_string().into()),
            Self::Inverted => 6_u64.saturating_sub(number).clamp(1, 5),
            Self::Cef => match number {
                0 | 1 => 1,
                2 => 3,
                3 => 5,
                4 => 8,
                _ => 10,
            },
            Self::SeverityCaption => {
                let word = match number {
                    1 => "Informational",
                    2 => "Low",
                    3 => "Medium",
                    4 => "High",
                    5 => "Critical",
                    _ => "Unknown",
                };
                return Some(word.into());
            }
            Self::ConfidenceId => 1 + u64::from(number >= 50) + u64::from(number >= 80),
            Self::ConfidenceWord => {
                return Some(
                    match number {
                        0..50 => "Low",
                        50..80 => "Medium",
                        _ => "High",
                    }
                    .into(),
                );
            }
            _ => number,
        };
        Some(value.into())
    }

    fn of_text(self, text: &str) -> Option<Value> {
        match self {
            // An empty state is that of a replay, which tells each finding once.
            Self::CreateOrUpdate => return Some(activity(text).into()),
            Self::CreateOrUpdateType => return Some((200_400 + activity(text)).into()),
            Self::OutcomeId => {
                let id = match text {
                    "result" => 1,
                    "error" => 2,
                    _ => 0,
                };
                return Some(id.into());
            }
            Self::HttpActivity => return Some(http_activity(text).into()),
            Self::HttpActivityType => return Some((400_200 + http_activity(text)).into()),
            _ if text.is_empty() => return None,
            _ => {}
        }
        Some(match self {
            Self::NumberOf => text.parse::<u64>().ok()?.into(),
            Self::One => vec![text].into(),
            Self::Upper => text.to_ascii_uppercase().into(),
            Self::DomainName if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() => {
                return None;
            }
            Self::UrlScheme => text.split_once("://")?.0.into(),
            Self::UrlPath => path(text)?.into(),
            Self::Alertable => (text != "hunt").into(),
            Self::ProtocolNumber => match text {
                "tcp" => 6.into(),
                "udp" => 17.into(),
                _ => return None,
            },
            Self::FlowId => flow_id(text).into(),
            Self::SignatureId => signature_id(text)?.into(),
            Self::FlowDirection => match text {
                "client_to_server" => "to_server".into(),
                "server_to_client" => "to_client".into(),
                _ => return None,
            },
            Self::OutcomeWord => match text {
                "result" => "success".into(),
                "error" => "failure".into(),
                _ => return None,
            },
            Self::HttpMethod => (text == REQUEST_BODY).then(|| "POST".into())?,
            Self::HttpActivityName => if text == REQUEST_BODY { "Post" } else { text }.into(),
            Self::AppProtocol => match text {
                REQUEST_BODY | "response_body" | "sse" => "http".into(),
                "web_socket" => "websocket".into(),
                _ => return None,
            },
            _ => text.into(),
        })
    }
}

/// The channel of what a client sends in HTTP; MCP sends it with POST.
const REQUEST_BODY: &str = "request_body";

/// OCSF `activity_id` of a finding: Create or Update. Nobody closed a finding that ended.
fn activity(state: &str) -> u64 {
    match state {
        "rose" | "closed" => 2,
        _ => 1,
    }
}

/// OCSF `activity_id` of HTTP: Post, or another that is named.
fn http_activity(channel: &str) -> u64 {
    if channel == REQUEST_BODY { 6 } else { 99 }
}

/// RFC 3339 in UTC with microseconds.
pub(super) fn iso(Micros(micros): Micros) -> String {
    let mut text = String::with_capacity(27);
    _ = write!(text, "{}", Timestamp::from_nanos(micros.saturating_mul(1_000)));
    text
}

/// The path of `scheme://host:port/path`.
fn path(key: &str) -> Option<&str> {
    let rest = key.split_once("://")?.1;
    Some(rest.split_at_checked(rest.find('/')?)?.1)
}

/// A number for a flow, as Suricata has one: positive, and exact in JSON readers that count in
/// doubles.
fn flow_id(community_id: &str) -> u64 {
    let hash = community_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash >> 53) ^ hash) & ((1 << 53) - 1)
}

/// Suricata counts rules: ours begin where `rules export suricata` begins.
fn signature_id(rule: &str) -> Option<u64> {
    let digits = rule.rsplit_once('-').map_or(rule, |(_, digits)| digits);
    digits.parse::<u32>().ok().map(|number| 9_100_000 + u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_say_what_their_notes_say() {
        let time = Cell::Time(Micros(1_795_334_400_123_456));
        for (cell, form, want) in [
            (time, Form::Iso, "\"2026-11-22T08:00:00.123456Z\""),
            (time, Form::EveTime, "\"2026-11-22T08:00:00.123456+0000\""),
            (time, Form::EpochMillis, "1795334400123"),
            (Cell::Time(Micros(-1)), Form::EpochMillis, "-1"),
            (Cell::Text("17"), Form::NumberOf, "17"),
            (Cell::Text("a"), Form::One, "[\"a\"]"),
            (Cell::Text("tcp"), Form::Upper, "\"TCP\""),
            (Cell::Text("udp"), Form::ProtocolNumber, "17"),
            (Cell::Text("mcp.example"), Form::DomainName, "\"mcp.example\""),
            (Cell::Text("https://a.example:443/x/y"), Form::UrlScheme, "\"https\""),
            (Cell::Text("https://a.example:443/x/y"), Form::UrlPath, "\"/x/y\""),
            (Cell::Number(5), Form::Inverted, "1"),
            (Cell::Number(1), Form::Inverted, "5"),
            (Cell::Number(9), Form::Inverted, "1"),
            (Cell::Number(4), Form::Cef, "8"),
            (Cell::Number(1), Form::SeverityCaption, "\"Informational\""),
            (Cell::Number(49), Form::ConfidenceId, "1"),
            (Cell::Number(50), Form::ConfidenceWord, "\"Medium\""),
            (Cell::Number(80), Form::ConfidenceId, "3"),
            (Cell::Number(404), Form::KnownText, "\"404\""),
            (Cell::Text("hunt"), Form::Alertable, "false"),
            (Cell::Text("alert"), Form::Alertable, "true"),
            (Cell::Text(""), Form::CreateOrUpdate, "1"),
            (Cell::Text("closed"), Form::CreateOrUpdateType, "200402"),
            (Cell::Text("SMCP-1001"), Form::SignatureId, "9101001"),
            (Cell::Text("error"), Form::OutcomeId, "2"),
            (Cell::Text("request"), Form::OutcomeId, "0"),
            (Cell::Text("result"), Form::OutcomeWord, "\"success\""),
            (Cell::Text("sse"), Form::HttpActivityType, "400299"),
            (Cell::Text("request_body"), Form::HttpActivityType, "400206"),
            (Cell::Text("web_socket"), Form::AppProtocol, "\"websocket\""),
            (Cell::Maybe(Some(0)), Form::Same, "0"),
            (Cell::Flag(false), Form::Same, "false"),
            (address("::ffff:10.0.0.1".parse().unwrap()), Form::IpV4, "\"10.0.0.1\""),
            (address("2001:db8::1".parse().unwrap()), Form::IpV6, "\"2001:db8::1\""),
        ] {
            assert_eq!(form.apply(cell).unwrap().to_string(), want, "{cell:?} {form:?}");
        }
        let packets = ["day 1:a.pcap:17".to_owned(), "b.pcap:1".to_owned()];
        assert_eq!(Form::FirstFile.apply(Cell::List(&packets)), Some("day 1:a.pcap".into()));
        assert_eq!(Form::FirstNumber.apply(Cell::List(&packets)), Some(17.into()));
        let lines = Form::Lines.apply(Cell::List(&packets)).unwrap();
        assert_eq!(lines, "day 1:a.pcap:17\nb.pcap:1");
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        for (cell, form) in [
            (Cell::Text(""), Form::Same),
            (Cell::List(&[]), Form::Same),
            (Cell::Number(0), Form::Known),
            (Cell::Number(0), Form::KnownText),
            (Cell::Maybe(None), Form::Same),
            (Cell::Text("10.0.0.1"), Form::DomainName),
            (Cell::Text("[2001:db8::1]"), Form::DomainName),
            (Cell::Text("no key"), Form::UrlPath),
            (Cell::Text("tcp://10.0.0.1:9000"), Form::UrlPath),
            (Cell::Text("sctp"), Form::ProtocolNumber),
            (Cell::Text("line"), Form::AppProtocol),
            (Cell::Text("request"), Form::OutcomeWord),
            (Cell::Text("one"), Form::NumberOf),
            (address("2001:db8::1".parse().unwrap()), Form::IpV4),
            (address("::ffff:10.0.0.1".parse().unwrap()), Form::IpV6),
            (address(Ipv6Addr::UNSPECIFIED), Form::Same),
        ] {
            assert_eq!(form.apply(cell), None, "{cell:?} {form:?}");
        }
    }

    #[test]
    fn a_flow_number_fits_into_a_double() {
        let id = flow_id("1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert!(id > 0 && id < 1 << 53);
        assert_ne!(id, flow_id("1:LQU9qZlK+B5F3KDmev6m5PMibrh="));
    }
}
