//! What frames mean for streams, and streams for exchanges (RFC 9113 sections 5 and 8).

mod heads;

use super::feed::Feed;
use super::frame::{self, Frame};
use super::framer::{Block, Cut, Purpose, Step};
use super::hpack::{Decoder, Fields};
use super::oddity::{Oddities, Oddity};
use super::search::Found;
use super::stream::{Phase, Stream, Streams};
use crate::exchange::{BodyInterest, End, ExchangeSink};
use crate::net::Direction;

/// `SETTINGS_HEADER_TABLE_SIZE`.
const HEADER_TABLE_SIZE: u16 = 1;

/// What is kept of each direction.
#[derive(Debug, Default)]
struct Lane {
    decoder: Decoder,
    /// Frames may have been missed, so that streams may be open that were not seen to begin.
    uncertain: bool,
    /// Frames in a row.
    empty: u32,
    settings: u32,
    continuations: u32,
}

/// The streams of a connection.
#[derive(Debug)]
pub(super) struct Messages {
    to_server: Lane,
    to_client: Lane,
    streams: Streams,
    fields: Fields,
    reported: Oddities,
    /// The highest stream of a request that was seen.
    highest: u32,
    /// Streams reset before an answer, less those answered.
    resets: u32,
}

impl Messages {
    pub(super) fn new(midstream: bool) -> Self {
        let lane = || {
            let mut lane = Lane { uncertain: midstream, ..Lane::default() };
            if midstream {
                lane.decoder.lose();
            }
            lane
        };
        Self {
            to_server: lane(),
            to_client: lane(),
            streams: Streams::default(),
            fields: Fields::default(),
            reported: Oddities::default(),
            highest: 0,
            resets: 0,
        }
    }

    /// Stream 1 is a request that came in HTTP/1.
    pub(super) fn upgrade(&mut self, number: u32) {
        let mut stream = Stream::new(1);
        stream.begin_request(number, BodyInterest::Unwanted);
        stream.request.phase = Phase::Over;
        self.highest = 1;
        let none = self.streams.insert(stream, usize::MAX);
        debug_assert!(none.is_none(), "no stream but this one");
    }

