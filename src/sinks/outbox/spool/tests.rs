//! The spool, on a file system that crashes at every operation.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::model::{Crash, Disk, ModelFiles};
use super::*;

const STREAMS: [Stream; 2] = ["alpha", "beta"];

/// The other side: takes each token once.
#[derive(Debug, Default)]
struct Server {
    bodies: HashMap<String, Vec<u8>>,
    taken: BTreeMap<String, Vec<u64>>,
}

impl Server {
    fn take(&mut self, segment: &Segment) {
        assert_eq!(segment.body.iter().filter(|b| **b == b'\n').count() as u64, segment.records);
        assert_eq!(segment.schema, 7);
        if let Some(body) = self.bodies.get(&segment.token) {
            assert_eq!(*body, segment.body, "the same token, other bytes");
            return;
        }
        self.bodies.insert(segment.token.clone(), segment.body.clone());
        let records = self.taken.entry(segment.stream.clone()).or_default();
        for line in std::str::from_utf8(&segment.body).unwrap().lines() {
            let number = line.strip_prefix("{\"n\":").and_then(|rest| rest.strip_suffix('}'));
            records.push(number.unwrap_or_else(|| panic!("invented: {line:?}")).parse().unwrap());
        }
    }
}

/// A machine whose process is started again and again.
struct Machine {
    disk: Arc<Mutex<Disk>>,
    runs: u8,
    server: Server,
    /// Records offered so far, by stream.
    offered: [u64; 2],
    /// Of these, so many must come.
    durable: [u64; 2],
}

fn limits() -> Limits {
    Limits {
        max_segment_records: 4,
        max_unwritten_bytes: 20,
        max_waiting_bytes: 1 << 16,
        ..Limits::default()
    }
}

