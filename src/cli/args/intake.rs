//! Servers that proxies talk to, as typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::time;

/// Servers of a run.
#[derive(Clone, Debug, Args)]
pub struct Servers {
    /// ICAP.
    #[command(flatten)]
    pub icap: Icap,
    /// Pushed logs.
    #[command(flatten)]
    pub push: Push,
    /// Syslog.
    #[command(flatten)]
    pub syslog: Syslog,
    /// TLS of all of them.
    #[command(flatten)]
    pub certificate: Certificate,
}

impl Servers {
    /// Whether one is asked for.
    #[must_use]
    pub const fn has_any(&self) -> bool {
        self.icap.address.is_some() || self.push.push.is_some() || self.syslog.syslog.is_some()
    }
}

/// TLS of the servers.
#[derive(Clone, Debug, Default, Args)]
pub struct Certificate {
    /// PEM file with the server's certificate (and those up to a root): TLS only.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with its private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// `--icap-requests`, `--icap-responses`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BodiesKind {
    /// Heads only; the proxy waits for nothing and depends on nothing.
    Head,
    /// Up to 64 KiB of each body.
    #[default]
    Preview,
    /// All of bodies that may be MCP: they are passed through the sensor.
    Whole,
}

/// The ICAP server, in `shadowtap icap` (`--listen`) and `watch --icap`.
#[derive(Clone, Debug, Args)]
pub struct Icap {
    /// Listen at this address for proxies that speak ICAP, as Squid does: they send what they
    /// decrypt. The services are /reqmod and /respmod.
    #[arg(long = "icap", visible_alias = "listen", value_name = "ADDRESS")]
    pub address: Option<SocketAddr>,
    /// What is read of request bodies.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub icap_requests: BodiesKind,
    /// What is read of response bodies.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub icap_responses: BodiesKind,
    /// Refuse requests that a rule of the enforce lane decides on, with a page that says why.
    #[arg(long)]
    pub enforce: bool,
    /// With --enforce: where to ask, as the page says.
    #[arg(long, value_name = "TEXT", requires = "enforce")]
    pub contact: Option<String>,
    /// With --enforce: milliseconds that a decision may take; then the request is let through.
    #[arg(long, value_name = "MS", default_value_t = 500, requires = "enforce")]
    pub decide_within: u64,
    /// With --enforce: refuse what was not decided in time.
    #[arg(long, requires = "enforce")]
    pub fail_closed: bool,
    /// Connections of proxies at a time; more are told to come later.
    #[arg(long, value_name = "N", default_value_t = 2048)]
    pub icap_connections: usize,
}

/// `watch --push`.
#[derive(Clone, Debug, Args)]
pub struct Push {
    /// Take logs in that are pushed by HTTP to /v1/logs/SOURCE at this address.
    #[arg(long, value_name = "ADDRESS", requires = "push_sources")]
    pub push: Option<SocketAddr>,
    /// YAML file of who may push: names, tokens, formats.
    #[arg(long, value_name = "FILE")]
    pub push_sources: Option<PathBuf>,
}

/// `watch --syslog`.
#[derive(Clone, Debug, Args)]
pub struct Syslog {
    /// Take logs in by syslog over TCP at this address.
    #[arg(long, value_name = "ADDRESS")]
    pub syslog: Option<SocketAddr>,
    /// Format of what the messages carry (default: recognised).
    #[arg(long, value_name = "NAME", requires = "syslog")]
    pub syslog_format: Option<String>,
    /// Connections that are silent for so long are closed.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span)]
    pub syslog_idle: Duration,
}

fn span(text: &str) -> Result<Duration, String> {
    time::span(text).ok_or_else(|| "a number and s, m, h or d, as in 90s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        tls: Certificate,
        #[command(flatten)]
        icap: Icap,
        #[command(flatten)]
        push: Push,
        #[command(flatten)]
        syslog: Syslog,
    }

    #[test]
    fn arguments_depend_on_each_other() {
        for (line, is_fine) in [
            ("", true),
            ("--enforce --contact it --decide-within 5 --fail-closed", true),
            ("--contact it", false),
            ("--icap-responses whole", true),
            ("--icap-responses all", false),
            ("--push 127.0.0.1:1 --push-sources x", true),
            ("--push 127.0.0.1:1", false),
            ("--syslog 127.0.0.1:1 --syslog-format squid --syslog-idle 5m", true),
            ("--syslog-format squid", false),
            ("--tls-cert a", false),
            ("--tls-cert a --tls-key b", true),
        ] {
            let words = std::iter::once("x").chain(line.split_whitespace());
            let read = Line::try_parse_from(words);
            assert_eq!(read.is_ok(), is_fine, "{line}: {:?}", read.err());
        }
    }
}
