use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Double, Step, steps};
use crate::capture::Packet;
use crate::capture::live::{Drops, LinkState, PacketTap};
use crate::decode::Decoder;
use crate::pipeline::samples::{Capture, SECOND};
use crate::pipeline::watch::Notice;
use crate::pipeline::watch::clock::Moment;
use crate::pipeline::watch::lanes::*;
use crate::pipeline::watch::names::index_of;
use crate::pipeline::watch::reader::*;
use crate::pipeline::workers::Work;
use crate::time::Timestamp;

struct Rig {
    reader: Reader<Double>,
    double: Double,
    board: Arc<Mutex<Board>>,
    parcels: Receiver<Parcel>,
}

fn rig(interface: usize, double: &Double, tap: Option<Box<dyn PacketTap>>) -> Rig {
    let (input, parcels) = sync_channel(1_000);
    let ends = Ends {
        limits: Limits::default(),
        seed: 1,
        inputs: vec![(Arc::default(), input)],
        pool: Arc::new(Pool::new(8)),
        protection: Arc::default(),
    };
    let board = Arc::new(Mutex::new(Board::default()));
    let reader = Reader::new(Parts {
        source: double.clone(),
        tap,
        interface,
        decoder: Decoder::default(),
        lanes: Lanes::new(ends, interface),
        count: Arc::new(AtomicU64::new(0)),
        separate: false,
        board: Arc::clone(&board),
    });
    Rig { reader, double: double.clone(), board, parcels }
}

/// So many milliseconds after the start, at some time of the day.
fn at(millis: u64) -> Moment {
    let time = 1_000 * SECOND + i64::try_from(millis).unwrap() * 1_000_000;
    Moment { time: Timestamp::from_nanos(time), elapsed: Duration::from_millis(millis) }
}

impl Rig {
    fn turn(&mut self, millis: u64) -> Turn {
        self.reader.turn(at(millis)).unwrap()
    }

    /// Index, or time of a tick in milliseconds after the start, of all that was sent.
    fn sent(&self) -> Vec<Result<u64, i64>> {
        let parcels = self.parcels.try_iter();
        let work = parcels.flat_map(|parcel| parcel.batch.work).map(|work| match work {
            Work::Segment { header, .. } => Ok(header.packet),
            Work::Datagram { header, .. } => Ok(header.packet),
            Work::Tick(at) => Err(at.time.as_nanos() / 1_000_000 - 1_000_000),
        });
        work.collect()
    }

    fn notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.board.lock().unwrap().notices)
    }
}

#[test]
fn an_idle_interface_still_tells_the_time() {
    let mut rig = rig(0, &Double::new("eth1", []), None);
    for millis in (0..=300).step_by(50) {
        assert_eq!(rig.turn(millis), Turn::Idle);
    }
    // Half a second behind the clock.
    assert_eq!(rig.sent(), [Err(-400), Err(-300), Err(-200)]);
}

#[test]
fn what_was_read_goes_on_after_a_tenth_of_a_second_and_never_behind_packet_time() {
    let capture = Capture::of_calls(1).part(0..3, 1_000 * SECOND);
    let mut rig = rig(2, &Double::new("eth1", steps(&capture)), None);
    assert_eq!(rig.turn(99), Turn::Idle);
    assert_eq!(rig.sent(), []);
    rig.turn(100);
    let packets = [0, 1, 2].map(|number| Ok(index_of(number, 2)));
    let [a, b, c] = packets;
    assert_eq!(rig.sent(), [a, b, c, Err(2)]);
}

#[test]
fn a_burst_does_not_keep_the_clock_waiting() {
    let frames = steps(&Capture::of_calls(200));
    let count = frames.len();
    let mut rig = rig(0, &Double::new("eth1", frames), None);
    let mut turns = 0;
    while rig.turn(turns) == Turn::Busy {
        turns += 1;
    }
    assert_eq!(turns, count as u64 / 256);
}

