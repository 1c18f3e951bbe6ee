//! Custom profiles of Cloudflare DLP: expressions that are looked for in the first 1,024 bytes of
//! the bodies of `POST` requests.
//!
//! The rules that come of them do the same and no better. They are for comparing, and for moving
//! over step by step: our own rules read whole messages, in both directions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Imported, MARK, sample};
use crate::rules::compile::is_id;
use crate::rules::fresh::{scalar, slug};
use crate::rules::problem::Source;
use crate::rules::{Limits, literal, syntax};

/// Most patterns of one file.
const MAX_PATTERNS: usize = 1_000;

/// Field with the text that Cloudflare looks at.
const FIELD: &str = "body.head";

/// A request that few patterns are meant for.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// An entry of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) name: String,
    pub(super) regex: String,
    pub(super) enabled: bool,
    /// Check that a match must pass, such as `luhn`.
    pub(super) validation: Option<String>,
}

/// Turns the patterns of a profile into rules with ids from `first_id` on.
///
/// Reads JSON with entries that have `name` and `pattern.regex`, wherever they are in it; lines of
/// name, tab, expression; or a YAML map from names to expressions.
///
/// # Errors
///
/// When there are no patterns, too many, or more than there are ids.
pub fn cloudflare_dlp(text: &str, first_id: &str) -> Result<Imported, String> {
    let patterns = patterns(text)?;
    let number = first_id.strip_prefix("SMCP-").filter(|_| is_id(first_id));
    let number: usize = number
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("`{first_id}` is not a rule id: `SMCP-` and four digits"))?;
    if number + patterns.len() > 10_000 {
        return Err(format!("{} patterns need more ids than {first_id} leaves", patterns.len()));
    }
    let mut imported = Imported::default();
    let mut names = BTreeSet::new();
    let mut used = 0;
    for pattern in &patterns {
        if let Err(reason) = expression(&pattern.regex) {
            imported.notes.push(format!("`{}` is left out: {reason}", pattern.name));
            continue;
        }
        let id = format!("SMCP-{:04}", number + used);
        used += 1;
        let (text, notes) = rule(&id, pattern);
        imported.notes.extend(notes.into_iter().map(|note| format!("{id}: {note}")));
        imported.files.push((file_name(pattern, &id, &mut names), text));
    }
    Ok(imported)
}

fn file_name(pattern: &Pattern, id: &str, names: &mut BTreeSet<String>) -> String {
    let slug = slug(&pattern.name);
    let mut name = if slug.is_empty() { id.to_ascii_lowercase() } else { slug };
    if !names.insert(name.clone()) {
        name = format!("{name}-{}", id.to_ascii_lowercase());
        names.insert(name.clone());
    }
    format!("{name}.yaml")
}

/// Reads the patterns of a file in any of its forms.
pub(super) fn patterns(text: &str) -> Result<Vec<Pattern>, String> {
    let rows = || text.lines().map(str::trim_end).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut found = Vec::new();
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        collect(&json, 0, &mut found);
        names(&json, &mut found);
    } else if rows().next().is_some() && rows().all(|row| row.contains('\t')) {
        let split = |row: &str| row.split_once('\t').map(|(n, r)| (n.to_owned(), r.to_owned()));
        found.extend(rows().filter_map(split).map(|(name, regex)| Pattern::new(&name, &regex)));
    } else {
        let source = Source::new("(import)", text);
        let yaml = syntax::any(&source).map_err(|problem| problem.to_string())?;
        collect(&yaml, 0, &mut found);
        names(&yaml, &mut found);
    }
    match found.len() {
        0 => {
            Err("no patterns: JSON with `pattern.regex` (the API, `terraform show -json`), lines \
                  of name, tab, expression, or a YAML map from names to expressions are read"
                .into())
        }
        1..=MAX_PATTERNS => Ok(found),
        many => Err(format!("{many} patterns; at most {MAX_PATTERNS} are read")),
    }
}

