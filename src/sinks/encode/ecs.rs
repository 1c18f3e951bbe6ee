//! Elastic Common Schema: what is the same in every record.

use super::table::Fixed::{self, Text, Texts};

/// Version of ECS that the records follow.
pub(super) const VERSION: &str = "9.4.0";

const PROGRAM: &str = env!("CARGO_PKG_VERSION");

pub(super) const FINDING: &[(&str, Fixed)] = &[
    ("ecs.version", Text(VERSION)),
    ("event.kind", Text("alert")),
    ("event.category", Texts(&["intrusion_detection", "network"])),
    ("event.type", Texts(&["info"])),
    ("event.module", Text("shadowtap")),
    ("event.dataset", Text("shadowtap.finding")),
    ("network.application", Text("mcp")),
    ("observer.type", Text("sensor")),
    ("observer.product", Text("shadowtap")),
    ("observer.version", Text(PROGRAM)),
];

pub(super) const MESSAGE: &[(&str, Fixed)] = &[
    ("ecs.version", Text(VERSION)),
    ("event.kind", Text("event")),
    ("event.category", Texts(&["network"])),
    ("event.type", Texts(&["protocol"])),
    ("event.module", Text("shadowtap")),
    ("event.dataset", Text("shadowtap.message")),
    ("network.application", Text("mcp")),
    ("observer.type", Text("sensor")),
    ("observer.product", Text("shadowtap")),
    ("observer.version", Text(PROGRAM)),
];
