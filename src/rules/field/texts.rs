//! Reading what the texts of a message or a definition hold.

use super::read::{Each, opt_text, text, texts};
use super::{Field, Key, Value, View};
use crate::inspect::{hidden, path};
use crate::rules::content::{self, Area, Leaf};
use crate::rules::subject::Subject;

/// The texts that a field gives all of.
pub(super) const fn area(key: Key) -> Option<Area> {
    Some(match key {
        Key::ArgsText => Area::Arguments,
        Key::ResultText => Area::Result,
        Key::ErrorText => Area::Error,
        Key::AskText => Area::Ask,
        Key::ToolText => Area::Tool,
        Key::ToolAddedText => Area::Added,
        _ => return None,
    })
}

/// Fields of messages.
pub(super) fn of_message<'a>(field: &Field, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let Some(facts) = subject.message else { return false };
    match field.key() {
        Key::ReplyIsError => {
            let result = facts.reply.filter(|reply| reply.kind.is_some());
            result.is_some_and(|reply| each(Value::Bool(reply.is_tool_error)))
        }
        Key::AskedMethod => opt_text(facts.asked.and_then(|asked| asked.method.as_deref()), each),
        Key::AskedName => opt_text(facts.asked.and_then(|asked| asked.name.as_deref()), each),
        Key::ArgsText => all(subject, Area::Arguments, field.view(), each),
        Key::ArgsKeys => keys(subject, Area::Arguments, each),
        Key::ArgsValue => named(field, subject, each),
        Key::ArgsNames => {
            let leaves = content::leaves(subject, Area::Arguments).iter();
            let paths = leaves.filter(|leaf| !leaf.is_key && path::is_path_like(&leaf.text));
            texts(paths.filter_map(|leaf| path::last_segment(&leaf.text)), each)
        }
        Key::ArgsUrlHost => hosts(subject, Area::Arguments, each),
        Key::ArgsUrlIp => {
            let mut found = content::addresses(subject, Area::Arguments).iter();
            found.any(|address| address.ip.is_some_and(|ip| each(Value::Ip(ip))))
        }
        Key::ArgsUrlScheme => {
            let found = content::addresses(subject, Area::Arguments).iter();
            texts(found.map(|address| &*address.scheme), each)
        }
        Key::ArgsClimbs => {
            let leaves = content::leaves(subject, Area::Arguments);
            !leaves.is_empty() && each(Value::Bool(leaves.iter().any(climbs)))
        }
        Key::ArgsDigest => opt_text(content::arguments_digest(subject), each),
        Key::ResultText => all(subject, Area::Result, field.view(), each),
        Key::ErrorText => all(subject, Area::Error, field.view(), each),
        Key::AskText => all(subject, Area::Ask, field.view(), each),
        Key::AskFields => asked_fields(subject, each),
        Key::AskUrlHost => hosts(subject, Area::Ask, each),
        Key::AskUndeclared => boolean(facts.undeclared, each),
        key => sensitive(key, subject, each),
    }
}

fn climbs(leaf: &Leaf) -> bool {
    !leaf.is_key && path::climbs(&leaf.text)
}

/// Secrets and personal data, and what was handed on.
fn sensitive<'a>(key: Key, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let Some(facts) = subject.message else { return false };
    let secrets = || facts.message.secrets.iter();
    match key {
        Key::SecretKinds => texts(secrets().map(|secret| secret.kind), each),
        Key::SecretForeign => {
            let host = subject.contact.map_or("", |contact| contact.host.as_str());
            let foreign = secrets().filter(|secret| !is_issuer(host, secret.issuers));
            texts(foreign.map(|secret| secret.kind), each)
        }
        Key::SecretCertain => {
            let certain = secrets().any(|secret| secret.certain);
            !facts.message.secrets.is_empty() && each(Value::Bool(certain))
        }
        Key::PersonalKinds => {
            texts(facts.message.personal.iter().map(|personal| personal.kind), each)
        }
        Key::PersonalCount => {
            let count: i64 =
                facts.message.personal.iter().map(|found| i64::from(found.count)).sum();
            each(Value::Number(count))
        }
        Key::CopiedFrom => texts(subject.copied.iter().map(|copied| copied.from.as_str()), each),
        Key::CopiedKinds => texts(subject.copied.iter().map(|copied| copied.kind), each),
        _ => false,
    }
}

