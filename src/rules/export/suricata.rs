//! Suricata rules for places where shadowtap does not run: the literals of our rules in Suricata's
//! buffers, one rule per order of keys that SDKs write.

mod content;
mod signature;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Exported, line};
use crate::rules::set::{Compiled, RuleSet};
use crate::rules::{On, Severity};
use signature::{Sender, Signature};

/// What every rule loses.
const NOTES: &str = "\
Suricata rules find texts in clear traffic; they do not read messages.
- JSON is not parsed: white space of six bytes or more, escapes (`tools\\/call`, `\\u0074`), keys in
  an order that no SDK writes, keys that occur twice and bodies in a content coding are missed, and
  text that quotes MCP is found.
- The method is looked for where SDKs write it: `method` first (TypeScript 1, Python 1), or after
  `jsonrpc` and `id` (Python 2, TypeScript 2, Rust).
- Messages are looked for in request bodies, those of rules that name results in response bodies,
  up to the limits of libhtp (request-body-limit and response-body-limit, 100 KiB unless raised).
  Requests and notifications that a server sends in SSE, and WebSocket, are missed.
- State is not carried over: approvals, the inventory, what a server has proven, replies to
  requests, severities for special cases. Rules on servers are left out.
- A condition that cannot be said in Suricata is left out, which makes a rule match more. Each is
  named below.
- Needs Suricata 7 or later. Check the file with: suricata -T -S FILE
";

/// The Suricata rules of all active rules that have literals, but building blocks. `first_sid` is the first signature
/// id.
#[must_use]
pub fn suricata(set: &RuleSet, first_sid: u32) -> Exported {
    let mut text = format!(
        "# Exported by shadowtap {}: `rules export suricata`.\n\
         # Texts in clear traffic, not messages: `rules export suricata --notes` says what is lost.\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut notes = NOTES.to_owned();
    let mut sid = first_sid;
    // A building block is no finding here, and correlations have nothing to look for in packets.
    let rules = set.rules().iter().filter(|rule| rule.is_active() && !rule.building_block);
    for rule in rules {
        let (signatures, lost) = signatures(rule);
        let id = &rule.info.id;
        if signatures.is_empty() {
            let lost = lost.into_iter().collect::<Vec<_>>().join("; ");
            notes.push_str(&format!("{id}: left out: {lost}\n"));
            continue;
        }
        if !lost.is_empty() {
            let lost = lost.into_iter().collect::<Vec<_>>().join("; ");
            notes.push_str(&format!("{id}: {lost}\n"));
        }
        let why = rule.info.title.replace(char::is_control, " ");
        text.push_str(&format!("\n# {id} {why}\n"));
        for signature in signatures {
            // Writing to a string does not fail.
            match write(&mut text, rule, &signature, sid) {
                Ok(()) | Err(std::fmt::Error) => sid = sid.saturating_add(1),
            }
        }
    }
    Exported { files: vec![("shadowtap.rules".into(), text)], notes }
}

/// What stands for a rule, and what it loses.
fn signatures(rule: &Compiled) -> (Vec<Signature>, BTreeSet<String>) {
    if rule.on == On::Server {
        let why = "it is about what the inventory knows of a server".to_owned();
        return (Vec::new(), [why].into());
    }
    let mut lost = BTreeSet::new();
    let sender = Sender::of(&rule.when).unwrap_or(Sender::Client);
    let mut found = signature::of(&rule.when, sender, &mut lost);
    found.iter_mut().for_each(|signature| signature.one_side(&mut lost));
    found.retain(Signature::is_specific);
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        lost.insert("no text is left to look for".into());
    }
    (found, lost)
}

fn write(out: &mut String, rule: &Compiled, signature: &Signature, sid: u32) -> std::fmt::Result {
    let info = &rule.info;
    let protocol = match rule.on.as_str() {
        "tls" => "tls",
        "dns" => "dns",
        _ => "http",
    };
    let ends = if signature.is_response() { "to_client" } else { "to_server" };
    // Look-ups are on UDP, which is never established.
    let flow = if protocol == "dns" { ends.to_owned() } else { format!("established,{ends}") };
    let message = escaped_message(&format!("shadowtap {} {}", info.id, info.title));
    write!(out, "alert {protocol} any any -> any any (msg:\"{message}\"; flow:{flow};")?;
    for part in &signature.parts {
        write!(out, " {part}")?;
    }
    let seconds = rule.group.window.as_secs();
    write!(out, " threshold:type limit, track by_src, count 1, seconds {seconds};")?;
    for url in &info.refs {
        let bare = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        if !bare.contains([';', '"', ',', ' ']) {
            write!(out, " reference:url,{bare};")?;
        }
    }
    let id = &info.id;
    let severity = info.severity.as_str();
    writeln!(
        out,
        " metadata:shadowtap_rule {id}, shadowtap_severity {severity}; priority:{}; sid:{sid}; \
         rev:{};)",
        priority(info.severity),
        info.rev
    )
}

/// A message without the characters that end it.
fn escaped_message(text: &str) -> String {
    line(text).replace(['"', ';', '\\', ':'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// 1 is the most urgent.
const fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::Critical | Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
        Severity::Info => 4,
    }
}

#[cfg(test)]
mod tests;
