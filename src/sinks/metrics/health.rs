//! Whether the sensor is well.

use std::time::Duration;

use serde::Serialize;

use super::Snapshot;

/// Workers further behind than this make the sensor unhealthy.
const MAX_LAG: Duration = Duration::from_secs(30);

/// One packet in so many dropped in the last interval is worth a warning.
const DROP_SHARE: u64 = 100;

/// The short answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Ok,
    /// It works, and misses something.
    Degraded,
    /// It does not capture yet.
    Starting,
    /// It does not work.
    Unhealthy,
}

impl Status {
    /// Whether the page is a success: a restart would not help then.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Degraded)
    }
}

/// What `/health` shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// The short answer.
    pub status: Status,
    /// Why it is not `ok`.
    pub reasons: Vec<String>,
    /// Version of the sensor.
    pub version: &'static str,
    /// Seconds since the start.
    pub uptime_seconds: f64,
    /// Seconds that the slowest worker is behind the capture.
    pub lag_seconds: f64,
    /// What happened in the last interval.
    pub interval: Interval,
    /// The interfaces.
    pub interfaces: Vec<InterfaceHealth>,
}

/// Packets of some seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval {
    /// Its length.
    pub seconds: f64,
    /// Packets captured.
    pub packets: u64,
    /// Packets dropped, wherever.
    pub dropped: u64,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InterfaceHealth {
    /// Its name.
    pub name: String,
    /// It is open and read from.
    pub up: bool,
    /// Seconds since its last packet; `None` before the first.
    pub idle_seconds: Option<f64>,
}

/// Counters at two moments some seconds apart: a restart of counting is no drop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    before: Moment,
    last: Moment,
}

#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    uptime: Duration,
    packets: u64,
    dropped: u64,
}

impl Recent {
    /// An interval ends.
    pub(super) fn tick(&mut self, snapshot: &Snapshot) {
        let (packets, dropped) = snapshot.packets_and_drops();
        self.before = self.last;
        self.last = Moment { uptime: snapshot.uptime, packets, dropped };
    }

    fn interval(&self) -> Interval {
        let Self { before, last } = self;
        Interval {
            seconds: last.uptime.saturating_sub(before.uptime).as_secs_f64(),
            packets: last.packets.saturating_sub(before.packets),
            dropped: last.dropped.saturating_sub(before.dropped),
        }
    }
}

impl Health {
    pub(super) fn of(snapshot: &Snapshot, recent: &Recent) -> Self {
        let (lag, interval) = (snapshot.queue.lag.unwrap_or_default(), recent.interval());
        let mut broken = snapshot.unhealthy.clone();
        if lag > MAX_LAG {
            broken.push(format!("workers are {:.0} s behind the capture", lag.as_secs_f64()));
        }
        let mut warnings = snapshot.warnings.clone();
        let down = snapshot.interfaces.iter().filter(|interface| !interface.up);
        warnings.extend(down.map(|interface| format!("interface {} is down", interface.name)));
        let seen = interval.packets.saturating_add(interval.dropped);
        if interval.dropped > 0 && interval.dropped.saturating_mul(DROP_SHARE) >= seen {
            warnings.push(format!(
                "{} of {seen} packets dropped in the last {:.0} s",
                interval.dropped, interval.seconds
            ));
        }
        if snapshot.reloads.last_failed {
            warnings.push("the last reload was refused; the old rules are in force".to_owned());
        }
        let status = match (broken.is_empty(), snapshot.ready, warnings.is_empty()) {
            (false, ..) => Status::Unhealthy,
            (_, false, _) => Status::Starting,
            (.., false) => Status::Degraded,
            _ => Status::Ok,
        };
        broken.append(&mut warnings);
        Self {
            status,
            reasons: broken,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: snapshot.uptime.as_secs_f64(),
            lag_seconds: lag.as_secs_f64(),
            interval,
            interfaces: interfaces(snapshot),
        }
    }
}

