//! `--keep-packets`: the ring on disk, and the packets of each finding.

use std::path::Path;

use super::super::Failure;
use super::super::complain;
use crate::capture::Packet;
use crate::capture::live::PacketTap;
use crate::finding::{Finding, News};
use crate::sinks::packets::{Counters, Cut, Cutter, Job, Limits, Outcome, Ring, Tap};

/// Folders inside that of `--out`.
const RING: &str = "ring";
const CUTS: &str = "packets";

/// Keeps packets, and cuts those of findings out.
#[derive(Debug)]
pub(super) struct Kept {
    cutter: Cutter,
    ring: Ring,
}

/// What a capture thread feeds.
struct RingTap(Tap);

impl PacketTap for RingTap {
    fn packet(&mut self, _: usize, packet: &Packet<'_>) {
        self.0.packet(packet);
    }
}

impl Kept {
    pub(super) fn open(out: &Path, max_ring_bytes: u64) -> Result<Self, Failure> {
        let limits = Limits { max_ring_bytes, ..Limits::default() };
        let ring = Ring::open(&out.join(RING), &limits).map_err(Failure::new)?;
        let cutter = Cutter::start(&ring, &out.join(CUTS), tell).map_err(Failure::new)?;
        Ok(Self { cutter, ring })
    }

    /// For one more interface.
    pub(super) fn tap(&self) -> Box<dyn PacketTap> {
        Box::new(RingTap(self.ring.tap()))
    }

    /// The packets of a finding are cut when it begins, and again when no more can join it.
    pub(super) fn finding(&self, finding: &Finding, news: News) {
        if news != News::Rose {
            // What finds no room is counted.
            let _is_queued = self.cutter.cut(Job::of(finding));
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.ring.counters()
    }

    /// What is wrong with the disk.
    pub(super) fn alarm(&self) -> Option<String> {
        self.ring.alarm()
    }

    /// Makes the cuts that wait, and ends.
    pub(super) fn stop(self) {
        self.cutter.stop();
        self.ring.stop();
    }
}

/// A cut that could not be made is told; others are where they belong.
fn tell(cut: Cut) {
    let Cut { id, outcome } = cut;
    if let Outcome::Failed(error) = outcome {
        complain(&format!("warning: packets of finding {id}: {error}"));
    }
}
