//! A flow that has carried payload: both directions and the state of the layers above.

use super::counters::Counters;
use super::delivery::{BAD_CHECKSUM, Delivery, RESET_OUT_OF_WINDOW, SYN_IN_WINDOW};
use super::limits::Limits;
use super::lru::Link;
use super::pair::{Pair, SIDES};
use super::seq::Seq;
use super::stream::{Incoming, Oddity, Sink, Stream};
use super::{At, Finish, FlowInfo, Handler, Interest};
use crate::decode::{Segment, TcpFlags};
use crate::net::Side;

/// Everything a connection needs from its table for one call.
pub(super) struct Env<'a, H> {
    pub(super) handler: &'a mut H,
    pub(super) counters: &'a mut Counters,
    pub(super) limits: &'a Limits,
    /// Milliseconds of the table's clock.
    pub(super) now: i64,
}

/// A flow with payload.
#[derive(Debug)]
pub(super) struct Connection<S> {
    pub(super) info: FlowInfo,
    pub(super) interest: Interest,
    /// The last packet.
    pub(super) last: At,
    /// Place in the table.
    pub(super) entry: u32,
    /// Place in the list of connections that wait for something.
    pub(super) link: Link,
    /// The list it is in.
    pub(super) waits_as: Option<Interest>,
    /// When that list has to look at it, in milliseconds.
    pub(super) poll_at: i64,
    last_millis: i64,
    /// Kinds of anomalies reported, one bit each: most are told once per flow.
    reported: u8,
    streams: Pair<Stream>,
    state: S,
}

impl<S> Connection<S> {
    pub(super) fn new(info: FlowInfo, entry: u32, streams: Pair<Stream>, at: At, now: i64) -> Self
    where
        S: Default,
    {
        Self {
            info,
            interest: Interest::Unknown,
            last: at,
            entry,
            link: Link::UNLINKED,
            waits_as: None,
            poll_at: 0,
            last_millis: now,
            reported: 0,
            streams,
            state: S::default(),
        }
    }

    /// Catches up with what happened before the first payload, which `side` sends: ends of the
    /// originator and the responder, and a reset that this payload belies.
    pub(super) fn resume<H: Handler<State = S>>(
        &mut self,
        ended: [bool; 2],
        was_reset: bool,
        side: Side,
        at: At,
        env: &mut Env<'_, H>,
    ) {
        for (side, ended) in SIDES.into_iter().zip(ended) {
            if ended {
                self.drive(side, at, env, |stream, _| stream.end_here());
            }
        }
        if was_reset {
            self.drive(side, at, env, |_, delivery| delivery.odd(Oddity::DataAfterReset));
        }
    }

    /// Bytes held, overhead included.
    pub(super) fn charge(&self) -> usize {
        self.streams.originator.charge() + self.streams.responder.charge()
    }

    /// Bytes are held back or missing in a direction.
    pub(super) fn is_waiting(&self) -> bool {
        SIDES.iter().any(|&side| self.streams.get(side).is_waiting())
    }

    /// Whether a segment with this sequence number would have to be buffered.
    pub(super) fn would_buffer(&self, side: Side, seq: Seq, limits: &Limits) -> bool {
        self.interest != Interest::None && self.streams.get(side).would_buffer(seq, limits)
    }

    /// Both sides have ended.
    pub(super) fn is_over(&self) -> bool {
        SIDES.iter().all(|&side| self.streams.get(side).finished)
    }

    /// One side reset the connection.
    pub(super) fn is_reset(&self) -> bool {
        SIDES.iter().any(|&side| self.streams.get(side).is_reset())
    }

    /// A side has ended.
    pub(super) const fn has_finished(&self, side: Side) -> bool {
        self.streams.get(side).finished
    }

    /// Whether a SYN without ACK begins a new connection. `first` is the sequence number after it.
    pub(super) fn is_superseded_by(&self, side: Side, first: Seq, limits: &Limits) -> bool {
        self.streams.get(side).is_superseded_by(first, limits)
    }

