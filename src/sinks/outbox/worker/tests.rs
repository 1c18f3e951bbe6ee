//! Outputs at work, on a real disk.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::sinks::outbox::{Segment, Stream, Trouble, spool};

/// Each line is a record; those with `x` belong elsewhere, those with `?` are none of ours.
struct Plain;

impl Encode for Plain {
    fn encode(&mut self, line: &[u8], put: &mut dyn FnMut(Stream, &[u8])) -> Result<(), String> {
        if line.contains(&b'?') {
            return Err("a question".to_owned());
        }
        put(if line.contains(&b'x') { "other" } else { "main" }, line);
        Ok(())
    }
}

type Answer = Box<dyn FnMut(&Segment) -> Result<(), Trouble> + Send>;

/// Answers as it is told, and keeps what it took.
struct Scripted {
    answer: Answer,
    taken: Arc<Mutex<Vec<Segment>>>,
    pause: Duration,
}

impl Deliver for Scripted {
    async fn deliver(&mut self, segment: &Segment) -> Result<(), Trouble> {
        tokio::time::sleep(self.pause).await;
        (self.answer)(segment)?;
        self.taken.lock().unwrap().push(segment.clone());
        Ok(())
    }
}

struct Bench {
    folder: tempfile::TempDir,
    taken: Arc<Mutex<Vec<Segment>>>,
    told: Arc<Mutex<Vec<String>>>,
    limits: Limits,
}

impl Bench {
    fn new() -> Self {
        let limits = Limits {
            first_pause: Duration::from_millis(1),
            max_pause: Duration::from_millis(4),
            stopped_pause: Duration::from_millis(300),
            spool: spool::Limits { max_segment_records: 10, ..spool::Limits::default() },
            ..Limits::default()
        };
        let folder = tempfile::tempdir().unwrap();
        Self { folder, taken: Arc::default(), told: Arc::default(), limits }
    }

    fn start_with(&self, full: Full, pause: Duration, answer: Answer) -> Outbox {
        let told = Arc::clone(&self.told);
        let options = Options {
            name: "test".to_owned(),
            directory: self.folder.path().join("spool"),
            schema: 1,
            full,
            limits: self.limits,
            told: Arc::new(move |notice| told.lock().unwrap().push(notice.to_string())),
        };
        let taken = Arc::clone(&self.taken);
        Outbox::start(options, Plain, Scripted { answer, taken, pause }).unwrap()
    }

    fn start(&self, answer: Answer) -> Outbox {
        self.start_with(Full::Lose, Duration::ZERO, answer)
    }

    fn lines(&self, stream: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let of_stream = taken.iter().filter(|segment| segment.stream == stream);
        let text: Vec<_> = of_stream.flat_map(|segment| segment.body.clone()).collect();
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    fn said(&self, words: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|text| text.contains(words)).count()
    }
}

const LONG: Farewell = Farewell { idle: Duration::from_secs(20), total: Duration::from_secs(60) };
const SHORT: Farewell =
    Farewell { idle: Duration::from_millis(300), total: Duration::from_secs(2) };

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn lines_come_out_in_their_order_and_nothing_stays() {
    let bench = Bench::new();
    let outbox = bench.start(Box::new(|_| Ok(())));
    for number in 0..95 {
        outbox.offer(format!("{number}\n").as_bytes());
        outbox.offer(format!("x{number}").as_bytes());
    }
    outbox.offer(b"");
    outbox.offer(b"what?");
    let unsent = outbox.finish(LONG);
    assert!(unsent.is_nothing(), "{unsent}");
    assert_eq!(bench.lines("main"), numbers(0..95));
    assert_eq!(bench.lines("other").len(), 95);
    assert_eq!(bench.said("an event was left out: a question"), 1);
}

#[test]
fn failures_are_tried_again_with_the_same_bytes_and_told_once() {
    let bench = Bench::new();
    let tries = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tries);
    let outbox = bench.start(Box::new(move |segment| {
        let mut seen = seen.lock().unwrap();
        seen.push(segment.clone());
        if seen.len() % 4 == 0 { Ok(()) } else { Err(Trouble::Retry("it sleeps".to_owned())) }
    }));
    for number in 0..30 {
        outbox.offer(number.to_string().as_bytes());
    }
    assert!(outbox.finish(LONG).is_nothing());
    assert_eq!(bench.lines("main"), numbers(0..30));
    for of_one in tries.lock().unwrap().chunks(4) {
        assert!(of_one.iter().all(|segment| *segment == of_one[0]));
    }
    let outages = bench.said("segments are taken again");
    assert!(outages > 0 && bench.said("it sleeps") == outages);
}

