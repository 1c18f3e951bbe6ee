//! Every labelled capture against its label.
//!
//! `SHADOWTAP_CAPTURES` may name another folder of the same form, which is then walked too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{replay_json, root};

type Counts = BTreeMap<String, u64>;

const DIRECTIONS: [&str; 2] = ["client_to_server", "server_to_client"];

fn folders() -> Vec<PathBuf> {
    let own = root().join("captures");
    let more = std::env::var_os("SHADOWTAP_CAPTURES").map(|folder| root().join(folder));
    std::iter::once(own).chain(more).collect()
}

/// Names of the captures in a folder: those that have a label.
fn labelled(folder: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let label: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        found.push((label["file"].as_str().unwrap().to_owned(), label));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn counts(value: &Value) -> Counts {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(name, count)| (name.clone(), count.as_u64().unwrap_or(0))).collect()
}

fn sum(servers: &[&Value], pick: impl Fn(&Value) -> Counts) -> Counts {
    let mut total = Counts::new();
    for server in servers {
        for (name, count) in pick(server) {
            *total.entry(name).or_default() += count;
        }
    }
    total.retain(|_, count| *count > 0);
    total
}

fn compare(what: &str, got: &Counts, low: &Counts, high: &Counts, faults: &mut Vec<String>) {
    let names: BTreeSet<_> = got.keys().chain(low.keys()).chain(high.keys()).collect();
    for name in names {
        let of = |counts: &Counts| counts.get(name).copied().unwrap_or(0);
        if of(got) < of(low) || of(got) > of(high) {
            faults.push(format!("{what} {name}: {} (label {}..{})", of(got), of(low), of(high)));
        }
    }
}

/// What speaks against the events, held against the label.
fn faults(label: &Value, events: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    if label["file"].as_str().unwrap().contains("corrupt-bytes") {
        return faults; // Bytes differ from the twin: it must only be survived.
    }
    let is = |event: &Value, kind: &str| event["event_type"] == kind;
    let servers: Vec<_> =
        events.iter().filter(|event| is(event, "server") && event["mcp"] == true).collect();
    compare_flows(events, &servers, &mut faults);
    if label["mcp"] != true || label["decodable"] == "none" {
        faults
            .extend(servers.iter().map(|server| format!("calls {} MCP", server["server"]["key"])));
        let strong = |event: &&Value| {
            is(event, "finding") && label["mcp"] != true && !(event["evidence"] == "hint")
        };
        faults.extend(events.iter().filter(strong).map(|event| {
            format!("finding {} with evidence {}", event["rule"]["id"], event["evidence"])
        }));
        return faults;
    }
    if label["category"] == "mixed" {
        compare_mixed(label, &servers, &mut faults);
    } else {
        compare_counts(label, &servers, &mut faults);
    }
    if label["decodable"] == "full" {
        compare_servers(label, &servers, &mut faults);
    }
    faults
}

/// Each address at which MCP was spoken is that of a flow, and each flow is of a known server.
fn compare_flows(events: &[Value], servers: &[&Value], faults: &mut Vec<String>) {
    let of_type = |kind: &'static str| events.iter().filter(move |e| e["event_type"] == kind);
    let known: BTreeSet<_> =
        of_type("server").map(|server| server["server"]["key"].to_string()).collect();
    let mut reached = BTreeSet::new();
    for flow in of_type("flow") {
        let (ip, port) =
            (flow["destination"]["ip"].as_str().unwrap(), &flow["destination"]["port"]);
        reached.insert(if ip.contains(':') {
            format!("[{ip}]:{port}")
        } else {
            format!("{ip}:{port}")
        });
        if !known.contains(&flow["server"]["key"].to_string()) {
            faults.push(format!("a flow of an unknown server: {flow}"));
        }
    }
    for server in servers {
        let endpoints = server["server"]["endpoints"].as_array().unwrap().iter();
        let missed = endpoints.filter(|endpoint| !reached.contains(endpoint.as_str().unwrap()));
        faults.extend(missed.map(|endpoint| format!("no flow to {endpoint}")));
    }
}

