mod lanes;
mod reader;
mod run;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::clock::Clock;
use crate::capture::LinkType;
use crate::capture::live::{Drops, LinkState, LiveError, LiveNext, LiveSource};
use crate::pipeline::samples::Capture;
use crate::time::Timestamp;

/// One step of an interface that is not there.
#[derive(Clone, Debug)]
enum Step {
    Packet(i64, Vec<u8>),
    Lost,
}

/// What an interface will do.
#[derive(Debug, Default)]
struct Script {
    steps: VecDeque<Step>,
    /// Attempts to reopen that fail first.
    refusals: usize,
    reopened: usize,
    drops: Drops,
    state: LinkState,
}

/// An interface that follows a script, and is idle after it.
#[derive(Clone, Debug)]
struct Double {
    name: &'static str,
    script: Arc<Mutex<Script>>,
    current: Vec<u8>,
}

impl Double {
    fn new(name: &'static str, steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Script { steps: steps.into_iter().collect(), ..Script::default() };
        Self { name, script: Arc::new(Mutex::new(script)), current: Vec::new() }
    }
}

impl LiveSource for Double {
    fn name(&self) -> &str {
        self.name
    }

    fn next(&mut self) -> LiveNext<'_> {
        let step = self.script.lock().unwrap().steps.pop_front();
        match step {
            Some(Step::Packet(time, bytes)) => {
                self.current = bytes;
                LiveNext::Packet {
                    time: Timestamp::from_nanos(time),
                    link: LinkType::RAW,
                    bytes: &self.current,
                    wire_len: u32::try_from(self.current.len()).unwrap(),
                }
            }
            None => LiveNext::Idle,
            Some(Step::Lost) => LiveNext::Lost("test".to_owned()),
        }
    }

    fn reopen(&mut self) -> Result<(), LiveError> {
        let mut script = self.script.lock().unwrap();
        if script.refusals > 0 {
            script.refusals -= 1;
            return Err(LiveError::Refused { interface: self.name.into(), reason: "no".into() });
        }
        script.reopened += 1;
        Ok(())
    }

    fn drops(&mut self) -> Drops {
        self.script.lock().unwrap().drops
    }

    fn state(&self) -> LinkState {
        self.script.lock().unwrap().state
    }
}

/// The packets of a capture, as if it were taken now.
fn steps(capture: &Capture) -> Vec<Step> {
    let packets = capture.frames().iter();
    packets.map(|(time, bytes)| Step::Packet(*time, bytes.clone())).collect()
}

/// The capture with its times moved to now.
fn now(capture: &Capture) -> Capture {
    let shift = Clock::start().now().time.as_nanos();
    capture.part(0..capture.packets(), shift)
}
