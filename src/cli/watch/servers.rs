//! Servers that proxies send to: ICAP, pushed logs and syslog.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::args::{self, BodiesKind};
use crate::cli::logs::unknown_format;
use crate::cli::{Failure, complain};
use crate::intake::icap::{self, Bodies, Enforce};
use crate::intake::tls::Identity;
use crate::intake::{push, syslog};
use crate::logs::format;
use crate::pipeline::Config;
use crate::pipeline::watch::{Inlet, SourceName};

/// The servers of a run.
#[derive(Debug, Default)]
pub(super) struct Servers {
    icap: Option<icap::Server>,
    push: Option<push::Server>,
    syslog: Option<syslog::Server>,
}

impl Servers {
    /// Starts those that were asked for.
    pub(super) fn start(
        args: &args::Servers,
        config: &Config,
        inlet: &Arc<Inlet>,
    ) -> Result<Self, Failure> {
        let identity = args.certificate.tls_cert.clone().zip(args.certificate.tls_key.clone());
        let tls = identity.map(|(certificate, key)| Identity { certificate, key });
        let start = Start { args, config, inlet, tls };
        let servers = Self {
            icap: args.icap.address.map(|address| start.icap(address)).transpose()?,
            push: args.push.push.map(|address| start.push(address)).transpose()?,
            syslog: args.syslog.syslog.map(|address| start.syslog(address)).transpose()?,
        };
        if start.tls.is_none() {
            servers.warn();
        }
        Ok(servers)
    }

    /// What is listened at, for people.
    pub(super) fn places(&self) -> Vec<String> {
        let places = [
            ("icap", self.icap.as_ref().map(icap::Server::local_addr)),
            ("push", self.push.as_ref().map(push::Server::local_addr)),
            ("syslog", self.syslog.as_ref().map(syslog::Server::local_addr)),
        ];
        let named = places.into_iter().filter_map(|(name, at)| Some(format!("{name} at {}", at?)));
        named.collect()
    }

    /// What the ICAP server counted.
    pub(super) fn icap_counters(&self) -> Option<icap::Counters> {
        self.icap.as_ref().map(icap::Server::counters)
    }

    /// Ends all of them; what they know is handed over.
    pub(super) fn stop(self) {
        if let Some(server) = self.icap {
            server.stop();
        }
        if let Some(server) = self.push {
            server.stop();
        }
        if let Some(server) = self.syslog {
            server.stop();
        }
    }

    /// Requests, logs and tokens are not for everybody on a network.
    fn warn(&self) {
        let addresses = [
            self.icap.as_ref().map(icap::Server::local_addr),
            self.push.as_ref().map(push::Server::local_addr),
            self.syslog.as_ref().map(syslog::Server::local_addr),
        ];
        for address in addresses.into_iter().flatten() {
            if !address.ip().is_loopback() {
                complain(&format!(
                    "warning: {address} is listened at without TLS: what proxies send there can be \
                     read on the network (--tls-cert, --tls-key)"
                ));
            }
        }
    }
}

struct Start<'a> {
    args: &'a args::Servers,
    config: &'a Config,
    inlet: &'a Arc<Inlet>,
    tls: Option<Identity>,
}

impl Start<'_> {
    fn source(&self, name: String, format: &str) -> u16 {
        self.inlet.add_source(SourceName { name: name.into(), format: format.into() })
    }

    fn icap(&self, address: SocketAddr) -> Result<icap::Server, Failure> {
        let given = &self.args.icap;
        let enforce = given.enforce.then(|| Enforce {
            deadline: Duration::from_millis(given.decide_within),
            fail_closed: given.fail_closed,
            contact: given.contact.clone(),
            ..Enforce::default()
        });
        let settings = icap::Settings {
            tls: self.tls.clone(),
            requests: bodies(given.icap_requests),
            responses: bodies(given.icap_responses),
            enforce,
            max_connections: given.icap_connections,
            source: self.source(format!("icap {address}"), "icap"),
            tap: self.config.shards.mcp,
            hasher: self.config.hasher.clone(),
            ..icap::Settings::new(address)
        };
        let outlet = Arc::<Inlet>::clone(self.inlet);
        icap::Server::start(settings, outlet)
            .map_err(|error| Failure::new(format!("--icap {address}: {error}")))
    }

    fn push(&self, address: SocketAddr) -> Result<push::Server, Failure> {
        // Clap sees to it that there is a file.
        let file = self.args.push.push_sources.clone().unwrap_or_default();
        let failed = |error: String| Failure::new(format!("--push-sources {error}"));
        let sources = push::Sources::read(&file, self.inlet.sources()).map_err(failed)?;
        for source in sources.iter() {
            let format = source.format.map_or("recognised", |format| format.name);
            self.source(format!("push {}", source.name), format);
        }
        let settings = push::Settings {
            tls: self.tls.clone(),
            tap: self.config.shards.mcp,
            hasher: self.config.hasher.clone(),
            ..push::Settings::new(address, sources)
        };
        let outlet = Arc::<Inlet>::clone(self.inlet);
        push::Server::start(settings, outlet)
            .map_err(|error| Failure::new(format!("--push {address}: {error}")))
    }

    fn syslog(&self, address: SocketAddr) -> Result<syslog::Server, Failure> {
        let given = &self.args.syslog;
        let named = |name: &String| format::by_name(name).ok_or_else(|| unknown_format(name));
        let format = given.syslog_format.as_ref().map(named).transpose()?;
        let settings = syslog::Settings {
            tls: self.tls.clone(),
            format,
            idle: given.syslog_idle,
            source: self.source(
                format!("syslog {address}"),
                format.map_or("recognised", |format| format.name),
            ),
            tap: self.config.shards.mcp,
            hasher: self.config.hasher.clone(),
            ..syslog::Settings::new(address)
        };
        let outlet = Arc::<Inlet>::clone(self.inlet);
        syslog::Server::start(settings, outlet)
            .map_err(|error| Failure::new(format!("--syslog {address}: {error}")))
    }
}

const fn bodies(kind: BodiesKind) -> Bodies {
    match kind {
        BodiesKind::Head => Bodies::Head,
        BodiesKind::Preview => Bodies::Preview,
        BodiesKind::Whole => Bodies::Whole,
    }
}