impl Pattern {
    fn new(name: &str, regex: &str) -> Self {
        let (name, regex) = (name.trim().to_owned(), regex.trim().to_owned());
        Self { name, regex, enabled: true, validation: None }
    }
}

/// Objects deeper than this are not looked into.
const MAX_DEPTH: usize = 32;

/// Every object with a name and `pattern.regex`: the API nests them in `entries`, Terraform in
/// `entry`, with the pattern in a list of one.
fn collect(json: &Value, depth: usize, found: &mut Vec<Pattern>) {
    if depth > MAX_DEPTH {
        return;
    }
    match json {
        Value::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, found)),
        Value::Object(map) => {
            let pattern = map.get("pattern");
            let pattern = pattern.and_then(|p| p.as_array().map_or(Some(p), |list| list.first()));
            let text = |json: Option<&Value>, key: &str| {
                json.and_then(|json| json.get(key)).and_then(Value::as_str).map(str::to_owned)
            };
            let Some(regex) = text(pattern, "regex") else {
                map.values().for_each(|value| collect(value, depth + 1, found));
                return;
            };
            let name = map.get("name").and_then(Value::as_str).unwrap_or("unnamed");
            found.push(Pattern {
                enabled: map.get("enabled").and_then(Value::as_bool).unwrap_or(true),
                validation: text(pattern, "validation").filter(|check| !check.is_empty()),
                ..Pattern::new(name, &regex)
            });
        }
        _ => {}
    }
}

/// A map from names to expressions.
fn names(json: &Value, found: &mut Vec<Pattern>) {
    let Some(map) = json.as_object().filter(|_| found.is_empty()) else { return };
    if map.values().all(Value::is_string) {
        let pair = |(name, regex): (&String, &Value)| Some(Pattern::new(name, regex.as_str()?));
        found.extend(map.iter().filter_map(pair));
    }
}

/// An expression, compiled as rules compile it.
fn expression(regex: &str) -> Result<regex::Regex, String> {
    let limits = Limits::default();
    if regex.is_empty() {
        return Err("it has no expression".into());
    }
    if regex.len() > limits.max_pattern_chars {
        return Err(format!("its expression is longer than {} bytes", limits.max_pattern_chars));
    }
    let built = regex::RegexBuilder::new(regex)
        .size_limit(limits.max_pattern_bytes)
        .dfa_size_limit(limits.max_pattern_bytes)
        .nest_limit(50)
        .build();
    built.map_err(|error| {
        let shown = error.to_string();
        let reason = shown.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("its expression cannot be used: {reason}")
    })
}

/// One rule, and what to know of it.
fn rule(id: &str, pattern: &Pattern) -> (String, Vec<String>) {
    let Pattern { name, regex, enabled, validation } = pattern;
    let mut notes = Vec::new();
    let body = body(regex);
    if let Some(check) = validation {
        notes.push(format!(
            "Cloudflare counts a match of `{name}` only if it passes the check `{check}`, which is \
             not carried over: a method name never passes a check of card numbers"
        ));
    }
    if !enabled {
        notes.push(format!("`{name}` is switched off in the profile, so the rule is a draft"));
    }
    if body.is_none() {
        notes.push(format!(
            "no text was found that `{name}` matches, so the rule is a draft without tests"
        ));
    }
    if literal::of_pattern(regex, false).is_none() {
        notes.push(format!("`{name}` has no literal, so it is evaluated on every POST request"));
    }
    let status = if *enabled && body.is_some() { "experimental" } else { "draft" };
    let title: String = format!("Cloudflare DLP: {name}").chars().take(100).collect();
    let title = title.replace(char::is_control, " ");
    // Braces would be placeholders.
    let shown: String = name.chars().filter(|c| !"{}".contains(*c) && !c.is_control()).collect();
    let text =
        format!("{{client.ip}} sent {{server.host}} a body that Cloudflare DLP calls {shown}");
    let quoted = |text: &str| Value::from(text).to_string();
    let plain = expression(regex).is_ok_and(|regex| regex.is_match(PING));
    let tests = body.map_or_else(String::new, |body| tests(&quoted(&body), plain));
    let rule = format!(
        "\
{MARK}
schema: shadowtap/rule@1
id: {id}
rev: 1
title: {title}
status: {status}
lane: hunt
severity: info
confidence: 40
why: >-
  A pattern of a Cloudflare DLP profile, with the same reach: the first 1,024 bytes of the bodies
  of POST requests, as text. It sees no answers, and a text that quotes MCP matches too.
todo:
  - See whether the rules that read whole messages know the server
refs:
  - https://developers.cloudflare.com/cloudflare-one/data-loss-prevention/
on: exchange
evidence: hint
when:
  http.method: POST
  {FIELD}: {{matches: {regex}}}
report:
  text: {text}
  keep: [http.path]
noise:
  - Text that quotes what the pattern looks for
{tests}",
        title = scalar(&title),
        regex = quoted(regex),
        text = quoted(&text),
    );
    (rule, notes)
}

