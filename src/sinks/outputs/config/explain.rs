//! Outputs in words.

use std::fmt::Write as _;

use super::{Body, HeaderText, Output, Secret, Target, Transport};
use crate::rules::Severity;
use crate::sinks::encode::EventType;

/// What each output does.
#[must_use]
pub fn explain(outputs: &[Output]) -> String {
    let mut text = String::new();
    for output in outputs {
        if !text.is_empty() {
            text.push('\n');
        }
        one(&mut text, output);
    }
    text
}

fn one(text: &mut String, output: &Output) {
    let Output { name, encoding, selection, batch, spool_bytes, target } = output;
    _ = writeln!(text, "{name}: {}", target.kind().name());
    _ = writeln!(text, "  to        {}", destination(target));
    let events: Vec<_> = selection.events.iter().map(|event| plural(*event)).collect();
    let least = match selection.min_severity {
        Severity::Info => String::new(),
        least if selection.events.contains(&EventType::Finding) => {
            format!("; findings from {} on", least.as_str())
        }
        _ => String::new(),
    };
    _ = writeln!(text, "  events    {}{least}, as {}", events.join(", "), encoding.name());
    for (what, how) in details(target) {
        _ = writeln!(text, "  {what:<9} {how}");
    }
    if !matches!(target, Target::File(_)) {
        let (rows, bytes, age) = (batch.rows, size(batch.bytes), batch.age.as_secs_f64());
        _ = writeln!(text, "  batch     {rows} records, {bytes} or {age} s, whatever comes first");
        _ = writeln!(text, "  spool     {} on disk while it is away", size(*spool_bytes));
    }
    _ = writeln!(text, "  promise   {}", promise(target));
}

const fn plural(event: EventType) -> &'static str {
    match event {
        EventType::Finding => "findings",
        EventType::Server => "servers",
        EventType::Message => "messages",
        EventType::Flow => "flows",
        EventType::Stats => "statistics",
        EventType::Call => "calls through the portal",
    }
}

fn destination(target: &Target) -> String {
    match target {
        Target::Clickhouse(target) => format!("{}, database {}", target.url, target.database),
        Target::Webhook(target) => target.url.clone(),
        Target::SplunkHec(target) => format!("{}/services/collector/event", target.url),
        Target::Syslog(target) => {
            let host = if target.host.contains(':') {
                format!("[{}]", target.host)
            } else {
                target.host.clone()
            };
            format!("{host}:{} over {}", target.port, target.transport.name())
        }
        Target::File(target) => target.directory.display().to_string(),
    }
}

fn secret(secret: &Secret) -> String {
    match secret {
        Secret::File(path) => format!("from {}", path.display()),
        Secret::Credential(name) => format!("from the credential {name}"),
    }
}

fn details(target: &Target) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let ca_file = match target {
        Target::Clickhouse(target) => {
            let user = target.user.as_deref().unwrap_or("default");
            let password = target.password.as_ref().map(secret);
            let password = password.unwrap_or_else(|| "none".to_owned());
            all.push(("user", format!("{user}, password {password}")));
            all.extend(
                target.settings.iter().map(|(key, value)| ("setting", format!("{key} = {value}"))),
            );
            &target.ca_file
        }
        Target::Webhook(target) => {
            all.push(("body", body(&target.body).to_owned()));
            for (name, value) in &target.headers {
                let value = match value {
                    HeaderText::Plain(_) => "as written in the file".to_owned(),
                    HeaderText::Secret(value) => secret(value),
                };
                all.push(("header", format!("{name}, {value}")));
            }
            all.extend(
                target
                    .sign
                    .as_ref()
                    .map(|key| ("signed", format!("HMAC-SHA256, key {}", secret(key)))),
            );
            &target.ca_file
        }
        Target::SplunkHec(target) => {
            all.push(("token", secret(&target.token)));
            let index = if target.index.is_empty() { "the token's" } else { &target.index };
            all.push(("index", index.to_owned()));
            &target.ca_file
        }
        Target::Syslog(target) => &target.ca_file,
        Target::File(target) => {
            let keep = target.keep_bytes.map_or_else(
                || "all are kept".to_owned(),
                |bytes| format!("{} are kept", size(bytes)),
            );
            all.push(("files", format!("{} each, {keep}", size(target.rotate_bytes))));
            &None
        }
    };
    all.extend(
        ca_file
            .as_ref()
            .map(|path| ("trusts", format!("the system's roots and {}", path.display()))),
    );
    all
}

const fn body(body: &Body) -> &'static str {
    match body {
        Body::Ndjson => "records on lines",
        Body::Array => "a JSON array of records",
        Body::Template(_) => "one request for each record, from the template",
    }
}

/// What can be relied on.
const fn promise(target: &Target) -> &'static str {
    match target {
        Target::Clickhouse(_) => "exactly once, while the server remembers tokens",
        Target::Webhook(_) => "at least once; the same Idempotency-Key on every try",
        Target::SplunkHec(_) => "at least once; the collector knows no tokens",
        Target::Syslog(target) => match target.transport {
            Transport::Udp => "none: nobody says whether a datagram arrived",
            Transport::Tcp | Transport::Tls => {
                "what was sent may be lost when the receiver goes away: syslog has no answers"
            }
        },
        Target::File(_) => "in the file when its name has no `.partial` any more",
    }
}

/// Bytes in the largest unit that divides them.
fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} bytes")
}
