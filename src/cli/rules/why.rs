//! `shadowtap rules why`.

use std::path::Path;

use super::super::args::RuleSource;
use super::super::{Exit, Failure, load, print};
use crate::finding::mask;
use crate::pipeline::Recogniser;
use crate::rules::{self, Recognise as _, Source};

pub(super) fn run(event: &Path, rule: Option<&str>, source: &RuleSource) -> Result<Exit, Failure> {
    let text = super::text(event)?;
    let set = load::rules(source)?;
    let only = rule.map(|id| super::rule(&set, id)).transpose()?;
    let shown = match one_event(&text)? {
        Some(event) => rules::why_event(&set, &event, only).map_err(Failure::new)?,
        None => {
            let name = event.display().to_string();
            let source = Source::new(name, text);
            let given = rules::example(&source, &rules::Limits::default());
            let given = given.map_err(|problem| {
                Failure::new(format!("neither an event nor an example\n{problem}"))
            })?;
            let subjects = Recogniser.subjects(&given).map_err(Failure::new)?;
            rules::why(&set, &subjects, only, &mask)
        }
    };
    print(&shown)?;
    Ok(Exit::Clean)
}

/// The event of NDJSON output, if the text is one.
fn one_event(text: &str) -> Result<Option<serde_json::Value>, Failure> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let event = |text: &str| {
        let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
        json.filter(|json| json.get("event_type").is_some())
    };
    if lines.next().and_then(event).is_none() {
        // Perhaps somebody has put it over several lines.
        return Ok(event(text));
    }
    let more = lines.count();
    if more > 0 {
        let text =
            format!("{} lines; give one event, as with `grep ID FILE | tail -n 1`", more + 1);
        return Err(Failure::new(text));
    }
    Ok(event(text))
}