impl Machine {
    fn new(random: u64) -> Self {
        let disk = Arc::new(Mutex::new(Disk::new(random)));
        Self { disk, runs: 0, server: Server::default(), offered: [0; 2], durable: [0; 2] }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    fn open(&mut self, limits: Limits) -> Option<Spool<ModelFiles>> {
        self.runs += 1;
        Spool::open(ModelFiles(Arc::clone(&self.disk)), limits, 7, [self.runs; 32]).ok()
    }

    fn offer(&mut self, spool: &mut Spool<ModelFiles>, stream: usize) {
        let record = format!("{{\"n\":{}}}", self.offered[stream]);
        self.offered[stream] += 1;
        spool.append(STREAMS[stream], record.as_bytes()).unwrap();
    }

    /// Notes what must come, if nothing has crashed.
    fn note_flushed(&mut self, spool: &Spool<ModelFiles>, crash: Crash) {
        if !self.disk().has_crashed && crash == Crash::Process && spool.is_flushed() {
            self.durable = self.offered;
        }
    }

    fn note_sealed(&mut self) {
        if !self.disk().has_crashed {
            self.durable = self.offered;
        }
    }

    /// Delivers a segment; with `is_unsure` the answer is lost.
    fn deliver(&mut self, spool: &mut Spool<ModelFiles>, is_unsure: bool) -> bool {
        let Some(segment) = spool.oldest() else { return false };
        self.server.take(&segment);
        if !is_unsure {
            spool.taken(segment.number);
        }
        true
    }

    /// What a sensor does in a while.
    fn work(&mut self, spool: &mut Spool<ModelFiles>, crash: Crash) {
        for step in 0..14_u64 {
            self.offer(spool, 0);
            if step % 3 == 0 {
                self.offer(spool, 1);
            }
            if step % 2 == 0 {
                spool.flush();
                self.note_flushed(spool, crash);
            }
            if step == 5 {
                spool.tend(Duration::from_secs(step));
            }
            if step == 8 {
                spool.seal_all();
                self.note_sealed();
                self.deliver(spool, true);
                self.deliver(spool, false);
            }
        }
    }

    /// Everything that is there comes.
    fn drain(&mut self, spool: &mut Spool<ModelFiles>) {
        spool.seal_all();
        while self.deliver(spool, false) {}
    }

    fn check(&self, context: &str) {
        for (index, stream) in STREAMS.iter().enumerate() {
            let taken = self.server.taken.get(*stream).cloned().unwrap_or_default();
            assert!(taken.is_sorted_by(|a, b| a < b), "{context}: {stream}: {taken:?}");
            // Records that were durable at a crash are before those that came after it.
            let missing: Vec<u64> =
                (0..self.durable[index]).filter(|number| !taken.contains(number)).collect();
            assert!(missing.is_empty(), "{context}: {stream} lacks {missing:?} of {taken:?}");
            assert!(taken.iter().all(|number| *number < self.offered[index]), "{context}");
        }
    }
}

/// One run of the machine that crashes at an operation, and again in the recovery if wanted.
/// Whether the crash came at all.
fn run(crash: Crash, at: u64, again_at: Option<u64>, random: u64) -> bool {
    let context = format!("{crash:?} at {at}, again {again_at:?}, random {random}");
    let mut machine = Machine::new(random);
    machine.disk().crash_at = Some(at);
    if let Some(mut spool) = machine.open(limits()) {
        machine.work(&mut spool, crash);
    }
    let has_crashed = machine.disk().has_crashed;
    // What was durable must come whatever follows; what was not may be gone.
    let durable = machine.durable;
    machine.disk().restart(crash, again_at);
    if again_at.is_some() {
        if let Some(mut spool) = machine.open(limits()) {
            machine.deliver(&mut spool, true);
            machine.deliver(&mut spool, false);
        }
        machine.disk().restart(crash, None);
    }
    let mut spool = machine.open(limits()).unwrap();
    machine.drain(&mut spool);
    machine.durable = durable;
    machine.check(&context);
    // Life goes on, and nothing of before comes again.
    let before = machine.server.taken.clone();
    let first = machine.offered;
    machine.work(&mut spool, crash);
    machine.drain(&mut spool);
    machine.durable = durable;
    machine.check(&context);
    for (index, stream) in STREAMS.iter().enumerate() {
        let had = before.get(*stream).map_or(0, Vec::len);
        let new = &machine.server.taken[*stream][had..];
        let expected: Vec<u64> = (first[index]..machine.offered[index]).collect();
        assert_eq!(new, expected, "{context}: {stream}");
    }
    let left: Vec<String> = machine.disk().names();
    assert!(left.is_empty(), "{context}: {left:?}");
    has_crashed
}

#[test]
fn nothing_durable_is_lost_or_doubled_wherever_it_crashes() {
    for crash in [Crash::Process, Crash::Power] {
        let mut at = 0;
        while run(crash, at, None, at) {
            for random in 1..12 {
                run(crash, at, None, random * 1_000 + at);
            }
            at += 1;
        }
        assert!(at > 30, "the work has {at} operations");
    }
}

#[test]
fn recovery_may_crash_too() {
    for crash in [Crash::Process, Crash::Power] {
        let mut at = 0;
        while run(crash, at, Some(0), at) {
            for again in 1..16 {
                run(crash, at, Some(again), again * 1_000 + at);
            }
            at += 1;
        }
    }
}

#[test]
fn a_full_disk_loses_what_memory_cannot_hold_and_works_again() {
    let mut machine = Machine::new(1);
    let bound = Limits { max_waiting_bytes: 400, ..limits() };
    let mut spool = machine.open(bound).unwrap();
    for _ in 0..6 {
        machine.offer(&mut spool, 0);
    }
    spool.tend(Duration::from_secs(1));
    machine.disk().capacity = 0;
    for _ in 0..100 {
        machine.offer(&mut spool, 0);
        spool.tend(Duration::from_secs(1));
    }
    let lost = spool.counters().streams["alpha"].lost;
    assert!((40..100).contains(&lost), "{lost}");
    machine.disk().capacity = usize::MAX;
    spool.tend(Duration::from_secs(2));
    for _ in 0..10 {
        machine.offer(&mut spool, 0);
    }
    machine.drain(&mut spool);
    let tally = spool.counters().streams["alpha"];
    assert_eq!((tally.given, tally.taken), (116, 116 - lost));
    let taken = &machine.server.taken["alpha"];
    assert!(taken.is_sorted() && taken.len() as u64 == 116 - lost, "{taken:?}");
    let texts: Vec<String> = spool.notices().iter().map(ToString::to_string).collect();
    let said = |words: &str| texts.iter().any(|text| text.contains(words));
    assert!(said("cannot be written") && said("can be written again"), "{texts:?}");
    assert!(said("records were lost"), "{texts:?}");
}

#[test]
fn a_disk_that_fills_at_any_byte_loses_nothing_that_memory_holds() {
    for capacity in 0..400 {
        let mut machine = Machine::new(2);
        machine.disk().capacity = capacity;
        let mut spool = machine.open(limits()).unwrap();
        for step in 0..20 {
            machine.offer(&mut spool, step % 2);
            spool.flush();
            spool.tend(Duration::from_millis(300 * step as u64));
        }
        machine.disk().capacity = usize::MAX;
        machine.drain(&mut spool);
        for stream in STREAMS {
            assert_eq!(machine.server.taken[stream], (0..10).collect::<Vec<_>>(), "{capacity}");
        }
    }
}

#[test]
fn a_full_spool_drops_the_oldest_and_says_so() {
    let mut machine = Machine::new(3);
    let bound = Limits { max_spool_bytes: 4_000, ..limits() };
    let mut spool = machine.open(bound).unwrap();
    for _ in 0..400 {
        machine.offer(&mut spool, 0);
        assert!(spool.counters().bytes <= 4_000);
    }
    // The segment under way is not the one that goes.
    let under_way = spool.oldest().unwrap();
    for _ in 0..400 {
        machine.offer(&mut spool, 0);
    }
    assert_eq!(spool.oldest().unwrap().number, under_way.number);
    spool.tend(Duration::from_secs(70));
    machine.drain(&mut spool);
    let Counters { streams, dropped_segments, bytes, .. } = spool.counters();
    let tally = streams["alpha"];
    assert_eq!(tally.given, tally.taken + tally.dropped);
    assert_eq!((tally.dropped, bytes), (dropped_segments * 4, 0));
    assert_eq!(machine.server.taken["alpha"].last(), Some(&799));
    assert!(spool.notices().iter().any(|notice| notice.to_string().contains("records were lost")));
}

#[test]
fn a_damaged_segment_is_put_aside_and_takes_nothing_with_it() {
    let mut machine = Machine::new(4);
    let mut spool = machine.open(limits()).unwrap();
    for _ in 0..12 {
        machine.offer(&mut spool, 0);
    }
    machine.disk().damage("segment");
    machine.drain(&mut spool);
    assert_eq!(machine.server.taken["alpha"], (4..12).collect::<Vec<_>>());
    let counters = spool.counters();
    assert_eq!((counters.corrupt_segments, counters.streams["alpha"].dropped), (1, 4));
    assert!(machine.disk().names()[0].ends_with("-alpha-4.corrupt"));
    assert!(spool.notices()[0].to_string().contains("is damaged"));
    // It stays across a start, and its bytes count.
    let again = machine.open(limits()).unwrap();
    assert!(again.counters().bytes > 0 && again.counters().segments == 0);
}

#[test]
fn refused_segments_are_kept_with_the_reason_and_bounded() {
    let mut machine = Machine::new(5);
    let mut spool = machine.open(Limits { max_kept_aside: 2, ..limits() }).unwrap();
    for _ in 0..16 {
        machine.offer(&mut spool, 0);
    }
    while let Some(segment) = spool.oldest() {
        spool.refused(segment.number, "code 27");
    }
    assert_eq!(spool.counters().refused_segments, 4);
    let names = machine.disk().names();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names[0].ends_with("3-alpha-4.refused") && names[1].ends_with(".refused.txt"));
    assert_eq!(spool.counters().streams["alpha"].refused, 16);
}