/// Examples: what Cloudflare would look at, and the same text where it does not look.
fn tests(body: &str, plain_is_hit: bool) -> String {
    const RESULT: &str = "      response: {body: {jsonrpc: \"2.0\", id: 1, result: {}}}\n";
    let request = |before: &str| format!("      request: {{{before}body: {body}}}\n");
    let mut tests = "tests:\n".to_owned();
    let mut add = |name: &str, give: &[&str], want: &str| {
        let give = give.concat();
        tests.push_str(&format!("  - name: {name}\n    give:\n{give}    want: {want}\n"));
    };
    let plain = request("");
    add("in the body of a POST request", &[&plain, RESULT], "hit");
    add("inside TLS", &["      tls: true\n", &plain, RESULT], "hit");
    add("at another path", &[&request("target: /rpc, "), RESULT], "hit");
    add("within a session", &[&request("headers: {Mcp-Session-Id: abc}, "), RESULT], "hit");
    add("refused", &[&plain, "      response: {status: 403}\n"], "hit");
    add("in the body of another request", &[&request("method: PUT, "), RESULT], "none");
    add("in the body of a PATCH request", &[&request("method: PATCH, "), RESULT], "none");
    if !plain_is_hit {
        let ping = "{jsonrpc: \"2.0\", id: 1, method: ping}";
        let header = format!("      request: {{headers: {{X-Note: {body}}}, body: {ping}}}\n");
        let ping = format!("      request: {{body: {ping}}}\n");
        let answer = format!("      response: {{body: {body}}}\n");
        add("another request", &[&ping, RESULT], "none");
        add("in a header field", &[&header, RESULT], "none");
        add("in the answer", &[&ping, &answer], "none");
    }
    tests
}

/// A body of an MCP request that an expression matches: near to what it is meant for.
fn body(regex: &str) -> Option<String> {
    let expression = expression(regex).ok()?;
    let sample = sample::of(regex)?;
    let closed = if sample.matches('"').count() % 2 == 1 { "\"" } else { "" };
    let id = if sample.contains("notifications/") { "" } else { "\"id\":1," };
    let candidates = [
        format!("{{\"jsonrpc\":\"2.0\",{id}{sample}{closed}}}"),
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{{{sample}{closed}}}}}"
        ),
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\
             \"arguments\":{{\"text\":\"{sample}\"}}}}}}"
        ),
        sample.clone(),
    ];
    let is_method = sample.starts_with("\"method\"");
    let candidates = candidates.into_iter().skip(usize::from(!is_method));
    let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    let mut candidates: Vec<_> = candidates.filter(|text| expression.is_match(text)).collect();
    candidates.sort_by_key(|text| !is_json(text));
    candidates.into_iter().next()
}
