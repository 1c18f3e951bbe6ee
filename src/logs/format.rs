//! The formats, each in a file with the table of what its fields mean.

mod aws_alb;
mod bluecoat;
mod cloudflare;
mod delimited;
mod envoy_json;
mod envoy_tap;
mod fields;
pub mod generic;
mod haproxy;
mod haproxy_json;
mod har;
mod json;
mod key_value;
mod mitmproxy;
mod netskope;
mod netskope_json;
mod nginx;
mod nginx_json;
mod paloalto;
mod recommended;
mod sniff;
mod squid;
mod squid_json;
mod suricata_eve;
mod zeek;
mod zeek_json;
mod zscaler;
mod zscaler_json;

#[cfg(test)]
mod tests;

use super::Spec;

/// All formats that are recognised by themselves, the surest to tell first.
pub const ALL: &[&Spec] = &[
    &har::SPEC,
    &envoy_tap::SPEC,
    &suricata_eve::SPEC,
    &zeek_json::SPEC,
    &cloudflare::GATEWAY_HTTP,
    &cloudflare::GATEWAY_NETWORK,
    &cloudflare::GATEWAY_DNS,
    &cloudflare::MCP_PORTAL,
    &netskope_json::SPEC,
    &zscaler_json::SPEC,
    &mitmproxy::SPEC,
    &envoy_json::SPEC,
    &haproxy_json::SPEC,
    &squid_json::SPEC,
    &nginx_json::SPEC,
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
