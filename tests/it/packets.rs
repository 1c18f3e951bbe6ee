//! What the packet ring keeps of a finding is enough to find it again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use shadowtap::capture::{self, Input, Next, Packet, Source};
use shadowtap::finding::Finding;
use shadowtap::pipeline::{Config, Policy, replay};
use shadowtap::rules::Lane;
use shadowtap::rules::catalog::Catalog;
use shadowtap::sinks::packets::{Cutter, Job, Limits, Outcome, Ring};
use shadowtap::verdict::Approvals;

use crate::run::{capture, root};

fn policy() -> Policy {
    let (rules, _) =
        shadowtap::rules::compile(&shadowtap::rules::builtin(), &Default::default()).unwrap();
    Policy { rules, approvals: Approvals::default(), catalog: Catalog::builtin(), lane: Lane::Hunt }
}

fn findings(policy: &Policy, file: &Path) -> Vec<Finding> {
    let config = Config { threads: 1, ..Config::default() };
    replay(&config, policy, vec![Input::file(file.to_owned())], &mut ()).unwrap().findings
}

/// Gives the packets of a capture to a ring; cuts out what each finding needs.
fn cuts(file: &Path, findings: &[Finding], folder: &Path) -> BTreeMap<String, PathBuf> {
    let limits = Limits { settle: Duration::ZERO, ..Limits::default() };
    let ring = Ring::open(&folder.join("ring"), &limits).unwrap();
    let mut tap = ring.tap();
    let mut source =
        Source::open(&Input::file(file.to_owned()), &capture::Limits::default()).unwrap();
    while let Next::Packet { time, link, bytes, wire_len } = source.next() {
        tap.packet(&Packet { index: 0, time, link, bytes, wire_len });
    }
    let (send, receive) = mpsc::channel();
    let cutter =
        Cutter::start(&ring, &folder.join("packets"), move |cut| send.send(cut).unwrap()).unwrap();
    for finding in findings {
        assert!(cutter.cut(Job::of(finding)));
    }
    cutter.stop();
    let files = receive.iter().map(|cut| match cut.outcome {
        Outcome::Written { file, truncated: false, .. } => (cut.id, file),
        other => panic!("{other:?}"),
    });
    files.collect()
}

#[test]
fn a_replayed_cut_gives_the_finding_again() {
    let policy = policy();
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("captures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect();
    files.sort();
    let (mut faults, mut count) = (Vec::new(), 0);
    for file in files {
        // A cut is as encrypted as the traffic was: secrets are not kept with packets.
        if file.file_name().unwrap().to_string_lossy().contains("-dsb-") {
            continue;
        }
        let expected = findings(&policy, &file);
        let folder = tempfile::tempdir().unwrap();
        let cuts = cuts(&file, &expected, folder.path());
        // Findings on one conversation have the same packets, mostly.
        let mut replayed: BTreeMap<Vec<u8>, Vec<Finding>> = BTreeMap::new();
        for finding in expected {
            count += 1;
            let cut = &cuts[&finding.id];
            let bytes = std::fs::read(cut).unwrap();
            let again = replayed.entry(bytes).or_insert_with(|| findings(&policy, cut));
            let name = format!(
                "{} {} {}",
                file.file_name().unwrap().display(),
                finding.rule.id,
                finding.text
            );
            match again.iter().find(|other| other.id == finding.id) {
                None => faults.push(format!("{name}: not found")),
                Some(same) => {
                    let facts = |finding: &Finding| {
                        let Finding { severity, evidence, verdict, text, excerpt, count, .. } =
                            finding;
                        format!("{severity:?} {evidence:?} {verdict:?} {text} {excerpt:?} {count}")
                    };
                    if facts(same) != facts(&finding) {
                        faults.push(format!("{name}:\n  {}\n  {}", facts(same), facts(&finding)));
                    }
                }
            }
        }
    }
    assert!(count > 50, "{count}");
    assert!(faults.is_empty(), "{count}\n{}", faults.join("\n"));
}

/// A cut is what `shadowtap replay` takes, and any other tool.
#[test]
fn the_program_reads_a_cut() {
    let file = capture("imp-ipfrag-client-side.pcap");
    let finding = findings(&policy(), &file).remove(0);
    let folder = tempfile::tempdir().unwrap();
    let cut =
        cuts(&file, std::slice::from_ref(&finding), folder.path()).remove(&finding.id).unwrap();
    let run = crate::run::replay_json(&cut, &["--fail-on", "never"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let ids: Vec<_> = run.of_type("finding").iter().map(|f| f["event"]["id"].clone()).collect();
    assert!(ids.contains(&finding.id.clone().into()), "{ids:?}");
}
