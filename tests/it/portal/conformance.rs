//! MCP's official conformance suite, direct and through the portal. `deploy/portal/CONFORMANCE.md` is
//! the table of the results; `BLESS=1` rewrites its column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use super::world::{
    Portal, Sdk, Server, Upstream, Way, have_programs, node, node_folder, portal_file,
};
use crate::run::root;

/// Revisions whose requirements the suite has.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
const TABLE: &str = "deploy/portal/CONFORMANCE.md";
/// What the servers of the tests do not have: an extension that is not scored.
const LEFT_OUT: &str = "tasks-";

/// Checks that passed and failed, by revision and scenario.
type Results = BTreeMap<(String, String), (u32, u32)>;

fn suite(package: &str) -> Command {
    let mut command = node();
    command.arg(node_folder().join("node_modules").join(package).join("dist/index.js"));
    command
}

/// Lines of the summary: `✓ name: 3 passed, 0 failed`.
fn read(revision: &str, said: &str, results: &mut Results) {
    let (_, summary) = said.split_once("=== SUMMARY ===").unwrap_or_else(|| panic!("{said}"));
    for line in summary.lines() {
        let Some((name, counts)) = line.split_once(": ") else { continue };
        let Some(name) = name.strip_prefix("✓ ").or_else(|| name.strip_prefix("✗ ")) else {
            continue;
        };
        let mut numbers = counts.split(' ').filter_map(|word| word.parse::<u32>().ok());
        let counts = (numbers.next().unwrap(), numbers.next().unwrap());
        results.insert((revision.to_owned(), name.to_owned()), counts);
    }
}

/// What the suite finds at an address, all revisions.
fn examine(url: &str) -> Results {
    let folder = tempfile::tempdir().unwrap();
    let mut results = Results::new();
    for revision in REVISIONS {
        let mut command = suite("@modelcontextprotocol/conformance");
        command.args(["server", "--url", url, "--requirements", revision, "-o"]);
        let output = command.arg(folder.path().join(revision)).output().unwrap();
        read(revision, &String::from_utf8_lossy(&output.stdout), &mut results);
    }
    // The suite that is released: what it calls active, of the revisions before the last.
    let mut command = suite("conformance-released");
    command.args(["server", "--url", url, "-o"]);
    let output = command.arg(folder.path().join("released")).output().unwrap();
    read("released", &String::from_utf8_lossy(&output.stdout), &mut results);
    results
}

/// Scenarios for clients that need no authorization server.
const CLIENT_SCENARIOS: [&str; 11] = [
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    "request-metadata",
    "sep-2322-client-request-state",
    "http-standard-headers",
    "http-custom-headers",
    "http-invalid-tool-headers",
    "json-schema-ref-no-deref",
    "json-schema-2020-12-preservation",
];

/// What the suite finds of a client: the driver, or the portal that is put behind it.
fn examine_client(through: Option<&std::path::Path>) -> BTreeMap<&'static str, String> {
    let driver = root().join("tests/portal/clients/scenario.mjs");
    let command = format!("{} {}", node_folder().join("node").display(), driver.display());
    let mut results = BTreeMap::new();
    for scenario in CLIENT_SCENARIOS {
        let mut suite = suite("@modelcontextprotocol/conformance");
        suite.args(["client", "--command", &command, "--scenario", scenario]);
        // Node that the suite starts is to stay on loopback too.
        let preload = format!("--require {}", node_folder().join("loopback.cjs").display());
        suite.env("NODE_OPTIONS", preload);
        if let Some(file) = through {
            suite.env("SHADOWTAP_PORTAL", env!("CARGO_BIN_EXE_shadowtap"));
            suite.env("SHADOWTAP_PORTAL_FILE", file);
        }
        let output = suite.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let counts = said.lines().find_map(|line| line.strip_prefix("Passed: "));
        let counts = counts.unwrap_or("no result").to_owned();
        let is_well = counts.contains(" 0 failed") && !counts.starts_with("0/");
        results.insert(scenario, if is_well { "passed".to_owned() } else { counts });
    }
    results
}

