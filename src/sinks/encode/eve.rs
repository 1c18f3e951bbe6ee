//! Suricata's EVE: what is the same in every record.
//!
//! Where EVE has no name for a fact it stands under `shadowtap`, in messages under `mcp`.

use super::table::Fixed::{self, Number, Text};

pub(super) const FINDING: &[(&str, Fixed)] = &[
    ("event_type", Text("alert")),
    ("alert.action", Text("allowed")),
    ("alert.gid", Number(1)),
    ("alert.category", Text("Potential Corporate Privacy Violation")),
];

pub(super) const MESSAGE: &[(&str, Fixed)] = &[("event_type", Text("mcp")), ("proto", Text("TCP"))];
