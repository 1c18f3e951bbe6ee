//! The reading side: one of these on each interface, each on a thread of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::read;
use super::super::stats::Decoding;
use super::super::workers::Work;
use super::clock::Moment;
use super::lanes::{Lanes, Shed, Tuple, WorkerGone, is_opening};
use super::names::{MAX_INTERFACES, index_of};
use super::notice::Notice;
use crate::capture::Packet;
use crate::capture::live::{Drops, LinkState, LiveError, LiveNext, LiveSource, PacketTap};
use crate::decode::{Decoded, Decoder};
use crate::flow::At;
use crate::net::Scope;
use crate::time::Timestamp;

/// Packets between two looks at the clock.
const BURST: usize = 256;
/// What was read goes to the workers at least so often.
const DISPATCH_EVERY: Duration = Duration::from_millis(100);
/// Counters are published so often.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Between two attempts to open an interface that was lost.
const REOPEN_EVERY: Duration = Duration::from_secs(1);
/// Where no packets come, packet time is so far behind the clock: the kernel hands packets over in
/// batches, and other interfaces may be later.
const LAG: Duration = Duration::from_millis(500);
/// Notices that nobody has taken yet; more are dropped.
const MAX_NOTICES: usize = 64;

/// What a reader tells the engine, about once a second.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// When it was last written.
    pub(super) alive_at: Duration,
    pub(super) counters: read::Counters,
    pub(super) decoding: Decoding,
    pub(super) drops: Drops,
    pub(super) shed: Shed,
    pub(super) state: LinkState,
    /// Outages, one under way included.
    pub(super) outages: u64,
    /// How long they took together.
    pub(super) outage: Duration,
    pub(super) notices: Vec<Notice>,
}

/// What a turn of the reader met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Packets, perhaps more at once.
    Busy,
    /// No packets: time to sleep a little.
    Idle,
}

/// An interface that cannot be read now.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Duration,
    retry_at: Duration,
}

/// What a reader is made of.
pub(super) struct Parts<S> {
    pub(super) source: S,
    pub(super) tap: Option<Box<dyn PacketTap>>,
    /// Place of the interface on the command line.
    pub(super) interface: usize,
    pub(super) decoder: Decoder,
    pub(super) lanes: Lanes,
    /// Packets over all interfaces.
    pub(super) count: Arc<AtomicU64>,
    /// Flows of this interface have nothing to do with those of others.
    pub(super) separate: bool,
    pub(super) board: Arc<Mutex<Board>>,
}

/// Reads one interface.
pub(super) struct Reader<S> {
    parts: Parts<S>,
    counters: read::Counters,
    /// Time of the last packet.
    last: Timestamp,
    dispatched_at: Duration,
    published_at: Duration,
    lost: Option<Outage>,
    /// Why it could not be opened again, as told last.
    refused: Option<LiveError>,
    outages: u64,
    /// Outages that are over.
    outage: Duration,
    state: LinkState,
    notices: Vec<Notice>,
}

impl<S: LiveSource> Reader<S> {
    #[must_use]
    pub(super) fn new(parts: Parts<S>) -> Self {
        Self {
            parts,
            counters: read::Counters::default(),
            last: Timestamp::EPOCH,
            dispatched_at: Duration::ZERO,
            published_at: Duration::ZERO,
            lost: None,
            refused: None,
            outages: 0,
            outage: Duration::ZERO,
            // It was opened; that it went down since then is news.
            state: LinkState::Up,
            notices: Vec::new(),
        }
    }

    /// Reads what is there, up to a bound, and does what is due.
    ///
    /// # Errors
    /// When a worker has panicked.
    pub(super) fn turn(&mut self, now: Moment) -> Result<Turn, WorkerGone> {
        let turn = match self.lost {
            Some(outage) => {
                self.try_reopen(outage, now);
                Turn::Idle
            }
            None => self.read(now)?,
        };
        if now.elapsed.saturating_sub(self.dispatched_at) >= DISPATCH_EVERY {
            let report = now.elapsed.saturating_sub(self.published_at) >= PUBLISH_EVERY;
            self.dispatch(now, report)?;
            if report {
                self.look_at_state(now);
                self.publish(now);
            }
        }
        Ok(turn)
    }

    /// The end: counts what is incomplete. Afterwards only [`dispatch`](Self::dispatch) is left.
    pub(super) fn finish(&mut self, now: Moment) {
        self.parts.decoder.finish();
        self.publish(now);
    }

    /// Sends what was read on to the workers; answers whether there was room for all of it.
    ///
    /// # Errors
    /// When a worker has panicked.
    pub(super) fn dispatch(&mut self, now: Moment, report: bool) -> Result<bool, WorkerGone> {
        self.dispatched_at = now.elapsed;
        let upto = index_of(self.parts.count.load(Relaxed), 0);
        let behind = Timestamp::from_nanos(
            now.time.as_nanos().saturating_sub(i64::try_from(LAG.as_nanos()).unwrap_or(0)),
        );
        let at = At { packet: upto.saturating_sub(1), time: self.last.max(behind) };
        self.parts.lanes.dispatch(upto, at, now.elapsed, report)
    }

