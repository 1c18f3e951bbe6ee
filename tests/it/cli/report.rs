//! The report on the demo capture, as it is printed.

use super::{golden, run_in};
use crate::run::root;

const CAPTURE: &str = "captures/office-morning.pcap";

#[test]
fn office_morning_without_approvals() {
    let run = run_in(root(), &["replay", CAPTURE, "--no-files"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    golden("report/office-morning.txt", &run.stdout);
}

#[test]
fn office_morning_with_approvals() {
    let approvals = "captures/office-morning.approvals.yaml";
    let run = run_in(root(), &["replay", CAPTURE, "--no-files", "--approvals", approvals]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    for verdict in [
        "✓ approved",
        "✗ NOT APPROVED",
        "✗ AROUND THE PORTAL",
        "! APPROVAL EXPIRED",
        "! CLIENT NOT ALLOWED",
        "! TOOL NOT ALLOWED",
    ] {
        assert!(run.stdout.contains(verdict), "{verdict}");
    }
    golden("report/office-morning.approvals.txt", &run.stdout);
}
