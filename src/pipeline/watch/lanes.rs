//! The way from readers to workers: bounded, and never in the reader's way.
//!
//! # Shedding
//!
//! Each worker has a queue of [`Limits::queue_batches`] batches. A batch that finds no room waits
//! with its reader and is filled further. When it is full as well, the worker is too slow, and
//! whole flows are shed: a second hash of the flow's key, independent of the one that chooses the
//! worker, deals the flows of a worker into sixteenths, and the sixteenth with the most bytes in
//! the waiting batch is no longer looked at from there on (so that one large transfer goes before a
//! thousand small calls). What the batch holds of it is dropped, which makes room; if it does not
//! make enough, the next one follows when the batch is full again. After every
//! [`Limits::calm`] without a full queue one sixteenth is looked at again, in turn.
//!
//! So a flow is either wholly looked at or wholly not while the choice stands. Flows of servers
//! that are known to speak MCP are never chosen. If nothing else is left to shed and there still
//! is no room, packets are dropped one by one. All of it is counted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use super::super::shard::SHARDS;
use super::super::workers::{Batch, Work};
use crate::decode::TcpFlags;
use crate::flow::{self, At};
use crate::net::{Endpoint, Scope};

/// Parts into which the flows of a worker are dealt for shedding.
const PARTS: usize = 16;
/// Makes the hash of the parts another one than that of the shards.
const PARTS_SALT: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bounds of the lanes. Worst-case memory of each worker is (`queue_batches` + 2 for each
/// interface) × (`batch_bytes` + `batch_segments` × 150 bytes), 26 MiB at the defaults with one
/// interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Batches that may wait for a worker.
    pub(super) queue_batches: usize,
    /// Segments of a batch.
    pub(super) batch_segments: usize,
    /// Bytes of payload in a batch; passed by less than one packet.
    pub(super) batch_bytes: usize,
    /// So long without pressure until one sixteenth is looked at again.
    pub(super) calm: Duration,
    /// Endpoints of known MCP servers, whose flows are never shed; more are not protected.
    pub(super) max_protected: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_batches: 32,
            batch_segments: 2_048,
            batch_bytes: 512 << 10,
            calm: Duration::from_secs(2),
            max_protected: 4_096,
        }
    }
}

/// A batch on its way.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    pub(super) batch: Batch,
    /// The reader that packed it.
    pub(super) reader: usize,
    /// Every packet of that reader with a smaller index is in this parcel or in an earlier one.
    pub(super) upto: u64,
    /// The worker is to tell its counters.
    pub(super) report: bool,
}

/// What readers, a worker and the engine share about the worker's queue.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The sixteenths that are shed.
    shed: AtomicU16,
    /// The one that came back last.
    restored: AtomicUsize,
    /// Milliseconds of the run at which the queue was last found full.
    pressed_at: AtomicU64,
    /// Batches in the queue.
    queued: AtomicUsize,
}

impl Lane {
    /// Sixteenths that are shed.
    pub(super) fn sixteenths(&self) -> u8 {
        u8::try_from(self.shed.load(Relaxed).count_ones()).unwrap_or(u8::MAX)
    }

    /// Batches that wait.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }

    /// A worker took a batch.
    pub(super) fn taken(&self) {
        self.queued.fetch_sub(1, Relaxed);
    }

    fn press(&self, now: Duration) {
        self.pressed_at.store(millis(now), Relaxed);
    }

    /// Looks at one more sixteenth again, if there was no pressure for so long.
    pub(super) fn relax(&self, now: Duration, calm: Duration) {
        let shed = self.shed.load(Relaxed);
        let since = millis(now).saturating_sub(self.pressed_at.load(Relaxed));
        if shed == 0 || since < millis(calm) {
            return;
        }
        let after = self.restored.load(Relaxed) + 1;
        let mut in_turn = (after..after + PARTS).map(|part| part % PARTS);
        if let Some(part) = in_turn.find(|part| shed & bit(*part) != 0) {
            self.shed.fetch_and(!bit(part), Relaxed);
            self.restored.store(part, Relaxed);
            self.press(now);
        }
    }
}

/// Addresses of servers that speak MCP, as the engine finds them.
#[derive(Debug, Default)]
pub(super) struct Protection {
    version: AtomicU64,
    endpoints: RwLock<Arc<HashSet<Endpoint>>>,
}

impl Protection {
    /// Protects an endpoint; answers whether it is protected now.
    pub(super) fn add(&self, endpoint: Endpoint, max: usize) -> bool {
        let Ok(mut endpoints) = self.endpoints.write() else { return false };
        if endpoints.contains(&endpoint) {
            return true;
        }
        if endpoints.len() >= max {
            return false;
        }
        Arc::make_mut(&mut *endpoints).insert(endpoint);
        self.version.fetch_add(1, Relaxed);
        true
    }
}

/// A reader's copy of the protected endpoints.
#[derive(Debug, Default)]
struct Protected {
    version: u64,
    endpoints: Arc<HashSet<Endpoint>>,
}

