//! Addresses that a host is, or stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::reach::{Reach, reach};

/// The address that a resolver makes of `host`, without asking anyone: an IPv4 address in any
/// notation that browsers and `inet_aton` take (WHATWG URL section 3.5: one to four parts, each
/// decimal, octal or hexadecimal), an IPv6 address with or without brackets, names that always
/// stand for one (`localhost`, RFC 6761 section 6.3; the metadata services of clouds), and names
/// under domains that answer with the address in the name (`10.0.0.1.nip.io`).
///
/// In lower case; a last dot does not matter. Only for hosts: `1` is `0.0.0.1` there.
#[must_use]
pub fn host_ip(host: &str) -> Option<IpAddr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if literal.is_some() || host.contains(':') {
        let literal = literal.unwrap_or(host);
        let without_zone = literal.split('%').next().unwrap_or_default();
        return without_zone.parse().ok().map(IpAddr::V6);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        return v4(host).map(IpAddr::V4);
    }
    named(host).or_else(|| encoded(host))
}

/// WHATWG URL section 3.5, the IPv4 parser.
fn v4(host: &str) -> Option<Ipv4Addr> {
    let mut parts = [0_u64; 4];
    let mut count = 0;
    for part in host.split('.') {
        *parts.get_mut(count)? = number(part)?;
        count += 1;
    }
    let (last, leading) = parts.get(..count)?.split_last()?;
    if leading.iter().any(|part| *part > 255) || *last >= 1 << (8 * (5 - count)) {
        return None;
    }
    let mut address = *last;
    for (index, part) in leading.iter().enumerate() {
        address |= part << (8 * (3 - index));
    }
    u32::try_from(address).ok().map(Ipv4Addr::from)
}

/// A part of an IPv4 address: hexadecimal after `0x`, octal after `0`, else decimal.
fn number(part: &str) -> Option<u64> {
    let bytes = part.as_bytes();
    let (digits, radix) = match bytes {
        [] => return None,
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16_u32),
        [b'0', digits @ ..] => (digits, 8),
        digits => (digits, 10),
    };
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        let value = value * u64::from(radix) + u64::from(digit);
        (value <= u64::from(u32::MAX)).then_some(value)
    })
}

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Names that stand for one address everywhere, or do where they stand for any.
fn named(host: &str) -> Option<IpAddr> {
    match host {
        "localhost" | "localhost.localdomain" | "localtest.me" | "lvh.me" => {
            Some(Ipv4Addr::LOCALHOST.into())
        }
        "ip6-localhost" | "ip6-loopback" => Some(Ipv6Addr::LOCALHOST.into()),
        // Google, and EC2's name for the same.
        "metadata.google.internal"
        | "metadata.goog"
        | "instance-data"
        | "instance-data.ec2.internal" => Some(METADATA.into()),
        _ if [".localhost", ".localtest.me", ".lvh.me"].iter().any(|end| host.ends_with(end)) => {
            Some(Ipv4Addr::LOCALHOST.into())
        }
        _ => None,
    }
}

/// Domains whose servers answer with the address that a name holds.
const ANSWERING: [&str; 6] =
    [".nip.io", ".sslip.io", ".xip.io", ".traefik.me", ".rbndr.us", ".1u.ms"];

/// The address in a name under one of those domains. Of several (for rebinding, CWE-350) the
/// first that is not public.
fn encoded(host: &str) -> Option<IpAddr> {
    let name = ANSWERING.iter().find_map(|domain| host.strip_suffix(domain))?;
    let found = [Some('.'), Some('-'), None].into_iter().flat_map(|between| in_name(name, between));
    let mut first = None;
    for ip in found {
        if reach(ip) != Reach::Public {
            return Some(ip);
        }
        first = first.or(Some(ip));
    }
    first
}

/// Addresses written with a dot or a dash between their parts, or else as eight hexadecimal
/// digits or as IPv6 with dashes.
fn in_name(name: &str, between: Option<char>) -> Vec<IpAddr> {
    let is_separator = |char: char| matches!(char, '.' | '-');
    match between {
        Some(between) => {
            // Another separator ends what was begun.
            let runs = name.split(move |char| is_separator(char) && char != between);
            runs.flat_map(|run| four_parts(run, between)).collect()
        }
        None => {
            let hex = name.split(is_separator).filter(|part| part.len() == 8).filter_map(|part| {
                u32::from_str_radix(part, 16).ok().map(|bits| IpAddr::V4(bits.into()))
            });
            let v6 = name.split('.').filter(|label| label.len() <= 39).filter_map(|label| {
                label
                    .contains("--")
                    .then(|| label.replace('-', ":").parse().ok().map(IpAddr::V6))?
            });
            hex.chain(v6).collect()
        }
    }
}

/// Each four decimal parts in a row that are an address.
fn four_parts(run: &str, between: char) -> Vec<IpAddr> {
    let part = |text: &str| {
        let is_number =
            (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { text.parse::<u8>().ok() } else { None }
    };
    let parts: Vec<Option<u8>> = run.split(between).map(part).collect();
    let (mut found, mut rest) = (Vec::new(), parts.as_slice());
    while let [first, after @ ..] = rest {
        rest = after;
        if let (Some(a), [Some(b), Some(c), Some(d), beyond @ ..]) = (first, after) {
            found.push(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)));
            rest = beyond;
        }
    }
    found
}

/// The IPv4 address that packets to an IPv6 address end up at: mapped (RFC 4291 section 2.5.5.2),
/// compatible (2.5.5.1), translated (RFC 6052 section 2.1, `64:ff9b::/96`; RFC 7915,
/// `::ffff:0:0:0/96`) and 6to4 (RFC 3056 section 2, `2002::/16`).
#[must_use]
pub fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        // Unspecified and loopback.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xFFFF, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}
