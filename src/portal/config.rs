//! The portal's file, checked. Sections of other parts are put beside these.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::front::{self, TlsFiles};
use super::hub::{self, Override, Route, Server, names};

/// Longest file that is read: 1 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Something that is wrong in the file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `servers[2].id`, or a line and column.
    pub place: String,
    /// What, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// `portal.yaml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where to listen, and how.
    #[serde(default)]
    pub listen: Listen,
    /// Name of the portal, as clients and people see it (default: "shadowtap portal").
    #[serde(default)]
    pub title: Option<String>,
    /// Sessions of clients.
    #[serde(default)]
    pub sessions: Sessions,
    /// Lists and calls.
    #[serde(default)]
    pub calls: Calls,
    /// Servers behind the portal, in the order of their lists.
    pub servers: Vec<ServerEntry>,
    /// More endpoints: `/mcp/{name}` with some of the servers.
    #[serde(default)]
    pub portals: BTreeMap<String, PortalEntry>,
}

/// `listen`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Address and port (default: 127.0.0.1:8808).
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Address that clients know the portal by, as `https://mcp.example.com`.
    pub public_url: Option<String>,
    /// Origins of web pages that may call the portal, as `https://app.example.com`.
    pub origins: Vec<String>,
    /// Names that the `Host` header may have; empty: any, unless listening on loopback.
    pub hosts: Vec<String>,
    /// HTTPS.
    pub tls: Option<TlsEntry>,
    /// Whether clients of 2025-03-26 to 2025-11-25 are served (default: true).
    pub sessions: bool,
    /// Whether clients of 2024-11-05 are served at `/sse` (default: false).
    pub sse: bool,
    /// Connections at a time (default: 4096); more are closed.
    pub max_connections: usize,
    /// Longest body of a request, in bytes (default: 4194304).
    pub max_body_bytes: usize,
    /// Arrays and objects inside of each other in a request (default: 64; 127 at most).
    pub max_depth: u32,
    /// Seconds for a request's head (default: 10).
    pub header_seconds: u64,
    /// Seconds for a request's body (default: 30).
    pub body_seconds: u64,
    /// Seconds for calls to finish when the portal stops (default: 30).
    pub drain_seconds: u64,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8808),
            public_url: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            tls: None,
            sessions: true,
            sse: false,
            max_connections: 4096,
            max_body_bytes: 4 << 20,
            max_depth: 64,
            header_seconds: 10,
            body_seconds: 30,
            drain_seconds: 30,
        }
    }
}

/// `listen.tls`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsEntry {
    /// PEM file with the certificate and those between it and a root.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// PEM file with the roots of clients' certificates.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// `sessions`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// File with the keys that seal session ids, the same for all replicas: lines `ID:64-HEX-DIGITS`,
    /// the first one seals. Without it, sessions end with the process.
    pub key_file: Option<PathBuf>,
    /// Hours that a session lasts at most (default: 24).
    pub life_hours: u64,
    /// Minutes after which an unused session leaves memory (default: 30).
    pub idle_minutes: u64,
    /// Sessions in memory (default: 100000).
    pub max: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { key_file: None, life_hours: 24, idle_minutes: 30, max: 100_000 }
    }
}

/// `calls`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Seconds that lists of servers are kept (default: 60).
    pub list_seconds: u64,
    /// Seconds after which a server is left out of a list (default: 10).
    pub list_timeout_seconds: u64,
    /// Things on one page of a list (default: 500).
    pub page_items: usize,
    /// Seconds without any word of a server, and a call is given up (default: 120).
    pub idle_seconds: u64,
    /// Seconds that a call takes at most (default: 3600).
    pub total_seconds: u64,
    /// Seconds that a call waits for input of its client (default and most: 600).
    pub input_seconds: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            list_seconds: 60,
            list_timeout_seconds: 10,
            page_items: 500,
            idle_seconds: 120,
            total_seconds: 3600,
            input_seconds: 600,
        }
    }
}

/// One of `servers`. How it is reached stands under `upstream`, which another part reads.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerEntry {
    /// Its id: in names, routes, policies and records.
    pub id: String,
    /// Begins the names of its tools in place of the id.
    #[serde(default)]
    pub alias: Option<String>,
    /// Other names and descriptions, by the server's own names of tools and prompts.
    #[serde(default)]
    pub overrides: BTreeMap<String, OverrideEntry>,
    /// How it is reached.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub upstream: serde_json::Value,
}

/// One of `overrides`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OverrideEntry {
    /// In place of its name: 1 to 40 letters and digits, with single `-` or `_` between them.
    pub alias: Option<String>,
    /// In place of its description.
    pub description: Option<String>,
}