    /// Runs `work` on one direction, then tells what followed from it.
    fn drive<H: Handler<State = S>>(
        &mut self,
        side: Side,
        at: At,
        env: &mut Env<'_, H>,
        work: impl FnOnce(&mut Stream, &mut Delivery<'_, H>),
    ) {
        let mut delivery = Delivery {
            handler: &mut *env.handler,
            info: &mut self.info,
            state: &mut self.state,
            interest: &mut self.interest,
            reported: &mut self.reported,
            counters: &mut *env.counters,
            side,
            at,
        };
        let interested = *delivery.interest != Interest::None;
        work(self.streams.get_mut(side), &mut delivery);
        if interested && self.interest == Interest::None {
            self.streams.originator.discard();
            self.streams.responder.discard();
        }
        for side in SIDES {
            let stream = self.streams.get_mut(side);
            if stream.has_ended() && !stream.finished {
                stream.finished = true;
                env.handler.finish(&self.info, &mut self.state, side, at, Finish::Fin);
            }
        }
    }

    /// Counts a packet, whatever becomes of it.
    #[inline]
    pub(super) fn count(&mut self, side: Side, segment: &Segment<'_>) {
        let header = &segment.header;
        self.info.traffic.count(side, u64::from(header.payload_len), header.time);
    }

    /// Takes in a segment.
    pub(super) fn segment<H: Handler<State = S>>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        env: &mut Env<'_, H>,
    ) {
        self.expire_graces(env);
        let header = &segment.header;
        let at = At { packet: header.packet, time: header.time };
        self.last = at;
        self.last_millis = env.now;
        if self.interest == Interest::None {
            return self.unwanted(side, segment, at, env);
        }
        for side in SIDES {
            self.streams.get_mut(side).tick();
        }
        if header.flags.has(TcpFlags::RST) {
            self.reset(side, Seq(header.seq), at, env);
        } else {
            if header.flags.has(TcpFlags::ACK) {
                self.acknowledge(side, Seq(header.ack), at, env);
            }
            if self.synchronise(side, segment, at, env) {
                self.payload(side, segment, at, env);
            }
        }
        for side in SIDES {
            if self.streams.get(side).is_timed() {
                let (now, limits) = (env.now, env.limits);
                self.drive(side, at, env, |stream, sink| stream.run_timers(now, limits, sink));
            }
        }
    }

