//! What serde cannot check, and the sections of all parts as they go to work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Config, File, Listen, Problem, Sections};
use crate::portal::credentials::config::{Kind as Auth, Section as Credentials};
use crate::portal::front::{self, TlsFiles};
use crate::portal::hub::{self, Override, Route, Server, names};
use crate::portal::identity::{Place, config as identity};
use crate::portal::policy::{self, Policy};
use crate::portal::upstream::config::{OverrideSpec, Spec};
use crate::portal::{audit, upstream};
use crate::rules::Source;

/// Longest Cedar file that is read: 8 MiB.
const MAX_CEDAR_BYTES: u64 = 8 << 20;

/// What is wrong so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, place: impl Into<String>, text: &str) {
        self.0.push(Problem { place: place.into(), text: text.to_owned() });
    }

    /// Adds what a part says, which begins with its place.
    fn told(&mut self, texts: Vec<String>) {
        for text in texts {
            match text.split_once(": ") {
                Some((place, text)) => self.add(place, text),
                None => self.add("the file", &text),
            }
        }
    }

    fn take<T>(&mut self, checked: Result<T, Vec<String>>) -> Option<T> {
        checked.map_err(|texts| self.told(texts)).ok()
    }
}

/// Checks a file, and reads those that it names.
pub(super) fn file(file: File, source: &Source, base: &Path) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    check_programs(&file, &mut problems);
    let routes = routes(&file, &mut problems);
    let (hub, hub_limits) = of_hub(&file, routes, &mut problems);
    let place = place(&file, &mut problems);
    let front = of_front(&file);
    let File {
        title, listen, state, sessions, servers, policy, pins, holds, guard, limits, ..
    } = file;
    let identity = of_identity(file.identity, &listen, base, &mut problems);
    let credentials = of_credentials(file.credentials, base);
    let reached = format!("{place:?} {credentials:?} {servers:?}");
    let servers = of_servers(servers, &credentials, base, &mut problems);
    let policy = of_policy(policy, source, base, &mut problems);
    let state = base.join(state);
    let pins = pins.check(Some(&state)).map_err(|text| problems.add("pins", &text)).ok();
    let holds = holds.check().map_err(|text| problems.add("holds", &text)).ok();
    let guard = problems.take(guard.check(base));
    let throttle = problems.take(limits.check());
    let audit = problems.take(file.audit.check(base));
    let tls = listen.tls.map(|tls| TlsFiles {
        certificate: base.join(tls.certificate),
        key: base.join(tls.key),
        client_ca: identity.as_ref().and_then(|of| of.client_ca_file()).map(Path::to_owned),
    });
    let all = (place, identity, policy, pins, holds, guard, throttle, audit);
    let (
        Some(place),
        Some(identity),
        Some(policy),
        Some(pins),
        Some(holds),
        Some(guard),
        Some(throttle),
        Some(audit),
        true,
    ) = (all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7, problems.0.is_empty())
    else {
        return Err(problems.0);
    };
    let sections = Sections {
        place,
        version: audit::config_version(&source.text),
        title: title.unwrap_or_else(|| "shadowtap portal".to_owned()),
        state,
        identity,
        credentials,
        servers,
        reached,
        policy,
        pins,
        holds,
        guard,
        throttle,
        audit,
    };
    Ok(Config {
        address: listen.address,
        metrics: listen.metrics,
        max_connections: listen.max_connections,
        drain: Duration::from_secs(listen.drain_seconds),
        session_keys: sessions.key_file.map(|file| base.join(file)),
        hub,
        limits: hub_limits,
        front,
        tls,
        sections,
    })
}

fn of_identity(
    mut section: identity::Section,
    listen: &Listen,
    base: &Path,
    problems: &mut Problems,
) -> Option<identity::Checked> {
    if let Some(certificates) = &mut section.certificates {
        certificates.ca_file = base.join(&certificates.ca_file);
    }
    let identity = problems.take(section.check())?;
    if identity.is_open() && !listen.address.ip().is_loopback() {
        let what = "only for a portal on loopback: ask for a proof, or listen on 127.0.0.1";
        problems.add("identity.anonymous", what);
    }
    if identity.client_ca_file().is_some() && listen.tls.is_none() {
        problems.add("identity.certificates", "needs listen.tls: nobody can show one without");
    }
    Some(identity)
}

