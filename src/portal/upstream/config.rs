//! One server of the portal's file, and what is left of it when it was checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::portal::credentials::config::Kind as Auth;
use crate::portal::outbound::{Reaching, Target};
use crate::time::span;

/// What is wrong in a section, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the member: `servers.wiki.url`.
    pub at: String,
    /// For people.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// A length of time: `90s`, `10m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        span(&text).map(Self).ok_or_else(|| format!("{text} is no time; write 90s, 10m or 1h"))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]+[smhd]$"})
    }
}

/// How a server at a URL is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Found out by asking, newest first.
    #[default]
    Auto,
    /// Streamable HTTP (MCP 2025-03-26 and later).
    StreamableHttp,
    /// HTTP with SSE (MCP 2024-11-05).
    Sse,
}

/// Limits of a child, set by the kernel (`prlimit`) right after its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChildLimits {
    /// Address space in MiB. Default: none.
    pub memory_mib: Option<u64>,
    /// Processor time in seconds over its whole life. Default: none.
    pub cpu_seconds: Option<u64>,
    /// Open files. Default: none.
    pub files: Option<u64>,
}

/// Other words for a tool or prompt.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OverrideSpec {
    /// In place of its name: 1 to 40 letters and digits, with single `-` or `_` between them.
    pub alias: Option<String>,
    /// In place of its description.
    pub description: Option<String>,
}

/// A server behind the portal: a `url`, or a `command` that is run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name here: letters, digits, `-`, `_` and `.`; at most 64 bytes.
    pub id: String,
    /// For people. Default: the id.
    #[serde(default)]
    pub title: Option<String>,
    /// Begins the names of its tools and prompts in place of the id.
    #[serde(default)]
    pub alias: Option<String>,
    /// Other names and descriptions, by the server's own names of tools and prompts.
    #[serde(default)]
    pub overrides: BTreeMap<String, OverrideSpec>,
    /// What the portal shows to it. Default: nothing.
    #[serde(default)]
    pub auth: Auth,
    /// Its endpoint.
    #[serde(default)]
    pub url: Option<String>,
    /// How the URL is spoken to. Default: auto.
    #[serde(default)]
    pub transport: Transport,
    /// Program and arguments of a server on standard input and output. No shell reads it.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Variables set for the child.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables of the portal that the child gets too, beside `PATH`, `HOME`, `LANG` and `TZ`.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Where the child runs. Default: where the portal does.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// Limits of the child.
    #[serde(default)]
    pub limits: ChildLimits,
    /// A child that nobody called for so long is stopped. Default: 10m.
    #[serde(default)]
    pub idle_stop: Option<Span>,
    /// Starts within ten minutes after which a child that keeps dying is left alone. Default: 5.
    #[serde(default)]
    pub max_restarts: Option<u32>,
    /// No credential of a person goes to this server: connections and children may be shared by
    /// everybody. Else a child is one person's, and of one session of theirs if it has sessions.
    /// Default: false.
    #[serde(default)]
    pub shared: bool,
    /// PEM file of certificates to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// To connect, TLS included. Default: 5s.
    #[serde(default)]
    pub connect_timeout: Option<Span>,
    /// Without a sign of life during a call. Default and most: `calls.idle_seconds`.
    #[serde(default)]
    pub idle_timeout: Option<Span>,
    /// For a whole call. Default and most: `calls.total_seconds`.
    #[serde(default)]
    pub total_timeout: Option<Span>,
    /// Calls under way at once. Default: 256.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Longest JSON answer, in bytes. Default: 16 MiB.
    #[serde(default)]
    pub max_response_bytes: Option<usize>,
    /// Longest single message of a stream or a child, in bytes. Default: 4 MiB.
    #[serde(default)]
    pub max_message_bytes: Option<usize>,
    /// Whether the URL may lead to private and loopback addresses. Default: false.
    #[serde(default)]
    pub private_addresses: bool,
}

/// A program to be run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Program, then arguments.
    pub argv: Vec<String>,
    /// Variables set for it.
    pub env: BTreeMap<String, String>,
    /// Names of variables passed on.
    pub pass_env: Vec<String>,
    /// Where it runs.
    pub cwd: Option<PathBuf>,
    /// Set by the kernel.
    pub limits: ChildLimits,
    /// Stopped when it was not called for so long.
    pub idle_stop: Duration,
    /// Starts within ten minutes.
    pub max_restarts: u32,
}

/// Where a server is.
#[derive(Clone, Debug)]
pub enum Place {
    /// At a URL.
    Url(Target, Transport),
    /// A child of the portal.
    Child(Program),
}

/// A server, checked.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name here.
    pub id: Arc<str>,
    /// For people.
    pub title: Arc<str>,
    /// Canonical URI (RFC 8707), or the command line.
    pub resource: Arc<str>,
    /// Where it is.
    pub place: Place,
    /// Connections and children are everybody's.
    pub is_shared: bool,
    /// Certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// Which addresses the URL may lead to.
    pub reaching: Reaching,
    /// To connect.
    pub connect: Duration,
    /// Without a sign of life.
    pub idle: Duration,
    /// For a call.
    pub total: Duration,
    /// Calls under way.
    pub max_concurrent: usize,
    /// Longest JSON answer.
    pub max_response_bytes: usize,
    /// Longest single message.
    pub max_message_bytes: usize,
}

