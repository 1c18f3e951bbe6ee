//! The formats, each in a file with the table of what its fields mean.

mod aws_alb;
mod bluecoat;
mod delimited;
mod fields;
mod haproxy;
mod key_value;
mod netskope;
mod nginx;
mod paloalto;
mod sniff;
mod squid;
mod zeek;
mod zscaler;

use super::Spec;

/// All formats that are recognised by themselves, the surest to tell first.
pub const ALL: &[&Spec] = &[
    &zeek::SPEC,
    &netskope::SPEC,
    &bluecoat::SPEC,
    &squid::KEYED,
    &zscaler::SPEC,
    &paloalto::SPEC,
    &aws_alb::SPEC,
    &haproxy::SPEC,
    &squid::NATIVE,
    &nginx::SPEC,
];

/// The format of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Spec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}