#[test]
fn what_is_not_taken_stays_for_the_next_run() {
    let bench = Bench::new();
    let outbox = bench.start(Box::new(|_| Err(Trouble::Retry("nobody there".to_owned()))));
    for number in 0..25 {
        outbox.offer(number.to_string().as_bytes());
    }
    let unsent = outbox.finish(SHORT);
    assert_eq!((unsent.records, unsent.lost), (25, 0));
    assert!(unsent.to_string().contains("25 records were not delivered; they stay in"), "{unsent}");
    assert!(unsent.to_string().ends_with("(nobody there)"), "{unsent}");
    let outbox = bench.start(Box::new(|_| Ok(())));
    outbox.offer(b"25");
    assert!(outbox.finish(LONG).is_nothing());
    assert_eq!(bench.lines("main"), numbers(0..26));
}

#[test]
fn a_stop_is_told_loudly_once_and_nobody_waits_for_it_at_the_end() {
    let bench = Bench::new();
    let fixed = Arc::new(AtomicBool::new(false));
    let is_fixed = Arc::clone(&fixed);
    let outbox = bench.start(Box::new(move |_| {
        if is_fixed.load(Relaxed) { Ok(()) } else { Err(Trouble::Stop("no such table".to_owned())) }
    }));
    for number in 0..10 {
        outbox.offer(number.to_string().as_bytes());
    }
    while outbox.stats().retries < 3 {
        thread::sleep(Duration::from_millis(5));
    }
    let stats = outbox.stats();
    assert!(stats.is_stopped && stats.last_error.as_deref() == Some("no such table"));
    assert_eq!(bench.said("nothing is taken until this is put right: no such table"), 1);
    fixed.store(true, Relaxed);
    while outbox.stats().batches == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(outbox.stats().last_error, None);
    fixed.store(false, Relaxed);
    outbox.offer(b"10");
    let begun = now();
    assert_eq!(outbox.finish(LONG).records, 1);
    assert!(begun.elapsed() < LONG.idle / 2);
}

#[test]
fn a_segment_that_is_refused_for_good_does_not_hold_up_the_others() {
    let bench = Bench::new();
    let outbox = bench.start(Box::new(|segment| {
        let is_bad = segment.body.starts_with(b"10\n");
        if is_bad { Err(Trouble::Drop("bad data".to_owned())) } else { Ok(()) }
    }));
    for number in 0..30 {
        outbox.offer(number.to_string().as_bytes());
    }
    let unsent = outbox.finish(LONG);
    assert_eq!((unsent.records, unsent.lost), (0, 10));
    assert_eq!(bench.lines("main"), [numbers(0..10), numbers(20..30)].concat());
    assert_eq!(bench.said("10 records for main were refused for good: bad data"), 1);
}

#[test]
fn offering_never_waits_and_what_finds_no_room_is_counted() {
    let mut bench = Bench::new();
    bench.limits.max_queue_bytes = 1_000;
    let outbox = bench.start_with(Full::Lose, Duration::from_secs(5), Box::new(|_| Ok(())));
    let mut slowest = Duration::ZERO;
    for number in 0..20_000 {
        let begun = now();
        outbox.offer(format!("{number:08}").as_bytes());
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    while outbox.stats().queued_lines > 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let stats = outbox.stats();
    assert_eq!(stats.lost_lines + stats.total().given, 20_000);
    assert!(stats.lost_lines > 0);
    while bench.said("found no room and are lost") == 0 {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn who_can_wait_loses_nothing_of_what_is_slow() {
    let mut bench = Bench::new();
    bench.limits.max_queue_bytes = 200;
    bench.limits.spool.max_spool_bytes = 4_000;
    let outbox = bench.start_with(Full::Wait, Duration::from_millis(1), Box::new(|_| Ok(())));
    for number in 0..3_000 {
        outbox.offer(number.to_string().as_bytes());
    }
    let unsent = outbox.finish(LONG);
    assert!(unsent.is_nothing(), "{unsent}");
    assert_eq!(bench.lines("main"), numbers(0..3_000));
}

#[test]
fn a_try_that_hangs_does_not_keep_the_program_from_ending() {
    let bench = Bench::new();
    let outbox = bench.start_with(Full::Lose, Duration::from_secs(600), Box::new(|_| Ok(())));
    outbox.offer(b"1");
    let begun = now();
    assert_eq!(outbox.finish(SHORT).records, 1);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn quiet_times_seal_what_is_there() {
    let bench = Bench::new();
    let delivered = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&delivered);
    let outbox = bench.start(Box::new(move |segment| {
        count.fetch_add(segment.records, Relaxed);
        Ok(())
    }));
    outbox.offer(b"1");
    while delivered.load(Relaxed) == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(outbox.finish(LONG).is_nothing());
}

#[test]
fn one_spool_has_one_user() {
    let bench = Bench::new();
    let _outbox = bench.start(Box::new(|_| Ok(())));
    assert!(Directory::open(&bench.folder.path().join("spool")).is_err());
}
