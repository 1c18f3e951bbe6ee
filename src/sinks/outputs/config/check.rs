//! A file of outputs against what outputs can be. All problems are collected.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::super::template::Template;
use super::raw;
use super::{
    Batch, Body, ClickhouseTarget, FileTarget, HeaderText, Kind, MAX_OUTPUTS, Output, SCHEMA,
    Secret, SplunkTarget, SyslogTarget, Target, Transport, WebhookTarget,
};
use crate::rules::{Located, Place, Problem, Report, Severity, Source};
use crate::sinks::encode::{Encoding, EventType, Selection};

/// Longest text of a key, in bytes.
const MAX_TEXT_BYTES: usize = 16 << 10;
/// Timeout of an answer unless told otherwise.
const TIMEOUT_SECONDS: u64 = 30;

/// Keys beside those that every kind has.
const fn keys(kind: Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::Clickhouse => (
            &["url"],
            &[
                "database",
                "user",
                "password",
                "compression",
                "settings",
                "tls",
                "batch",
                "spool_size",
            ],
        ),
        Kind::Webhook => (
            &["url"],
            &[
                "body",
                "template",
                "headers",
                "sign",
                "tls",
                "timeout_seconds",
                "batch",
                "spool_size",
            ],
        ),
        Kind::SplunkHec => (
            &["url", "token"],
            &["index", "source", "sourcetype", "tls", "timeout_seconds", "batch", "spool_size"],
        ),
        Kind::Syslog => (
            &["address"],
            &["transport", "facility", "tls", "timeout_seconds", "batch", "spool_size"],
        ),
        Kind::File => (&["directory"], &["rotate_size", "keep_size"]),
    }
}

/// Keys that every kind has.
const COMMON: &[&str] = &["name", "kind", "encoding", "events", "min_severity"];
/// All others.
const SPECIAL: &[&str] = &[
    "batch",
    "spool_size",
    "url",
    "tls",
    "timeout_seconds",
    "database",
    "user",
    "password",
    "compression",
    "settings",
    "body",
    "template",
    "headers",
    "sign",
    "token",
    "index",
    "source",
    "sourcetype",
    "address",
    "transport",
    "facility",
    "directory",
    "rotate_size",
    "keep_size",
];

/// What JSON Schema says of the keys of a kind.
pub(super) fn keys_of_kind(kind: Kind) -> serde_json::Value {
    let (required, optional) = keys(kind);
    let others: serde_json::Map<_, _> = SPECIAL
        .iter()
        .filter(|key| !required.contains(key) && !optional.contains(key))
        .map(|key| ((*key).to_owned(), false.into()))
        .collect();
    let required: Vec<_> = ["name", "kind"].iter().chain(required).collect();
    json!({
        "if": {"properties": {"kind": {"const": kind.name()}}},
        "then": {"required": required, "properties": others},
    })
}

/// Settings that deliveries rest on: the sink sends them itself.
const OWN_SETTINGS: &[&str] = &[
    "async_insert",
    "wait_end_of_query",
    "insert_deduplicate",
    "insert_deduplication_token",
    "deduplicate_blocks_in_dependent_materialized_views",
    "max_insert_block_size",
    "min_insert_block_size_rows",
    "min_insert_block_size_bytes",
    "input_format_parallel_parsing",
    "date_time_input_format",
    "input_format_skip_unknown_fields",
    "query",
    "database",
    "user",
    "password",
    "default_format",
];

/// Header fields that belong to the request itself.
const OWN_HEADERS: &[&str] =
    &["connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"];

struct Checker<'c> {
    source: &'c Source,
    report: &'c mut Report,
}

/// The outputs of a file.
pub(super) fn outputs(source: &Source, file: &raw::File, report: &mut Report) -> Vec<Output> {
    let mut this = Checker { source, report };
    if file.schema.value != SCHEMA {
        let message = format!("unknown format `{}`", file.schema.value);
        let problem = this.problem(file.schema.place, "unknown-schema", message);
        this.report.push(problem.hint(format!("this build reads `{SCHEMA}`")));
    }
    if file.outputs.is_empty() {
        let problem = Problem::of_file(&source.name, "no-outputs", "there is no output");
        this.report.push(problem.warning());
    }
    if let Some(output) = file.outputs.get(MAX_OUTPUTS) {
        this.error(output.place, "too-many", format!("{MAX_OUTPUTS} outputs are the most"));
        return Vec::new();
    }
    let mut names: BTreeMap<&str, Place> = BTreeMap::new();
    let mut outputs = Vec::new();
    for output in &file.outputs {
        if let Some(name) = &output.value.name
            && let Some(first) = names.insert(&name.value, name.place)
        {
            let message = format!("there is another output `{}`", name.value);
            let problem = this.problem(name.place, "duplicate-name", message);
            this.report.push(problem.hint(format!("the first is in line {}", first.line)));
        }
        outputs.extend(this.output(output));
    }
    outputs
}

