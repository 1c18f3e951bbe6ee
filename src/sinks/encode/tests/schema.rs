//! Records against what the makers of the formats publish (see `tests/schemas`).

use serde_json::{Map, Value};

use super::super::*;
use super::{findings, json, messages};

const OCSF: [&str; 2] = [
    include_str!("../../../../tests/schemas/ocsf-1.5.0.json"),
    include_str!("../../../../tests/schemas/ocsf-1.8.0.json"),
];
const ECS: &str = include_str!("../../../../tests/schemas/ecs-9.4.0.json");

/// What is wrong with a record, by a derived schema of OCSF.
struct Ocsf {
    schema: Value,
    profiles: Vec<String>,
    wrong: Vec<String>,
}

impl Ocsf {
    fn check(schema: &str, class: &str, record: &Value) -> Vec<String> {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let profiles = record.pointer("/metadata/profiles").and_then(Value::as_array);
        let profiles = profiles.into_iter().flatten().map(|name| name.as_str().unwrap().to_owned());
        let mut this = Self { profiles: profiles.collect(), schema, wrong: Vec::new() };
        let spec = this.schema["classes"][class].clone();
        assert!(spec.is_object(), "{class}");
        this.object(class, &spec, record);
        this.wrong
    }

    fn applies(&self, spec: &Value) -> bool {
        let profiles = spec["profiles"].as_array();
        profiles.is_none_or(|profiles| {
            profiles.iter().any(|profile| self.profiles.iter().any(|own| profile == own.as_str()))
        })
    }

    fn object(&mut self, path: &str, spec: &Value, value: &Value) {
        let Some(object) = value.as_object() else {
            self.wrong.push(format!("{path} is no object"));
            return;
        };
        let attributes = spec["attributes"].as_object().unwrap();
        for (name, spec) in attributes {
            if spec["requirement"] == "required" && self.applies(spec) && !object.contains_key(name)
            {
                self.wrong.push(format!("{path}.{name} is required"));
            }
        }
        self.constraints(path, &spec["constraints"], object);
        for (name, value) in object {
            let path = format!("{path}.{name}");
            match attributes.get(name).filter(|spec| self.applies(spec)) {
                None => self.wrong.push(format!("{path} is unknown")),
                Some(spec) => {
                    let spec = spec.clone();
                    self.attribute(&path, &spec, value);
                    self.sibling(&path, &spec, name, object);
                }
            }
        }
    }

    fn constraints(&mut self, path: &str, constraints: &Value, object: &Map<String, Value>) {
        let Some(names) = constraints["at_least_one"].as_array() else { return };
        // An object without attributes of its own is any object.
        if !names.iter().any(|name| object.contains_key(name.as_str().unwrap())) {
            self.wrong.push(format!("{path} has none of {names:?}"));
        }
    }

    fn attribute(&mut self, path: &str, spec: &Value, value: &Value) {
        if spec["array"] == true {
            match value.as_array() {
                Some(items) if !items.is_empty() => {
                    items.iter().for_each(|item| self.one(path, spec, item));
                }
                _ => self.wrong.push(format!("{path} is no list with something in it")),
            }
        } else {
            self.one(path, spec, value);
        }
    }