#[test]
fn a_lost_interface_is_opened_again_every_second_and_the_gap_is_counted() {
    let capture = Capture::of_calls(1);
    let mut script = steps(&capture.part(0..2, 0));
    script.push(Step::Lost);
    script.extend(steps(&capture.part(2..5, 0)));
    let double = Double::new("eth1", script);
    double.script.lock().unwrap().refusals = 2;
    let mut rig = rig(0, &double, None);
    assert_eq!(rig.turn(100), Turn::Idle);
    assert!(matches!(&rig.notices()[..], [Notice::Lost { interface, .. }] if interface == "eth1"));
    for millis in [200, 500, 1_200, 1_500, 2_100] {
        assert_eq!(rig.turn(millis), Turn::Idle);
        rig.double.script.lock().unwrap().state = LinkState::Gone;
    }
    assert_eq!(rig.board.lock().unwrap().state, LinkState::Gone);
    rig.double.script.lock().unwrap().state = LinkState::Up;
    rig.turn(2_200);
    assert_eq!(rig.double.script.lock().unwrap().reopened, 1);
    let after = Duration::from_millis(2_100);
    let notices = rig.notices();
    assert!(matches!(&notices[0], Notice::StillLost { .. }), "{notices:?}");
    assert_eq!(notices[1], Notice::Reopened { interface: "eth1".into(), after });
    assert_eq!(notices.len(), 2, "the same refusal is told once");
    rig.turn(3_300);
    let board = rig.board.lock().unwrap();
    assert_eq!((board.outages, board.outage, board.state), (1, after, LinkState::Up));
    assert_eq!(board.counters.packets, 5);
}

#[test]
fn an_interface_that_goes_down_and_up_is_told() {
    let double = Double::new("eth1", []);
    let mut rig = rig(0, &double, None);
    for (millis, state, want) in [
        (1_000, LinkState::Down, vec![Notice::Down { interface: "eth1".into() }]),
        (2_000, LinkState::Down, vec![]),
        (3_000, LinkState::Up, vec![Notice::Up { interface: "eth1".into() }]),
    ] {
        double.script.lock().unwrap().state = state;
        rig.turn(millis);
        assert_eq!(rig.notices(), want, "{millis}");
        assert_eq!(rig.board.lock().unwrap().state, state);
    }
    double.script.lock().unwrap().state = LinkState::Gone;
    rig.turn(4_000);
    assert!(matches!(&rig.notices()[..], [Notice::Lost { .. }]));
}

#[test]
fn drops_of_the_kernel_are_published() {
    let double = Double::new("eth1", []);
    let mut rig = rig(0, &double, None);
    let drops = Drops { received: 10, dropped: 3, ..Drops::default() };
    double.script.lock().unwrap().drops = drops;
    rig.turn(500);
    assert_eq!(rig.board.lock().unwrap().drops, Drops::default());
    rig.turn(1_000);
    assert_eq!(rig.board.lock().unwrap().drops, drops);
    assert_eq!(rig.board.lock().unwrap().alive_at, Duration::from_secs(1));
}

#[test]
fn a_tap_sees_every_packet_and_the_time() {
    #[derive(Default)]
    struct Tap(Arc<Mutex<Vec<(usize, u64, usize)>>>);
    impl PacketTap for Tap {
        fn packet(&mut self, interface: usize, packet: &Packet<'_>) {
            self.0.lock().unwrap().push((interface, packet.index, packet.bytes.len()));
        }
        fn tick(&mut self, _: Timestamp) {
            self.0.lock().unwrap().push((usize::MAX, 0, 0));
        }
    }
    let capture = Capture::of_calls(1).part(0..2, 0);
    let seen = Arc::default();
    let tap = Tap(Arc::clone(&seen));
    let mut rig = rig(1, &Double::new("eth1", steps(&capture)), Some(Box::new(tap)));
    rig.turn(1_000);
    let lens: Vec<_> = capture.frames().iter().map(|(_, bytes)| bytes.len()).collect();
    let want = [(1, index_of(0, 1), lens[0]), (1, index_of(1, 1), lens[1]), (usize::MAX, 0, 0)];
    assert_eq!(*seen.lock().unwrap(), want);
}