impl Checker<'_> {
    fn problem(&self, place: Place, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::error(self.source, place, code, message)
    }

    fn error(&mut self, place: Place, code: &'static str, message: impl Into<String>) {
        let problem = self.problem(place, code, message);
        self.report.push(problem);
    }

    fn hint(&mut self, place: Place, code: &'static str, message: String, hint: &str) {
        let problem = self.problem(place, code, message).hint(hint);
        self.report.push(problem);
    }

    fn output(&mut self, located: &Located<raw::Output>) -> Option<Output> {
        let (raw, place) = (&located.value, located.place);
        let name = self.name(raw, place);
        let Some(kind) = &raw.kind else {
            let names = Kind::ALL.map(Kind::name).join(", ");
            self.hint(
                place,
                "missing-key",
                "the key `kind` is missing".into(),
                &format!("one of {names}"),
            );
            return None;
        };
        let kind = kind.value;
        self.keys(raw, kind, place);
        let encoding = self.encoding(raw, kind);
        let events = self.events(raw, kind, encoding);
        let min_severity = raw.min_severity.as_ref().map_or(Severity::Info, |least| least.value);
        let batch = self.batch(raw, kind);
        let default_spool = if kind == Kind::Clickhouse { 1 << 30 } else { 256 << 20 };
        let spool_bytes = self.size(raw.spool_size.as_ref(), default_spool, 1 << 20);
        let target = match kind {
            Kind::Clickhouse => Target::Clickhouse(self.clickhouse(raw)?),
            Kind::Webhook => Target::Webhook(self.webhook(raw, encoding)?),
            Kind::SplunkHec => Target::SplunkHec(self.splunk(raw)?),
            Kind::Syslog => Target::Syslog(self.syslog(raw)?),
            Kind::File => Target::File(self.file(raw)?),
        };
        let selection = Selection { events, min_severity };
        Some(Output { name: name?, encoding, selection, batch, spool_bytes, target })
    }

    fn name(&mut self, raw: &raw::Output, place: Place) -> Option<String> {
        let Some(name) = &raw.name else {
            self.error(place, "missing-key", "the key `name` is missing");
            return None;
        };
        let text = &name.value;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if !(1..=40).contains(&text.len())
            || text.starts_with(['-', '_'])
            || !text.chars().all(fits)
        {
            let message = "a name has 1 to 40 lower-case letters, digits, `-` and `_`";
            self.error(name.place, "bad-name", message);
            return None;
        }
        Some(text.clone())
    }

    /// Keys of other kinds, and those that are missing.
    fn keys(&mut self, raw: &raw::Output, kind: Kind, place: Place) {
        let (required, optional) = keys(kind);
        let present = present(raw);
        for (key, place) in &present {
            if !required.contains(key) && !optional.contains(key) {
                let message = format!("an output of kind `{}` has no key `{key}`", kind.name());
                let all = [COMMON, required, optional].concat().join(", ");
                self.hint(*place, "unknown-key", message, &format!("its keys are: {all}"));
            }
        }
        for key in required {
            if !present.iter().any(|(present, _)| present == key) {
                let message = format!("the key `{key}` is missing; `{}` needs it", kind.name());
                self.error(place, "missing-key", message);
            }
        }
    }

    fn encoding(&mut self, raw: &raw::Output, kind: Kind) -> Encoding {
        let default = match kind {
            Kind::Clickhouse => Encoding::Rows,
            Kind::Syslog => Encoding::Cef,
            _ => Encoding::Native,
        };
        let Some(encoding) = &raw.encoding else { return default };
        if (kind == Kind::Clickhouse) != (encoding.value == Encoding::Rows) {
            let message = match kind {
                Kind::Clickhouse => "the tables of ClickHouse take `rows` only",
                _ => "`rows` do not say which table they are of, so only `clickhouse` takes them",
            };
            self.error(encoding.place, "bad-encoding", message);
        }
        encoding.value
    }

    fn events(&mut self, raw: &raw::Output, kind: Kind, encoding: Encoding) -> Vec<EventType> {
        let Some(events) = &raw.events else {
            let all = EventType::ALL.into_iter().filter(|event| encoding.has(*event));
            return match kind {
                Kind::Clickhouse | Kind::File => all.collect(),
                _ => vec![EventType::Finding],
            };
        };
        if events.value.is_empty() {
            self.error(events.place, "no-events", "an output without events does nothing");
        }
        for event in &events.value {
            if !encoding.has(*event) {
                let message =
                    format!("`{}` events have no form in `{}`", event.name(), encoding.name());
                let hint = "`native` has all events; the others have findings and messages";
                self.hint(events.place, "bad-event", message, hint);
            }
        }
        events.value.clone()
    }

    fn batch(&mut self, raw: &raw::Output, kind: Kind) -> Batch {
        let (rows, bytes, seconds) = match kind {
            Kind::Clickhouse => (50_000, 8 << 20, 1.0),
            Kind::Webhook => (100, 1 << 20, 5.0),
            Kind::SplunkHec => (1_000, 512 << 10, 2.0),
            Kind::Syslog | Kind::File => (1_000, 1 << 20, 1.0),
        };
        let given = raw.batch.as_ref().map(|batch| batch.value.clone()).unwrap_or_default();
        let rows = given.rows.as_ref().map_or(rows, |rows| {
            if !(1..=1_000_000).contains(&rows.value) {
                self.error(rows.place, "out-of-range", "1 to 1000000 rows are a batch");
            }
            rows.value
        });
        let seconds = given.seconds.as_ref().map_or(seconds, |seconds| {
            if !(0.1..=3600.0).contains(&seconds.value) {
                self.error(seconds.place, "out-of-range", "0.1 to 3600 seconds are a batch");
                return 1.0;
            }
            seconds.value
        });
        let max: u64 = 64 << 20;
        let bytes = given.bytes.as_ref().map_or(bytes, |bytes| {
            if !(1 << 10..=max).contains(&bytes.value.0) {
                self.error(bytes.place, "out-of-range", "1KiB to 64MiB are a batch");
            }
            bytes.value.0
        });
        Batch { rows, bytes, age: Duration::from_secs_f64(seconds) }
    }

    fn size(&mut self, size: Option<&Located<raw::Size>>, default: u64, least: u64) -> u64 {
        let Some(size) = size else { return default };
        if size.value.0 < least {
            self.error(size.place, "out-of-range", format!("{} MiB are the least", least >> 20));
        }
        size.value.0
    }

    fn clickhouse(&mut self, raw: &raw::Output) -> Option<ClickhouseTarget> {
        let url = self.url(raw)?;
        let mut settings = BTreeMap::new();
        if let Some(given) = &raw.settings {
            for (name, value) in &given.value {
                if OWN_SETTINGS.contains(&name.as_str()) {
                    let message = format!("the setting `{name}` is the sink's own");
                    let hint = "deliveries would be lost or doubled with another value";
                    self.hint(given.place, "own-setting", message, hint);
                }
                settings.insert(name.clone(), value.0.clone());
            }
        }
        if raw.password.is_some() && raw.user.is_none() {
            let place = raw.password.as_ref().map(|password| password.place).unwrap_or_default();
            let problem = self
                .problem(place, "no-user", "a password without a user")
                .hint("it is that of ClickHouse's `default`; name a `user` if another is meant");
            self.report.push(problem.warning());
        }
        Some(ClickhouseTarget {
            url,
            database: self.text(raw.database.as_ref(), "shadowtap"),
            user: raw.user.as_ref().map(|user| user.value.clone()),
            password: self.secret(raw.password.as_ref()),
            ca_file: ca_file(raw),
            compression: raw.compression.as_ref().map(|c| c.value).unwrap_or_default(),
            settings,
        })
    }

    fn webhook(&mut self, raw: &raw::Output, encoding: Encoding) -> Option<WebhookTarget> {
        let url = self.url(raw);
        let body = self.body(raw, encoding);
        let mut headers = BTreeMap::new();
        if let Some(given) = &raw.headers {
            for (name, value) in &given.value {
                if let Some(value) = self.header(name, value, given.place) {
                    headers.insert(name.clone(), value);
                }
            }
        }
        Some(WebhookTarget {
            url: url?,
            body: body?,
            headers,
            sign: self.secret(raw.sign.as_ref()),
            ca_file: ca_file(raw),
            timeout: self.timeout(raw),
        })
    }

    fn body(&mut self, raw: &raw::Output, encoding: Encoding) -> Option<Body> {
        let kind = raw.body.as_ref().map_or_else(
            || if raw.template.is_some() { raw::BodyKind::Template } else { raw::BodyKind::Ndjson },
            |body| body.value,
        );
        let place = raw.body.as_ref().map(|body| body.place).unwrap_or_default();
        if kind != raw::BodyKind::Ndjson && !encoding.is_json() {
            let place = raw.encoding.as_ref().map_or(place, |encoding| encoding.place);
            self.error(
                place,
                "bad-encoding",
                "`cef` is no JSON: `body` must be `ndjson`, which is lines",
            );
        }
        match (kind, &raw.template) {
            (raw::BodyKind::Ndjson, None) => Some(Body::Ndjson),
            (raw::BodyKind::Array, None) => Some(Body::Array),
            (raw::BodyKind::Template, None) => {
                self.error(place, "missing-key", "the key `template` is missing");
                None
            }
            (raw::BodyKind::Template, Some(template)) => match Template::parse(&template.value) {
                Ok(template) => Some(Body::Template(template)),
                Err(message) => {
                    self.error(template.place, "bad-template", message);
                    None
                }
            },
            (_, Some(template)) => {
                self.error(template.place, "unknown-key", "`template` is for `body: template`");
                None
            }
        }
    }

    fn header(&mut self, name: &str, value: &raw::Header, place: Place) -> Option<HeaderText> {
        let lower = name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            self.error(place, "bad-header", format!("`{name}` is no name of a header field"));
            return None;
        }
        if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("x-shadowtap-") {
            self.error(place, "bad-header", format!("`{name}` is the request's own"));
            return None;
        }
        match value {
            raw::Header::Plain(text) => {
                if HeaderValue::from_str(text).is_err() {
                    self.error(
                        place,
                        "bad-header",
                        format!("the value of `{name}` has line breaks"),
                    );
                }
                let secret = ["authorization", "x-api-key", "cookie", "proxy-authorization"];
                if secret.contains(&lower.as_str()) {
                    let problem = self
                        .problem(place, "plain-secret", format!("`{name}` stands in the file"))
                        .hint("write `{file: …}` or `{credential: …}` in place of its value");
                    self.report.push(problem.warning());
                }
                Some(HeaderText::Plain(text.clone()))
            }
            raw::Header::Secret(secret) => {
                let secret = Located { value: secret.clone(), place };
                self.secret(Some(&secret)).map(HeaderText::Secret)
            }
        }
    }

    fn splunk(&mut self, raw: &raw::Output) -> Option<SplunkTarget> {
        let url = self.url(raw)?;
        if let Some(given) = &raw.url
            && url.parse::<Uri>().is_ok_and(|uri| !matches!(uri.path(), "" | "/"))
        {
            let message = "the address of the collector has no path";
            self.hint(
                given.place,
                "bad-url",
                message.into(),
                "`/services/collector/event` is added",
            );
        }
        Some(SplunkTarget {
            url: url.trim_end_matches('/').to_owned(),
            token: self.secret(raw.token.as_ref())?,
            index: self.text(raw.index.as_ref(), ""),
            source: self.text(raw.source.as_ref(), "shadowtap"),
            sourcetype: self.text(raw.sourcetype.as_ref(), "shadowtap"),
            ca_file: ca_file(raw),
            timeout: self.timeout(raw),
        })
    }

    fn syslog(&mut self, raw: &raw::Output) -> Option<SyslogTarget> {
        let address = raw.address.as_ref()?;
        let transport = raw.transport.as_ref().map(|t| t.value).unwrap_or_default();
        let parts = address.value.rsplit_once(':');
        let (host, port) = parts.unwrap_or((&address.value, ""));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port: Option<u16> = port.parse().ok().filter(|port| *port > 0);
        let (false, Some(port)) = (bare.is_empty() || (bare == host && host.contains(':')), port)
        else {
            let message = format!("`{}` is no `host:port`", address.value);
            let hint = "as siem.example.com:6514, or [2001:db8::1]:6514";
            self.hint(address.place, "bad-address", message, hint);
            return None;
        };
        if let Some(tls) = raw.tls.as_ref().filter(|_| transport != Transport::Tls) {
            let message = format!("`tls` has no effect with `transport: {}`", transport.name());
            self.error(tls.place, "unknown-key", message);
        }
        Some(SyslogTarget {
            host: bare.to_owned(),
            port,
            transport,
            facility: raw.facility.as_ref().map(|facility| facility.value).unwrap_or_default(),
            ca_file: ca_file(raw),
            timeout: self.timeout(raw),
        })
    }

    fn file(&mut self, raw: &raw::Output) -> Option<FileTarget> {
        let directory = raw.directory.as_ref()?;
        let rotate_bytes = self.size(raw.rotate_size.as_ref(), 64 << 20, 1 << 20);
        let keep_bytes = raw.keep_size.as_ref().map(|keep| self.size(Some(keep), 0, 1 << 20));
        if let (Some(keep), Some(bytes)) = (&raw.keep_size, keep_bytes)
            && bytes < rotate_bytes.saturating_mul(2)
        {
            let message = "`keep_size` must be at least twice `rotate_size`";
            self.error(keep.place, "out-of-range", message);
        }
        Some(FileTarget { directory: directory.value.clone(), rotate_bytes, keep_bytes })
    }

    /// An address of a server, without a password.
    fn url(&mut self, raw: &raw::Output) -> Option<String> {
        let url = raw.url.as_ref()?;
        let wrong = match url.value.parse::<Uri>() {
            Err(error) => Some((format!("no address: {error}"), "as https://host:port/path")),
            Ok(uri) => {
                let authority = uri.authority().map_or("", |authority| authority.as_str());
                match uri.scheme_str() {
                    _ if authority.contains('@') => Some((
                        "a password does not stand in an address".into(),
                        "keep it in a file",
                    )),
                    Some("http" | "https") if !authority.is_empty() => {
                        self.clear_text(raw, &uri, url.place);
                        None
                    }
                    _ => Some((
                        "an address begins with http:// or https://".into(),
                        "as https://host:port/path",
                    )),
                }
            }
        };
        if let Some((message, hint)) = wrong {
            self.hint(url.place, "bad-url", message, hint);
            return None;
        }
        Some(url.value.clone())
    }

    /// Secrets and findings in the clear, to another machine.
    fn clear_text(&mut self, raw: &raw::Output, uri: &Uri, place: Place) {
        let host = uri.host().unwrap_or_default();
        let here = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
        let secret = raw.password.is_some() || raw.token.is_some() || raw.headers.is_some();
        if uri.scheme_str() == Some("http") && !here && secret {
            let problem = self
                .problem(place, "clear-text", "secrets travel in the clear")
                .hint("use https, with `tls: {ca_file: …}` for a certificate of your own");
            self.report.push(problem.warning());
        }
    }

    fn secret(&mut self, secret: Option<&Located<raw::Secret>>) -> Option<Secret> {
        let secret = secret?;
        match (&secret.value.file, &secret.value.credential) {
            (Some(file), None) => Some(Secret::File(file.clone())),
            (None, Some(name))
                if !name.is_empty() && !name.contains(['/', '\0']) && name != ".." =>
            {
                Some(Secret::Credential(name.clone()))
            }
            (None, Some(_)) => {
                self.error(secret.place, "bad-secret", "a credential's name is no path");
                None
            }
            _ => {
                let message = "a secret is in a `file` or is a `credential`: one of the two";
                self.error(secret.place, "bad-secret", message);
                None
            }
        }
    }

    fn text(&mut self, text: Option<&Located<String>>, default: &str) -> String {
        let Some(text) = text else { return default.to_owned() };
        if text.value.is_empty() || text.value.len() > MAX_TEXT_BYTES {
            self.error(text.place, "bad-text", "text that is not empty and not too long is wanted");
        }
        text.value.clone()
    }

    fn timeout(&mut self, raw: &raw::Output) -> Duration {
        let seconds = raw.timeout_seconds.as_ref().map_or(TIMEOUT_SECONDS, |seconds| {
            if !(1..=600).contains(&seconds.value) {
                self.error(seconds.place, "out-of-range", "1 to 600 seconds are a timeout");
            }
            seconds.value
        });
        Duration::from_secs(seconds)
    }
}

fn ca_file(raw: &raw::Output) -> Option<PathBuf> {
    raw.tls.as_ref().and_then(|tls| tls.value.ca_file.clone())
}

/// Keys of an output that not every kind has, and where they stand.
fn present(raw: &raw::Output) -> Vec<(&'static str, Place)> {
    macro_rules! places {
        ($($key:ident),*) => {
            [$((stringify!($key), raw.$key.as_ref().map(|value| value.place))),*]
        };
    }
    let all = places!(
        batch,
        spool_size,
        url,
        tls,
        timeout_seconds,
        database,
        user,
        password,
        compression,
        settings,
        body,
        template,
        headers,
        sign,
        token,
        index,
        source,
        sourcetype,
        address,
        transport,
        facility,
        directory,
        rotate_size,
        keep_size
    );
    debug_assert!(all.iter().map(|(key, _)| *key).eq(SPECIAL.iter().copied()));
    all.into_iter().filter_map(|(key, place)| Some((key, place?))).collect()
}