fn compare_counts(label: &Value, servers: &[&Value], faults: &mut Vec<String>) {
    let full = label["decodable"] == "full";
    for field in ["methods", "responses"] {
        for direction in DIRECTIONS {
            let got = sum(servers, |server| counts(&server[field][direction]));
            let high = counts(&label[field][direction]);
            let in_file = counts(&label[format!("{field}_in_this_file")][direction]);
            let low = if full { &high } else { &in_file };
            compare(&format!("{field} {direction}"), &got, low, &high, faults);
        }
    }
    let tools = counts(&label["tools_called"]);
    let got = sum(servers, |server| counts(&server["tools_called"]));
    let low = if full { tools.clone() } else { Counts::new() };
    compare("tools_called", &got, &low, &tools, faults);
}

/// The totals of a mixed file hold other JSON-RPC traffic too: only what the label says of each
/// MCP address counts.
fn compare_mixed(label: &Value, servers: &[&Value], faults: &mut Vec<String>) {
    let endpoints = label["endpoints"].as_array().unwrap();
    let mcp: Vec<_> = endpoints.iter().filter(|endpoint| endpoint["mcp"] == true).collect();
    let want = sum(&mcp, |endpoint| counts(&endpoint["jsonrpc_methods"]));
    let got = sum(servers, |server| {
        let both = DIRECTIONS.map(|direction| counts(&server["methods"][direction]));
        let mut total = Counts::new();
        for (name, count) in both.into_iter().flatten() {
            *total.entry(name).or_default() += count;
        }
        total
    });
    compare("methods", &got, &want, &want, faults);
    let tools = counts(&label["tools_called"]);
    compare(
        "tools",
        &sum(servers, |server| counts(&server["tools_called"])),
        &tools,
        &tools,
        faults,
    );
}

fn compare_servers(label: &Value, servers: &[&Value], faults: &mut Vec<String>) {
    let endpoints = label["endpoints"].as_array().unwrap();
    let address = |endpoint: &Value| {
        let (ip, port) = (endpoint["ip"].as_str().unwrap(), &endpoint["port"]);
        if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
    };
    let want: BTreeSet<String> =
        endpoints.iter().filter(|endpoint| endpoint["mcp"] == true).map(address).collect();
    let got: BTreeSet<String> = servers
        .iter()
        .flat_map(|server| server["server"]["endpoints"].as_array().unwrap())
        .map(|endpoint| endpoint.as_str().unwrap().to_owned())
        .collect();
    faults.extend(want.difference(&got).map(|address| format!("misses {address}")));
    faults.extend(got.difference(&want).map(|address| format!("adds {address}")));
    let versions = match &label["protocol_version"] {
        Value::String(version) => vec![version.clone()],
        Value::Array(all) => all.iter().map(|v| v.as_str().unwrap().to_owned()).collect(),
        _ => Vec::new(),
    };
    for version in versions {
        let seen = servers.iter().any(|server| {
            server["protocol_versions"].as_array().unwrap().iter().any(|seen| *seen == version)
        });
        if !seen {
            faults.push(format!("misses revision {version}"));
        }
    }
}

#[test]
fn every_labelled_capture_gives_what_its_label_says() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for folder in folders() {
        for (file, label) in labelled(&folder) {
            let keylog = label["keylog"].as_str().map(|name| folder.join(name));
            let more: Vec<_> = keylog.iter().flat_map(|keylog| ["--keylog", str(keylog)]).collect();
            let run = replay_json(&folder.join(&file), &more);
            assert!(matches!(run.code, 0 | 1 | 3), "{file}: exit {}: {}", run.code, run.stderr);
            seen += 1;
            let faults = faults(&label, &run.events());
            if !faults.is_empty() {
                wrong.push(format!("{file}: {}", faults.join("; ")));
            }
        }
    }
    assert!(seen > 40, "only {seen} captures");
    assert!(wrong.is_empty(), "{} of {seen} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn output_is_the_same_for_any_number_of_threads() {
    for name in ["office-morning.pcap", "imp-loss10-everything.pcap", "st-2026-07-listen.pcap"] {
        let capture = root().join("captures").join(name);
        let one = replay_json(&capture, &["--threads", "1"]);
        assert!(one.events().len() > 3, "{name}: {}", one.stderr);
        assert!(!one.of_type("flow").is_empty(), "{name}");
        for threads in ["1", "2", "5"] {
            let more = replay_json(&capture, &["--threads", threads]);
            assert_eq!(one.stdout, more.stdout, "{name} with {threads} threads");
        }
    }
}
