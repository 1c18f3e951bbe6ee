//! Rules that change while the program watches.

use std::fs;

use super::lab::Lab;
use crate::run::{capture, root};

/// A rule of the repository under another id.
fn rule(id: &str) -> String {
    let text = fs::read_to_string(root().join("rules/servers/unapproved.yaml")).unwrap();
    assert!(text.contains("id: SMCP-3001\n"));
    text.replace("id: SMCP-3001\n", &format!("id: {id}\n"))
}

#[test]
fn broken_rules_leave_the_old_ones_in_force_and_good_ones_take_over() {
    let Some(lab) = Lab::new() else { return };
    let file = lab.folder.path().join("rules.yaml");
    fs::write(&file, rule("SMCP-9001")).unwrap();
    let mut watch = lab.watch(&["--rules", "rules.yaml", "--stats-interval", "1s"]);
    assert!(watch.stderr().starts_with("watching vb: "), "{}", watch.stderr());

    fs::write(&file, "schema: shadowtap/rule@1\nid: nonsense\n").unwrap();
    watch.signal("HUP");
    watch.wait_to_hear("RELOADING=1");
    watch.wait_to_hear("READY=1");
    watch.wait_for_error_line("error: not reloaded, those before stay in force");
    lab.send(&capture("office-morning.pcap"));
    watch.wait("a finding of the old rule", |watch| {
        watch.of_type("finding").iter().any(|finding| finding["rule"]["id"] == "SMCP-9001")
    });

    fs::write(&file, rule("SMCP-9002")).unwrap();
    watch.signal("HUP");
    watch.wait_for_error_line("reloaded: ");
    // Others than before: the same connections again would be taken for late packets.
    lab.send(&capture("sh-2025-03-py194-py194.pcap"));
    watch.wait("a finding of the new rule", |watch| {
        watch.of_type("finding").iter().any(|finding| finding["rule"]["id"] == "SMCP-9002")
    });
    assert_eq!(watch.stop(), 0);
    let stats = watch.of_type("stats");
    let live = &stats.last().unwrap()["live"];
    assert_eq!((&live["reloads"], &live["failed_reloads"]), (&1.into(), &1.into()));
}