    fn one(&mut self, path: &str, spec: &Value, value: &Value) {
        if let Some(name) = spec["object"].as_str() {
            let object = self.schema["objects"][name].clone();
            if name == "object" {
                if !value.is_object() {
                    self.wrong.push(format!("{path} is no object"));
                }
            } else if object.is_null() {
                self.wrong.push(format!("{path}: {name} is not in the derived schema"));
            } else {
                self.object(path, &object, value);
            }
            return;
        }
        let name = spec["type"].as_str().unwrap();
        let kind = self.schema["types"][name].clone();
        if !fits(kind["type"].as_str().unwrap_or(name), value) {
            self.wrong.push(format!("{path} = {value} is no {name}"));
        }
        if let Some(range) = kind["range"].as_array() {
            let (least, most) = (range[0].as_i64(), range[1].as_i64());
            if value.as_i64() < least || value.as_i64() > most {
                self.wrong.push(format!("{path} = {value} is out of range"));
            }
        }
        let text = value.as_str().unwrap_or_default();
        if kind["max_len"].as_u64().is_some_and(|max| text.len() as u64 > max) {
            self.wrong.push(format!("{path} = {value} is too long"));
        }
        if name == "ip_t" && text.parse::<std::net::IpAddr>().is_err() {
            self.wrong.push(format!("{path} = {value} is no address"));
        }
        let key = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if spec["enum"].as_object().is_some_and(|names| !names.contains_key(&key)) {
            self.wrong.push(format!("{path} = {value} is none of the values"));
        }
    }

    /// `severity` beside `severity_id` has the caption of its number, unless that is 99 (Other).
    fn sibling(&mut self, path: &str, spec: &Value, name: &str, object: &Map<String, Value>) {
        let Some(stem) = name.strip_suffix("_id") else { return };
        let text = object.get(stem).or_else(|| object.get(&format!("{stem}_name")));
        let Some(text) = text.and_then(Value::as_str) else { return };
        let number = object[name].to_string();
        let caption = &spec["enum"][&number];
        if number != "99" && caption != text {
            self.wrong.push(format!("{path} = {number} is {caption}, not {text}"));
        }
    }
}

fn fits(name: &str, value: &Value) -> bool {
    match name {
        "string_t" => value.is_string(),
        "integer_t" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "long_t" => value.as_i64().is_some(),
        "boolean_t" => value.is_boolean(),
        "float_t" => value.is_number(),
        "json_t" => true,
        other => panic!("the type {other} is new"),
    }
}

#[test]
fn findings_are_ocsf_detection_findings() {
    for schema in OCSF {
        for row in findings() {
            let record = json(row, Encoding::Ocsf);
            let wrong = Ocsf::check(schema, "detection_finding", &record);
            assert!(wrong.is_empty(), "{wrong:#?}\n{record:#}");
            assert_eq!(record["type_uid"], 200_400 + record["activity_id"].as_u64().unwrap());
            assert_eq!(record["metadata"]["version"], ocsf::VERSION);
        }
    }
}

#[test]
fn messages_are_ocsf_http_activities() {
    for schema in OCSF {
        for row in messages() {
            let record = json(row, Encoding::Ocsf);
            let wrong = Ocsf::check(schema, "http_activity", &record);
            assert!(wrong.is_empty(), "{wrong:#?}\n{record:#}");
            assert_eq!(record["type_uid"], 400_200 + record["activity_id"].as_u64().unwrap());
        }
    }
}

#[test]
fn the_checker_of_ocsf_finds_what_is_wrong() {
    let good = json(super::full_finding(), Encoding::Ocsf);
    let cases: [(&str, Value, &str); 9] = [
        ("/finding_info/uid", Value::Null, "is no string_t"),
        ("/severity_id", 42.into(), "none of the values"),
        ("/severity", "Low".into(), "not Low"),
        ("/time", "today".into(), "is no timestamp_t"),
        ("/evidences/0/src_endpoint/ip", "10.0.0".into(), "is no address"),
        ("/evidences/0/src_endpoint/port", 70_000.into(), "out of range"),
        ("/evidences", serde_json::json!([]), "something in it"),
        ("/metadata/product", serde_json::json!({"made_up": 1}), "made_up is unknown"),
        ("/metadata/product", serde_json::json!({"version": "1"}), "has none of"),
    ];
    for (pointer, value, want) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let wrong = Ocsf::check(OCSF[0], "detection_finding", &bad).join("\n");
        assert!(wrong.contains(want), "{pointer}: {wrong}");
    }
    for name in ["activity_id", "finding_info", "metadata", "time"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(name);
        let wrong = Ocsf::check(OCSF[0], "detection_finding", &bad).join("\n");
        assert!(wrong.contains(&format!("{name} is required")), "{wrong}");
    }
    // `api` needs the profile of clouds, and that needs a cloud.
    let mut bad = json(super::full_message(), Encoding::Ocsf);
    bad["api"] = serde_json::json!({"operation": "tools/call"});
    let wrong = Ocsf::check(OCSF[0], "http_activity", &bad);
    assert_eq!(wrong, ["http_activity.api is unknown"]);
}

