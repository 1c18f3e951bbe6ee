//! The files for running the sensor: what can be checked of them without running it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use shadowtap::rules::Severity;
use shadowtap::sinks::event::StatsEvent;
use shadowtap::sinks::metrics::{DEFAULT_ADDRESS, Format, Interface, SinkRows, Snapshot, render};
use shadowtap::sinks::store::schema::{Target, users};

use crate::run::root;

const CHART: &str = "deploy/helm/shadowtap";
const CHARTS: [&str; 2] = [CHART, "deploy/helm/shadowtap-portal"];
const UNIT: &str = "deploy/systemd/shadowtap.service";
const COMPOSE: &str = "deploy/container/compose.yaml";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

/// The values of a unit's directive, in order.
fn directive<'t>(unit: &'t str, name: &str) -> Vec<&'t str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
}

/// Runs a tool; `None`, loudly, if this machine has none.
fn tool(name: &str, args: &[&str]) -> Option<Output> {
    match Command::new(name).args(args).current_dir(root()).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("not checked with {name}: {error}");
            None
        }
    }
}

#[test]
fn the_unit_has_one_privilege_and_a_narrow_view() {
    let unit = text(UNIT);
    for (name, value) in [
        ("Type", "notify"),
        ("WatchdogSec", "60"),
        ("Restart", "on-failure"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("DynamicUser", "yes"),
        ("StateDirectory", "shadowtap"),
        ("AmbientCapabilities", "CAP_NET_RAW"),
        ("CapabilityBoundingSet", "CAP_NET_RAW"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectKernelLogs", "yes"),
        ("ProtectClock", "yes"),
        ("ProtectControlGroups", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("LockPersonality", "yes"),
        ("RestrictNamespaces", "yes"),
        ("SystemCallArchitectures", "native"),
        ("UMask", "0077"),
        ("RestrictAddressFamilies", "AF_PACKET AF_NETLINK AF_UNIX AF_INET AF_INET6"),
    ] {
        assert_eq!(directive(&unit, name), [value], "{name}");
    }
    // Giving up capabilities is a system call that the second line takes away.
    let filters = directive(&unit, "SystemCallFilter");
    assert_eq!(filters, ["@system-service", "~@privileged @resources", "capset"]);
    assert!(directive(&unit, "PrivateNetwork").is_empty(), "there would be nothing to capture");
    // Words of the variable become arguments of their own only without braces.
    assert!(directive(&unit, "ExecStart")[0].ends_with(" $SHADOWTAP_WATCH"));
    let environment = text("deploy/systemd/watch.env");
    assert!(environment.contains("\nSHADOWTAP_WATCH=--interface "));
}

#[test]
fn the_service_manager_accepts_the_unit() {
    let Some(output) = tool("systemd-analyze", &["verify", UNIT]) else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    let complaints: Vec<&str> = said
        .lines()
        // Other units of the machine, and the program that is not installed here.
        .filter(|line| line.starts_with("shadowtap.service") || line.contains(UNIT))
        .filter(|line| !line.contains("Command /usr/bin/shadowtap is not executable"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let security = ["security", "--offline=true", "--no-pager", "--threshold=20", UNIT];
    let Some(output) = tool("systemd-analyze", &security) else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("unrecognized option") || said.contains("Unknown") {
        println!("not checked: {said}");
        return;
    }
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}{said}");
    let score = table.lines().rev().find(|line| line.contains("Overall exposure")).unwrap();
    assert!(score.contains(": 1."), "README.md says 1.x: {score}");
}

#[test]
fn compose_runs_it_with_one_capability_on_the_host_network() {
    let compose = yaml(COMPOSE);
    let service = &compose["services"]["shadowtap"];
    for (key, value) in [
        ("network_mode", Value::from("host")),
        ("read_only", true.into()),
        ("user", "65532:65532".into()),
        ("cap_drop", vec!["ALL"].into()),
        ("cap_add", vec!["NET_RAW"].into()),
        ("restart", "unless-stopped".into()),
        ("image", format!("shadowtap:{VERSION}").into()),
    ] {
        assert_eq!(service[key], value, "{key}");
    }
    assert!(service["tmpfs"][0].as_str().unwrap().starts_with("/tmp:"));
    assert!(service.get("security_opt").is_none(), "no-new-privileges disables file capabilities");
    assert!(service.get("privileged").is_none() && service.get("ports").is_none());
    let known: BTreeSet<&str> =
        compose["volumes"].as_object().unwrap().keys().map(|k| &**k).collect();
    for volume in strings(&service["volumes"]) {
        let source = volume.split(':').next().unwrap();
        assert!(source.starts_with("./") || known.contains(source), "{volume}");
    }
    let dockerfile = service["build"]["dockerfile"].as_str().unwrap();
    let context =
        root().join(COMPOSE).parent().unwrap().join(service["build"]["context"].as_str().unwrap());
    assert!(context.join(dockerfile).is_file());
    assert!(context.join("Cargo.lock").is_file());
}

#[test]
fn the_image_is_built_locked_and_runs_without_root() {
    let file = "deploy/container/Containerfile";
    let image = text(file);
    assert!(image.contains("cargo build --locked --release"));
    assert!(image.contains("setcap cap_net_raw=ep /usr/bin/shadowtap"));
    let user = image.rfind("\nUSER 65532:65532\n");
    let from = image.rfind("\nFROM ");
    assert!(user > from, "the last stage sets its user");
    let stages: Vec<&str> = image.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert!(stages.iter().all(|stage| !stage.contains('/')), "plain names: {stages:?}");
    assert!(stages.last().unwrap().starts_with("debian:bookworm-slim"));
    // Everything copied is there, and let through by the ignore file.
    let ignore = text("deploy/container/Containerfile.dockerignore");
    let copied = image.lines().filter_map(|line| line.strip_prefix("COPY "));
    for line in copied.filter(|line| !line.starts_with("--from")) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.pop();
        for source in words {
            assert!(root().join(source).exists(), "{source}");
            assert!(ignore.lines().any(|kept| kept == format!("!{source}")), "{source}");
        }
    }
    // Cargo checks that targets of the manifest are there, also those that are not built.
    let manifest = text("Cargo.toml");
    assert!(!manifest.contains("[[test]]") && !manifest.contains("[[example]]"));
}

/// Names of all metrics, counters with their `_total`.
fn metrics() -> BTreeSet<String> {
    let mut snapshot = Snapshot {
        interfaces: vec![Interface::default()],
        decoded_bytes: [("gzip", 1)].into(),
        decrypted_flows: Some(1),
        findings: [(("SMCP-1001".to_owned(), Severity::High), 1)].into(),
        sinks: vec![SinkRows::default()],
        packets: Some(Default::default()),
        ..Snapshot::default()
    };
    snapshot.take_stats(&StatsEvent {
        counters: [("app.tls.flows".to_owned(), 1), ("decode.skipped.arp".to_owned(), 1)].into(),
        anomalies: [("flow/overlap-conflict".to_owned(), 1)].into(),
        ..StatsEvent::default()
    });
    let page = render(&snapshot, Format::Prometheus);
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn alerts_name_metrics_that_there_are() {
    let alerts = yaml("deploy/prometheus/alerts.yaml");
    let metrics = metrics();
    let mut names = BTreeSet::new();
    for group in alerts["groups"].as_array().unwrap() {
        assert!(group["name"].is_string());
        for alert in group["rules"].as_array().unwrap() {
            let name = alert["alert"].as_str().unwrap();
            assert!(names.insert(name), "{name} twice");
            let expression = alert["expr"].as_str().unwrap();
            let pair =
                |open, close| expression.matches(open).count() == expression.matches(close).count();
            assert!(pair('(', ')') && pair('{', '}') && pair('[', ']'), "{name}");
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let used: Vec<&str> = words.filter(|word| word.starts_with("shadowtap_")).collect();
            assert!(!used.is_empty() || expression.starts_with("up{"), "{name}");
            for metric in used {
                assert!(metrics.contains(metric), "{name}: {metric} is not in {metrics:?}");
            }
            assert!(matches!(alert["labels"]["severity"].as_str(), Some("warning" | "critical")));
            for key in ["summary", "description"] {
                let words = alert["annotations"][key].as_str().unwrap();
                assert!(words.ends_with('.'), "{name} {key}");
            }
        }
    }
    assert!(names.len() >= 10);
}

fn templates(chart: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join(chart).join("templates");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect();
    files.sort();
    files
}

/// Paths of the leaves of values that are not free-form.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value.as_object() {
        Some(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(value, &path, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn the_charts_use_the_values_they_have() {
    for chart in CHARTS {
        uses_its_values(chart);
    }
}

fn uses_its_values(chart: &str) {
    let values = yaml(&format!("{chart}/values.yaml"));
    let mut unused = BTreeSet::new();
    leaves(&values, "", &mut unused);
    for (file, text) in templates(chart) {
        let name = file.display();
        let opened = ["if", "range", "with", "define"]
            .map(|word| text.matches(&format!("{{{{- {word} ")).count())
            .iter()
            .sum::<usize>();
        let closed = text.matches("{{- end }}").count() + text.matches("{{- end -}}").count();
        assert_eq!(opened, closed, "{name}: blocks that begin and end");
        assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{name}");
        for used in text.split(".Values.").skip(1) {
            let path: String =
                used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
            let path = path.trim_end_matches('.');
            let value = path.split('.').fold(&values, |value, key| &value[key]);
            assert!(!value.is_null(), "{name}: there is no value {path}");
            unused.retain(|leaf| leaf != path && !leaf.starts_with(&format!("{path}.")));
        }
        for included in text.split("include \"").skip(1) {
            let wanted = included.split('"').next().unwrap();
            let define = format!("{{{{- define \"{wanted}\" ");
            assert!(templates(chart).iter().any(|(_, text)| text.contains(&define)), "{wanted}");
        }
    }
    assert!(unused.is_empty(), "values that no template uses: {unused:?}");
}

/// The parts of JSON Schema that the chart's schema uses.
fn conforms(schema: &Value, value: &Value, path: &str, whole: &Value) -> Result<(), String> {
    if let Some(target) = schema["$ref"].as_str() {
        let pointer = target.trim_start_matches('#');
        return conforms(whole.pointer(pointer).unwrap(), value, path, whole);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices.iter().any(|choice| conforms(choice, value, path, whole).is_ok());
        return if fits { Ok(()) } else { Err(format!("{path}: none of the choices")) };
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some(other) => panic!("{other}"),
        None => true,
    };
    if !fits {
        return Err(format!("{path}: not {}", schema["type"]));
    }
    if schema.get("const").is_some_and(|only| only != value)
        || schema["enum"].as_array().is_some_and(|all| !all.contains(value))
        || schema["minimum"].as_i64().is_some_and(|least| value.as_i64() < Some(least))
    {
        return Err(format!("{path}: {value}"));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(schema), _) => conforms(schema, value, &path, whole)?,
            (None, Value::Bool(false)) => return Err(format!("{path}: not in the schema")),
            (None, _) => {}
        }
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(&schema["items"], item, path, whole)?;
    }
    Ok(())
}

#[test]
fn values_of_the_charts_fit_their_schemas() {
    for (chart, port) in CHARTS.into_iter().zip(["/metrics/port", "/port"]) {
        let schema: Value =
            serde_json::from_str(&text(&format!("{chart}/values.schema.json"))).unwrap();
        let values = yaml(&format!("{chart}/values.yaml"));
        conforms(&schema, &values, "", &schema).unwrap();
        for key in values.as_object().unwrap().keys() {
            assert!(schema["properties"].get(key).is_some(), "{key} is not in the schema");
        }
        let mut wrong = values.clone();
        *wrong.pointer_mut(port).unwrap() = 80.into();
        conforms(&schema, &wrong, "", &schema).unwrap_err();
        let chart = yaml(&format!("{chart}/Chart.yaml"));
        assert_eq!((&chart["version"], &chart["appVersion"]), (&VERSION.into(), &VERSION.into()));
    }
    let values = yaml(&format!("{CHART}/values.yaml"));
    let address: std::net::SocketAddr = DEFAULT_ADDRESS.parse().unwrap();
    assert_eq!(values["metrics"]["port"], address.port());
}

#[test]
fn the_charts_render() {
    let sensor = ["podMonitor.enabled=true", "approvals=x", "watch.keepPackets="];
    let all = "podMonitor.enabled=true,ingress.enabled=true,ingress.host=h,tlsSecret=t";
    let portal = ["config=x", all];
    for (chart, kind, least, most) in [
        (CHARTS[0], "DaemonSet", &sensor[..0], &sensor[..]),
        (CHARTS[1], "Deployment", &portal[..1], &portal[..]),
    ] {
        let folder = root().join(chart);
        for values in [least, most] {
            let mut args = vec!["template", "test", folder.to_str().unwrap()];
            args.extend(values.iter().flat_map(|value| ["--set", value]));
            let Some(output) = tool("helm", &args) else { return };
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let manifests = String::from_utf8(output.stdout).unwrap();
            for manifest in manifests.split("\n---\n") {
                serde_saphyr::from_str::<Value>(manifest).unwrap();
            }
            assert!(manifests.contains(&format!("kind: {kind}")));
        }
    }
}

const PORTAL_UNIT: &str = "deploy/portal/shadowtap-portal.service";

#[test]
fn the_portals_unit_has_no_privilege() {
    let unit = text(PORTAL_UNIT);
    for (name, value) in [
        ("Restart", "on-failure"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("DynamicUser", "yes"),
        ("StateDirectory", "shadowtap-portal"),
        ("AmbientCapabilities", ""),
        ("CapabilityBoundingSet", ""),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("UMask", "0077"),
    ] {
        assert_eq!(directive(&unit, name), [value], "{name}");
    }
    let Some(output) = tool("systemd-analyze", &["verify", PORTAL_UNIT]) else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("shadowtap-portal.service") || line.contains(PORTAL_UNIT))
        .filter(|line| !line.contains("Command /usr/bin/shadowtap is not executable"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn the_portals_container_opens_loopback_only_and_runs_what_the_unit_runs() {
    let compose = yaml("deploy/portal/compose.yaml");
    let portal = &compose["services"]["portal"];
    assert_eq!(portal["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(strings(&portal["ports"]), ["127.0.0.1:8443:8443"]);
    assert_eq!(portal["image"], format!("shadowtap:{VERSION}"));
    assert_eq!(portal["read_only"], true);
    let words = strings(&portal["command"]).join(" ");
    assert_eq!(words, "portal --config /etc/shadowtap-portal/portal.yaml");
    let started = format!("/usr/bin/shadowtap {words}");
    assert_eq!(directive(&text(PORTAL_UNIT), "ExecStart"), [started]);
    let pod = text("deploy/helm/shadowtap-portal/templates/deployment.yaml");
    let args = words.split(' ').map(|word| format!("            - {word}\n")).collect::<String>();
    assert!(pod.contains(&format!("          args:\n{args}")));
}

#[test]
fn the_worked_example_has_three_servers_and_two_groups() {
    let portal = yaml("deploy/portal/portal.yaml");
    let servers = portal["servers"].as_array().unwrap();
    let ids: Vec<&str> = servers.iter().map(|server| server["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["code", "tickets", "docs"]);
    let mut groups = BTreeSet::new();
    for rule in portal["policy"]["rules"].as_array().unwrap() {
        groups.extend(rule.get("groups").into_iter().flat_map(strings));
        for server in rule.get("servers").into_iter().flat_map(strings) {
            assert!(ids.contains(&server), "{server}");
        }
    }
    assert_eq!(groups, ["engineers", "support"].into());
    let known = portal["identity"]["issuers"][0]["groups"].as_object().unwrap().values();
    assert_eq!(known.map(|group| group.as_str().unwrap()).collect::<BTreeSet<_>>(), groups);
}

#[test]
fn the_portal_takes_the_worked_example() {
    let file = "deploy/portal/portal.yaml";
    let run = crate::run::run(&["portal", "check", file]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let run = crate::run::run(&["portal", "policy", "check", file]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let cases = "deploy/portal/policy-cases.yaml";
    let run = crate::run::run(&["portal", "policy", "test", file, cases]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

/// Flags that the files give to `shadowtap watch`.
fn flags() -> BTreeSet<String> {
    let daemonset = format!("{CHART}/templates/daemonset.yaml");
    let files = [UNIT, "deploy/systemd/watch.env", COMPOSE, &daemonset];
    let mut found = BTreeSet::new();
    for file in files {
        let text = text(file);
        let lines = text.lines().map(str::trim).filter(|line| match Path::new(file).extension() {
            // Only what is run: other tools have flags too.
            Some(end) if end == "service" => line.starts_with("ExecStart="),
            Some(end) if end == "yaml" => line.starts_with("- --"),
            _ => true,
        });
        let words = lines.flat_map(str::split_whitespace).map(|word| word.trim_matches('`'));
        let flags = words.map(|word| word.trim_start_matches("SHADOWTAP_WATCH="));
        found.extend(flags.filter(|word| word.starts_with("--")).map(str::to_owned));
    }
    found.remove("--help");
    found
}

#[test]
fn flags_are_found() {
    let flags = flags();
    for flag in ["--interface", "--out", "--metrics", "--keep-packets", "--approvals", "--filter"] {
        assert!(flags.contains(flag), "{flag} in {flags:?}");
    }
}

#[test]
fn the_program_knows_the_flags() {
    let run = crate::run::run(&["watch", "--help"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let known: BTreeSet<&str> =
        run.stdout.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
    for flag in flags() {
        assert!(known.contains(&*flag), "{flag}");
    }
}

const WHOLE: &str = "deploy/compose.yaml";

#[test]
fn the_whole_begins_with_the_tables_and_opens_nothing_to_the_network() {
    let compose = yaml(WHOLE);
    let services = compose["services"].as_object().unwrap();
    let names: BTreeSet<&str> = services.keys().map(|name| &**name).collect();
    assert_eq!(names, ["clickhouse", "grafana", "migrate", "shadowtap"].into());
    for (name, service) in services {
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert!(service.get("privileged").is_none(), "{name}");
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.split_once(':').unwrap();
        assert!(tag.starts_with(|c: char| c.is_ascii_digit()), "{name}: {image} is not pinned");
        for port in service["ports"].as_array().unwrap_or(&Vec::new()) {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for secret in service["secrets"].as_array().unwrap_or(&Vec::new()) {
            assert!(compose["secrets"].get(secret.as_str().unwrap()).is_some(), "{name}: {secret}");
        }
        for volume in service["volumes"].as_array().unwrap_or(&Vec::new()) {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            let here = root().join("deploy").join(source);
            assert!(
                source == "./etc" || here.exists() || compose["volumes"].get(source).is_some(),
                "{name}: {source}"
            );
        }
    }
    assert_eq!(services["clickhouse"]["image"], "clickhouse/clickhouse-server:26.7");
    assert_eq!(services["shadowtap"]["image"], format!("shadowtap:{VERSION}"));
    assert_eq!(services["migrate"]["image"], services["shadowtap"]["image"]);
    assert_eq!(services["migrate"]["depends_on"]["clickhouse"]["condition"], "service_healthy");
    for name in ["shadowtap", "grafana"] {
        let condition = &services[name]["depends_on"]["migrate"]["condition"];
        assert_eq!(condition, "service_completed_successfully", "{name}");
    }
    for variable in compose["secrets"].as_object().unwrap().values() {
        let line = format!("\n{}=", variable["environment"].as_str().unwrap());
        assert!(text("deploy/compose.env.example").contains(&line), "{line}");
    }
}

#[test]
fn the_commands_of_the_whole_are_ones_that_the_program_has() {
    let compose = yaml(WHOLE);
    let migrate = strings(&compose["services"]["migrate"]["command"]);
    let shown = crate::run::run(&["store", "migrate", "--help"]);
    for option in migrate.iter().filter(|word| word.starts_with("--")) {
        assert!(shown.stdout.contains(option), "{option}");
    }
    let watch = strings(&compose["services"]["shadowtap"]["command"]);
    let shown = crate::run::run(&["watch", "--help"]);
    for option in watch.iter().filter(|word| word.starts_with("--")) {
        assert!(shown.stdout.contains(option), "{option}");
    }
}

#[test]
fn users_of_the_container_may_do_what_those_of_the_sql_file_may() {
    let target = Target { database: "shadowtap".to_owned(), cluster: None };
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let statements: Vec<String> = users(&target).iter().map(|statement| words(statement)).collect();
    let xml = text("deploy/clickhouse/users.xml");
    for (user, role) in [
        ("shadowtap", "shadowtap_sensor"),
        ("shadowtap_reader", "shadowtap_dashboard"),
        ("shadowtap_migrator", "shadowtap_owner"),
    ] {
        let wanted: BTreeSet<&str> = statements
            .iter()
            .filter_map(|statement| statement.strip_suffix(&format!(" TO {role}")))
            .filter_map(|statement| Some(&statement[statement.find("GRANT ")?..]))
            .collect();
        let (_, of_user) = xml.split_once(&format!("<{user}>\n            <password")).unwrap();
        let (grants, _) = of_user.split_once("</grants>").unwrap();
        let given: Vec<String> = grants
            .split("<query>")
            .skip(1)
            .map(|query| words(query.split("</query>").next().unwrap()))
            .collect();
        let given: BTreeSet<&str> = given.iter().map(|grant| &**grant).collect();
        assert_eq!(given, wanted, "{user}");
        let variable = user.to_uppercase();
        assert!(grants.contains(&format!("from_env=\"{variable}_PASSWORD\"")), "{user}");
        assert!(text(WHOLE).contains(&format!("{variable}_PASSWORD: ${{{variable}_PASSWORD:?")));
    }
}

#[test]
fn the_build_of_the_image_has_the_sql_that_the_program_embeds() {
    let container = text("deploy/container/Containerfile");
    assert!(container.contains("\nCOPY deploy/clickhouse deploy/clickhouse\n"));
}