impl Protected {
    fn refresh(&mut self, from: &Protection) {
        let version = from.version.load(Relaxed);
        if version != self.version
            && let Ok(endpoints) = from.endpoints.read()
        {
            self.endpoints = Arc::clone(&endpoints);
            self.version = version;
        }
    }

    fn holds(&self, tuple: &Tuple) -> bool {
        self.endpoints.contains(&tuple.src) || self.endpoints.contains(&tuple.dst)
    }
}

/// Empty batches to use again. Bounded by what can be on its way at once.
#[derive(Debug, Default)]
pub(super) struct Pool {
    spare: Mutex<Vec<Batch>>,
    max: usize,
}

impl Pool {
    pub(super) fn new(max: usize) -> Self {
        Self { spare: Mutex::default(), max }
    }

    pub(super) fn give(&self, mut batch: Batch) {
        batch.clear();
        if let Ok(mut spare) = self.spare.lock()
            && spare.len() < self.max
        {
            spare.push(batch);
        }
    }

    fn take(&self) -> Batch {
        self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }
}

/// What a reader has shed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shed {
    /// TCP connections whose SYN was shed.
    pub(super) flows: u64,
    /// Packets with a segment or a datagram.
    pub(super) packets: u64,
    /// Bytes of payload.
    pub(super) bytes: u64,
    /// Packets of flows that are never shed, which found no room.
    pub(super) overflow_packets: u64,
}

impl std::ops::AddAssign for Shed {
    fn add_assign(&mut self, other: Self) {
        self.flows += other.flows;
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.overflow_packets += other.overflow_packets;
    }
}

/// Whose a packet is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuple {
    pub(super) src: Endpoint,
    pub(super) dst: Endpoint,
    pub(super) scope: Scope,
}

impl Tuple {
    fn of(work: &Work) -> Option<Self> {
        let (src, dst, scope) = match work {
            Work::Segment { header, .. } => (header.src, header.dst, header.scope),
            Work::Datagram { header, .. } => (header.src, header.dst, header.scope),
            Work::Tick(_) => return None,
        };
        Some(Self { src, dst, scope })
    }

    fn part(&self, seed: u64) -> usize {
        flow::shard_of(self.src, self.dst, self.scope, seed ^ PARTS_SALT, PARTS)
    }
}

/// One reader's end of one worker's lane.
#[derive(Debug)]
struct Outlet {
    lane: Arc<Lane>,
    input: SyncSender<Parcel>,
    filling: Batch,
}

/// A worker is gone: it has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkerGone;

/// One reader's ends of all lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: Limits,
    reader: usize,
    seed: u64,
    outlets: Vec<Outlet>,
    pool: Arc<Pool>,
    protection: Arc<Protection>,
    protected: Protected,
    shed: Shed,
    /// Time of the run, for the lanes' pressure.
    now: Duration,
    /// Smaller indices of this reader have all been pushed.
    upto: u64,
}

/// What all readers' lanes are made of.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) limits: Limits,
    pub(super) seed: u64,
    pub(super) inputs: Vec<(Arc<Lane>, SyncSender<Parcel>)>,
    pub(super) pool: Arc<Pool>,
    pub(super) protection: Arc<Protection>,
}

impl Lanes {
    /// The lanes of a reader.
    #[must_use]
    pub(super) fn new(ends: Ends, reader: usize) -> Self {
        let outlet = |(lane, input)| Outlet { lane, input, filling: Batch::default() };
        Self {
            limits: ends.limits,
            reader,
            seed: ends.seed,
            outlets: ends.inputs.into_iter().map(outlet).collect(),
            pool: ends.pool,
            protection: ends.protection,
            protected: Protected::default(),
            shed: Shed::default(),
            now: Duration::ZERO,
            upto: 0,
        }
    }

    /// What was shed so far.
    pub(super) const fn shed(&self) -> &Shed {
        &self.shed
    }

    /// Takes in a packet's segment or datagram: `work` says what it is for a worker, from the
    /// number of the shard there and the place of its payload.
    ///
    /// # Errors
    /// When the worker has panicked.
    pub(super) fn push(
        &mut self,
        tuple: &Tuple,
        opens_flow: bool,
        payload: &[u8],
        work: impl FnOnce(usize, usize, usize) -> Work,
    ) -> Result<(), WorkerGone> {
        let count = self.outlets.len().max(1);
        let shard = flow::shard_of(tuple.src, tuple.dst, tuple.scope, self.seed, SHARDS);
        let Self { outlets, limits, seed, protection, protected, shed, now, .. } = self;
        let Some(outlet) = outlets.get_mut(shard % count) else { return Ok(()) };
        let chosen = outlet.lane.shed.load(Relaxed);
        if chosen != 0 && chosen & bit(tuple.part(*seed)) != 0 {
            protected.refresh(protection);
            if !protected.holds(tuple) {
                shed.flows += u64::from(opens_flow);
                shed.packets += 1;
                shed.bytes += payload.len() as u64;
                return Ok(());
            }
        }
        if outlet.is_full(limits) {
            let mut parcel = Parcel { reader: self.reader, upto: self.upto, ..Parcel::default() };
            if !outlet.send(&mut parcel, &self.pool)? {
                outlet.lane.press(*now);
                protected.refresh(protection);
                if !outlet.make_room(limits, *seed, protected, shed) {
                    shed.overflow_packets += 1;
                    return Ok(());
                }
            }
        }
        let batch = &mut outlet.filling;
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(payload);
        batch.work.push(work(shard / count, start, batch.bytes.len()));
        Ok(())
    }

