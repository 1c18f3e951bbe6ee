//! What lines of several types have.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use serde::Deserialize;

use super::{MAX_ITEMS, MAX_STRING_BYTES};
use crate::sinks::rows::Micros;

/// A string, borrowed from the line where it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is stored: at most [`MAX_STRING_BYTES`].
    pub(super) fn stored(&self) -> String {
        cut(&self.0).to_owned()
    }
}

/// The beginning of a text that fits.
pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_STRING_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The first items of a list, each made into a string that fits.
pub(super) fn listed<T>(items: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    let bounded = |item| {
        let mut text = text(item);
        text.truncate(cut(&text).len());
        text
    };
    items.iter().take(MAX_ITEMS).map(bounded).collect()
}

/// The first strings of a list.
pub(super) fn strings(items: &[Text<'_>]) -> Vec<String> {
    items.iter().take(MAX_ITEMS).map(Text::stored).collect()
}

/// Last microsecond that [`crate::time::Timestamp`] can tell, in 2262.
const LAST_MICROS: i64 = i64::MAX / 1_000;

/// A time as it is stored, from 1970 to 2262: all that events have and a `DateTime64` holds.
pub(super) fn stored(time: Micros) -> Micros {
    Micros(time.0.clamp(0, LAST_MICROS))
}

/// An IP address; IPv4 is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "IpAddr")]
pub(super) struct Ip(pub(super) Ipv6Addr);

impl Default for Ip {
    fn default() -> Self {
        Self(Ipv6Addr::UNSPECIFIED)
    }
}

impl From<IpAddr> for Ip {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => Self(v6),
        }
    }
}

/// One end, and what it sent where the line tells.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct End {
    pub(super) ip: Ip,
    pub(super) port: u16,
    pub(super) bytes: u64,
    pub(super) packets: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Server<'a> {
    #[serde(borrow)]
    pub(super) key: Text<'a>,
    #[serde(borrow)]
    pub(super) address: Text<'a>,
}

impl Server<'_> {
    /// The host: as the line has it, or that of the key.
    pub(super) fn host(&self) -> String {
        if self.address.is_empty() {
            cut(host_of(&self.key.0)).to_owned()
        } else {
            self.address.stored()
        }
    }
}

/// Host of `scheme://host:port/path`; an IPv6 address without its brackets.
pub(super) fn host_of(key: &str) -> &str {
    let Some((_, rest)) = key.split_once("://") else { return "" };
    match rest.strip_prefix('[') {
        Some(literal) => literal.split_once(']').map_or("", |(host, _)| host),
        None => rest.split([':', '/']).next().unwrap_or_default(),
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
}

/// A program and its version.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Software<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

impl Software<'_> {
    /// `name version`, or the name alone.
    pub(super) fn shown(&self) -> String {
        if self.version.is_empty() {
            return self.name.stored();
        }
        format!("{} {}", self.name.0, self.version.0)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Packet<'a> {
    #[serde(borrow)]
    pub(super) file: Text<'a>,
    pub(super) number: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Network<'a> {
    #[serde(borrow)]
    pub(super) transport: Text<'a>,
    #[serde(borrow)]
    pub(super) community_id: Text<'a>,
    #[serde(borrow)]
    pub(super) application: Text<'a>,
}

/// First and last time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Period {
    pub(super) start: Micros,
    pub(super) end: Option<Micros>,
}

/// A VLAN or a tunnel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tunnel<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    id: Option<u32>,
    #[serde(borrow)]
    outer_src: Text<'a>,
    #[serde(borrow)]
    outer_dst: Text<'a>,
}

impl Tunnel<'_> {
    /// `vlan 7`, `vxlan 42 10.0.0.8 > 10.0.0.9`.
    pub(super) fn shown(&self) -> String {
        let Self { kind, id, outer_src, outer_dst } = self;
        let id = id.map_or_else(String::new, |id| format!(" {id}"));
        if outer_src.is_empty() {
            return format!("{}{id}", kind.0);
        }
        format!("{}{id} {} > {}", kind.0, outer_src.0, outer_dst.0)
    }
}
