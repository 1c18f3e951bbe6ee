//! One followed path: the file that has its name, and those that had it before.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StartAt;
use super::candidate::{Candidate, is_part_of, rotated};
use super::desk::{Desk, Halt, Stopped};
use super::dialect::Dialect;
use super::ledger::Change;
use super::reading::{Reading, State, Usual, end_of};
use crate::intake::Counts;
use crate::intake::checkpoint::Position;

/// A file that has a successor, or is gone, is left when it has not grown for so long.
const LINGER: Duration = Duration::from_secs(10);
/// Files of one path that are open at once; of more the oldest are left.
const MAX_OPEN: usize = 8;
/// Files that were read to their end and are still known, so that they are not read again.
const MAX_DONE: usize = 32;

/// How a file of the path is.
#[derive(Debug)]
enum Stage {
    /// It has to be found: it was open in an earlier run, or what was there was cut off, and may
    /// be elsewhere.
    Lost,
    /// It is read.
    Open(Box<Reading>),
    /// It was read to its end.
    Done,
}

#[derive(Debug)]
struct Tracked {
    number: u64,
    /// The last one, unless it is open.
    position: Position,
    stage: Stage,
}

impl Tracked {
    fn position(&self) -> &Position {
        match &self.stage {
            Stage::Open(reading) => &reading.position,
            Stage::Lost | Stage::Done => &self.position,
        }
    }

    /// Whether a file is the one, surely: while it is open nobody else has its inode.
    fn is(&self, found: &Candidate) -> bool {
        let is_held = matches!(self.stage, Stage::Open(_));
        (is_held || self.position.offset > 0) && found.is(self.position())
    }

    /// Whether it may be the one: nothing was taken of it, and another file may have its inode.
    fn may_be(&self, found: &Candidate) -> bool {
        matches!(self.stage, Stage::Lost) && found.is(&self.position)
    }

    /// Whether a file is a copy of it: it has all that was read of it.
    fn is_in(&self, found: &Candidate) -> bool {
        match &self.stage {
            // What is copied or compressed now may have a line without an end.
            Stage::Open(reading) => found.is_copy_of(&reading.whole()),
            Stage::Lost | Stage::Done => found.is_copy_of(&self.position),
        }
    }
}

/// A path that is followed.
#[derive(Debug)]
pub(super) struct Follower {
    /// What was named on the command line.
    argument: String,
    path: PathBuf,
    usual: Usual,
    /// Where a file begins that is there at the first look.
    from: StartAt,
    has_looked: bool,
    /// In the order of reading; the last one has the name, if a file has.
    files: Vec<Tracked>,
    /// Since when there is no file of that name.
    missing_since: Option<Duration>,
    /// To be noted behind everything that was given.
    changes: Vec<Change>,
}

impl Follower {
    pub(super) fn new(
        argument: &str,
        path: PathBuf,
        named: Option<Dialect>,
        from: StartAt,
    ) -> Self {
        Self {
            argument: argument.to_owned(),
            path,
            usual: Usual { named, ..Usual::default() },
            from,
            has_looked: false,
            files: Vec::new(),
            missing_since: None,
            changes: Vec::new(),
        }
    }

    pub(super) fn argument(&self) -> &str {
        &self.argument
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on where an earlier run was.
    pub(super) fn restore(&mut self, position: Position, desk: &mut Desk) {
        let number = desk.number();
        desk.ledger.restore(number, position.clone());
        let stage = if position.is_done { Stage::Done } else { Stage::Lost };
        self.files.push(Tracked { number, position, stage });
    }

    /// Whether it knows this file.
    pub(super) fn has(&self, metadata: &Metadata) -> bool {
        let inode = (metadata.dev(), metadata.ino());
        self.files.iter().any(|tracked| {
            let position = tracked.position();
            !matches!(tracked.stage, Stage::Done) && (position.device, position.inode) == inode
        })
    }

    /// There is no file of that name for so long, and all those that had it are read.
    pub(super) fn is_idle_for(&self, time: Duration, now: Duration) -> bool {
        self.files.iter().all(|tracked| matches!(tracked.stage, Stage::Done))
            && self.missing_since.is_some_and(|since| now.saturating_sub(since) >= time)
    }

    /// Forgets all files.
    pub(super) fn forget(self, desk: &mut Desk) -> Result<(), Stopped> {
        let changes = self.files.iter().map(|tracked| (tracked.number, None)).collect();
        desk.give(self.counts(), changes)
    }

    fn counts(&self) -> Counts {
        Counts { source: self.usual.source.unwrap_or_default(), ..Counts::default() }
    }

    /// Looks for files, and reads what they have.
    ///
    /// # Errors
    /// When a file cannot be looked at or read, or the run is over.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        budget: &mut u64,
        desk: &mut Desk,
    ) -> Result<(), Halt> {
        let mut result = self.look(now, budget, desk);
        if !matches!(result, Err(Halt::Stopped)) {
            let advanced = self.advance(now, budget, desk);
            result = result.and(advanced);
        }
        // Behind a file that is not read to its end nothing else happens.
        if *budget > 0 && !matches!(result, Err(Halt::Stopped)) {
            self.leave(now, desk)?;
        }
        result
    }

