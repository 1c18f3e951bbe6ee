//! After a gap: the next record, and its sequence number.
//!
//! What looks like the header of a record is one if the record opens under the keys in force (or
//! those that follow) with a sequence number that the bytes lost allow for.

use super::super::record::{HEADER_BYTES, Header, MAX_BODY_BYTES, kind as content};
use super::half::{Epoch, Seal, Stage};
use super::hold::Wait;
use super::{Call, Session};
use crate::net::Side;

/// Least bytes of a protected record, without its header.
const MIN_BODY_BYTES: usize = 17;
/// The same with its header: tells how many records can have been lost.
const MIN_RECORD_BYTES: u64 = (HEADER_BYTES + MIN_BODY_BYTES) as u64;
/// So many bytes of the buffer are dropped together.
const DROP_BYTES: usize = 16 << 10;

/// A search under way. Holds two records at most.
#[derive(Debug)]
pub(super) struct Search {
    buffer: Vec<u8>,
    /// Of the buffer, what holds no record.
    at: usize,
    /// Bytes lost or passed before the buffer, from the end of the last record on.
    missing: u64,
    searched: usize,
}

/// What may be a record.
#[derive(Clone, Copy)]
struct Candidate<'b> {
    header: Header,
    body: &'b [u8],
    /// Bytes before it that were lost or are of no record that is whole.
    missing: u64,
}

/// Keys that open it at their sequence number, and what they are for.
type Fit = (Box<Seal>, Epoch);

impl Session {
    /// So many bytes of a side are missing.
    pub(super) fn lose(&mut self, side: Side, len: u64, call: &mut Call<'_>) {
        if self.failed {
            return;
        }
        let half = self.half(side);
        if half.wait.is_some() {
            self.hold_gap(side, len, call);
            return;
        }
        if let (Stage::Searching, Some(search)) = (half.stage, &mut half.search) {
            search.lose(len);
            return;
        }
        match half.stage {
            Stage::Off | Stage::Over | Stage::Searching => {}
            Stage::Clear | Stage::Sealed => self.begin_search(side, len, call),
        }
    }

    fn begin_search(&mut self, side: Side, len: u64, call: &mut Call<'_>) {
        let client = self.is_client(side);
        if self.half(side).stage == Stage::Clear {
            // Without its hello a side tells nothing, and the other one nothing to read.
            if !self.half(side).greeted || (!self.answered && !client) {
                self.fail(None, call);
                return;
            }
            if !client {
                self.conclude_answer(side, call);
            }
        }
        if self.half(side).stage == Stage::Off {
            return;
        }
        let ready = match self.choice {
            Some(choice) => self.ensure_seal(side, choice, call),
            None => Err(Wait::Server),
        };
        match ready {
            Ok(()) => {
                let half = self.half(side);
                half.messages.reset();
                let begun = std::mem::take(&mut half.begun).len() as u64;
                half.stage = Stage::Searching;
                half.search = Some(Box::new(Search::new(begun.saturating_add(len))));
            }
            Err(wait) if !self.unreadable && self.may_wait(wait, call) => {
                let begun = std::mem::take(&mut self.half(side).begun).len() as u64;
                self.half(side).wait = Some(wait);
                self.hold_gap(side, begun.saturating_add(len), call);
            }
            Err(_) => self.half(side).end(Stage::Off),
        }
    }

