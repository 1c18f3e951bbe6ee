//! Values into a record, by what their keys say. Formats that are no JSON use it as well.

use std::borrow::Cow;

use super::super::super::Record;
use super::super::super::meaning::{Meaning, Value};
use super::Notes;
use super::keys::{Keys, Side, Target, To};

/// Puts the values of a line where its keys say.
#[derive(Debug)]
pub(in super::super) struct Taker<'r, 'a> {
    pub(super) keys: &'r Keys,
    record: &'r mut Record<'a>,
    pub(super) notes: Notes<'a>,
}

impl<'r, 'a> Taker<'r, 'a> {
    pub(in super::super) fn new(keys: &'r Keys, record: &'r mut Record<'a>) -> Self {
        Self { keys, record, notes: Notes::default() }
    }

    /// Takes the value of a key.
    pub(in super::super) fn take(&mut self, target: Target<'_>, value: Value<'a>) {
        if let Value::Text(text) = &value
            && self.keys.absent.iter().any(|absent| **absent == **text)
        {
            return;
        }
        let Target { to, note } = target;
        if let Some(index) = note {
            let value =
                if to.is_some() { value.clone() } else { return self.notes.set(index, value) };
            self.notes.set(index, value);
        }
        match to {
            Some(To::Is(meaning)) => self.put(*meaning, value),
            Some(To::Otherwise(meaning, rank)) => {
                self.notes.otherwise.push((*rank, *meaning, value));
            }
            Some(To::Header(side, name)) => match value {
                Value::Text(text) if !matches!(&*text, "" | "-") => {
                    self.field(*side, Cow::Owned(name.as_ref().to_owned()), text);
                }
                Value::Int(number) => {
                    let name = Cow::Owned(name.as_ref().to_owned());
                    self.field(*side, name, Cow::Owned(number.to_string()));
                }
                _ => {}
            },
            Some(To::Headers(_)) | None => {}
        }
    }

    fn put(&mut self, meaning: Meaning, value: Value<'a>) {
        let (meaning, value) = match (meaning, value) {
            // Seconds as a JSON number: what is written has no more than microseconds.
            (Meaning::Time, Value::Float(seconds)) if (1e8..1e11).contains(&seconds) => {
                #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
                let micros = (seconds * 1e6).round() as i64;
                (meaning, Value::Int(micros))
            }
            // Some write -1 where there was no answer.
            (Meaning::Status, Value::Int(..=0)) => return,
            (Meaning::Status, Value::Text(text)) if text.starts_with('-') => return,
            (Meaning::Target | Meaning::Path, Value::Text(text)) if is_absolute(&text) => {
                (Meaning::Url, Value::Text(text))
            }
            other => other,
        };
        if let Err(reason) = self.record.put(meaning, value) {
            self.notes.reason.get_or_insert(reason);
        }
    }

    /// A header field; those that HTTP/2 makes of the request line are told apart by a colon
    /// (RFC 9113 section 8.3).
    pub(super) fn field(&mut self, side: Side, name: Cow<'a, str>, value: Cow<'a, str>) {
        let meaning = match &*name {
            ":method" => Meaning::Method,
            ":scheme" => Meaning::Scheme,
            ":authority" => Meaning::Host,
            ":path" => Meaning::Target,
            ":status" => Meaning::Status,
            _ if name.starts_with(':') || name.is_empty() => return,
            _ if side == Side::Request => return self.record.request_field(name, value),
            _ => return self.record.response_field(name, value),
        };
        self.put(meaning, Value::Text(value));
    }

    /// What came second best goes where nothing better came.
    pub(in super::super) fn finish(mut self) -> Notes<'a> {
        let mut otherwise = std::mem::take(&mut self.notes.otherwise);
        otherwise.sort_by_key(|(rank, ..)| *rank);
        for (_, meaning, value) in otherwise {
            if !has(self.record, meaning) {
                self.put(meaning, value);
            }
        }
        self.notes
    }
}

/// A request line's target in absolute form (RFC 9112 section 3.2.2).
fn is_absolute(text: &str) -> bool {
    !text.starts_with('/') && text.contains("://")
}

/// Whether a record says something of a meaning already.
fn has(record: &Record<'_>, meaning: Meaning) -> bool {
    let field = |fields: &[(Cow<'_, str>, Cow<'_, str>)], wanted: &str| {
        fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    match meaning {
        Meaning::Time => record.time.is_some(),
        Meaning::Client => record.client.is_some(),
        Meaning::Server => record.server.is_some(),
        Meaning::ServerPort => record.server_port.is_some(),
        Meaning::Proxy => record.proxy.is_some(),
        Meaning::Method => record.method.is_some(),
        Meaning::Scheme => record.scheme.is_some(),
        Meaning::Host => record.host.is_some(),
        Meaning::Url | Meaning::Target | Meaning::Path => record.target.is_some(),
        Meaning::Version => record.version.is_some(),
        Meaning::Status => record.status.is_some(),
        Meaning::User => record.user.is_some(),
        Meaning::Device => record.device.is_some(),
        Meaning::Sni => record.sni.is_some(),
        Meaning::DnsName => record.dns_name.is_some(),
        Meaning::DnsType => record.dns_type.is_some(),
        Meaning::DnsCode => record.dns_code.is_some(),
        Meaning::RequestId => record.request_id.is_some(),
        Meaning::RpcName => record.rpc_name.is_some(),
        Meaning::UserAgent => field(&record.request_fields, "user-agent"),
        Meaning::Referer => field(&record.request_fields, "referer"),
        Meaning::Accept => field(&record.request_fields, "accept"),
        Meaning::OriginHeader => field(&record.request_fields, "origin"),
        Meaning::RequestType => field(&record.request_fields, "content-type"),
        Meaning::ResponseType => field(&record.response_fields, "content-type"),
        Meaning::Location => field(&record.response_fields, "location"),
        _ => false,
    }
}