    /// Reads open files, one after the other.
    fn advance(&mut self, now: Duration, budget: &mut u64, desk: &mut Desk) -> Result<(), Halt> {
        let mut result = Ok(());
        for tracked in &mut self.files {
            let Stage::Open(reading) = &mut tracked.stage else { continue };
            match reading.advance(tracked.number, &mut self.usual, now, budget, desk) {
                Ok(()) => {}
                Err(Halt::Stopped) => return Err(Halt::Stopped),
                Err(error @ Halt::Io(_)) => result = result.and(Err(error)),
            }
            if *budget == 0 {
                break;
            }
        }
        result
    }

    /// Finds out whether the path names the file that it named before.
    fn look(&mut self, now: Duration, budget: &mut u64, desk: &mut Desk) -> Result<(), Halt> {
        let named = match fs::metadata(&self.path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let is_lost = |tracked: &Tracked| matches!(tracked.stage, Stage::Lost);
        let Some(named) = named else {
            self.missing_since.get_or_insert(now);
            if self.files.iter().any(is_lost) {
                self.search(None, now, desk)?;
            }
            self.has_looked = true;
            return Ok(());
        };
        if !named.is_file() {
            let what = "no regular file, which alone can be followed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what).into());
        }
        self.missing_since = None;
        if let Some(Tracked { stage: Stage::Open(reading), .. }) = self.files.last_mut() {
            let inode = (reading.position.device, reading.position.inode);
            if inode == (named.dev(), named.ino()) {
                match reading.state()? {
                    State::Intact => return Ok(()),
                    State::Unknown => {}
                    State::Cut => self.lose_last(),
                }
            }
        }
        // Only what was read is known again.
        self.give_up_cut_ones()?;
        self.advance_others(named.ino(), now, budget, desk)?;
        if *budget == 0 {
            return Ok(());
        }
        let current = match Candidate::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => opened?,
        };
        self.search(current, now, desk)?;
        self.has_looked = true;
        Ok(())
    }

    fn lose_last(&mut self) {
        if let Some(tracked) = self.files.last_mut()
            && let Stage::Open(reading) = &tracked.stage
        {
            tracked.position = reading.position.clone();
            tracked.stage = Stage::Lost;
        }
    }

    /// Reads the files that lost the name to their end.
    fn advance_others(
        &mut self,
        inode: u64,
        now: Duration,
        budget: &mut u64,
        desk: &mut Desk,
    ) -> Result<(), Halt> {
        // What was written to the one with the name comes behind those that are not known yet.
        let has_name = self.files.last().is_some_and(|last| last.position().inode == inode);
        let current = if has_name { self.files.pop() } else { None };
        let result = self.advance(now, budget, desk);
        self.files.extend(current);
        result
    }

    /// Files that no longer have what was read of them were emptied: their content may have been
    /// copied elsewhere before.
    fn give_up_cut_ones(&mut self) -> io::Result<()> {
        for tracked in &mut self.files {
            if let Stage::Open(reading) = &mut tracked.stage
                && reading.state()? == State::Cut
            {
                tracked.position = reading.position.clone();
                tracked.stage = Stage::Lost;
            }
        }
        Ok(())
    }

