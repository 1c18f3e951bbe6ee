//! Outputs of a run over a network. Each takes the lines that files get, through a spool of its own.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, args, complain, store};
use crate::sinks::outbox::{Farewell, Full, Limits, Notice, Options, Outbox, Stats, Unsent};
use crate::sinks::rows::{RowEncoder, SCHEMA};
use crate::sinks::store::deliver::Warehouse;

/// Name of the store as an output, and of its folder in the spool.
const STORE: &str = "clickhouse";

/// A live run ends within the time that a service manager allows.
pub(super) const SHORT: Farewell =
    Farewell { idle: Duration::from_secs(5), total: Duration::from_secs(20) };
/// A replay waits as long as anything is taken.
pub(super) const PATIENT: Farewell =
    Farewell { idle: Duration::from_secs(30), total: Duration::from_secs(24 * 3_600) };

/// What kind of run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It must never wait.
    Watch,
    /// It can.
    Replay,
}

/// The outputs of a run; none, most of the time.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    boxes: Vec<Outbox>,
}

impl Outputs {
    /// Starts the outputs that were named.
    ///
    /// # Errors
    /// What cannot be used, and what to do.
    pub(super) fn open(args: &args::Outputs, run: Run) -> Result<Self, Failure> {
        let mut outputs = Self::default();
        if let Some(typed) = args.address() {
            let address = store::address(&typed)?;
            let settings = args.store_setting.iter().cloned().collect();
            let warehouse = Warehouse::new(&address, &settings).map_err(Failure::new)?;
            let sensor = args.sensor.clone().unwrap_or_else(host_name);
            let name = if run == Run::Watch { "watch" } else { "replay" };
            let encoder = RowEncoder::new(&sensor, name);
            let options = options(args, run, STORE, SCHEMA);
            let outbox = Outbox::start(options, encoder, warehouse).map_err(Failure::new)?;
            outputs.boxes.push(outbox);
        }
        Ok(outputs)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    /// Gives a line of NDJSON to all of them.
    pub(super) fn line(&self, line: &[u8]) {
        self.boxes.iter().for_each(|outbox| outbox.offer(line));
    }

    /// What each did so far.
    pub(super) fn stats(&self) -> Vec<Stats> {
        self.boxes.iter().map(Outbox::stats).collect()
    }

    /// Delivers what can be in the time. Answers with the outputs that did not get everything.
    pub(super) fn finish(self, farewell: Farewell) -> Vec<Unsent> {
        let ended = self.boxes.into_iter().map(|outbox| outbox.finish(farewell));
        ended.filter(|unsent| !unsent.is_nothing()).collect()
    }
}

fn options(args: &args::Outputs, run: Run, name: &str, schema: u32) -> Options {
    let mut limits = Limits::default();
    limits.spool.max_spool_bytes = args.spool_size;
    Options {
        name: name.to_owned(),
        directory: args.spool.join(name),
        schema,
        full: if run == Run::Watch { Full::Lose } else { Full::Wait },
        limits,
        told: Arc::new(|notice: &Notice| complain(&notice.to_string())),
    }
}

/// What the machine calls itself.
pub(super) fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let mut names = files.into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let name = names.find_map(|name| {
        let name = name.trim();
        (!name.is_empty()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| "sensor".to_owned())
}