/// Whether a host is the issuer's own, or below it.
fn is_issuer(host: &str, issuers: &[&str]) -> bool {
    issuers.iter().any(|issuer| {
        host.strip_suffix(issuer).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn all<'a>(subject: &Subject<'a>, area: Area, view: View, each: Each<'_, 'a>) -> bool {
    content::visit(subject, area, view, &|_| true, &mut |text| each(Value::Text(text)))
}

fn keys<'a>(subject: &Subject<'a>, area: Area, each: Each<'_, 'a>) -> bool {
    let leaves = content::leaves(subject, area).iter();
    texts(leaves.filter(|leaf| leaf.is_key).map(|leaf| &*leaf.text), each)
}

/// `args.value.<name>`.
fn named<'a>(field: &Field, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let Some(header) = field.header() else { return false };
    let wanted = |leaf: &Leaf| {
        let name = leaf.name().as_bytes();
        let part = if header.prefix { name.get(..header.name.len()) } else { Some(name) };
        part.is_some_and(|part| part.eq_ignore_ascii_case(header.name.as_bytes()))
    };
    content::visit(subject, Area::Arguments, field.view(), &wanted, &mut |text| {
        each(Value::Text(text))
    })
}

fn hosts<'a>(subject: &Subject<'a>, area: Area, each: Each<'_, 'a>) -> bool {
    texts(content::addresses(subject, area).iter().map(|address| &*address.host), each)
}

/// Names of the properties of a requested schema: keys directly below `properties`.
fn asked_fields<'a>(subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let is_property = |leaf: &&Leaf| leaf.is_key && leaf.path.ends_with("properties");
    let leaves = content::leaves(subject, Area::Ask).iter();
    texts(leaves.filter(is_property).map(|leaf| &*leaf.text), each)
}

/// Fields of definitions.
pub(super) fn of_tool<'a>(field: &Field, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let Some(tool) = subject.tool else { return false };
    match field.key() {
        Key::ToolName => text(&tool.name, each),
        Key::ToolKind => text(tool.kind, each),
        Key::ToolText => all(subject, Area::Tool, field.view(), each),
        Key::ToolDescription => opt_text(tool.description.as_deref(), each),
        Key::ToolIdentifiers => texts(tool.identifiers.iter().map(String::as_str), each),
        Key::ToolReadOnly => boolean(tool.read_only, each),
        Key::ToolDestructive => boolean(tool.destructive, each),
        Key::ToolHidden => hidden_kinds(subject, each),
        Key::ToolChange => text(tool.change, each),
        Key::ToolChangedParts => texts(tool.changed_parts.iter().copied(), each),
        Key::ToolAddedText => all(subject, Area::Added, field.view(), each),
        Key::ToolStoodSeconds => tool.stood_seconds.is_some_and(|age| each(Value::Number(age))),
        Key::ToolDivergent => each(Value::Bool(tool.divergent)),
        Key::ToolShadows => texts(tool.shadows.iter().map(String::as_str), each),
        Key::ToolBreaksPin => boolean(tool.breaks_pin, each),
        Key::ToolFirstUse => boolean(tool.first_use, each),
        _ => false,
    }
}

fn boolean(value: Option<bool>, each: Each<'_, '_>) -> bool {
    value.is_some_and(|value| each(Value::Bool(value)))
}

fn hidden_kinds<'a>(subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let mut stopped = false;
    for leaf in content::leaves(subject, Area::Tool) {
        hidden::hidden(&leaf.text, &mut |found| {
            stopped = stopped || each(Value::Text(found.kind.as_str()));
        });
    }
    stopped
}
