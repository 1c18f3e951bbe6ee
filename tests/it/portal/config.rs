//! The portal's file for tests and benches.

/// What the portal is to reach, and how.
pub enum Upstream<'a> {
    Url(&'a str),
    /// A server whose users agree at its authorization server, where the portal is registered by
    /// hand with an id and an issuer, or registers itself.
    Persons(&'a str, Option<(&'a str, &'a str)>),
    Command(&'a [String]),
}

/// The portal's file for these servers: anonymous, everything allowed, on loopback. The only place of
/// tests and benches that knows the names of its keys.
pub fn portal_file(port: u16, key_file: &str, servers: &[(&str, Upstream<'_>)]) -> String {
    let (mut listed, mut has_persons) = (Vec::new(), false);
    for (id, upstream) in servers {
        // A server that hangs is not waited for as long as people would.
        let mut server = serde_json::json!({"id": id, "idle_timeout": "10s"});
        match upstream {
            Upstream::Url(url) => {
                server["url"] = (*url).into();
                // Servers of the tests are on loopback, where no server of a portal should be.
                server["private_addresses"] = true.into();
            }
            Upstream::Persons(url, by_hand) => {
                server["url"] = (*url).into();
                server["private_addresses"] = true.into();
                server["auth"] = serde_json::json!({"kind": "person"});
                if let Some((id, issuer)) = by_hand {
                    server["auth"]["client_id"] = (*id).into();
                    server["auth"]["issuer"] = (*issuer).into();
                    server["auth"]["client_secret_file"] = "client-secret".into();
                }
                has_persons = true;
            }
            Upstream::Command(command) => server["command"] = (*command).into(),
        }
        listed.push(server);
    }
    let mut file = serde_json::json!({
        "listen": {"address": format!("127.0.0.1:{port}"), "sse": true},
        "sessions": {"key_file": key_file},
        "state": format!("state-{port}"),
        "identity": {"anonymous": true},
        "servers": listed,
        "policy": {"rules": [{"name": "all", "effect": "allow"}]},
        "pins": {"trust_first": ["*"]},
        "audit": {"directory": format!("audit-{port}")},
        // One person makes all the calls, as fast as they are answered.
        "limits": {
            "per_subject": {"calls": 1_000_000, "per": "1s"},
            "concurrency": {"subject": 1_024},
        },
    });
    if has_persons {
        file["credentials"] =
            serde_json::json!({"vault": {"folder": "vault", "key_file": "vault-keys"}});
    }
    // JSON is YAML.
    serde_json::to_string_pretty(&file).unwrap()
}

/// The same file, with lists in pages of so many things.
pub fn in_pages(file: &str, items: usize) -> String {
    let mut file: serde_json::Value = serde_json::from_str(file).unwrap();
    file["calls"] = serde_json::json!({"page_items": items});
    file.to_string()
}

/// A file of the keys that seal sessions: replicas have it in common.
pub const KEYS: &str = "1:0000000000000000000000000000000000000000000000000000000000000001\n";

/// Path of the endpoint of one server, whose names are unchanged.
pub fn route(server: &str) -> String {
    format!("/mcp/{server}")
}