    /// Finds the files that are known under their new names, those that had the name since, and
    /// the one that has it.
    fn search(
        &mut self,
        current: Option<Candidate>,
        now: Duration,
        desk: &mut Desk,
    ) -> io::Result<()> {
        let since = self.unread_since();
        let mut found = self.rotated(current.as_ref());
        // What is older was read, or was there before the first look.
        found.retain(|(candidate, _)| since.is_some_and(|since| candidate.modified() >= since));
        found.extend(current.map(|current| (current, true)));
        let mut owners: BTreeMap<usize, Vec<(Candidate, bool)>> = BTreeMap::new();
        let mut unknown = Vec::new();
        for (candidate, is_current) in found {
            // The same file first, then one with the same bytes.
            let find = |is: fn(&Tracked, &Candidate) -> bool| {
                self.files.iter().rposition(|tracked| is(tracked, &candidate))
            };
            let owner = find(Tracked::is).or_else(|| find(Tracked::is_in));
            let owner = owner.or_else(|| find(Tracked::may_be));
            match owner {
                Some(owner) => owners.entry(owner).or_default().push((candidate, is_current)),
                None => unknown.push((candidate, is_current)),
            }
        }
        // One that is being copied is there twice.
        let current = unknown.iter().chain(owners.values().flatten()).find(|(_, named)| *named);
        let is_begun = |copy: &Candidate| current.is_some_and(|of| is_part_of(copy, &of.0));
        let begun: Vec<bool> =
            unknown.iter().map(|(copy, named)| !named && is_begun(copy)).collect();
        let mut begun = begun.into_iter();
        unknown.retain(|_| !begun.next().unwrap_or(false));
        let mut last = None;
        for (owner, candidates) in owners {
            last = self.take_up(owner, candidates, now)?.or(last);
        }
        self.miss(desk);
        for (candidate, is_current) in unknown {
            if is_current {
                self.begin(candidate, now, desk)?;
            } else {
                // It came and went between two looks, or nothing of it was taken before a kill.
                self.track(candidate, &self.beginning(), now, desk)?;
            }
        }
        if let Some(last) = last {
            let tracked = self.files.remove(last);
            self.files.push(tracked);
        }
        Ok(())
    }

    /// Files that were written to before this were read, or were there before the first look.
    /// Later files may be known by their names only: of the one before them all that is known
    /// may be that there was one.
    fn unread_since(&self) -> Option<i64> {
        let is_done = |tracked: &Tracked| matches!(tracked.stage, Stage::Done);
        let open = self.files.iter().filter(|tracked| !is_done(tracked));
        let first = open.map(|tracked| tracked.position().modified).min();
        first.or_else(|| self.files.iter().map(|tracked| tracked.position().modified).max())
    }

    /// Rotated files of the path, of what it links to, and of where known files were.
    fn rotated(&self, current: Option<&Candidate>) -> Vec<(Candidate, bool)> {
        let mut paths = vec![self.path.clone()];
        paths.extend(current.map(|current| current.path.clone()));
        let lost = self.files.iter().filter(|tracked| !matches!(tracked.stage, Stage::Done));
        paths.extend(lost.map(|tracked| PathBuf::from(&tracked.position().path)));
        paths.sort();
        paths.dedup();
        let mut found: Vec<Candidate> = Vec::new();
        let mut seen: Vec<_> = current.map(Candidate::inode).into_iter().collect();
        for path in paths {
            // A link that has moved leaves its old file under its own name.
            let own = Candidate::open(&path).ok().flatten();
            for candidate in rotated(&path).into_iter().chain(own) {
                if !seen.contains(&candidate.inode()) {
                    seen.push(candidate.inode());
                    found.push(candidate);
                }
            }
        }
        // Stable: what `rotated` says of files of the same time stays.
        found.sort_by_key(Candidate::modified);
        found.into_iter().map(|candidate| (candidate, false)).collect()
    }

    /// Goes on reading a known file, if it was lost. Answers with its index if it has the name.
    fn take_up(
        &mut self,
        owner: usize,
        candidates: Vec<(Candidate, bool)>,
        now: Duration,
    ) -> io::Result<Option<usize>> {
        let Some(tracked) = self.files.get_mut(owner) else { return Ok(None) };
        let is_current = candidates.iter().any(|(_, is_current)| *is_current);
        let position = tracked.position().clone();
        let is_wanted = match &tracked.stage {
            Stage::Lost => true,
            // Somebody gave it its name back.
            Stage::Done => is_current,
            Stage::Open(_) => false,
        };
        if is_wanted {
            // The one that has the name can grow; then the same file rather than a copy.
            let rank = |(candidate, is_current): &(Candidate, bool)| {
                (*is_current, candidate.is(&position))
            };
            let best = candidates.into_iter().max_by_key(rank);
            if let Some((candidate, _)) = best {
                let reading = Reading::open(candidate, &position, now)?;
                tracked.stage = Stage::Open(Box::new(reading));
            }
        }
        Ok(is_current.then_some(owner))
    }

