//! A row of `tool_definitions`.

use serde::{Deserialize, Serialize};

use super::Micros;

/// A definition that a server listed. One row per digest: more than one of a name is a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clickhouse::Row, Default)]
#[serde(default)]
pub struct ToolRow {
    /// First time that this digest was listed.
    pub first_seen: Micros,
    /// Last time that the sensor told of it.
    pub last_seen: Micros,
    /// Name of the sensor.
    pub sensor: String,
    /// `scheme://host:port/path`.
    pub server_key: String,
    /// Host of the key.
    pub server_host: String,
    /// `tool`, `resource`, `resource_template`, `prompt`.
    pub kind: String,
    /// Name or URI.
    pub name: String,
    /// SHA-256 over the canonical JSON, hex; empty when the definition was too long.
    pub digest: String,
    /// Worst verdict over the clients of the server.
    pub verdict: String,
    /// What the server says that it is: `name version`.
    pub software: Vec<String>,
}