    /// Takes in bytes after a gap.
    pub(super) fn search<'b>(
        &mut self,
        side: Side,
        bytes: &'b [u8],
        call: &mut Call<'_>,
    ) -> &'b [u8] {
        let Some(mut search) = self.half(side).search.take() else { return &[] };
        search.buffer.extend_from_slice(bytes);
        search.searched = search.searched.saturating_add(bytes.len());
        while let Some(header) = search.next_header() {
            let start = search.at + HEADER_BYTES;
            let end = start + header.body_bytes();
            let Some(body) = search.buffer.get(start..end) else { break };
            let missing = search.missing.saturating_add(search.at as u64);
            if self.try_record(side, Candidate { header, body, missing }, call) {
                let rest = search.buffer.get(end..).unwrap_or_default();
                self.feed(side, rest, call);
                return &[];
            }
            search.at += 1;
        }
        let spent = self.trial_bytes > call.limits.max_trial_bytes;
        if spent || search.searched > call.limits.max_search_bytes {
            call.out.anomaly("tls-resync-failed");
            self.half(side).end(Stage::Off);
            return &[];
        }
        search.drop_passed();
        self.half(side).search = Some(search);
        &[]
    }

    /// Whether this is a record; it is taken in then.
    fn try_record(&mut self, side: Side, found: Candidate<'_>, call: &mut Call<'_>) -> bool {
        let tls13 = self.choice.is_some_and(|choice| choice.tls13);
        if found.header.kind == content::CHANGE_CIPHER_SPEC {
            return !tls13 && self.meets_change_cipher(side);
        }
        if tls13 && found.header.kind != content::APPLICATION_DATA {
            return false;
        }
        let Some(current) = self.half(side).seal.take() else { return false };
        let before = (current.sequence, self.peek(side).epoch);
        let mut copy = std::mem::take(&mut call.scratch.record);
        let most = (found.missing / MIN_RECORD_BYTES + 2).min(call.limits.max_trials);
        let budget = call.limits.max_trial_bytes;
        let fit = self.fitting(side, current, found, most, budget, &mut copy);
        let is_record = fit.is_ok();
        match fit {
            Ok(fit) => self.take_up(side, fit, before, found, &mut copy, call),
            Err(current) => self.half(side).seal = Some(current),
        }
        call.scratch.record = copy;
        is_record
    }

    /// In the handshake of TLS 1.2: what follows is protected.
    fn meets_change_cipher(&mut self, side: Side) -> bool {
        let half = self.half(side);
        let fits = !half.opened && half.seal.as_ref().is_some_and(|seal| seal.sequence == 0);
        if fits {
            half.stage = Stage::Sealed;
        }
        fits
    }

    /// Keys that open a record: the current ones, else those that may have followed in what is
    /// missing. Gives the current ones back if there are none.
    fn fitting(
        &mut self,
        side: Side,
        mut current: Box<Seal>,
        found: Candidate<'_>,
        most: u64,
        budget: usize,
        copy: &mut Vec<u8>,
    ) -> Result<Fit, Box<Seal>> {
        let epoch = self.peek(side).epoch;
        let spent = &mut self.trial_bytes;
        if let Some(sequence) = current.first_that_opens(found, most, spent, budget, copy) {
            current.sequence = sequence;
            return Ok((current, epoch));
        }
        let next = match epoch {
            Epoch::Early => Epoch::Handshake,
            Epoch::Handshake | Epoch::Application => Epoch::Application,
        };
        let seal = match (epoch, self.choice) {
            (Epoch::Application, _) => self.next_seal(&current),
            (_, Some(choice)) => self.seal13(side, next, choice),
            (_, None) => None,
        };
        let Some(mut seal) = seal else { return Err(current) };
        let spent = &mut self.trial_bytes;
        match seal.first_that_opens(found, most, spent, budget, copy) {
            Some(sequence) => {
                seal.sequence = sequence;
                Ok((Box::new(seal), next))
            }
            None => Err(current),
        }
    }

    /// Goes on with a record that was found.
    fn take_up(
        &mut self,
        side: Side,
        (mut seal, epoch): Fit,
        (expected, old_epoch): (u64, Epoch),
        found: Candidate<'_>,
        copy: &mut Vec<u8>,
        call: &mut Call<'_>,
    ) {
        let records = seal.sequence.saturating_sub(expected);
        let framing = (HEADER_BYTES + seal.opener.overhead()) as u64;
        let is_data = |epoch| epoch != Epoch::Handshake;
        let lost = match (old_epoch == epoch, epoch) {
            (true, epoch) if is_data(epoch) => {
                found.missing.saturating_sub(records.saturating_mul(framing))
            }
            // The first record of the data: none of it was lost.
            (false, Epoch::Application) if old_epoch == Epoch::Handshake && seal.sequence == 0 => 0,
            (false, Epoch::Application) => found.missing,
            _ => 0,
        };
        let half = self.half(side);
        half.stage = Stage::Sealed;
        if old_epoch != epoch {
            self.enter(side, epoch, call);
        }
        if lost > 0 {
            call.out.plain_gap(side, lost);
        }
        copy.clear();
        copy.extend_from_slice(found.body);
        let nonce = seal.opener.explicit_nonce(copy);
        let sequence = seal.sequence;
        seal.advance(nonce);
        // Keys cannot be lent to what may replace them, so the record is opened by a borrowed box.
        let opener = seal;
        match opener.opener.open(sequence, found.header, copy) {
            Some(content) => self.opened(side, opener, &content, call),
            None => self.half(side).seal = Some(opener),
        }
    }
}

impl Seal {
    /// The sequence number, of `most` from the next one on, under which a record opens. Looks
    /// first where the explicit nonce says.
    fn first_that_opens(
        &self,
        found: Candidate<'_>,
        most: u64,
        spent: &mut usize,
        budget: usize,
        copy: &mut Vec<u8>,
    ) -> Option<u64> {
        let last = self.sequence.saturating_add(most);
        let nonce = self.opener.explicit_nonce(found.body);
        let told = self.shown.zip(nonce).and_then(|((sequence, shown), nonce)| {
            let sequence = sequence.checked_add(nonce.checked_sub(shown)?)?;
            (self.sequence..last).contains(&sequence).then_some(sequence)
        });
        let mut sequences = told.into_iter().chain(self.sequence..last);
        sequences.find(|sequence| {
            *spent = spent.saturating_add(found.body.len());
            copy.clear();
            copy.extend_from_slice(found.body);
            *spent <= budget && self.opener.open(*sequence, found.header, copy).is_some()
        })
    }
}

impl Search {
    const fn new(missing: u64) -> Self {
        Self { buffer: Vec::new(), at: 0, missing, searched: 0 }
    }

    /// Another gap: a record that is not yet whole is lost too.
    fn lose(&mut self, len: u64) {
        self.missing = self.missing.saturating_add(self.buffer.len() as u64).saturating_add(len);
        self.buffer.clear();
        self.at = 0;
    }

    /// Moves on to what looks like a header.
    fn next_header(&mut self) -> Option<Header> {
        loop {
            let header = Header::read(self.buffer.get(self.at..)?)?;
            let fits = match header.kind {
                content::CHANGE_CIPHER_SPEC => header.len == 1,
                content::ALERT | content::HANDSHAKE | content::APPLICATION_DATA => {
                    (MIN_BODY_BYTES..=MAX_BODY_BYTES).contains(&header.body_bytes())
                }
                _ => false,
            };
            if fits && header.version == [3, 3] {
                return Some(header);
            }
            self.at += 1;
        }
    }

    fn drop_passed(&mut self) {
        if self.at >= DROP_BYTES {
            self.missing = self.missing.saturating_add(self.at as u64);
            self.buffer.drain(..self.at);
            self.at = 0;
        }
    }
}