impl Spec {
    /// Checks it. Files are relative to `base`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(self, base: &Path) -> Result<Server, Vec<Problem>> {
        let mut problems = Vec::new();
        let at = |member: &str| format!("servers.{}.{member}", self.id);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if self.id.is_empty() || self.id.len() > 64 || !self.id.bytes().all(is_name) {
            let what = "must be 1 to 64 letters, digits, -, _ or .".to_owned();
            problems.push(Problem { at: at("id"), what });
        }
        for (member, value) in [
            ("max_concurrent", self.max_concurrent),
            ("max_response_bytes", self.max_response_bytes),
            ("max_message_bytes", self.max_message_bytes),
        ] {
            if value == Some(0) {
                problems.push(Problem { at: at(member), what: "must be at least 1".to_owned() });
            }
        }
        if self.shared && matches!(self.auth, Auth::Person(_) | Auth::TokenExchange(_)) {
            let what = "must be false where `auth` shows who calls".to_owned();
            problems.push(Problem { at: at("shared"), what });
        }
        let place = self.place(base).map_err(|(member, what)| {
            problems.push(Problem { at: at(member), what });
        });
        let (Ok((place, resource)), true) = (place, problems.is_empty()) else {
            return Err(problems);
        };
        let or = |span: Option<Span>, seconds| {
            span.map_or_else(|| Duration::from_secs(seconds), |span| span.0)
        };
        Ok(Server {
            title: Arc::from(self.title.as_deref().unwrap_or(&self.id)),
            id: Arc::from(self.id),
            resource: Arc::from(resource),
            place,
            is_shared: self.shared,
            ca_file: self.ca_file.map(|file| base.join(file)),
            reaching: if self.private_addresses { Reaching::INSIDE } else { Reaching::default() },
            connect: or(self.connect_timeout, 5),
            idle: or(self.idle_timeout, 120),
            total: or(self.total_timeout, 3_600),
            max_concurrent: self.max_concurrent.unwrap_or(256),
            max_response_bytes: self.max_response_bytes.unwrap_or(16 << 20),
            max_message_bytes: self.max_message_bytes.unwrap_or(4 << 20),
        })
    }

    fn place(&self, base: &Path) -> Result<(Place, String), (&'static str, String)> {
        match (&self.url, &self.command) {
            (Some(url), None) => {
                let target = Target::parse(url).map_err(|why| ("url", why))?;
                if !target.is_tls && !self.private_addresses {
                    let what = "must be https://, or set private_addresses: true".to_owned();
                    return Err(("url", what));
                }
                let scheme = if target.is_tls { "https" } else { "http" };
                let path = if &*target.path == "/" { "" } else { &*target.path };
                let resource = format!("{scheme}://{}{path}", target.authority);
                Ok((Place::Url(target, self.transport), resource))
            }
            (None, Some(argv)) if argv.first().is_some_and(|program| !program.is_empty()) => {
                let program = Program {
                    argv: argv.clone(),
                    env: self.env.clone(),
                    pass_env: self.pass_env.clone(),
                    cwd: self.cwd.as_ref().map(|cwd| base.join(cwd)),
                    limits: self.limits,
                    idle_stop: self.idle_stop.map_or(Duration::from_secs(600), |span| span.0),
                    max_restarts: self.max_restarts.unwrap_or(5),
                };
                Ok((Place::Child(program), argv.join(" ")))
            }
            (None, Some(_)) => Err(("command", "must name a program".to_owned())),
            _ => Err(("url", "give either a url or a command".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<Server, Vec<Problem>> {
        serde_saphyr::from_str::<Spec>(yaml).unwrap().check(Path::new(""))
    }

    #[test]
    fn servers_have_a_url_or_a_command() {
        let server = check("{id: wiki, url: 'https://Wiki.example:443/mcp', idle_timeout: 2m}");
        let server = server.unwrap();
        assert_eq!(&*server.resource, "https://wiki.example/mcp");
        assert_eq!(server.idle, Duration::from_secs(120));
        let child = check("{id: files, command: [mcp-files, --root, /srv], shared: true}").unwrap();
        assert!(child.is_shared && matches!(child.place, Place::Child(_)));
        for (yaml, at) in [
            ("{id: a}", "servers.a.url"),
            ("{id: a, url: 'https://a.example', command: [b]}", "servers.a.url"),
            ("{id: a, command: []}", "servers.a.command"),
            ("{id: a, url: 'http://a.example'}", "servers.a.url"),
            ("{id: 'a b', url: 'https://a.example'}", "servers.a b.id"),
            ("{id: a, url: 'https://a.example', max_concurrent: 0}", "servers.a.max_concurrent"),
            (
                "{id: a, url: 'https://a.example', shared: true, auth: {kind: person}}",
                "servers.a.shared",
            ),
        ] {
            assert_eq!(check(yaml).unwrap_err()[0].at, at, "{yaml}");
        }
        assert!(serde_saphyr::from_str::<Spec>("{id: a, uri: b}").is_err());
        assert!(serde_saphyr::from_str::<Spec>("{id: a, idle_stop: 10}").is_err());
    }
}
