//! A stream of bytes into records, whatever its format.

use std::collections::VecDeque;

use super::framing::{Piece, Splitter};
use super::{Format, Line, Reason, Record, Spec};

/// Bad lines of which the reason is kept, the first ones.
const MAX_SAMPLES: usize = 8;

/// What reading counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lines (or elements) that were not empty.
    pub lines: u64,
    /// Those that gave a record.
    pub records: u64,
    /// Those that could not be read.
    pub bad: u64,
}

impl Counters {
    /// More lines were bad than good, of ten at least, or all of fewer: it is another format.
    #[must_use]
    pub const fn is_mostly_bad(&self) -> bool {
        self.bad > 0
            && self.bad >= self.lines - self.bad
            && (self.lines >= 10 || self.bad == self.lines)
    }
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: u64,
    /// Why.
    pub reason: Reason,
}

/// Reads one file or stream.
#[derive(Debug)]
pub struct Reader {
    splitter: Splitter,
    format: Box<dyn Format>,
    counters: Counters,
    samples: VecDeque<BadLine>,
}

impl Reader {
    /// A reader from the beginning of a file of a format.
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        Self::with(Splitter::new(spec.framing), (spec.open)())
    }

    /// The same for a format that is no [`Spec`].
    #[must_use]
    pub fn with(splitter: Splitter, format: Box<dyn Format>) -> Self {
        Self { splitter, format, counters: Counters::default(), samples: VecDeque::new() }
    }

    /// Takes the next bytes; gives each record with the number of its line (or element), from 1.
    pub fn push(&mut self, bytes: &[u8], each: &mut impl FnMut(u64, &Record<'_>)) {
        let Self { splitter, format, counters, samples } = self;
        splitter.push(bytes, &mut |number, piece| {
            take(&mut **format, counters, samples, number, piece, each);
        });
    }

    /// The stream is over: takes a last line without an end.
    pub fn finish(&mut self, each: &mut impl FnMut(u64, &Record<'_>)) {
        let Self { splitter, format, counters, samples } = self;
        splitter.finish(&mut |number, piece| {
            take(&mut **format, counters, samples, number, piece, each);
        });
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bad lines since this was asked last; not all of them are kept.
    pub fn take_samples(&mut self) -> impl Iterator<Item = BadLine> + '_ {
        self.samples.drain(..)
    }
}

fn take(
    format: &mut dyn Format,
    counters: &mut Counters,
    samples: &mut VecDeque<BadLine>,
    number: u64,
    piece: Piece<'_>,
    each: &mut impl FnMut(u64, &Record<'_>),
) {
    counters.lines += 1;
    let mut record = Record::default();
    let read = match piece {
        Piece::Whole(line) => format.line(line, &mut record),
        Piece::TooLong => Err(Reason::of("the line is longer than 1 MiB")),
        Piece::Broken(why) => Err(Reason::of(why)),
    };
    match read {
        Ok(Line::Record) => {
            counters.records += 1;
            each(number, &record);
        }
        Ok(Line::Nothing) => {}
        Err(reason) => {
            counters.bad += 1;
            if samples.len() < MAX_SAMPLES {
                samples.push_back(BadLine { number, reason });
            }
        }
    }
}