/// One of `portals`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortalEntry {
    /// Ids of its servers.
    pub servers: Vec<String>,
    /// Other names and descriptions at this endpoint: by server, then by own name.
    #[serde(default)]
    pub overrides: BTreeMap<String, BTreeMap<String, OverrideEntry>>,
}

/// The file, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// As it stood there.
    pub file: File,
    /// For the hub.
    pub hub: hub::Settings,
    /// Bounds of the hub.
    pub limits: hub::Limits,
    /// For the front.
    pub front: front::Settings,
    /// For its listener.
    pub tls: Option<TlsFiles>,
}

/// Reads the file's text.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_aliases: 256,
            max_anchors: 256,
            max_nodes: 200_000,
            max_events: 400_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        with_snippet: false,
    };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(
            || "the file".to_owned(),
            |at| format!("line {}, column {}", at.line(), at.column()),
        );
        vec![Problem { place, text: error.without_snippet().to_string() }]
    })?;
    file.check()
}

fn plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.chars().all(|c| !c.is_control() && c != '/')
}

impl File {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(self) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |place: String, text: &str| {
            problems.push(Problem { place, text: text.to_owned() });
        };
        let (mut ids, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
        for (at, server) in self.servers.iter().enumerate() {
            let place = |key: &str| format!("servers[{at}].{key}");
            if !plain(&server.id) {
                wrong(place("id"), "use 1 to 64 characters without `/`");
            }
            if !ids.insert(&*server.id) {
                wrong(place("id"), "another server has this id: choose another one");
            }
            if server.alias.as_deref().is_some_and(|alias| !names::is_alias(alias)) {
                wrong(place("alias"), "use letters and digits, with single - or _ between them");
            }
            if !prefixes.insert(prefix(server)) {
                wrong(place("alias"), "another server's names begin the same: give it an alias");
            }
            check_overrides(&server.overrides, &place("overrides"), &mut wrong);
        }
        for (name, portal) in &self.portals {
            let place = format!("portals.{name}");
            if !plain(name) || ids.contains(&**name) {
                wrong(place.clone(), "use a name without `/` that no server has as its id");
            }
            for id in portal.servers.iter().chain(portal.overrides.keys()) {
                if !ids.contains(&**id) {
                    wrong(place.clone(), &format!("there is no server {id}: see `servers`"));
                }
            }
            for (id, overrides) in &portal.overrides {
                check_overrides(overrides, &format!("{place}.overrides.{id}"), &mut wrong);
            }
        }
        if !(4..=127).contains(&self.listen.max_depth) {
            wrong("listen.max_depth".to_owned(), "use 4 to 127");
        }
        if self.calls.input_seconds > 600 {
            wrong("calls.input_seconds".to_owned(), "use 600 at most");
        }
        if self.calls.page_items == 0 {
            wrong("calls.page_items".to_owned(), "use 1 at least");
        }
        let url = self.listen.public_url.as_deref();
        if url.is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
            wrong("listen.public_url".to_owned(), "use an address that begins with https://");
        }
        if problems.is_empty() { Ok(self.config()) } else { Err(problems) }
    }

    fn config(self) -> Config {
        let seconds = Duration::from_secs;
        let hub = hub::Settings {
            title: self.title.as_deref().unwrap_or("shadowtap portal").into(),
            routes: self.routes(),
            list_ttl: seconds(self.calls.list_seconds),
            list_timeout: seconds(self.calls.list_timeout_seconds),
            page_items: self.calls.page_items,
            call_idle: seconds(self.calls.idle_seconds),
            call_total: seconds(self.calls.total_seconds),
            input_life: seconds(self.calls.input_seconds),
            ..hub::Settings::default()
        };
        let limits = hub::Limits {
            session_life: seconds(self.sessions.life_hours.saturating_mul(3600)),
            session_idle: seconds(self.sessions.idle_minutes.saturating_mul(60)),
            max_sessions: self.sessions.max,
            ..hub::Limits::default()
        };
        let listen = &self.listen;
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let front = front::Settings {
            public_url: listen.public_url.as_deref().map(Into::into),
            origins: boxed(&listen.origins),
            hosts: boxed(&listen.hosts),
            has_sessions: listen.sessions,
            has_sse: listen.sse,
            max_body_bytes: listen.max_body_bytes,
            max_depth: listen.max_depth,
            body_timeout: seconds(listen.body_seconds),
            header_timeout: seconds(listen.header_seconds),
            ..front::Settings::default()
        };
        let tls = listen.tls.clone().map(|tls| TlsFiles {
            certificate: tls.certificate,
            key: tls.key,
            client_ca: tls.client_ca,
        });
        Config { file: self, hub, limits, front, tls }
    }

    fn routes(&self) -> HashMap<Arc<str>, Arc<Route>> {
        let mut routes = HashMap::new();
        let mut add = |name: &str, servers: Vec<Server>, is_transparent: bool| {
            let name: Arc<str> = name.into();
            let route = Route { name: Arc::clone(&name), servers, is_transparent };
            routes.insert(name, Arc::new(route));
        };
        let all: Vec<Server> = self.servers.iter().map(server).collect();
        for server in &all {
            add(&server.id, vec![server.clone()], true);
        }
        for (name, portal) in &self.portals {
            let chosen = all.iter().filter(|of| portal.servers.iter().any(|id| **id == *of.id));
            let chosen = chosen.cloned().map(|mut server| {
                for (own, entry) in portal.overrides.get(&*server.id).into_iter().flatten() {
                    let of = server.overrides.entry(own.as_str().into()).or_default();
                    let own = set(entry);
                    of.alias = own.alias.or(of.alias.take());
                    of.description = own.description.or(of.description.take());
                }
                server
            });
            add(name, chosen.collect(), false);
        }
        add("", all, false);
        routes
    }
}