#[test]
fn a_whole_segment_is_put_or_is_not_there() {
    let segment = |token: &str| Segment {
        number: 0,
        stream: "alpha".to_owned(),
        token: token.to_owned(),
        schema: 7,
        records: 2,
        body: b"{\"n\":0}\n{\"n\":1}\n".to_vec(),
    };
    for at in 0..9 {
        let mut machine = Machine::new(at);
        let mut spool = machine.open(limits()).unwrap();
        let begun = machine.disk().operations;
        machine.disk().crash_at = Some(begun + at);
        let is_put = spool.put(&segment("ab")).is_ok();
        assert_eq!(is_put, at > 4, "{at}");
        machine.disk().restart(Crash::Power, None);
        let mut spool = machine.open(limits()).unwrap();
        if let Some(found) = spool.oldest() {
            assert_eq!((found.token.as_str(), found.records), ("ab", 2));
            assert_eq!(found.body, segment("ab").body);
        } else {
            assert!(!is_put, "{at}");
            assert!(machine.disk().names().is_empty());
        }
    }
}

#[test]
fn records_with_newlines_are_refused() {
    let mut machine = Machine::new(6);
    let mut spool = machine.open(limits()).unwrap();
    for record in [&b"a\nb"[..], b"a\0b", b"{\"shadowtap_end\":1}"] {
        assert!(spool.append("alpha", record).is_err());
    }
    assert!(spool.oldest().is_none() && spool.counters().streams.is_empty());
}

#[test]
fn the_age_of_the_oldest_goes_on_after_a_start() {
    let mut machine = Machine::new(7);
    let mut spool = machine.open(limits()).unwrap();
    machine.offer(&mut spool, 0);
    spool.tend(Duration::from_secs(3));
    assert_eq!(spool.counters().oldest, Some(Duration::from_secs(3)));
    let mut again = machine.open(limits()).unwrap();
    again.tend(Duration::from_secs(10));
    assert_eq!(again.counters().oldest, Some(Duration::from_secs(15)));
}