fn interfaces(snapshot: &Snapshot) -> Vec<InterfaceHealth> {
    let health = |interface: &super::Interface| InterfaceHealth {
        name: interface.name.clone(),
        up: interface.up,
        idle_seconds: interface.last_packet.map(|last| snapshot.now.since(last).as_secs_f64()),
    };
    snapshot.interfaces.iter().map(health).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Interface, Queue, Reloads};
    use super::*;
    use crate::time::Timestamp;

    fn snapshot(seconds: u64, packets: u64, dropped: u64) -> Snapshot {
        let interface = Interface {
            name: "eth0".to_owned(),
            packets,
            dropped_by_kernel: dropped,
            last_packet: Some(Timestamp::from_parts(100, 0)),
            up: true,
            ..Interface::default()
        };
        Snapshot {
            uptime: Duration::from_secs(seconds),
            now: Timestamp::from_parts(103, 0),
            ready: true,
            interfaces: vec![interface],
            ..Snapshot::default()
        }
    }

    #[test]
    fn status_follows_from_what_is_wrong() {
        let ok = snapshot(1, 1, 0);
        let behind =
            |seconds| Queue { lag: Some(Duration::from_secs(seconds)), ..Queue::default() };
        let mut down = ok.clone();
        down.interfaces[0].up = false;
        let refused = Reloads { last_failed: true, ..Reloads::default() };
        let cases = [
            (ok.clone(), Status::Ok, ""),
            (Snapshot { queue: behind(30), ..ok.clone() }, Status::Ok, ""),
            (
                Snapshot { queue: behind(31), ..ok.clone() },
                Status::Unhealthy,
                "workers are 31 s behind the capture",
            ),
            (Snapshot { ready: false, ..ok.clone() }, Status::Starting, ""),
            (
                Snapshot { unhealthy: vec!["a".into()], ready: false, ..ok.clone() },
                Status::Unhealthy,
                "a",
            ),
            (
                Snapshot { unhealthy: vec!["a".into()], warnings: vec!["b".into()], ..ok.clone() },
                Status::Unhealthy,
                "a; b",
            ),
            (Snapshot { warnings: vec!["b".into()], ..ok.clone() }, Status::Degraded, "b"),
            (down, Status::Degraded, "interface eth0 is down"),
            (
                Snapshot { reloads: refused, ..ok },
                Status::Degraded,
                "the last reload was refused; the old rules are in force",
            ),
        ];
        for (snapshot, status, reasons) in cases {
            let health = Health::of(&snapshot, &Recent::default());
            assert_eq!((health.status, health.reasons.join("; ")), (status, reasons.to_owned()));
            assert_eq!(health.interfaces[0].idle_seconds, Some(3.0));
        }
        assert!(Status::Degraded.is_success() && Status::Ok.is_success());
        assert!(!Status::Starting.is_success() && !Status::Unhealthy.is_success());
    }

    #[test]
    fn drops_count_in_the_interval_in_which_they_happen() {
        let mut recent = Recent::default();
        let steps = [
            (10, 990, 10, 10.0, 990, 10, Status::Degraded),
            (20, 1_990, 10, 10.0, 1_000, 0, Status::Ok),
            (30, 2_990, 19, 10.0, 1_000, 9, Status::Ok),
            (35, 2_990, 20, 5.0, 0, 1, Status::Degraded),
            // Counting began anew: an interface was opened again.
            (45, 5, 0, 10.0, 0, 0, Status::Ok),
        ];
        for (seconds, packets, dropped, length, new_packets, new_drops, status) in steps {
            let snapshot = snapshot(seconds, packets, dropped);
            recent.tick(&snapshot);
            let health = Health::of(&snapshot, &recent);
            let interval = Interval { seconds: length, packets: new_packets, dropped: new_drops };
            assert_eq!((health.interval, health.status), (interval, status), "{seconds}");
        }
    }
}
