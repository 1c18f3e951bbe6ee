//! Lines become records in the spool.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use super::{Full, Shared, lock, now};
use crate::sinks::outbox::{Encode, Notice};

/// The first thread looks at the time so often.
const TICK: Duration = Duration::from_millis(100);
/// Losses are told so often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A full spool that nothing leaves is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes records of lines and appends them to the spool, until the end.
pub(super) fn run(shared: &Shared, mut encode: impl Encode) {
    let begun = now();
    let mut lines = Vec::new();
    let mut lost_told = (0, Duration::ZERO);
    let mut tended = Duration::ZERO;
    loop {
        let is_open = shared.queue.take(&mut lines, TICK);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if shared.options.full == Full::Wait {
                wait_for_room(shared, begun);
            }
            append(shared, &mut encode, line);
            // Segments grow old while many lines wait.
            let elapsed = begun.elapsed();
            if elapsed.saturating_sub(tended) >= TICK {
                tended = elapsed;
                lock(&shared.spool).tend(elapsed);
                shared.show();
            }
        }
        tended = begun.elapsed();
        let mut spool = lock(&shared.spool);
        spool.tend(tended);
        if !is_open {
            spool.seal_all();
        }
        drop(spool);
        shared.queue.done();
        shared.show();
        let lost = shared.queue.counts().lost;
        let is_due = lost_told.0 == 0 || tended.saturating_sub(lost_told.1) >= TELL_EVERY;
        if lost > lost_told.0 && (is_due || !is_open) {
            let more = lost - lost_told.0;
            lost_told = (lost, tended);
            shared.tell(&Notice::Error(format!("{more} events found no room and are lost")));
        }
        if !is_open {
            break;
        }
    }
    shared.is_all_sealed.store(true, Relaxed);
    shared.sealed.notify_one();
}

fn append(shared: &Shared, encode: &mut impl Encode, line: &[u8]) {
    let mut spool = lock(&shared.spool);
    let mut flaw = Ok(());
    let encoded = encode.encode(line, &mut |stream, record| {
        if let Err(error) = spool.append(stream, record)
            && flaw.is_ok()
        {
            flaw = Err(error);
        }
    });
    drop(spool);
    if let Err(error) = encoded.and(flaw) {
        let mut shown = lock(&shared.shown);
        shown.unreadable_lines += 1;
        let is_first = shown.unreadable_lines == 1;
        drop(shown);
        if is_first {
            shared.tell(&Notice::Warning(format!("an event was left out: {error}")));
        }
    }
}

/// Waits until the other side takes something out of a full spool.
fn wait_for_room(shared: &Shared, begun: Instant) {
    let mut waited = Duration::ZERO;
    let mut batches = lock(&shared.shown).batches;
    while lock(&shared.spool).is_full() && waited < PATIENCE {
        if shared.has_given_up.load(Relaxed) {
            return;
        }
        lock(&shared.spool).tend(begun.elapsed());
        shared.show();
        thread::sleep(TICK / 5);
        waited += TICK / 5;
        let taken = lock(&shared.shown).batches;
        if taken > batches {
            (waited, batches) = (Duration::ZERO, taken);
        }
    }
}