/// Leaves of a tree with their paths; lists are one leaf.
fn leaves(path: &str, value: &Value, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, out);
            }
        }
        value => out.push((path.to_owned(), value.clone())),
    }
}

/// Allowed values of the categorisation fields, and which types a category may have (ECS field
/// reference, categorisation; the published types do not have them).
const KINDS: &[&str] =
    &["alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"];
const CATEGORIES: &[(&str, &[&str])] = &[
    ("intrusion_detection", &["allowed", "denied", "info"]),
    ("network", &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"]),
];

fn check_ecs(record: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(ECS).unwrap();
    let fields = schema["fields"].as_object().unwrap();
    let mut all = Vec::new();
    leaves("", record, &mut all);
    let mut wrong = Vec::new();
    for (path, value) in all {
        let own = ["shadowtap.", "mcp."].iter().any(|stem| path.starts_with(stem));
        match fields.get(&path).and_then(Value::as_str) {
            None if own => {}
            None => wrong.push(format!("{path} is unknown")),
            Some(_) if own => wrong.push(format!("{path} is a field of ECS")),
            Some(kind) => {
                let fits = match &value {
                    Value::Array(items) => {
                        kind.contains("Array<string>") && items.iter().all(Value::is_string)
                    }
                    Value::String(text) => {
                        kind.starts_with("string") || kind == format!("'{text}'")
                    }
                    Value::Number(_) => kind == "number",
                    _ => false,
                };
                if !fits {
                    wrong.push(format!("{path} = {value} is no {kind}"));
                }
            }
        }
    }
    let event = &record["event"];
    if !KINDS.iter().any(|kind| event["kind"] == *kind) {
        wrong.push(format!("event.kind = {}", event["kind"]));
    }
    for category in event["category"].as_array().unwrap() {
        let known = CATEGORIES.iter().find(|(name, _)| category == name);
        let types = known.map_or(&[][..], |(_, types)| types);
        let expected =
            event["type"].as_array().unwrap().iter().all(|kind| types.iter().any(|t| kind == t));
        if !expected {
            wrong.push(format!("event.category = {category} with type {}", event["type"]));
        }
    }
    if record["ecs"]["version"] != schema["version"] || record["@timestamp"].is_null() {
        wrong.push("ecs.version or @timestamp".into());
    }
    wrong
}

#[test]
fn records_are_ecs() {
    let findings = findings().into_iter().map(|row| json(row, Encoding::Ecs));
    for record in findings.chain(messages().into_iter().map(|row| json(row, Encoding::Ecs))) {
        let wrong = check_ecs(&record);
        assert!(wrong.is_empty(), "{wrong:#?}\n{record:#}");
    }
}

#[test]
fn the_checker_of_ecs_finds_what_is_wrong() {
    let good = json(super::full_finding(), Encoding::Ecs);
    for (pointer, value, want) in [
        ("/event/kind", "loud".into(), "event.kind"),
        ("/event/severity", "high".into(), "is no number"),
        ("/event/type", serde_json::json!(["protocol"]), "intrusion_detection"),
        ("/source/port", Value::Null, "is no number"),
        ("/rule/id", serde_json::json!({"made_up": "x"}), "rule.id.made_up is unknown"),
        ("/ecs/version", "1.0".into(), "ecs.version"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let wrong = check_ecs(&bad).join("\n");
        assert!(wrong.contains(want), "{pointer}: {wrong}");
    }
}
