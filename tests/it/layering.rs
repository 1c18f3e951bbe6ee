//! Data flows one way: no module may use one that comes after it.

use std::path::Path;

use crate::run::root;

/// Layers in the order of the data; modules of one line may use each other.
const LAYERS: [&[&str]; 17] = [
    &["time", "net", "anomaly", "fnv", "html"],
    &["capture"],
    &["decode"],
    &["flow"],
    &["exchange"],
    &["app", "logs", "icap"],
    &["content"],
    &["inspect"],
    &["observation", "secret"],
    // The inventory gives each contact its verdict's name, and rules read both.
    &["mcp", "verdict"],
    &["memory"],
    &["rules"],
    &["finding"],
    &["sinks", "intake"],
    &["pipeline"],
    &["portal"],
    &["cli"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_module_uses_a_later_one() {
    let source = root().join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong = Vec::new();
    for path in &all {
        let relative = path.strip_prefix(&source).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let own = first.trim_end_matches(".rs");
        let is_test = relative.components().any(|part| part.as_os_str() == "tests")
            || path.file_stem().is_some_and(|stem| stem == "tests");
        // Programs use whatever they need.
        if matches!(own, "main" | "lib" | "bin") || is_test {
            continue;
        }
        let own_layer = layer(own).unwrap_or_else(|| panic!("{own} is in no layer"));
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for used in code.split("crate::").skip(1) {
            let name: String =
                used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if layer(&name).is_some_and(|other| other > own_layer) {
                wrong.push(format!("{} uses {name}", relative.display()));
            }
        }
    }
    assert!(all.len() > 30);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_reads_no_clock_file_or_socket() {
    let source = root().join("src");
    let mut wrong = Vec::new();
    let layers = [
        "decode", "flow", "app", "logs", "icap", "exchange", "content", "inspect", "mcp", "memory",
        "finding",
    ];
    for layer in layers {
        let mut all = Vec::new();
        files(&source.join(layer), &mut all);
        for path in all {
            let is_test = path.components().any(|part| part.as_os_str() == "tests");
            if is_test || path.ends_with("memory/store.rs") {
                continue; // The store is the edge of the memory.
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for banned in ["std::fs", "std::net::Tcp", "std::thread", "std::env", "::now()"] {
                if code.contains(banned) && !path.ends_with("tests.rs") {
                    wrong.push(format!("{} uses {banned}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