    /// The SYN of a segment, if it has one; false if the segment is to be ignored.
    fn synchronise<H: Handler<State = S>>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        at: At,
        env: &mut Env<'_, H>,
    ) -> bool {
        if !segment.header.flags.has(TcpFlags::SYN) {
            return true;
        }
        let first = Seq(segment.header.seq).plus(1);
        if !self.streams.get_mut(side).synchronise(first) {
            env.counters.syns_in_window += 1;
            self.report(side, at, SYN_IN_WINDOW, env);
            return false;
        }
        self.info.midstream = false;
        self.drive(side, at, env, |stream, sink| stream.release(sink));
        true
    }

    fn acknowledge<H: Handler<State = S>>(
        &mut self,
        side: Side,
        ack: Seq,
        at: At,
        env: &mut Env<'_, H>,
    ) {
        let stream = self.streams.get_mut(side.other());
        stream.acknowledged(ack, env.limits);
        if stream.is_held() {
            self.drive(side.other(), at, env, |stream, sink| stream.release(sink));
        }
    }

    fn payload<H: Handler<State = S>>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        at: At,
        env: &mut Env<'_, H>,
    ) {
        if self.interest == Interest::None {
            // Held bytes that this segment released have just told: its own must not be kept.
            self.info.shed_bytes += segment.payload.len() as u64;
            return self.unwanted(side, segment, at, env);
        }
        let (limits, now) = (env.limits, env.now);
        let incoming = incoming(segment, limits, now);
        self.drive(side, at, env, |stream, sink| stream.accept(&incoming, limits, sink));
    }

    /// A segment of a flow of no interest: only ends and resets are looked at.
    fn unwanted<H: Handler<State = S>>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        at: At,
        env: &mut Env<'_, H>,
    ) {
        if segment.header.flags.has(TcpFlags::RST) {
            return self.reset(side, Seq(segment.header.seq), at, env);
        }
        let incoming = incoming(segment, env.limits, env.now);
        let stream = self.streams.get_mut(side);
        stream.skip(&incoming);
        if stream.has_ended() {
            self.drive(side, at, env, |_, _| ());
        }
    }

    fn reset<H: Handler<State = S>>(&mut self, side: Side, seq: Seq, at: At, env: &mut Env<'_, H>) {
        let stream = self.streams.get_mut(side);
        if !stream.reset(seq, env.limits) && !stream.finished {
            env.counters.resets_out_of_window += 1;
            self.report(side, at, RESET_OUT_OF_WINDOW, env);
        }
    }

    /// A segment of this flow was dropped for its checksum.
    pub(super) fn bad_checksum<H: Handler<State = S>>(
        &mut self,
        side: Side,
        at: At,
        env: &mut Env<'_, H>,
    ) {
        self.report(side, at, BAD_CHECKSUM, env);
    }

    fn report<H: Handler<State = S>>(
        &mut self,
        side: Side,
        at: At,
        (bit, kind): (u8, &'static str),
        env: &mut Env<'_, H>,
    ) {
        self.drive(side, at, env, |_, delivery| delivery.report(bit, kind));
    }

    /// Ends graces that are over by now. They end at their own time, not at that of the packet
    /// which happened to move the clock: so results do not depend on other flows.
    pub(super) fn expire_graces<H: Handler<State = S>>(&mut self, env: &mut Env<'_, H>) {
        for side in SIDES {
            let (now, limits) = (env.now, env.limits);
            while let Some(due) = self.streams.get(side).due(limits).filter(|&due| due <= now) {
                let at = self.after_last(due.saturating_sub(self.last_millis));
                self.drive(side, at, env, |stream, sink| stream.run_timers(due, limits, sink));
            }
        }
    }

    /// The last packet, and a time after it.
    pub(super) fn after_last(&self, millis: i64) -> At {
        let millis = u64::try_from(millis).unwrap_or(0);
        let time = self.last.time.plus(std::time::Duration::from_millis(millis));
        At { packet: self.last.packet, time }
    }

    /// Gives up everything that is missing, because there is no more room.
    pub(super) fn flush<H: Handler<State = S>>(&mut self, at: At, env: &mut Env<'_, H>) {
        for side in SIDES {
            self.drive(side, at, env, |stream, sink| stream.flush(sink));
        }
    }

    /// Ends the flow: delivers what is held, finishes both sides, and hands the state back.
    pub(super) fn close<H: Handler<State = S>>(
        mut self,
        why: Finish,
        at: At,
        env: &mut Env<'_, H>,
    ) {
        let why = if self.is_reset() { Finish::Reset } else { why };
        for side in SIDES {
            self.drive(side, at, env, |stream, sink| stream.flush_tail(sink));
            if !std::mem::replace(&mut self.streams.get_mut(side).finished, true) {
                env.handler.finish(&self.info, &mut self.state, side, at, why);
            }
        }
        env.handler.closed(&self.info, self.state, at, why);
    }
}

/// A segment as its direction sees it.
fn incoming<'a>(segment: &Segment<'a>, limits: &Limits, now: i64) -> Incoming<'a> {
    let header = &segment.header;
    let lost = u64::from(header.payload_len).saturating_sub(segment.payload.len() as u64);
    Incoming {
        seq: Seq(header.seq).plus(u64::from(header.flags.has(TcpFlags::SYN))),
        bytes: segment.payload,
        lost: if lost > u64::from(limits.max_ahead_bytes) { 0 } else { lost },
        fin: header.flags.has(TcpFlags::FIN),
        now,
    }
}
