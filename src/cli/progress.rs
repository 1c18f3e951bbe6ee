//! The progress bar: bytes, packets a second, findings. Only on a terminal.

use std::io::IsTerminal as _;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::pipeline::Progress;

/// A progress bar, or nothing when standard error is no terminal.
#[derive(Debug)]
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Bar {
    /// A bar over inputs of so many bytes; `None` when that is not known.
    #[expect(clippy::disallowed_methods, reason = "an edge: the rate that people watch")]
    pub(super) fn new(quiet: bool, bytes: Option<u64>) -> Self {
        let wanted = !quiet && std::io::stderr().is_terminal();
        let bar = wanted.then(|| {
            let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr_with_hz(8));
            let template = match bytes {
                Some(_) => "{bytes}/{total_bytes} {wide_bar} {msg} {eta}",
                None => "{bytes} {spinner} {msg}",
            };
            let style = ProgressStyle::with_template(template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, started: Instant::now() }
    }

    /// Shows how far the run is.
    pub(super) fn update(&self, progress: Progress, findings: usize) {
        let Some(bar) = &self.bar else { return };
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
        let rate = progress.packets as f64 / seconds;
        bar.set_position(progress.bytes);
        bar.set_message(format!("{rate:.0} packets/s, {findings} findings"));
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