    /// Lost files that were not found.
    fn miss(&mut self, desk: &mut Desk) {
        for tracked in &mut self.files {
            if !matches!(tracked.stage, Stage::Lost) {
                continue;
            }
            if !self.has_looked && tracked.position.offset > 0 {
                let Position { followed, offset, .. } = &tracked.position;
                desk.say(format!(
                    "warning: {followed}: the file that was read up to byte {offset} before the \
                     restart is not there any more; what else was in it is lost"
                ));
            }
            tracked.position.is_done = true;
            tracked.stage = Stage::Done;
            self.changes.push((tracked.number, Some(tracked.position.clone())));
        }
    }

    fn beginning(&self) -> Position {
        Position {
            argument: self.argument.clone(),
            followed: self.path.to_string_lossy().into_owned(),
            ..Position::default()
        }
    }

    /// A file that has the name now and is not known.
    fn begin(&mut self, found: Candidate, now: Duration, desk: &mut Desk) -> io::Result<()> {
        let mut begin = self.beginning();
        let is_first = !self.has_looked && self.files.is_empty();
        if is_first && self.from == StartAt::End && !found.is_packed {
            begin = end_of(&found, &begin)?;
        }
        self.track(found, &begin, now, desk)
    }

    fn track(
        &mut self,
        found: Candidate,
        begin: &Position,
        now: Duration,
        desk: &mut Desk,
    ) -> io::Result<()> {
        let reading = Reading::open(found, begin, now)?;
        let (number, position) = (desk.number(), begin.clone());
        // From now on it is known where it begins, though nothing was taken of it.
        desk.ledger.restore(number, reading.position.clone());
        self.files.push(Tracked { number, position, stage: Stage::Open(Box::new(reading)) });
        Ok(())
    }

    /// Leaves files that nothing is to be expected of.
    fn leave(&mut self, now: Duration, desk: &mut Desk) -> Result<(), Stopped> {
        let current = match self.missing_since {
            None => self.files.len().checked_sub(1),
            Some(_) => None,
        };
        let is_open = |tracked: &Tracked| matches!(tracked.stage, Stage::Open(_));
        let newest = match current.and_then(|current| self.files.get(current)) {
            Some(Tracked { stage: Stage::Open(reading), .. }) => reading.modified(),
            _ => i64::MIN,
        };
        let mut open = self.files.iter().filter(|tracked| is_open(tracked)).count();
        for (index, tracked) in self.files.iter_mut().enumerate() {
            let Stage::Open(reading) = &tracked.stage else { continue };
            let is_quiet = now.saturating_sub(reading.grew_at) >= LINGER
                || reading.is_older_than(newest, LINGER);
            let is_many = open > MAX_OPEN && reading.has_begun();
            let is_left = is_quiet || reading.is_over() || is_many;
            if Some(index) == current || !is_left {
                continue;
            }
            open -= 1;
            if let Stage::Open(reading) = std::mem::replace(&mut tracked.stage, Stage::Done) {
                tracked.position = reading.finish(tracked.number, desk)?;
            }
        }
        self.forget_old_ones(desk)
    }

    fn forget_old_ones(&mut self, desk: &mut Desk) -> Result<(), Stopped> {
        let is_done = |tracked: &Tracked| matches!(tracked.stage, Stage::Done);
        let done = self.files.iter().filter(|tracked| is_done(tracked)).count();
        let mut surplus = done.saturating_sub(MAX_DONE);
        let changes = &mut self.changes;
        self.files.retain(|tracked| {
            if surplus == 0 || !is_done(tracked) {
                return true;
            }
            surplus -= 1;
            changes.push((tracked.number, None));
            false
        });
        if changes.is_empty() {
            return Ok(());
        }
        let changes = std::mem::take(changes);
        desk.give(self.counts(), changes)
    }
}
