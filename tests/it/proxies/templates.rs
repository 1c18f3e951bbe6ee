//! Templates for programs that tests cannot run: a line such as the program would write by them is
//! read, every name that the request needs is in them, and the format is told by itself.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value};
use shadowtap::logs::{Reader, detect};

use crate::run::root;

fn template(name: &str) -> String {
    fs::read_to_string(root().join("deploy/proxies").join(name)).unwrap()
}

/// What a program would write for these names.
type Values = BTreeMap<&'static str, &'static str>;

/// Reads one line of a request that all of these tests have in common.
#[track_caller]
fn is_read(log: &str, format: &str) {
    let (spec, _) = detect(log.as_bytes())[0];
    assert_eq!(spec.name, format);
    let mut reader = Reader::new(spec);
    let mut records = 0;
    let mut each = |_, record: &shadowtap::logs::Record<'_>| {
        records += 1;
        assert_eq!(record.client, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(record.user.as_deref(), Some("ana"));
        assert_eq!(record.method.as_deref(), Some("POST"));
        assert_eq!(record.scheme.as_deref().map(str::to_lowercase).as_deref(), Some("https"));
        assert_eq!(record.host.as_deref(), Some("mcp.example.com"));
        assert_eq!(record.target.as_deref(), Some("/mcp"));
        assert_eq!(record.status, Some(200));
        assert!(record.request_fields.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("user-agent") && value == "agent/1"
        }));
        assert!(record.time.is_some());
    };
    reader.push(log.as_bytes(), &mut each);
    reader.finish(&mut each);
    assert_eq!(records, 1, "{log}: {:?}", reader.take_samples().collect::<Vec<_>>());
}

#[test]
fn zscaler_s_feed_is_read() {
    let values = Values::from([
        ("yy", "2026"),
        ("mth", "11"),
        ("dd", "22"),
        ("hh", "08"),
        ("mm", "00"),
        ("ss", "00"),
        ("elogin", "ana"),
        ("cip", "192.0.2.7"),
        ("proto", "HTTPS"),
        ("reqmethod", "POST"),
        ("ehost", "mcp.example.com"),
        ("eurl", "mcp.example.com/mcp"),
        ("respcode", "200"),
        ("eua", "agent/1"),
        ("action", "Allowed"),
    ]);
    let feed = template("zscaler/nss-feed.txt").replace("\\t", "\t").replace("\\n", "\n");
    let mut line = String::new();
    // `%s{name}`, `%02d{name}`: what is between is text.
    for (index, part) in feed.trim_end().split('%').enumerate() {
        let Some((name, text)) = part.split_once('{').and_then(|(_, rest)| rest.split_once('}'))
        else {
            assert_eq!(index, 0, "{part}");
            line.push_str(part);
            continue;
        };
        line.push_str(values.get(name).unwrap_or(&"NA"));
        line.push_str(text);
    }
    is_read(&format!("{line}\n"), "zscaler-nss");
}

/// A table with the names in `#Fields:`.
fn elff(names: &str, values: &Values) -> String {
    let names: Vec<_> = names.split_whitespace().collect();
    for name in values.keys() {
        assert!(names.contains(name), "the template has no {name}");
    }
    let line: Vec<_> = names.iter().map(|name| *values.get(name).unwrap_or(&"-")).collect();
    format!("#Version: 1.0\n#Fields: {}\n{}\n", names.join(" "), line.join(" "))
}

#[test]
fn blue_coat_s_format_is_read() {
    let values = Values::from([
        ("date", "2026-11-22"),
        ("time", "08:00:00"),
        ("c-ip", "192.0.2.7"),
        ("cs-username", "ana"),
        ("s-action", "TCP_NC_MISS"),
        ("sc-status", "200"),
        ("cs-method", "POST"),
        ("cs-uri-scheme", "https"),
        ("cs-host", "mcp.example.com"),
        ("cs-uri-port", "443"),
        ("cs-uri-path", "/mcp"),
        ("cs(User-Agent)", "\"agent/1\""),
        ("cs(Mcp-Session-Id)", "\"s-1\""),
    ]);
    let format = template("bluecoat/format.txt");
    is_read(&format!("#Software: SGOS 7\n{}", elff(&format, &values)), "bluecoat");
    // Both files hold it.
    assert!(template("bluecoat/setup.txt").contains(&format!("type elff \"{}\"", format.trim())));
}

#[test]
fn netskope_s_fields_are_read() {
    let values = Values::from([
        ("x-cs-timestamp", "1795334400"),
        ("date", "2026-11-22"),
        ("time", "08:00:00"),
        ("c-ip", "192.0.2.7"),
        ("cs-username", "ana"),
        ("cs-method", "POST"),
        ("cs-uri-scheme", "https"),
        ("cs-host", "mcp.example.com"),
        ("x-cs-url", "https://mcp.example.com/mcp"),
        ("cs-user-agent", "\"agent/1\""),
        ("sc-status", "200"),
        ("x-policy-action", "allow"),
        ("x-transaction-id", "1"),
        ("x-ssl-bypass", "No"),
    ]);
    is_read(&elff(&template("netskope/fields.txt"), &values), "netskope");
}

#[test]
fn cloudflare_s_fields_are_read() {
    let values = Values::from([
        ("Datetime", "2026-11-22T08:00:00Z"),
        ("Email", "ana"),
        ("SourceIP", "192.0.2.7"),
        ("HTTPMethod", "POST"),
        ("HTTPHost", "mcp.example.com"),
        ("URL", "https://mcp.example.com/mcp"),
        ("HTTPStatusCode", "200"),
        ("UserAgent", "agent/1"),
        ("Action", "allow"),
    ]);
    let jobs: Value = serde_json::from_str(&template("cloudflare/logpush.json")).unwrap();
    for (name, job) in jobs.as_object().unwrap() {
        assert_eq!(job["dataset"], **name);
        assert!(job["destination_conf"].as_str().unwrap().contains("X-Shadowtap-Token=REPLACE"));
        assert!(job["output_options"]["field_names"].as_array().unwrap().len() > 10);
    }
    let names = jobs["gateway_http"]["output_options"]["field_names"].as_array().unwrap();
    let field = |name: &Value| {
        let name = name.as_str().unwrap();
        (name.to_owned(), Value::from(*values.get(name).unwrap_or(&"")))
    };
    let line: Map<String, Value> = names.iter().map(field).collect();
    for name in values.keys() {
        assert!(line.contains_key(*name), "the job has no {name}");
    }
    is_read(&format!("{}\n", Value::from(line)), "cloudflare-gateway-http");
}