#[test]
fn the_driver_of_the_scenarios_for_clients_passes_them() {
    if !have_programs() {
        return;
    }
    let mut results = examine_client(None);
    results.retain(|_, result| result != "passed");
    assert!(results.is_empty(), "{results:?}");
}

#[test]
fn the_portal_passes_the_scenarios_for_clients() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portal.yaml");
    // The driver fills in the port and the address.
    let text = portal_file(0, "session-keys", &[("suite", Upstream::Url("URL"))]);
    std::fs::write(&file, text.replace("127.0.0.1:0", "127.0.0.1:PORT")).unwrap();
    let mut results = examine_client(Some(&file));
    results.retain(|_, result| result != "passed");
    assert!(results.is_empty(), "{results:?}");
}

fn fixture(folder: &std::path::Path) -> Server {
    Sdk::Ts2.serve(folder, Way::Http)
}

fn failing(results: &Results) -> BTreeSet<&(String, String)> {
    results.iter().filter(|(_, (_, failed))| *failed > 0).map(|(scenario, _)| scenario).collect()
}

/// The table, with the columns that there are.
fn table(direct: &Results, through: Option<&Results>) -> String {
    let mut text = "# Conformance\n\nChecks that passed and failed in MCP's official conformance suite, against \
         the servers of\n`tests/portal/servers` direct and through the portal's route of one server. \
         Written by the\ntests (`BLESS=1 cargo test --test it portal::conformance`). \
         Scenarios `tasks-*` are of an\nextension that the servers do not have. `released` is the \
         suite 0.1.16, the others are 0.2.0-alpha.12.\n\n\
         | revision | scenario | direct | through the portal |\n|---|---|---|---|\n"
        .to_owned();
    let cell = |counts: Option<&(u32, u32)>| {
        counts.map_or_else(|| "–".to_owned(), |(ok, failed)| format!("{ok} / {failed}"))
    };
    for (scenario, counts) in direct {
        let other = through.and_then(|through| through.get(scenario));
        let (revision, name) = scenario;
        let (direct, through) = (cell(Some(counts)), cell(other));
        writeln!(text, "| {revision} | {name} | {direct} | {through} |").unwrap();
    }
    text
}

#[test]
fn a_summary_is_read() {
    let mut results = Results::new();
    let said = "noise\n=== SUMMARY ===\n✓ ping: 2 passed, 0 failed\n✗ x-y: 1 passed, 3 failed\n\n\
                Total: 3 passed, 3 failed\n\nNot scored: 1 scenario(s)\n  ✗ x-y (extension)\n";
    read("r", said, &mut results);
    let key = |name: &str| ("r".to_owned(), name.to_owned());
    assert_eq!(results, [(key("ping"), (2, 0)), (key("x-y"), (1, 3))].into());
    assert_eq!(failing(&results), [&key("x-y")].into());
    assert!(table(&results, None).ends_with("| r | x-y | 1 / 3 | – |\n"));
}

#[test]
fn the_servers_of_the_tests_conform() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = fixture(folder.path());
    let results = examine(&server.url);
    assert!(results.len() > 90, "{}", results.len());
    let failing: Vec<_> =
        failing(&results).into_iter().filter(|(_, name)| !name.starts_with(LEFT_OUT)).collect();
    assert!(failing.is_empty(), "{failing:?}");
    let path = root().join(TABLE);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("BLESS").is_some() && !kept.contains("direct") {
        std::fs::write(&path, table(&results, None)).unwrap();
    }
}

#[test]
fn no_scenario_passes_direct_and_fails_through_the_portal() {
    if !have_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = fixture(folder.path());
    let direct = examine(&server.url);
    let portal = Portal::start(folder.path(), &[("fixture", Upstream::Url(&server.url))]);
    let through = examine(&portal.route("fixture"));
    let table = table(&direct, Some(&through));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(root().join(TABLE), &table).unwrap();
    }
    let worse: Vec<_> = failing(&through).difference(&failing(&direct)).copied().collect();
    assert!(worse.is_empty(), "{worse:?}\n{table}");
    let absent: Vec<_> = direct.keys().filter(|scenario| !through.contains_key(scenario)).collect();
    assert!(absent.is_empty(), "{absent:?}");
}
