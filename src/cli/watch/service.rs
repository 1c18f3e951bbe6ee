//! The service manager: told when the sensor is ready, that it lives, and what it does.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::capture::live::LinkState;
use crate::pipeline::watch::Health;
use crate::sinks::event::StatsEvent;

/// Messages that wait for the service manager; more are dropped.
const MAX_WAITING: usize = 16;

/// What is said to it.
#[derive(Debug)]
enum Said {
    Ready,
    Stopping,
    Reloading,
    Status(String),
    Alive,
}

/// systemd, or whoever listens at `NOTIFY_SOCKET`; nobody, most of the time.
#[derive(Debug)]
pub(super) struct Service {
    /// To the thread that says it: a manager that does not listen must not hold up the sensor.
    said: Option<SyncSender<Said>>,
    /// It wants to hear from us so often.
    watchdog: Option<Duration>,
    /// When it last did.
    told_at: Option<Duration>,
}

impl Service {
    pub(super) fn new() -> Self {
        let is_there = std::env::var_os("NOTIFY_SOCKET").is_some();
        let said = is_there.then(speaker).flatten();
        Self { said, watchdog: sd_notify::watchdog_enabled(), told_at: None }
    }

    fn say(&self, what: Said) {
        if let Some(said) = &self.said {
            // Nothing depends on anybody listening.
            let _full_or_gone = said.try_send(what);
        }
    }

    pub(super) fn ready(&self) {
        self.say(Said::Ready);
    }

    pub(super) fn stopping(&self) {
        self.say(Said::Stopping);
    }

    pub(super) fn reloading(&self) {
        self.say(Said::Reloading);
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
        self.say(Said::Status(text));
    }

    /// Says that the sensor lives, if every thread makes progress: twice in the time after which it
    /// would be taken for dead.
    pub(super) fn tend(&mut self, health: &Health) {
        let Some(watchdog) = self.watchdog else { return };
        let due =
            self.told_at.is_none_or(|told| health.elapsed.saturating_sub(told) >= watchdog / 2);
        if due && health.is_good() {
            self.told_at = Some(health.elapsed);
            self.say(Said::Alive);
        }
    }
}

/// A thread that says what it is given. It is not waited for: it may wait for the manager.
fn speaker() -> Option<SyncSender<Said>> {
    let (said, heard) = sync_channel(MAX_WAITING);
    let thread = std::thread::Builder::new().name("notify".to_owned());
    thread.spawn(move || speak(&heard)).ok().map(|_| said)
}

fn speak(heard: &Receiver<Said>) {
    for said in heard {
        let _nobody = match &said {
            Said::Ready => sd_notify::notify(&[NotifyState::Ready]),
            Said::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Said::Reloading => match NotifyState::monotonic_usec_now() {
                Ok(now) => sd_notify::notify(&[NotifyState::Reloading, now]),
                Err(_) => sd_notify::notify(&[NotifyState::Reloading]),
            },
            Said::Status(text) => sd_notify::notify(&[NotifyState::Status(text)]),
            Said::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_that_does_not_listen_holds_nobody_up() {
        // The other end takes nothing out of the channel.
        let (said, _heard) = sync_channel(MAX_WAITING);
        let service = Service { said: Some(said), watchdog: None, told_at: None };
        for _ in 0..10 * MAX_WAITING {
            service.ready();
        }
    }
}