    fn read(&mut self, now: Moment) -> Result<Turn, WorkerGone> {
        for _ in 0..BURST {
            let Self { parts, counters, last, .. } = self;
            let packet = match parts.source.next() {
                LiveNext::Packet { time, link, bytes, wire_len } => {
                    let index = index_of(parts.count.fetch_add(1, Relaxed), parts.interface);
                    Packet { index, time, link, bytes, wire_len }
                }
                LiveNext::Idle => return Ok(Turn::Idle),
                LiveNext::Lost(reason) => {
                    self.lose(reason, now);
                    return Ok(Turn::Idle);
                }
            };
            *last = packet.time.max(*last);
            counters.count(&packet);
            if let Some(tap) = &mut parts.tap {
                tap.packet(parts.interface, &packet);
            }
            let separate = parts.separate.then_some(parts.interface);
            push(&packet, separate, &mut parts.decoder, &mut parts.lanes, counters)?;
        }
        Ok(Turn::Busy)
    }

    fn lose(&mut self, reason: String, now: Moment) {
        self.outages += 1;
        self.lost = Some(Outage { since: now.elapsed, retry_at: now.elapsed });
        let interface = self.parts.source.name().to_owned();
        self.notice(Notice::Lost { interface, reason });
        self.publish(now);
    }

    fn try_reopen(&mut self, outage: Outage, now: Moment) {
        if now.elapsed < outage.retry_at {
            return;
        }
        if let Err(error) = self.parts.source.reopen() {
            self.lost = Some(Outage { retry_at: now.elapsed + REOPEN_EVERY, ..outage });
            // That it is away was said already.
            let is_news = self.refused.as_ref() != Some(&error) && !error.may_pass();
            if is_news {
                self.refused = Some(error.clone());
                self.notice(Notice::StillLost { error });
            }
            return;
        }
        let after = now.elapsed.saturating_sub(outage.since);
        self.outage += after;
        (self.lost, self.refused) = (None, None);
        self.state = LinkState::Up;
        let interface = self.parts.source.name().to_owned();
        self.notice(Notice::Reopened { interface, after });
        self.publish(now);
    }

    /// libpcap does not always tell that an interface went down: no packets is what it would see
    /// on a quiet link, too.
    fn look_at_state(&mut self, now: Moment) {
        let state = self.parts.source.state();
        let before = std::mem::replace(&mut self.state, state);
        if self.lost.is_some() || before == state {
            return;
        }
        let interface = self.parts.source.name().to_owned();
        match state {
            LinkState::Up => self.notice(Notice::Up { interface }),
            LinkState::Down => self.notice(Notice::Down { interface }),
            LinkState::Gone => self.lose("the interface disappeared".to_owned(), now),
        }
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.push(notice);
        }
    }

    fn publish(&mut self, now: Moment) {
        self.published_at = now.elapsed;
        if let Some(tap) = &mut self.parts.tap {
            tap.tick(now.time);
        }
        let under_way =
            self.lost.map_or(Duration::ZERO, |lost| now.elapsed.saturating_sub(lost.since));
        let state = match self.lost {
            Some(_) if self.state == LinkState::Up => LinkState::Gone,
            _ => self.state,
        };
        let drops = self.parts.source.drops();
        let Ok(mut board) = self.parts.board.lock() else { return };
        board.alive_at = now.elapsed;
        board.counters = self.counters.clone();
        board.decoding = Decoding::default();
        board.decoding.add(&self.parts.decoder);
        board.drops = drops;
        board.shed = *self.parts.lanes.shed();
        board.state = state;
        board.outages = self.outages;
        board.outage = self.outage + under_way;
        let room = MAX_NOTICES.saturating_sub(board.notices.len());
        board.notices.extend(self.notices.drain(..).take(room));
    }
}

/// Decodes a packet and sends it on its way.
fn push(
    packet: &Packet<'_>,
    separate: Option<usize>,
    decoder: &mut Decoder,
    lanes: &mut Lanes,
    counters: &mut read::Counters,
) -> Result<(), WorkerGone> {
    let scoped = |scope: Scope| match separate {
        Some(interface) => apart(scope, interface),
        None => scope,
    };
    match decoder.push(packet) {
        Decoded::Segment(segment) => {
            counters.segments += 1;
            let mut header = segment.header;
            header.scope = scoped(header.scope);
            let tuple = Tuple { src: header.src, dst: header.dst, scope: header.scope };
            let opens = is_opening(header.flags);
            lanes.push(&tuple, opens, segment.payload, |shard, start, end| Work::Segment {
                shard,
                header,
                start,
                end,
            })
        }
        Decoded::Datagram(datagram) => {
            counters.datagrams += 1;
            let mut header = datagram.header;
            header.scope = scoped(header.scope);
            let tuple = Tuple { src: header.src, dst: header.dst, scope: header.scope };
            lanes.push(&tuple, false, datagram.payload, |shard, start, end| Work::Datagram {
                shard,
                header,
                start,
                end,
            })
        }
        Decoded::Fragment => {
            counters.fragments += 1;
            Ok(())
        }
        Decoded::Skipped(skip) => {
            let skipped = counters.skipped.entry(skip).or_default();
            skipped.packets += 1;
            skipped.bytes += u64::from(packet.wire_len);
            Ok(())
        }
    }
}

/// A scope that no other interface has.
const fn apart(scope: Scope, interface: usize) -> Scope {
    const { assert!(MAX_INTERFACES <= 64) };
    Scope(scope.0.rotate_left(6) ^ (interface as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
