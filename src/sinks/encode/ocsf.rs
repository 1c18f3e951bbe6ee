//! Open Cybersecurity Schema Framework: what is the same in every record.

use super::table::Fixed::{self, Number, Text};

/// Version of OCSF that the records follow. Later versions of the same major number take them too.
pub(super) const VERSION: &str = "1.5.0";

const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Detection Finding (2004). A finding stays `New`: that nobody looked at it is all that a sensor
/// knows, also when its traffic has ended.
pub(super) const FINDING: &[(&str, Fixed)] = &[
    ("metadata.version", Text(VERSION)),
    ("metadata.product.name", Text("shadowtap")),
    ("metadata.product.vendor_name", Text("shadowtap")),
    ("metadata.product.version", Text(PROGRAM)),
    ("metadata.log_name", Text("finding")),
    ("metadata.log_provider", Text("shadowtap")),
    ("category_uid", Number(2)),
    ("category_name", Text("Findings")),
    ("class_uid", Number(2004)),
    ("class_name", Text("Detection Finding")),
    ("status_id", Number(1)),
    ("status", Text("New")),
    ("finding_info.analytic.type_id", Number(1)),
    ("finding_info.analytic.type", Text("Rule")),
    ("evidences[].connection_info.direction_id", Number(0)),
];

/// HTTP Activity (4002).
pub(super) const MESSAGE: &[(&str, Fixed)] = &[
    ("metadata.version", Text(VERSION)),
    ("metadata.product.name", Text("shadowtap")),
    ("metadata.product.vendor_name", Text("shadowtap")),
    ("metadata.product.version", Text(PROGRAM)),
    ("metadata.log_name", Text("message")),
    ("metadata.log_provider", Text("shadowtap")),
    ("category_uid", Number(4)),
    ("category_name", Text("Network Activity")),
    ("class_uid", Number(4002)),
    ("class_name", Text("HTTP Activity")),
    ("severity_id", Number(1)),
    ("severity", Text("Informational")),
    ("app_name", Text("mcp")),
];