    /// Every packet of this reader below `upto` has been pushed; time is `at` for all shards.
    /// Sends what there is, where there is room.
    ///
    /// # Errors
    /// When a worker has panicked.
    pub(super) fn dispatch(
        &mut self,
        upto: u64,
        at: At,
        now: Duration,
        report: bool,
    ) -> Result<bool, WorkerGone> {
        (self.upto, self.now) = (upto, now);
        let mut all = true;
        for outlet in &mut self.outlets {
            match outlet.filling.work.last_mut() {
                Some(Work::Tick(last)) => *last = at,
                _ => outlet.filling.work.push(Work::Tick(at)),
            }
            let mut parcel = Parcel { reader: self.reader, upto, report, ..Parcel::default() };
            if !outlet.send(&mut parcel, &self.pool)? {
                outlet.lane.press(now);
                all = false;
            }
        }
        Ok(all)
    }
}

impl Outlet {
    fn is_full(&self, limits: &Limits) -> bool {
        self.filling.bytes.len() >= limits.batch_bytes
            || self.filling.work.len() >= limits.batch_segments
    }

    /// Sends the batch if there is room; answers whether there was.
    fn send(&mut self, parcel: &mut Parcel, pool: &Pool) -> Result<bool, WorkerGone> {
        let next = pool.take();
        let parcel =
            Parcel { batch: std::mem::replace(&mut self.filling, next), ..std::mem::take(parcel) };
        // Counted before it is sent, for the worker may take it at once.
        self.lane.queued.fetch_add(1, Relaxed);
        match self.input.try_send(parcel) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(parcel)) => {
                self.lane.queued.fetch_sub(1, Relaxed);
                pool.give(std::mem::replace(&mut self.filling, parcel.batch));
                Ok(false)
            }
            Err(TrySendError::Disconnected(_)) => Err(WorkerGone),
        }
    }

    /// Sheds sixteenths until the waiting batch has room. Answers whether it has.
    fn make_room(
        &mut self,
        limits: &Limits,
        seed: u64,
        protected: &Protected,
        shed: &mut Shed,
    ) -> bool {
        loop {
            let mut weights = [0_u64; PARTS];
            for work in &self.filling.work {
                let Some(tuple) = Tuple::of(work) else { continue };
                let part = tuple.part(seed);
                if let Some(weight) = weights.get_mut(part)
                    && !protected.holds(&tuple)
                {
                    *weight += weight_of(work);
                }
            }
            let parts = (0..PARTS).zip(weights).filter(|(_, weight)| *weight > 0);
            // The first of those that weigh the same.
            let Some((part, _)) = parts.rev().max_by_key(|(_, weight)| *weight) else {
                return false;
            };
            self.lane.shed.fetch_or(bit(part), Relaxed);
            self.drop_part(part, seed, protected, shed);
            if !self.is_full(limits) {
                return true;
            }
        }
    }

    /// Drops what the waiting batch has of a sixteenth.
    fn drop_part(&mut self, part: usize, seed: u64, protected: &Protected, shed: &mut Shed) {
        let mut kept = Vec::with_capacity(self.filling.bytes.len());
        let bytes = std::mem::take(&mut self.filling.bytes);
        self.filling.work.retain_mut(|work| {
            let tuple = Tuple::of(work);
            let goes =
                tuple.is_some_and(|tuple| tuple.part(seed) == part && !protected.holds(&tuple));
            let opens = opens_flow(work);
            let (Work::Segment { start, end, .. } | Work::Datagram { start, end, .. }) = work
            else {
                return true;
            };
            let payload = bytes.get(*start..*end).unwrap_or_default();
            if goes {
                shed.flows += u64::from(opens);
                shed.packets += 1;
                shed.bytes += payload.len() as u64;
                return false;
            }
            *start = kept.len();
            kept.extend_from_slice(payload);
            *end = kept.len();
            true
        });
        self.filling.bytes = kept;
    }
}

/// Whether a packet is the first of a TCP connection.
fn opens_flow(work: &Work) -> bool {
    match work {
        Work::Segment { header, .. } => is_opening(header.flags),
        _ => false,
    }
}

/// A SYN that answers none.
pub(super) const fn is_opening(flags: TcpFlags) -> bool {
    flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK)
}

/// What a packet costs a worker: its bytes, and something for its own sake.
fn weight_of(work: &Work) -> u64 {
    match work {
        Work::Segment { start, end, .. } | Work::Datagram { start, end, .. } => {
            64 + (end - start) as u64
        }
        Work::Tick(_) => 0,
    }
}

const fn bit(part: usize) -> u16 {
    1 << (part % PARTS)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