fn check_overrides(
    overrides: &BTreeMap<String, OverrideEntry>,
    place: &str,
    wrong: &mut impl FnMut(String, &str),
) {
    let mut aliases = BTreeSet::new();
    for (own, entry) in overrides {
        let Some(alias) = &entry.alias else { continue };
        let place = format!("{place}.{own}.alias");
        if !names::is_alias(alias) {
            wrong(place.clone(), "use 1 to 40 letters and digits, with single - or _ between them");
        }
        if !aliases.insert(alias) {
            wrong(place, "something else of this server has this alias");
        }
    }
}

fn prefix(server: &ServerEntry) -> String {
    names::prefix(server.alias.as_deref().unwrap_or(&server.id))
}

fn set(entry: &OverrideEntry) -> Override {
    Override {
        alias: entry.alias.as_deref().map(Into::into),
        description: entry.description.as_deref().map(Into::into),
    }
}

fn server(entry: &ServerEntry) -> Server {
    let overrides =
        entry.overrides.iter().map(|(own, entry)| (own.as_str().into(), set(entry))).collect();
    Server { id: entry.id.as_str().into(), prefix: prefix(entry).into(), overrides }
}

/// JSON Schema of the file.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p02_without_an_address_it_listens_on_loopback() {
        let config = parse("servers: [{id: a}]\n").unwrap();
        assert!(config.file.listen.address.ip().is_loopback());
        let names: BTreeSet<&str> = config.hub.routes.keys().map(|name| &**name).collect();
        assert_eq!(names, BTreeSet::from(["", "a"]));
        assert!(config.hub.routes["a"].is_transparent && !config.hub.routes[""].is_transparent);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        for text in ["servers: []\nlisten:\n  adress: x\n", "servers: [{id: a, ide: b}]\n"] {
            let problems = parse(text).unwrap_err();
            assert!(problems[0].place.starts_with("line "), "{}", problems[0]);
            assert!(problems[0].text.contains("unknown"), "{}", problems[0]);
        }
    }

    #[test]
    fn what_clashes_is_told() {
        for (text, place) in [
            ("servers: [{id: a}, {id: a}]", "servers[1].id"),
            ("servers: [{id: a}, {id: b, alias: a}]", "servers[1].alias"),
            ("servers: [{id: a/b}]", "servers[0].id"),
            ("servers: [{id: a, overrides: {x: {alias: -}}}]", "servers[0].overrides.x.alias"),
            ("servers: [{id: a}]\nportals: {a: {servers: [a]}}", "portals.a"),
            ("servers: [{id: a}]\nportals: {p: {servers: [b]}}", "portals.p"),
            ("servers: []\nlisten: {max_depth: 1000}", "listen.max_depth"),
        ] {
            let problems = parse(text).unwrap_err();
            assert!(problems.iter().any(|of| of.place == place), "{text}: {problems:?}");
        }
    }

    #[test]
    fn an_endpoint_has_its_own_servers_and_names() {
        let text = "servers: [{id: a, overrides: {x: {alias: one, description: d}}}, {id: b}]\n\
                    portals: {p: {servers: [a], overrides: {a: {x: {alias: two}}}}}\n";
        let config = parse(text).unwrap();
        let [server] = config.hub.routes["p"].servers.as_slice() else { panic!() };
        assert_eq!(server.overrides["x"].alias.as_deref(), Some("two"));
        assert_eq!(server.overrides["x"].description.as_deref(), Some("d"));
    }
}
