//! The ring and its cuts, on real files.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::writer::{Disk, Files, Growing};
use super::*;
use crate::capture::{self, Input, LinkType, Next, Packet, Source};
use crate::finding::FlowTuple;
use crate::net::Endpoint;
use crate::time::Timestamp;

const SECOND: i64 = 1_000_000_000;

fn quick() -> Limits {
    Limits { max_ring_bytes: MIN_RING_BYTES, settle: Duration::ZERO, ..Limits::default() }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_parts(seconds, 123_456_789)
}

/// A TCP packet on raw IPv4.
fn tcp(from: (u8, u16), to: (u8, u16), payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(40 + payload.len()).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&len.to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    for port in [from.1, to.1] {
        ip.extend_from_slice(&port.to_be_bytes());
    }
    ip.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    ip.extend_from_slice(payload);
    ip
}

fn ethernet(ip: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], ip].concat()
}

fn push(tap: &mut Tap, link: LinkType, time: Timestamp, bytes: &[u8]) {
    let wire_len = u32::try_from(bytes.len()).unwrap() + 3;
    tap.packet(&Packet { index: 9, time, link, bytes, wire_len });
}

fn tuple(from: (u8, u16), to: (u8, u16)) -> FlowTuple {
    let end = |(host, port)| Endpoint::new(IpAddr::from([10, 0, 0, host]), port);
    FlowTuple { client: end(from), server: end(to), protocol: 6 }
}

fn job(id: &str, first: i64, last: i64, flows: &[FlowTuple]) -> Job {
    let flows = flows.to_vec();
    Job { id: id.to_owned(), flows, first_seen: at(first), last_seen: at(last) }
}

type Read = Vec<(Timestamp, LinkType, Vec<u8>, u32)>;

