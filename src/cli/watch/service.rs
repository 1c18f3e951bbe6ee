//! The service manager: told when the sensor is ready, that it lives, and what it does.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::capture::live::LinkState;
use crate::pipeline::watch::Health;
use crate::sinks::event::StatsEvent;

/// systemd, or whoever listens at `NOTIFY_SOCKET`; nobody, most of the time.
#[derive(Debug)]
pub(super) struct Service {
    /// It wants to hear from us so often.
    watchdog: Option<Duration>,
    /// When it last did.
    told_at: Option<Duration>,
}

impl Service {
    pub(super) fn new() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), told_at: None }
    }

    pub(super) fn ready(&self) {
        notify(&[NotifyState::Ready]);
    }

    pub(super) fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }

    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    /// What `systemctl status` shows.
    pub(super) fn status(&self, stats: &StatsEvent) {
        let Some(live) = &stats.live else { return };
        let lost: u64 = live.interfaces.iter().map(|of| of.dropped.total).sum();
        let up = live.interfaces.iter().filter(|of| of.state == LinkState::Up).count();
        let text = format!(
            "{up} of {} interfaces up, {} packets, {lost} dropped, {} shed, {} flows",
            live.interfaces.len(),
            stats.coverage.packets,
            live.shed.packets.total,
            stats.coverage.flows,
        );
        notify(&[NotifyState::Status(&text)]);
    }

    /// Says that the sensor lives, if every thread makes progress: twice in the time after which it
    /// would be taken for dead.
    pub(super) fn tend(&mut self, health: &Health) {
        let Some(watchdog) = self.watchdog else { return };
        let due =
            self.told_at.is_none_or(|told| health.elapsed.saturating_sub(told) >= watchdog / 2);
        if due && health.is_good() {
            self.told_at = Some(health.elapsed);
            notify(&[NotifyState::Watchdog]);
        }
    }
}

/// Nothing depends on anybody listening.
fn notify(states: &[NotifyState<'_>]) {
    let _nobody = sd_notify::notify(states);
}