fn place(file: &File, problems: &mut Problems) -> Option<Place> {
    let listen = &file.listen;
    let base = match &listen.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if listen.address.ip().is_loopback() => {
            let scheme = if listen.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", listen.address)
        }
        None => {
            let what = "say how clients reach the portal, as https://mcp.example.com";
            problems.add("listen.public_url", what);
            return None;
        }
    };
    let wrong = |text: String| problems.add("listen.public_url", &text);
    Place::new(&format!("{base}/mcp")).map_err(wrong).ok()
}

fn of_hub(
    file: &File,
    routes: HashMap<Arc<str>, Arc<Route>>,
    problems: &mut Problems,
) -> (hub::Settings, hub::Limits) {
    let seconds = Duration::from_secs;
    let calls = &file.calls;
    if calls.input_seconds > 600 {
        problems.add("calls.input_seconds", "use 600 at most");
    }
    if calls.page_items == 0 {
        problems.add("calls.page_items", "use 1 at least");
    }
    let max_answer = usize::try_from(file.limits.max_response_bytes).unwrap_or(usize::MAX);
    let settings = hub::Settings {
        title: file.title.as_deref().unwrap_or("shadowtap portal").into(),
        routes,
        list_ttl: seconds(calls.list_seconds),
        list_timeout: seconds(calls.list_timeout_seconds),
        page_items: calls.page_items,
        call_idle: seconds(calls.idle_seconds),
        call_total: seconds(calls.total_seconds),
        max_answer_bytes: max_answer,
        input_life: seconds(calls.input_seconds),
        ..hub::Settings::default()
    };
    let limits = hub::Limits {
        session_life: seconds(file.sessions.life_hours.saturating_mul(3600)),
        session_idle: seconds(file.sessions.idle_minutes.saturating_mul(60)),
        max_sessions: file.sessions.max,
        ..hub::Limits::default()
    };
    (settings, limits)
}

fn of_front(file: &File) -> front::Settings {
    let (listen, seconds) = (&file.listen, Duration::from_secs);
    let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    front::Settings {
        public_url: listen.public_url.as_deref().map(Into::into),
        origins: boxed(&listen.origins),
        hosts: boxed(&listen.hosts),
        has_sessions: listen.sessions,
        has_sse: listen.sse,
        max_body_bytes: file.limits.max_body_bytes,
        max_depth: file.limits.max_depth,
        body_timeout: seconds(listen.body_seconds),
        header_timeout: seconds(listen.header_seconds),
        ..front::Settings::default()
    }
}

/// The same, with paths from the portal's file.
fn of_credentials(mut section: Credentials, base: &Path) -> Credentials {
    if let Some(vault) = &mut section.vault {
        vault.folder = base.join(&vault.folder);
        vault.key_file = base.join(&vault.key_file);
    }
    section
}

fn of_auth(mut auth: Auth, base: &Path) -> Auth {
    let secret = |file: &mut Option<PathBuf>| {
        if let Some(file) = file {
            *file = base.join(&*file);
        }
    };
    match &mut auth {
        Auth::None => {}
        Auth::Header { file, .. } | Auth::Bearer { file } => *file = base.join(&*file),
        Auth::ClientCredentials(client) | Auth::TokenExchange(client) => {
            secret(&mut client.client_secret_file);
        }
        Auth::Person(person) => secret(&mut person.client_secret_file),
    }
    auth
}

/// Programs of servers are among those that may be run, where the file says which may.
fn check_programs(file: &File, problems: &mut Problems) {
    let Some(programs) = &file.programs else { return };
    for server in &file.servers {
        let program = server.command.as_ref().and_then(|argv| argv.first());
        if program.is_some_and(|program| !programs.contains(program)) {
            let place = format!("servers.{}.command", server.id);
            problems.add(place, "the program is not among `programs`: add it there");
        }
    }
}

fn of_servers(
    specs: Vec<Spec>,
    credentials: &Credentials,
    base: &Path,
    problems: &mut Problems,
) -> Vec<(upstream::config::Server, Auth)> {
    let mut servers = Vec::new();
    for mut spec in specs {
        let auth = of_auth(std::mem::take(&mut spec.auth), base);
        let place = format!("servers.{}.auth", spec.id);
        if let Err(texts) = auth.check(&place, credentials) {
            problems.told(texts);
        }
        if matches!(auth, Auth::Person(_)) && credentials.vault.is_none() {
            problems.add(place, "needs credentials.vault, where tokens of people are kept");
        }
        match spec.check(base) {
            Ok(server) => servers.push((server, auth)),
            Err(more) => more.into_iter().for_each(|of| problems.add(of.at, &of.what)),
        }
    }
    servers
}

