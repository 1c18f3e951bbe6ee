//! Anything may happen to the files, and the run may be killed at any time: every line is taken
//! exactly once, as it is with the outputs.

use proptest::prelude::*;

use super::stage::{Run, Stage, compress};
use crate::intake::checkpoint::Checkpoint;
use crate::intake::tail::StartAt;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many lines are written.
    Append(u8),
    /// A line is begun.
    Half,
    /// Renamed, and a new file is made.
    Rename,
    /// Renamed and compressed.
    Compress,
    /// Copied, and emptied.
    Copy,
    /// The tail looks.
    Look,
    /// The run takes so many parcels.
    Take(u8),
    /// A checkpoint is written, and the outputs are synced.
    Save,
    /// Killed and started again.
    Kill,
    /// So many seconds pass.
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_u8).prop_map(Step::Append),
        1 => Just(Step::Half),
        1 => Just(Step::Rename),
        1 => Just(Step::Compress),
        1 => Just(Step::Copy),
        4 => Just(Step::Look),
        3 => (0..4_u8).prop_map(Step::Take),
        3 => Just(Step::Save),
        2 => Just(Step::Kill),
        1 => (1..15_u8).prop_map(Step::Wait),
    ]
}

/// The world outside of the tail.
struct World {
    stage: Stage,
    run: Run,
    written: u64,
    /// A line was begun.
    half: bool,
    /// What the outputs have.
    output: Vec<u64>,
    /// What they had at the last checkpoint.
    saved: usize,
    checkpoint: Option<Checkpoint>,
}

impl World {
    fn new() -> Self {
        let stage = Stage::new();
        let run = stage.run(StartAt::Beginning);
        let (output, checkpoint) = (Vec::new(), None);
        Self { stage, run, written: 0, half: false, output, saved: 0, checkpoint }
    }

    /// The writer finishes its line before it goes to another file.
    fn end_line(&mut self) {
        if std::mem::take(&mut self.half) {
            self.stage.append("a.log", "0\n");
        }
    }

    fn make_room(&self) {
        for number in (1..40).rev() {
            for ending in ["", ".gz"] {
                let name = |number: u32| format!("a.log.{number}{ending}");
                self.stage.rename(&name(number), &name(number + 1));
            }
        }
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Append(lines) => {
                self.end_line();
                for _ in 0..lines {
                    self.written += 1;
                    self.stage.append("a.log", &format!("{}0\n", self.written));
                }
            }
            Step::Half => {
                if !std::mem::replace(&mut self.half, true) {
                    self.written += 1;
                    self.stage.append("a.log", &format!("{}", self.written));
                }
            }
            Step::Rename | Step::Compress => {
                self.end_line();
                self.make_room();
                self.stage.rename("a.log", "a.log.1");
                if matches!(step, Step::Compress) && self.stage.path("a.log.1").exists() {
                    compress(&self.stage.path("a.log.1"));
                }
                self.stage.append("a.log", "");
            }
            Step::Copy => {
                self.end_line();
                self.make_room();
                if self.stage.path("a.log").exists() {
                    self.stage.copy("a.log", "a.log.1");
                    self.stage.empty("a.log");
                }
            }
            Step::Look => self.run.look(),
            Step::Take(parcels) => self.output.extend(self.run.take(usize::from(parcels))),
            Step::Save => {
                self.saved = self.output.len();
                self.checkpoint = Some(self.run.checkpoint());
            }
            Step::Kill => {
                self.output.truncate(self.saved);
                self.run = match &self.checkpoint {
                    Some(checkpoint) => self.stage.restart(StartAt::Beginning, checkpoint),
                    None => self.stage.run(StartAt::Beginning),
                };
            }
            Step::Wait(seconds) => self.run.wait(u64::from(seconds)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn every_line_is_taken_exactly_once(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        // Without a checkpoint nothing is known of files that were rotated before.
        world.go(Step::Append(1));
        world.go(Step::Look);
        world.go(Step::Take(255));
        world.go(Step::Save);
        for step in &steps {
            world.go(*step);
        }
        world.end_line();
        for _ in 0..3 {
            world.go(Step::Look);
            world.go(Step::Wait(15));
        }
        world.output.extend(world.run.take(usize::MAX));
        let expected: Vec<u64> = (1..=world.written).map(|number| number * 10).collect();
        let mut output = world.output.clone();
        output.sort_unstable();
        prop_assert_eq!(output, expected, "{:?}", world.run.said());
    }
}