    const fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Takes in a step of a framer; gives back bytes that are to be framed.
    pub(super) fn apply<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        step: Step<'_>,
        out: &mut Feed<'_, S>,
    ) -> Option<Vec<u8>> {
        match step {
            Step::More => {}
            Step::Data(id, bytes) => self.data(direction, id, bytes, out),
            Step::Frame(frame) => self.count(direction, frame, out),
            Step::DataGap(id, len) => {
                let stream = self.streams.get(id);
                if let Some(stream) = stream.filter(|s| s.phase(direction) == Phase::Body) {
                    stream.gap(direction, len, out);
                }
            }
            Step::DataEnd(id) => self.end(direction, id, End::Complete, out),
            Step::Block(block) => self.block(direction, block, out),
            Step::BlockLost(oddity) => {
                self.lane(direction).decoder.lose();
                if let Some(oddity) = oddity {
                    self.odd(oddity, out);
                }
            }
            Step::Setting(HEADER_TABLE_SIZE, bytes) => {
                self.lane(direction.other()).decoder.allow(bytes);
            }
            Step::Setting(..) => {}
            Step::Reset(id) => self.reset(direction, id, out),
            Step::GoAway(last) => {
                let theirs = direction == Direction::ToClient;
                while let Some(stream) = self.streams.take_beyond(last, theirs) {
                    stream.abort(out);
                }
            }
            Step::Preface => self.restart(direction),
            Step::Lost => {
                let lane = self.lane(direction);
                lane.decoder.lose();
                if !std::mem::replace(&mut lane.uncertain, true) {
                    self.odd(Oddity::FramingLost, out);
                }
            }
            Step::Found(found) => return Some(self.found(direction, found)),
            Step::Odd(oddity) => self.odd(oddity, out),
        }
        None
    }

    fn odd<S: ExchangeSink>(&mut self, oddity: Oddity, out: &mut Feed<'_, S>) {
        out.odd(oddity, &mut self.reported);
    }

    /// The direction is seen from its start after all.
    fn restart(&mut self, direction: Direction) {
        let lane = self.lane(direction);
        if std::mem::take(&mut lane.uncertain) {
            lane.decoder.restart();
        }
    }

    /// Frames again. Whose content was missed is not known: perhaps that of any open stream.
    fn found(&mut self, direction: Direction, found: Found) -> Vec<u8> {
        if found.fresh {
            self.restart(direction);
        }
        for stream in self.streams.iter_mut() {
            let message = stream.message(direction);
            if message.phase == Phase::Body {
                message.missed = message.missed.saturating_add(found.missing);
            }
        }
        found.bytes
    }

    /// Frames that cost more than they are worth.
    fn count<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        frame: Frame,
        out: &mut Feed<'_, S>,
    ) {
        let lane = self.lane(direction);
        let (count, oddity) = match frame.kind {
            frame::DATA | frame::HEADERS if frame.len > 0 || frame.has(frame::END_STREAM) => {
                (lane.empty, lane.settings, lane.continuations) = (0, 0, 0);
                return;
            }
            frame::DATA | frame::HEADERS => {
                lane.empty += 1;
                (lane.empty, Oddity::EmptyFrameFlood)
            }
            frame::SETTINGS if !frame.has(frame::ACK) => {
                lane.settings += 1;
                (lane.settings, Oddity::SettingsFlood)
            }
            frame::PUSH_PROMISE => {
                lane.continuations = 0;
                return;
            }
            frame::CONTINUATION => {
                lane.continuations += 1;
                (lane.continuations, Oddity::ContinuationFlood)
            }
            _ => return,
        };
        let max = match oddity {
            Oddity::ContinuationFlood => out.limits.max_continuations,
            _ => out.limits.max_repeats,
        };
        if count > max {
            self.odd(oddity, out);
        }
    }

    fn data<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        id: u32,
        bytes: &[u8],
        out: &mut Feed<'_, S>,
    ) {
        if let Some(stream) = self.streams.get(id) {
            match stream.phase(direction) {
                Phase::Body => return stream.content(direction, bytes, out),
                Phase::Over => return,
                Phase::Idle => {}
            }
        }
        if self.stand_in(direction, id, out)
            && let Some(stream) = self.streams.get(id)
        {
            stream.content(direction, bytes, out);
        }
    }

    /// Whether a stream that is not open was.
    fn is_past(&self, id: u32) -> bool {
        let certain = !self.to_server.uncertain && !self.to_client.uncertain;
        self.streams.is_closed(id) || (certain && id <= self.highest)
    }

    fn insert<S: ExchangeSink>(&mut self, id: u32, out: &mut Feed<'_, S>) {
        if let Some(oldest) = self.streams.insert(Stream::new(id), out.limits.max_streams) {
            self.odd(Oddity::TooManyStreams, out);
            oldest.abort(out);
        }
    }

    /// One direction of a stream is over.
    fn end<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        id: u32,
        end: End,
        out: &mut Feed<'_, S>,
    ) {
        let uncertain = self.to_server.uncertain;
        let Some(stream) = self.streams.get(id) else { return };
        stream.end(direction, end, out);
        if uncertain && direction == Direction::ToClient {
            // The end of the request may be among what was missed.
            stream.end_request(End::Truncated, out);
        }
        if stream.is_over() {
            self.streams.remove(id);
        }
    }

    fn reset<S: ExchangeSink>(&mut self, direction: Direction, id: u32, out: &mut Feed<'_, S>) {
        let Some(stream) = self.streams.remove(id) else { return };
        if direction == Direction::ToServer && stream.response.phase == Phase::Idle {
            self.resets += 1;
            if self.resets > out.limits.max_repeats {
                self.odd(Oddity::RapidReset, out);
            }
        }
        stream.abort(out);
    }

    /// One side has ended.
    pub(super) fn finish<S: ExchangeSink>(&mut self, direction: Direction, out: &mut Feed<'_, S>) {
        for stream in self.streams.iter_mut() {
            stream.end(direction, End::Truncated, out);
        }
        self.streams.sweep();
    }

    /// Both have.
    pub(super) fn conclude<S: ExchangeSink>(&mut self, out: &mut Feed<'_, S>) {
        while let Some(stream) = self.streams.pop() {
            stream.abort(out);
        }
    }
}
