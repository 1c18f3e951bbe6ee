//! What the operator says with signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use crate::cli::Failure;

/// Signals that have come.
#[derive(Debug, Default)]
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over. A second SIGTERM or SIGINT ends the program at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn new() -> Result<Self, Failure> {
        let signals = Self::default();
        let failed = |error| Failure::new(format!("cannot handle signals: {error}"));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset, and sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.stop))
                .map_err(failed)?;
            flag::register(signal, Arc::clone(&signals.stop)).map_err(failed)?;
        }
        flag::register(SIGHUP, Arc::clone(&signals.reload)).map_err(failed)?;
        flag::register(SIGUSR1, Arc::clone(&signals.report)).map_err(failed)?;
        Ok(signals)
    }

    /// The run is to end.
    pub(super) fn stop(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Rules are to be read again; asked once for each time.
    pub(super) fn reload(&self) -> bool {
        self.reload.swap(false, Relaxed)
    }

    /// Statistics are wanted; asked once for each time.
    pub(super) fn report(&self) -> bool {
        self.report.swap(false, Relaxed)
    }
}