fn read(file: &Path) -> Read {
    let limits = capture::Limits::default();
    let mut source = Source::open(&Input::file(file.to_owned()), &limits).unwrap();
    let mut packets = Vec::new();
    loop {
        match source.next() {
            Next::Packet { time, link, bytes, wire_len } => {
                packets.push((time, link, bytes.to_vec(), wire_len));
            }
            Next::End => return packets,
            Next::Damaged(_) | Next::Secrets(_) => {}
        }
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .collect();
    found.sort();
    found
}

fn size(folder: &Path) -> u64 {
    segments(folder).iter().map(|file| fs::metadata(file).unwrap().len()).sum()
}

/// Cuts one after the other; what came of each.
fn cut(ring: &Ring, folder: &Path, jobs: Vec<Job>) -> Vec<Cut> {
    let (send, receive) = mpsc::channel();
    let cutter = Cutter::start(ring, folder, move |cut| send.send(cut).unwrap()).unwrap();
    let count = jobs.len();
    for job in jobs {
        assert!(cutter.cut(job));
    }
    let cuts: Vec<Cut> = receive.iter().take(count).collect();
    cutter.stop();
    cuts
}

fn written(cut: &Cut) -> (PathBuf, u64, bool) {
    match &cut.outcome {
        Outcome::Written { file, packets, bytes, truncated } => {
            assert_eq!(fs::metadata(file).unwrap().len(), *bytes);
            (file.clone(), *packets, *truncated)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_come_back_as_they_were() {
    let folder = TempDir::new().unwrap();
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    let mut tap = ring.tap();
    let mut expected = Vec::new();
    for second in 0..100 {
        let link = if second % 10 < 5 { LinkType::RAW } else { LinkType::ETHERNET };
        let bytes = vec![u8::try_from(second).unwrap(); 40];
        push(&mut tap, link, at(second), &bytes);
        expected.push((at(second), link, bytes, 43));
    }
    ring.sync();
    assert_eq!(ring.counters().written_packets, 100);
    assert_eq!(ring.counters().ring_bytes, size(folder.path()));
    let files = segments(folder.path());
    assert_eq!(files.len(), 2, "one for each link type");
    let mut all: Read = files.iter().flat_map(|file| read(file)).collect();
    all.sort();
    assert_eq!(all, expected);
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(file).unwrap()[..4], 0xa1b2_3c4d_u32.to_le_bytes());
    }
    assert_eq!(ring.alarm(), None);
}

#[test]
fn few_packets_reach_the_disk_without_being_asked_for() {
    let folder = TempDir::new().unwrap();
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    let mut tap = ring.tap();
    push(&mut tap, LinkType::RAW, at(1), b"one");
    while ring.counters().written_packets == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(read(&segments(folder.path())[0]).len(), 1);
}

#[test]
fn what_taps_still_have_is_written_at_the_end() {
    let folder = TempDir::new().unwrap();
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    let (mut dropped, mut kept) = (ring.tap(), ring.tap());
    push(&mut dropped, LinkType::RAW, at(1), b"one");
    push(&mut kept, LinkType::RAW, at(2), b"two");
    drop(dropped);
    ring.stop();
    assert_eq!(read(&segments(folder.path())[0]).len(), 2);
    push(&mut kept, LinkType::RAW, at(3), b"nobody writes");
}

/// The bound holds at every moment, and what is left is the newest.
#[test]
fn the_ring_never_exceeds_its_bound() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { max_queued_batches: 4, ..quick() };
    let ring = Ring::open(folder.path(), &limits).unwrap();
    let mut tap = ring.tap();
    for second in 0..400 {
        let link = if second % 3 == 0 { LinkType::RAW } else { LinkType::ETHERNET };
        push(&mut tap, link, at(second), &vec![0; 100_000]);
        if second % 4 == 0 {
            ring.sync();
            assert!(size(folder.path()) <= MIN_RING_BYTES);
        }
    }
    ring.sync();
    let counters = ring.counters();
    assert_eq!((counters.written_packets, counters.dropped_in_queue), (400, 0));
    assert_eq!(counters.ring_bytes, size(folder.path()));
    assert!(size(folder.path()) > MIN_RING_BYTES * 3 / 4, "{}", size(folder.path()));
    let files = segments(folder.path());
    assert!((16..=20).contains(&files.len()), "{}", files.len());
    let mut times: Vec<Timestamp> =
        files.iter().flat_map(|file| read(file)).map(|packet| packet.0).collect();
    times.sort_unstable();
    let newest: Vec<Timestamp> = (0..400).map(at).collect();
    // The oldest file of one link type may reach further back than that of the other.
    assert_eq!(times[10..], newest[400 - times.len() + 10..]);
}

#[test]
fn files_of_an_earlier_run_are_taken_over() {
    let folder = TempDir::new().unwrap();
    let run = |seconds: std::ops::Range<i64>| {
        let ring = Ring::open(folder.path(), &quick()).unwrap();
        let mut tap = ring.tap();
        for second in seconds {
            push(&mut tap, LinkType::RAW, at(second), &tcp((1, 5), (2, 53), &[7; 1000]));
        }
        ring
    };
    run(0..300).stop();
    let first = segments(folder.path());
    // A crash leaves half a record; and there may be files of others.
    let torn = fs::metadata(&first[0]).unwrap().len() - 10;
    fs::File::options().write(true).open(&first[0]).unwrap().set_len(torn).unwrap();
    fs::write(folder.path().join("ring-000000000007-1.pcap"), b"").unwrap();
    fs::write(folder.path().join("mine.pcap"), vec![0; 100]).unwrap();

    let ring = run(300..400);
    ring.sync();
    assert!(segments(folder.path()).contains(&folder.path().join("ring-000000000008-101.pcap")));
    assert_eq!(ring.counters().ring_bytes, size(folder.path()) - 100);
    let cuts = TempDir::new().unwrap();
    let jobs = |id| job(id, 0, 400, &[tuple((2, 53), (1, 5))]);
    let (file, packets, _) = written(&cut(&ring, cuts.path(), vec![jobs("all")])[0]);
    assert_eq!(packets, 399, "all but the torn one");
    assert_eq!(read(&file).len(), 399);

    // It counts to the bound, oldest first.
    drop(ring);
    let ring = run(0..0);
    let mut tap = ring.tap();
    for second in 0..180 {
        push(&mut tap, LinkType::RAW, at(second), &vec![0; 100_000]);
        ring.sync();
    }
    assert!(!first[0].exists());
    assert!(folder.path().join("mine.pcap").exists());
    assert!(size(folder.path()) - 100 <= MIN_RING_BYTES);
}

#[test]
fn a_smaller_bound_holds_from_the_start() {
    let folder = TempDir::new().unwrap();
    for number in 1..=4 {
        let path = folder.path().join(format!("ring-{number:012}-1.pcap"));
        fs::write(path, vec![0; 6 << 20]).unwrap();
    }
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    assert_eq!(ring.counters().ring_bytes, 12 << 20);
    assert_eq!(segments(folder.path()).len(), 2);
}

#[test]
fn a_folder_is_for_one_sensor_and_bounds_are_checked() {
    let folder = TempDir::new().unwrap();
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    let error = Ring::open(folder.path(), &quick()).unwrap_err().to_string();
    assert!(error.contains("another sensor uses this folder"), "{error}");
    ring.stop();
    Ring::open(folder.path(), &quick()).unwrap();
    let small = Limits { max_ring_bytes: MIN_RING_BYTES - 1, ..quick() };
    let error = Ring::open(folder.path(), &small).unwrap_err().to_string();
    assert!(error.contains("16 MiB"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(Ring::open(&file, &quick()).unwrap_err().to_string().contains("cannot keep packets"));
}

/// A disk with so many bytes left, which deleting does not give back.
#[derive(Clone, Debug)]
struct Small {
    left: Arc<AtomicU64>,
    waits: Arc<Mutex<()>>,
}

struct SmallFile {
    file: fs::File,
    disk: Small,
}

impl Disk for Small {
    type File = SmallFile;

    fn create(&mut self, path: &Path) -> std::io::Result<SmallFile> {
        Ok(SmallFile { file: Files.create(path)?, disk: self.clone() })
    }
}

impl Growing for SmallFile {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        drop(self.disk.waits.lock().unwrap());
        let left = usize::try_from(self.disk.left.load(Ordering::Relaxed)).unwrap();
        let some = &bytes[..bytes.len().min(left)];
        self.disk.left.fetch_sub(some.len() as u64, Ordering::Relaxed);
        self.file.append(some)?;
        if some.len() < bytes.len() { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut_back(&mut self, bytes: u64) -> std::io::Result<()> {
        self.file.cut_back(bytes)
    }
}

fn small(left: u64) -> Small {
    Small { left: Arc::new(AtomicU64::new(left)), waits: Arc::default() }
}

#[test]
fn a_full_disk_is_survived() {
    let folder = TempDir::new().unwrap();
    let disk = small(1000);
    let ring = Ring::open_on(folder.path(), &quick(), disk.clone()).unwrap();
    let mut tap = ring.tap();
    let mut send = |second, len| {
        push(&mut tap, LinkType::RAW, at(second), &vec![1; len]);
        ring.sync();
    };
    send(0, 500);
    assert_eq!(ring.alarm(), None);
    send(1, 900);
    let alarm = ring.alarm().unwrap();
    assert!(alarm.contains("make room on the disk"), "{alarm}");
    assert_eq!((ring.counters().written_packets, ring.counters().dropped_at_disk), (1, 1));
    assert!(ring.counters().write_errors > 0);
    disk.left.store(10_000, Ordering::Relaxed);
    send(2, 900);
    assert_eq!(ring.alarm(), None);
    assert_eq!((ring.counters().written_packets, ring.counters().dropped_at_disk), (2, 1));
    // What was half written is gone: the file is whole.
    let packets = read(&segments(folder.path())[0]);
    assert_eq!(packets.iter().map(|packet| packet.0).collect::<Vec<_>>(), [at(0), at(2)]);
    assert_eq!(ring.counters().ring_bytes, size(folder.path()));
}

#[test]
fn a_slow_disk_costs_packets_and_never_time() {
    let folder = TempDir::new().unwrap();
    let disk = small(u64::MAX >> 1);
    let limits = Limits { max_queued_batches: 2, ..quick() };
    let ring = Ring::open_on(folder.path(), &limits, disk.clone()).unwrap();
    let mut tap = ring.tap();
    let stuck = disk.waits.lock().unwrap();
    for second in 0..40 {
        push(&mut tap, LinkType::RAW, at(second), &vec![0; 200_000]);
    }
    let dropped = ring.counters().dropped_in_queue;
    // Two packets make a batch: some are at the disk, two wait, all others found no room.
    assert!(dropped >= 20, "{dropped}");
    drop(stuck);
    ring.sync();
    let counters = ring.counters();
    assert_eq!(counters.written_packets + counters.dropped_in_queue, 40);
    let times: Vec<Timestamp> = read(&segments(folder.path())[0]).iter().map(|p| p.0).collect();
    assert!(times.is_sorted());
}

/// Four flows; the second is wanted.
fn talk(tap: &mut Tap, seconds: std::ops::Range<i64>) {
    for second in seconds {
        for host in 1..=4 {
            let (client, server) = ((host, 1000), (9, 53));
            push(tap, LinkType::RAW, at(second), &tcp(client, server, b"question"));
            push(tap, LinkType::RAW, at(second), &tcp(server, client, b"answer"));
        }
    }
}

#[test]
fn a_cut_has_the_flows_of_its_finding_both_ways() {
    let (folder, cuts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    let mut tap = ring.tap();
    talk(&mut tap, 0..1000);
    let wanted = [tuple((2, 1000), (9, 53)), tuple((3, 1000), (9, 53))];
    let jobs = vec![
        job("one", 500, 510, &wanted[..1]),
        job("both", 500, 500, &wanted),
        job("early", 0, 0, &wanted[..1]),
        job("none", 500, 510, &[tuple((2, 1000), (9, 54))]),
        job("before", -500, -400, &wanted[..1]),
        job("../evil", 500, 510, &wanted[..1]),
        job("", 500, 510, &wanted[..1]),
    ];
    let made = cut(&ring, cuts.path(), jobs);
    let by_id = |id: &str| made.iter().find(|cut| cut.id == id).unwrap();
    for (id, packets) in [("one", 2 * 76), ("both", 4 * 66), ("early", 2 * 6)] {
        let (file, count, truncated) = written(by_id(id));
        assert_eq!((count, truncated), (packets, false), "{id}");
        assert_eq!(file, cuts.path().join(format!("{id}.pcap")));
        let read = read(&file);
        assert_eq!(read.len() as u64, packets);
        assert!(read.iter().all(|packet| packet.3 == u32::try_from(packet.2.len()).unwrap() + 3));
        assert!(read.iter().map(|packet| packet.0).is_sorted());
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(by_id("none").outcome, Outcome::Empty));
    assert!(matches!(by_id("before").outcome, Outcome::Empty));
    assert!(matches!(by_id("../evil").outcome, Outcome::Failed(_)));
    assert!(matches!(by_id("").outcome, Outcome::Failed(_)));
    let counters = ring.counters();
    assert_eq!((counters.cuts_written, counters.cuts_empty, counters.cuts_failed), (3, 2, 2));
    assert_eq!(fs::read_dir(cuts.path()).unwrap().count(), 3);
}

#[test]
fn the_cut_at_close_keeps_what_the_ring_has_lost() {
    let (folder, cuts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    let mut tap = ring.tap();
    let flow = [tuple((2, 1000), (9, 53))];
    talk(&mut tap, 100..110);
    // Two findings on one flow: what the file of one has is not given to the other.
    let jobs = |last| vec![job("a", 105, last, &flow), job("b", 105, last, &flow)];
    let made = cut(&ring, cuts.path(), jobs(109));
    assert_eq!((written(&made[0]).1, written(&made[1]).1), (20, 20));
    // Unchanged ring: the same again, whether or not there is a cut.
    talk(&mut tap, 110..112);
    let made = cut(&ring, cuts.path(), jobs(111));
    assert_eq!((written(&made[0]).1, written(&made[1]).1), (24, 24));
    for _ in 0..200 {
        push(&mut tap, LinkType::RAW, at(112), &vec![0; 100_000]);
        ring.sync();
    }
    talk(&mut tap, 113..115);
    let made = cut(&ring, cuts.path(), jobs(114));
    let (file, packets, _) = written(&made[1]);
    assert_eq!(packets, 28);
    let times: Vec<Timestamp> = read(&file).iter().map(|packet| packet.0).collect();
    assert!(times.is_sorted());
    assert_eq!((times[0], times[27]), (at(100), at(114)));
    assert_eq!(fs::read_dir(cuts.path()).unwrap().count(), 2);
}

#[test]
fn link_types_that_differ_make_a_pcapng() {
    let (folder, cuts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    let (mut raw, mut wire) = (ring.tap(), ring.tap());
    let packet = tcp((2, 1000), (9, 53), b"odd length");
    let flow = [tuple((2, 1000), (9, 53))];
    push(&mut raw, LinkType::RAW, at(100), &packet);
    let made = cut(&ring, cuts.path(), vec![job("x", 100, 100, &flow)]);
    assert_eq!(written(&made[0]).0, cuts.path().join("x.pcap"));
    push(&mut wire, LinkType::ETHERNET, at(101), &ethernet(&packet));
    push(&mut raw, LinkType::RAW, at(102), &packet);
    let made = cut(&ring, cuts.path(), vec![job("x", 100, 102, &flow)]);
    let (file, packets, _) = written(&made[0]);
    assert_eq!((file.clone(), packets), (cuts.path().join("x.pcapng"), 3));
    assert!(!cuts.path().join("x.pcap").exists());
    let len = u32::try_from(packet.len()).unwrap() + 3;
    assert_eq!(
        read(&file),
        [
            (at(100), LinkType::RAW, packet.clone(), len),
            (at(101), LinkType::ETHERNET, ethernet(&packet), len + 14),
            (at(102), LinkType::RAW, packet, len),
        ]
    );
}

#[test]
fn bounds_on_cuts() {
    let (folder, cuts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let limits = Limits {
        max_cut_bytes: 2_000,
        max_cuts_bytes: 4_000,
        max_queued_cuts: 2,
        settle: Duration::from_secs(3600),
        ..quick()
    };
    let ring = Ring::open(folder.path(), &limits).unwrap();
    let mut tap = ring.tap();
    talk(&mut tap, 0..100);
    let (send, receive) = mpsc::channel();
    let cutter = Cutter::start(&ring, cuts.path(), move |cut| send.send(cut).unwrap()).unwrap();
    let flow = [tuple((2, 1000), (9, 53))];
    let accepted: Vec<bool> =
        ["a", "a", "b", "c", "b"].map(|id| cutter.cut(job(id, 50, 60, &flow))).to_vec();
    assert_eq!(accepted, [true, true, true, false, true], "one for each finding, two at most");
    cutter.stop();
    let made: Vec<Cut> = receive.iter().collect();
    let (file, packets, truncated) = written(&made[0]);
    // 64 bytes for a question, 62 for an answer: 15 of them before the hit, 16 after it.
    assert_eq!((packets, truncated), (31, true));
    let times: Vec<Timestamp> = read(&file).iter().map(|packet| packet.0).collect();
    assert!(times.contains(&at(50)) && times[0] == at(42) && times[30] == at(57), "{times:?}");
    match &made[1].outcome {
        Outcome::Failed(error) => assert!(error.to_string().contains("move some away"), "{error}"),
        other => panic!("{other:?}"),
    }
    let counters = ring.counters();
    assert_eq!((counters.cuts_dropped, counters.cuts_truncated), (1, 1));
}

#[test]
fn what_a_crash_left_half_cut_is_removed() {
    let (folder, cuts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(cuts.path().join("a.partial"), b"half").unwrap();
    fs::write(cuts.path().join("b.pcap"), b"whole").unwrap();
    let ring = Ring::open(folder.path(), &quick()).unwrap();
    drop(Cutter::start(&ring, cuts.path(), |_| {}).unwrap());
    assert!(!cuts.path().join("a.partial").exists());
    assert!(cuts.path().join("b.pcap").exists());
}

/// Capture threads, a writer and a reader at the same time.
#[test]
fn several_taps_lose_nothing_and_keep_their_order() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { max_queued_batches: 64, ..quick() };
    let ring = Ring::open(folder.path(), &limits).unwrap();
    std::thread::scope(|scope| {
        for host in 0..4_u8 {
            let mut tap = ring.tap();
            scope.spawn(move || {
                for number in 0..5_000_i64 {
                    let time = Timestamp::from_nanos(SECOND + number);
                    push(&mut tap, LinkType::RAW, time, &[host; 300]);
                }
            });
        }
        for _ in 0..20 {
            ring.sync();
        }
    });
    ring.sync();
    let counters = ring.counters();
    assert_eq!(counters.written_packets + counters.dropped_in_queue, 20_000);
    let mut last = [0; 4];
    let mut count = 0;
    for (time, _, bytes, _) in segments(folder.path()).iter().flat_map(|file| read(file)) {
        let last = &mut last[usize::from(bytes[0])];
        assert!(time.as_nanos() > *last);
        *last = time.as_nanos();
        count += 1;
    }
    assert_eq!(count, counters.written_packets);
}
