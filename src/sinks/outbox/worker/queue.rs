//! Lines that wait for the spool: bytes one after the other, bounded.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Full, lock};

/// Memory of a queue that was full once is given back above this size (1 MiB).
const KEPT_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
struct Lines {
    /// Each with its newline.
    bytes: Vec<u8>,
    lines: u64,
    /// Of those that were taken and are being worked on.
    taken_bytes: usize,
    taken_lines: u64,
    lost: u64,
    is_closed: bool,
}

/// A queue of lines.
#[derive(Debug)]
pub(super) struct Queue {
    lines: Mutex<Lines>,
    max_bytes: usize,
    filled: Condvar,
    emptied: Condvar,
}

/// What is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) lines: u64,
    pub(super) bytes: usize,
    pub(super) lost: u64,
}

impl Queue {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { lines: Mutex::default(), max_bytes, filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// Puts a line in, without its newline. A line longer than the queue is lost.
    pub(super) fn put(&self, line: &[u8], full: Full) {
        let mut lines = lock(&self.lines);
        let need = line.len() + 1;
        while lines.bytes.len() + lines.taken_bytes + need > self.max_bytes || lines.is_closed {
            if full == Full::Lose || need > self.max_bytes || lines.is_closed {
                lines.lost += 1;
                return;
            }
            lines = self.emptied.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        lines.bytes.extend_from_slice(line);
        lines.bytes.push(b'\n');
        lines.lines += 1;
        if lines.lines == 1 {
            self.filled.notify_one();
        }
    }

    /// Takes all lines in place of those in `taken`, and waits a while for the first. `false` when
    /// no more will come.
    pub(super) fn take(&self, taken: &mut Vec<u8>, wait: Duration) -> bool {
        taken.clear();
        if taken.capacity() > KEPT_BYTES {
            *taken = Vec::new();
        }
        let mut lines = lock(&self.lines);
        if lines.lines == 0 && !lines.is_closed {
            let waited = self.filled.wait_timeout(lines, wait);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(taken, &mut lines.bytes);
        lines.taken_bytes = taken.len();
        lines.taken_lines = std::mem::take(&mut lines.lines);
        !lines.is_closed
    }

    /// The lines taken last are in the spool.
    pub(super) fn done(&self) {
        let mut lines = lock(&self.lines);
        (lines.taken_bytes, lines.taken_lines) = (0, 0);
        self.emptied.notify_all();
    }

    /// No more lines come.
    pub(super) fn close(&self) {
        lock(&self.lines).is_closed = true;
        self.filled.notify_one();
        self.emptied.notify_all();
    }

    pub(super) fn counts(&self) -> Counts {
        let lines = lock(&self.lines);
        Counts {
            lines: lines.lines + lines.taken_lines,
            bytes: lines.bytes.len() + lines.taken_bytes,
            lost: lines.lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_the_bound_covers_what_is_worked_on() {
        let queue = Queue::new(10);
        queue.put(b"1234", Full::Lose);
        let mut taken = Vec::new();
        assert!(queue.take(&mut taken, Duration::ZERO));
        assert_eq!(taken, b"1234\n");
        queue.put(b"5678", Full::Lose);
        queue.put(b"9", Full::Lose);
        assert_eq!(queue.counts(), Counts { lines: 2, bytes: 10, lost: 1 });
        queue.done();
        queue.put(b"9", Full::Lose);
        queue.put(b"0123456789", Full::Wait);
        assert_eq!(queue.counts(), Counts { lines: 2, bytes: 7, lost: 2 });
        queue.close();
        assert!(!queue.take(&mut taken, Duration::ZERO));
        assert_eq!(taken, b"5678\n9\n");
    }

    #[test]
    fn who_waits_goes_on_when_there_is_room() {
        let queue = Queue::new(8);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 0..100 {
                    queue.put(format!("{number:03}").as_bytes(), Full::Wait);
                }
                queue.close();
            });
            let (mut all, mut taken) = (Vec::new(), Vec::new());
            loop {
                let is_open = queue.take(&mut taken, Duration::from_millis(10));
                all.extend_from_slice(&taken);
                queue.done();
                if !is_open {
                    break;
                }
            }
            writer.join().unwrap();
            let expected: String = (0..100).map(|number| format!("{number:03}\n")).collect();
            assert_eq!(String::from_utf8(all).unwrap(), expected);
        });
        assert_eq!(queue.counts().lost, 0);
    }
}
