//! The JSON Schema of `approvals.yaml`, for editors. The reader in `read.rs` is the authority; a
//! test holds the two together.

use schemars::JsonSchema;

// Never built: these types exist for their schema, and their docs are its descriptions.

/// Which MCP servers may be used, by whom, for what, until when.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "approvals")]
#[expect(dead_code, reason = "only its schema is used")]
struct File {
    /// Always `shadowtap/approvals@1`.
    #[schemars(regex(pattern = r"^shadowtap/approvals@1$"))]
    schema: String,
    /// The approved servers.
    servers: Vec<Server>,
    /// Addresses or networks of our portals.
    #[schemars(default)]
    portals: Vec<String>,
    /// Addresses or networks of our explicit proxies; behind them `addresses` cannot be checked.
    #[schemars(default)]
    proxies: Vec<String>,
    /// Names for addresses and networks: `clients` take them as `group:name`.
    #[schemars(default)]
    groups: std::collections::BTreeMap<String, Vec<String>>,
}

/// One approved server.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "server")]
#[expect(dead_code, reason = "only its schema is used")]
struct Server {
    /// A short name, unique in the file.
    name: String,
    /// `scheme://host[:port][/path]`, or `tcp://host:port` and `tls://host:port` for lines without
    /// HTTP. The host may begin with `*.` (one label) or `**.` (one or
    /// more). No path covers the whole origin; a path that ends in `/**` covers all below it.
    #[schemars(regex(
        pattern = r"^([Hh][Tt][Tt][Pp][Ss]?|[Tt][Cc][Pp]|[Tt][Ll][Ss])://[^\s?#@]+$"
    ))]
    key: String,
    /// Who answers for this server. `CHANGE-ME` is nobody: such an entry is a draft and approves
    /// nothing.
    owner: String,
    /// Who approved it.
    approved: Option<ApprovedBy>,
    /// Last day on which the approval holds (UTC).
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    expires: String,
    /// `portal`: may be reached through our portals only.
    #[schemars(default)]
    via: ViaName,
    /// Addresses, networks (`10.20.0.0/16`, also `net:10.20.0.0/16`) and groups
    /// (`group:engineering`) that may use it; empty means everybody.
    #[schemars(default)]
    clients: Vec<String>,
    /// Which tools may be called.
    #[schemars(default)]
    tools: ToolNames,
    /// Addresses or networks that the server has; empty means any. Without it a forged Host header
    /// passes.
    #[schemars(default)]
    addresses: Vec<String>,
    /// The tool list that was reviewed: a server that lists other tools has changed since.
    pin: Option<PinName>,
    /// Class of the data that may go there, as `internal`; for people and other programs.
    data: Option<String>,
    /// Free text.
    notes: Option<String>,
}

/// Who approved a server.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "approved")]
#[expect(dead_code, reason = "only its schema is used")]
struct ApprovedBy {
    /// Person or team.
    by: String,
    /// Day of the approval.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    on: String,
    /// Ticket of the review.
    ticket: Option<String>,
}

/// The tool list that was reviewed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "pin")]
#[expect(dead_code, reason = "only its schema is used")]
struct PinName {
    /// Digest of the tool list, as findings about changed tools print it.
    #[schemars(regex(pattern = r"^jcs-sha256:[0-9A-Fa-f]{64}$"))]
    tools: String,
    /// Last day (UTC) on which any other list is accepted too: a change that is announced.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    accept_until: Option<String>,
}

/// How a server may be reached.
#[derive(Default, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "via")]
#[expect(dead_code, reason = "only its schema is used")]
enum ViaName {
    /// By the clients themselves.
    #[default]
    Direct,
    /// Only through one of our portals.
    Portal,
}

/// Tool names; `*` stands for any characters, `?` for one.
#[derive(Default, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "tools")]
struct ToolNames {
    /// Tools that may be called; all, when left out.
    #[schemars(length(min = 1))]
    allow: Option<Vec<String>>,
    /// Tools that may not be called; wins over `allow`.
    #[serde(default)]
    deny: Vec<String>,
}

/// The JSON Schema of the approvals file.
#[must_use]
pub fn approvals_schema() -> schemars::Schema {
    schemars::schema_for!(File)
}

#[cfg(test)]
mod tests {
    use super::super::read::{APPROVED_KEYS, FILE_KEYS, PIN_KEYS, SERVER_KEYS, TOOLS_KEYS};
    use super::*;

    #[test]
    fn the_schema_names_exactly_the_keys_that_the_reader_knows() {
        let schema = serde_json::to_value(approvals_schema()).unwrap();
        let keys = |pointer: &str| -> Vec<String> {
            let object = schema.pointer(pointer).unwrap().as_object().unwrap();
            let mut keys: Vec<String> = object.keys().cloned().collect();
            keys.sort();
            keys
        };
        let sorted = |keys: &[&str]| -> Vec<String> {
            let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys("/properties"), sorted(FILE_KEYS));
        assert_eq!(keys("/$defs/server/properties"), sorted(SERVER_KEYS));
        assert_eq!(keys("/$defs/approved/properties"), sorted(APPROVED_KEYS));
        assert_eq!(keys("/$defs/tools/properties"), sorted(TOOLS_KEYS));
        assert_eq!(keys("/$defs/pin/properties"), sorted(PIN_KEYS));
        let required = &schema["$defs"]["server"]["required"];
        assert_eq!(required, &serde_json::json!(["name", "key", "owner", "expires"]));
        assert_eq!(schema["$defs"]["server"]["additionalProperties"], false);
    }
}
