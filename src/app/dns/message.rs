//! Header, questions and records (RFC 1035 section 4.1).

use super::answer::{Answers, MAX_ADDRESSES};
use super::name::name;
use crate::exchange::DnsMessage;

/// Questions that are read; one is the rule, multicast DNS has some.
pub(super) const MAX_QUESTIONS: usize = 16;
/// Records that are read, of all sections together.
const MAX_RECORDS: usize = 64;

pub(super) const HEADER_BYTES: usize = 12;

/// Record types (IANA).
mod kind {
    pub(super) const A: u16 = 1;
    pub(super) const CNAME: u16 = 5;
    pub(super) const AAAA: u16 = 28;
    pub(super) const OPT: u16 = 41;
    pub(super) const SVCB: u16 = 64;
    pub(super) const HTTPS: u16 = 65;
}

/// The fixed header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    response: bool,
    code: u8,
    questions: u16,
    records: usize,
}

impl Header {
    /// `None` for what cannot be a query or the response to one.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let [_, _, high, low, counts @ ..] = message.first_chunk::<HEADER_BYTES>()?;
        let (pairs, _) = counts.as_chunks();
        let mut counts = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
        let questions = counts.next()?;
        let records = counts.map(usize::from).sum();
        let response = high & 0x80 != 0;
        let standard = high & 0x78 == 0;
        let says_something = questions > 0 || (response && records > 0);
        (standard && says_something).then_some(Self {
            response,
            code: low & 0x0f,
            questions,
            records,
        })
    }
}

/// Reads a message; `None` if it is none. At most 16 questions, 64 records and 128 addresses of it.
pub(in crate::app) fn parse(message: &[u8]) -> Option<DnsMessage> {
    let header = Header::read(message)?;
    let mut parsed = DnsMessage {
        response: header.response,
        code: u16::from(header.code),
        ..DnsMessage::default()
    };
    let mut at = HEADER_BYTES;
    for index in 0..header.questions {
        // The first one must be there, as in every message that is DNS.
        let Some((asked, kind, next)) = question(message, at) else {
            return (index > 0).then_some(parsed);
        };
        at = next;
        if parsed.questions.len() < MAX_QUESTIONS {
            parsed.questions.push((asked, kind));
        }
    }
    let mut answers = Answers::default();
    for index in 0..header.records.min(MAX_RECORDS) {
        let Some((record, next)) = record(message, at) else {
            if index == 0 && header.questions == 0 {
                return None;
            }
            break;
        };
        at = next;
        if header.response {
            take(message, record, &mut parsed, &mut answers);
        }
    }
    parsed.addresses = answers.addresses(&parsed.questions);
    Some(parsed)
}

fn question(message: &[u8], at: usize) -> Option<(String, u16, usize)> {
    let (asked, at) = name(message, at)?;
    let [kind_high, kind_low, _, _] = *message.get(at..)?.first_chunk()?;
    Some((asked, u16::from_be_bytes([kind_high, kind_low]), at + 4))
}

/// A resource record (RFC 1035 section 4.1.3).
#[derive(Debug)]
struct Record<'a> {
    owner: String,
    kind: u16,
    class: u16,
    ttl: u32,
    data: &'a [u8],
    /// Where `data` starts: names in it may point back.
    data_at: usize,
}

fn record(message: &[u8], at: usize) -> Option<(Record<'_>, usize)> {
    let (owner, at) = name(message, at)?;
    let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = *message.get(at..)?.first_chunk()?;
    let data_at = at + 10;
    let end = data_at + usize::from(u16::from_be_bytes([l0, l1]));
    let record = Record {
        owner,
        kind: u16::from_be_bytes([k0, k1]),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([t0, t1, t2, t3]),
        data: message.get(data_at..end)?,
        data_at,
    };
    Some((record, end))
}

fn take(message: &[u8], record: Record<'_>, parsed: &mut DnsMessage, answers: &mut Answers) {
    let Record { owner, kind, class, ttl, data, data_at } = record;
    if kind == kind::OPT {
        // The upper bits of the code (RFC 6891 section 6.1.3).
        let [high, ..] = ttl.to_be_bytes();
        parsed.code |= u16::from(high) << 4;
        return;
    }
    // IN; multicast DNS sets the top bit to flush caches (RFC 6762 section 10.2).
    if class & 0x7fff != 1 {
        return;
    }
    match kind {
        kind::A => {
            if let Ok(octets) = <[u8; 4]>::try_from(data) {
                answers.address(owner, octets.into(), ttl);
            }
        }
        kind::AAAA => {
            if let Ok(octets) = <[u8; 16]>::try_from(data) {
                answers.address(owner, octets.into(), ttl);
            }
        }
        kind::CNAME => {
            if let Some((target, _)) = name(message, data_at) {
                answers.alias(owner, target, ttl);
            }
        }
        kind::SVCB | kind::HTTPS => {
            parsed.ech |= service(message, data, data_at, &owner, ttl, answers).unwrap_or(false);
        }
        _ => {}
    }
}

/// Keys of parameters (RFC 9460 section 14.3.2, RFC 9848).
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;

/// SVCB and HTTPS (RFC 9460 section 2.2). Whether it has keys for ECH.
fn service(
    message: &[u8],
    data: &[u8],
    data_at: usize,
    owner: &str,
    ttl: u32,
    answers: &mut Answers,
) -> Option<bool> {
    let priority = u16::from_be_bytes(*data.first_chunk()?);
    let (target, params_at) = name(message, data_at + 2)?;
    if !target.is_empty() && target != owner {
        // In AliasMode another name for the owner; in ServiceMode where the service is. Either
        // way, addresses of the target are what a client connects to for the owner's sake.
        answers.alias(owner.to_owned(), target, ttl);
    }
    let mut params = data.get(params_at.checked_sub(data_at)?..)?;
    let mut ech = false;
    while let Some(([k0, k1, l0, l1], rest)) = params.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((value, rest)) = rest.split_at_checked(len) else { break };
        params = rest;
        match (u16::from_be_bytes([*k0, *k1]), priority) {
            // AliasMode has no parameters.
            (_, 0) => break,
            (IPV4_HINT, _) => {
                let (all, _) = value.as_chunks::<4>();
                all.iter()
                    .take(MAX_ADDRESSES)
                    .for_each(|ip| answers.address(owner.to_owned(), (*ip).into(), ttl));
            }
            (IPV6_HINT, _) => {
                let (all, _) = value.as_chunks::<16>();
                all.iter()
                    .take(MAX_ADDRESSES)
                    .for_each(|ip| answers.address(owner.to_owned(), (*ip).into(), ttl));
            }
            (ECH, _) => ech = true,
            _ => {}
        }
    }
    Some(ech)
}