fn of_policy(
    config: policy::Config,
    source: &Source,
    base: &Path,
    problems: &mut Problems,
) -> Option<Policy> {
    let checked = config.check(source);
    let checked = checked.map_err(|report| problems.add("policy", &report.to_string())).ok()?;
    let mut files = Vec::new();
    for path in &checked.cedar {
        match read(&base.join(path)) {
            Ok(file) => files.push(file),
            Err(text) => {
                problems.add("policy.cedar", &text);
                return None;
            }
        }
    }
    let policy = Policy::new(checked, &files);
    policy.map_err(|report| problems.add("policy", &report.to_string())).ok()
}

fn read(path: &Path) -> Result<Source, String> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| format!("cannot read {name}: {error}");
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_CEDAR_BYTES {
        return Err(format!("{name} is longer than {MAX_CEDAR_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(Source::new(name, text))
}

fn plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.chars().all(|c| !c.is_control() && c != '/')
}

fn routes(file: &File, problems: &mut Problems) -> HashMap<Arc<str>, Arc<Route>> {
    let (mut ids, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for server in &file.servers {
        let place = |key: &str| format!("servers.{}.{key}", server.id);
        if !ids.insert(&*server.id) {
            problems.add(place("id"), "another server has this id: choose another one");
        }
        if server.alias.as_deref().is_some_and(|alias| !names::is_alias(alias)) {
            problems.add(place("alias"), "use letters and digits, with single - or _ between them");
        }
        if !prefixes.insert(prefix(server)) {
            let what = "another server's names begin the same: give it an alias";
            problems.add(place("alias"), what);
        }
        check_overrides(&server.overrides, &place("overrides"), problems);
    }
    for (name, portal) in &file.portals {
        let place = format!("portals.{name}");
        if !plain(name) || ids.contains(&**name) {
            problems.add(&*place, "use a name without `/` that no server has as its id");
        }
        for id in portal.servers.iter().chain(portal.overrides.keys()) {
            if !ids.contains(&**id) {
                problems.add(&*place, &format!("there is no server {id}: see `servers`"));
            }
        }
        for (id, overrides) in &portal.overrides {
            check_overrides(overrides, &format!("{place}.overrides.{id}"), problems);
        }
    }
    made(file)
}

fn made(file: &File) -> HashMap<Arc<str>, Arc<Route>> {
    let mut routes = HashMap::new();
    let mut add = |name: &str, servers: Vec<Server>, is_transparent: bool| {
        let name: Arc<str> = name.into();
        let route = Route { name: Arc::clone(&name), servers, is_transparent };
        routes.insert(name, Arc::new(route));
    };
    let all: Vec<Server> = file.servers.iter().map(server).collect();
    for server in &all {
        add(&server.id, vec![server.clone()], true);
    }
    for (name, portal) in &file.portals {
        let chosen = all.iter().filter(|of| portal.servers.iter().any(|id| **id == *of.id));
        let chosen = chosen.cloned().map(|mut server| {
            for (own, entry) in portal.overrides.get(&*server.id).into_iter().flatten() {
                let of = server.overrides.entry(own.as_str().into()).or_default();
                let own = set(entry);
                of.alias = own.alias.or_else(|| of.alias.take());
                of.description = own.description.or_else(|| of.description.take());
            }
            server
        });
        add(name, chosen.collect(), false);
    }
    add("", all, false);
    routes
}

fn check_overrides(
    overrides: &BTreeMap<String, OverrideSpec>,
    place: &str,
    problems: &mut Problems,
) {
    let mut aliases = BTreeSet::new();
    for (own, entry) in overrides {
        let Some(alias) = &entry.alias else { continue };
        let place = format!("{place}.{own}.alias");
        if !names::is_alias(alias) {
            let what = "use 1 to 40 letters and digits, with single - or _ between them";
            problems.add(&*place, what);
        }
        if !aliases.insert(alias) {
            problems.add(place, "something else of this server has this alias");
        }
    }
}

fn prefix(server: &Spec) -> String {
    names::prefix(server.alias.as_deref().unwrap_or(&server.id))
}

fn set(entry: &OverrideSpec) -> Override {
    Override {
        alias: entry.alias.as_deref().map(Into::into),
        description: entry.description.as_deref().map(Into::into),
    }
}

fn server(entry: &Spec) -> Server {
    let overrides =
        entry.overrides.iter().map(|(own, entry)| (own.as_str().into(), set(entry))).collect();
    Server { id: entry.id.as_str().into(), prefix: prefix(entry).into(), overrides }
}
