//! The engine: takes what the workers saw, judges it, and tells the observer. On the caller's
//! thread.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::super::shard::Caused;
use super::super::stats::ShardCounters;
use super::super::{Analysis, Error, Listener, Policy, Tell, Told, WorkerPanicked, events};
use super::clock::Moment;
use super::crew::Crew;
use super::inlet::{Arrival, Held, Question, Totals};
use super::names::InterfaceNames;
use super::notice::Notice;
use super::order::{Done, Order};
use super::tally::{self, Baseline, Own, When};
use super::{Command, Health, LiveObserver, Occasion, Settings};
use crate::finding::{Finding, News};
use crate::flow::At;
use crate::intake::Parcel;
use crate::mcp::inventory::{Server, ServerId};
use crate::rules::Severity;
use crate::sinks::event::StatsEvent;
use crate::time::Timestamp;

/// The engine waits so long for workers before it looks after other things.
const TURN: Duration = Duration::from_millis(50);
/// Parcels taken in one turn at most.
const PARCELS: usize = 256;
/// Counters, windows and closings are looked after so often.
const SECOND: Duration = Duration::from_secs(1);
/// A thread that has not done anything for so long hangs.
const STALLED: Duration = Duration::from_secs(10);
/// Events of servers in one interval at most; the others follow in the next.
const MAX_SERVER_EVENTS: usize = 1_000;
/// Closed findings kept for the report at the end, the latest ones.
const MAX_CLOSED: usize = 1_000;

/// What makes the event of a server differ from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    last: At,
    exchanges: u64,
    /// Number of the policy it was judged by.
    policy: u64,
}

impl Stamp {
    const fn of(server: &Server, policy: u64) -> Self {
        Self { last: server.last, exchanges: server.exchanges, policy }
    }
}

/// What outlives a change of the policy.
#[derive(Debug)]
pub(super) struct State {
    interval: Duration,
    pub(super) names: InterfaceNames,
    order: Order,
    workers: Vec<ShardCounters>,
    /// When each worker last did something.
    alive_at: Vec<Duration>,
    /// Servers that were told to speak MCP.
    announced: HashSet<ServerId>,
    told: HashMap<ServerId, Stamp>,
    own: Own,
    baseline: Baseline,
    next_second: Duration,
    next_interval: Duration,
    sixteenths: u8,
    pub(super) closed: VecDeque<Finding>,
    /// Findings told and closed that the report at the end no longer has.
    pub(super) forgotten: u64,
    pub(super) worst: Option<Severity>,
    /// The latest time of an observation or tick.
    last: At,
    /// Parcels of intakes that wait for packets of their time.
    held: Held,
    totals: Totals,
    stopping: bool,
    /// The last parcels are under way.
    asked: bool,
}

impl State {
    pub(super) fn new(crew: &Crew, names: InterfaceNames, settings: &Settings) -> Self {
        let (readers, workers) = (crew.boards.len(), crew.lanes.len());
        Self {
            interval: settings.stats_interval.max(SECOND),
            names,
            order: Order::new(readers, workers),
            workers: vec![ShardCounters::default(); workers],
            alive_at: vec![Duration::ZERO; workers],
            announced: HashSet::new(),
            told: HashMap::new(),
            own: Own::default(),
            baseline: Baseline::default(),
            next_second: SECOND,
            next_interval: settings.stats_interval.max(SECOND),
            sixteenths: 0,
            closed: VecDeque::new(),
            forgotten: 0,
            worst: None,
            last: At { packet: 0, time: Timestamp::EPOCH },
            held: Held::new(readers > 0),
            totals: Totals::default(),
            stopping: false,
            asked: false,
        }
    }
}

/// Why the engine stopped.
pub(super) enum End {
    /// Another policy is to be followed.
    Reload(Box<Policy>),
    /// The run is over.
    Stopped,
}

/// The engine under one policy.
pub(super) struct Engine<'a, 'p, O> {
    pub(super) policy: &'p Policy,
    pub(super) analysis: Analysis<'p>,
    pub(super) state: &'a mut State,
    pub(super) crew: &'a mut Crew,
    pub(super) observer: &'a mut O,
}

impl<O: LiveObserver> Engine<'_, '_, O> {
    /// Works until the run is over or there is another policy.
    ///
    /// # Errors
    /// When a worker has panicked.
    pub(super) fn run(&mut self) -> Result<End, Error> {
        loop {
            let over = match self.crew.outputs.recv_timeout(TURN) {
                Ok(arrival) => {
                    self.arrive(arrival);
                    for _ in 1..PARCELS {
                        let Ok(arrival) = self.crew.outputs.try_recv() else { break };
                        self.arrive(arrival);
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                // All workers have said their last.
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let now = self.crew.clock.now();
            let mut caused = Vec::new();
            if over {
                self.state.order.finish(&mut caused);
            } else {
                self.state.order.release(now.elapsed, &mut caused);
            }
            self.observe(caused);
            self.take_given(now.elapsed, over);
            if over {
                return if self.state.asked {
                    Ok(End::Stopped)
                } else {
                    Err(Error::Worker(WorkerPanicked))
                };
            }
            if now.elapsed >= self.state.next_second {
                self.state.next_second = (self.state.next_second + SECOND).max(now.elapsed);
                self.second(now);
            }
            if let Some(end) = self.steer(now)? {
                return Ok(end);
            }
        }
    }

    /// Does what the observer wants, or goes on stopping.
    fn steer(&mut self, now: Moment) -> Result<Option<End>, Error> {
        if self.state.stopping {
            if self.crew.readers_are_done()? {
                self.state.asked = self.crew.ask_for_the_rest();
            }
            return Ok(None);
        }
        if self.crew.has_lost_a_worker() {
            return Err(Error::Worker(WorkerPanicked));
        }
        let health = self.health(now);
        match self.observer.turn(now.time, &health) {
            Command::Go => {}
            Command::Report => {
                let stats = self.stats(now);
                self.observer.stats(&stats, Occasion::Asked);
            }
            Command::Reload(policy) => {
                self.state.own.reloads += 1;
                return Ok(Some(End::Reload(policy)));
            }
            Command::ReloadFailed => self.state.own.failed_reloads += 1,
            Command::Stop => {
                self.state.stopping = true;
                self.crew.stop();
            }
        }
        Ok(None)
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Done(done) => self.take(done),
            Arrival::Given(parcel) => {
                let now = self.crew.clock.now().elapsed;
                self.state.held.push(parcel, now);
            }
            Arrival::Asked(Question { parcel, exchange, reply }) => {
                self.analysis.decide_on(exchange);
                self.take_parcel(parcel);
                reply(self.analysis.decided());
                self.tell_findings();
            }
        }
    }

    /// Takes in parcels of intakes that have waited long enough, or all.
    fn take_given(&mut self, now: Duration, all: bool) {
        while let Some(parcel) = self.state.held.next(now, all) {
            self.take_parcel(parcel);
        }
    }

    fn take_parcel(&mut self, parcel: Parcel) {
        let Parcel { observations, mark, counts } = parcel;
        self.state.totals.add(&counts);
        if !observations.is_empty() {
            self.analyse(|analysis, tell| {
                for observation in observations {
                    analysis.observe_telling(observation, tell);
                }
            });
            self.tell_findings();
        }
        if let Some(mark) = mark {
            self.observer.taken(mark);
        }
    }

    fn take(&mut self, mut done: Done) {
        let now = self.crew.clock.now().elapsed;
        if let Some(alive_at) = self.state.alive_at.get_mut(done.worker) {
            *alive_at = now;
        }
        if let (Some(known), Some(counters)) =
            (self.state.workers.get_mut(done.worker), done.counters.take())
        {
            *known = *counters;
        }
        self.state.order.push(&mut done);
    }

    /// Judges observations, in packet order.
    pub(super) fn observe(&mut self, caused: Vec<Caused>) {
        for Caused { observation, .. } in &caused {
            self.state.last = self.state.last.max(observation.at);
        }
        self.analyse(|analysis, tell| {
            for Caused { observation, .. } in caused {
                analysis.observe_telling(observation, tell);
            }
        });
        self.tell_findings();
    }

    /// Lets the analysis work, and tells of servers, messages and flows as it goes.
    fn analyse(&mut self, work: impl FnOnce(&mut Analysis<'_>, &mut Tell<'_>)) {
        let Self { policy, analysis, state, crew, observer } = self;
        let messages = observer.wants_messages();
        let mut each = |told: Told<'_>| {
            let (message, id, server) = match told {
                Told::TakenIn(message, id, server) => (message, id, server),
                Told::Flow(whole) => {
                    return observer.flow(&events::flow(policy, whole, &state.names));
                }
            };
            if server.is_mcp() && state.announced.insert(id) {
                state.told.insert(id, Stamp::of(server, state.own.reloads));
                protect(crew, server);
                observer.server(&events::server(policy, server));
            }
            if let Some(event) =
                message.and_then(|seen| events::message(policy, seen, server, &state.names))
            {
                observer.message(&event);
            }
        };
        work(analysis, &mut Some(Listener { messages, each: &mut each }));
    }

    fn tell_findings(&mut self) {
        if !self.analysis.findings().has_news() {
            return;
        }
        let Self { analysis, state, observer, .. } = self;
        analysis.findings_mut().tell(&state.names, &mut |finding, news| {
            state.worst = state.worst.max(Some(finding.severity));
            observer.finding(finding, news);
        });
    }

    /// What is due every second.
    fn second(&mut self, now: Moment) {
        for lane in &self.crew.lanes {
            lane.relax(now.elapsed, self.crew.limits.calm);
        }
        self.analyse(|analysis, tell| analysis.advance(now.time, tell));
        self.tell_findings();
        self.close_findings(Some(now.time));
        self.notices();
        let stats = self.stats(now);
        self.observer.stats(&stats, Occasion::Second);
        if now.elapsed >= self.state.next_interval {
            let next = self.state.next_interval + self.state.interval;
            self.state.next_interval = next.max(now.elapsed);
            self.observer.stats(&stats, Occasion::Interval);
            self.observer.memory(self.analysis.memory());
            self.state.baseline.set(&stats, now.elapsed);
            self.tell_servers(MAX_SERVER_EVENTS);
        }
    }

    /// Closes findings whose window is over, or all.
    fn close_findings(&mut self, now: Option<Timestamp>) {
        let Self { analysis, state, observer, .. } = self;
        let State { names, closed, forgotten, worst, .. } = &mut **state;
        let mut each = |finding: &Finding, news: News| {
            *worst = (*worst).max(Some(finding.severity));
            observer.finding(finding, news);
            if news == News::Closed {
                closed.push_back(finding.clone());
                if closed.len() > MAX_CLOSED {
                    closed.pop_front();
                    *forgotten += 1;
                }
            }
        };
        match now {
            Some(now) => analysis.findings_mut().close(now, &*names, &mut each),
            None => analysis.findings_mut().close_all(&*names, &mut each),
        }
    }

    fn notices(&mut self) {
        for board in &self.crew.boards {
            let notices = board.lock().map(|mut board| std::mem::take(&mut board.notices));
            for notice in notices.unwrap_or_default() {
                self.observer.notice(&notice);
            }
        }
        let sixteenths = self.crew.lanes.iter().map(|lane| lane.sixteenths()).max().unwrap_or(0);
        if sixteenths != self.state.sixteenths {
            self.state.sixteenths = sixteenths;
            self.observer.notice(&Notice::Shedding { sixteenths });
        }
    }

    fn stats(&mut self, now: Moment) -> StatsEvent {
        self.state.own.out_of_order = self.state.order.out_of_order();
        self.state.own.lost_events = self.observer.lost_events();
        let State { names, workers, own, baseline, totals, .. } = &*self.state;
        let when = When { time: now.time, elapsed: now.elapsed };
        let stats = tally::stats(self.crew, names, workers, &self.analysis, *own, baseline, when);
        StatsEvent { logs: totals.files(&self.crew.inlet), ..stats }
    }

    /// Tells the servers of which something is new since they were told last, `max` at most.
    fn tell_servers(&mut self, max: usize) {
        let Self { policy, analysis, state, crew, observer } = self;
        let mut room = max;
        let shown = events::shown_servers(policy, analysis.inventory());
        let mut current = HashSet::with_capacity(shown.len());
        for (id, server) in shown {
            current.insert(id);
            let stamp = Stamp::of(server, state.own.reloads);
            if state.told.get(&id) == Some(&stamp) || room == 0 {
                continue;
            }
            room -= 1;
            state.told.insert(id, stamp);
            if server.is_mcp() {
                state.announced.insert(id);
                protect(crew, server);
            }
            observer.server(&events::server(policy, server));
        }
        // Records that were merged or given up.
        state.told.retain(|id, _| current.contains(id));
        state.announced.retain(|id| current.contains(id));
    }

    fn health(&self, now: Moment) -> Health {
        let is_stalled = |at: Duration| now.elapsed.saturating_sub(at) > STALLED;
        let workers = self.state.alive_at.iter().filter(|at| is_stalled(**at)).count();
        let readers = self
            .crew
            .boards
            .iter()
            .filter(|board| board.lock().is_ok_and(|board| is_stalled(board.alive_at)));
        Health {
            elapsed: now.elapsed,
            stalled_workers: workers,
            stalled_readers: readers.count(),
            servers: self.state.announced.len(),
            findings: self.analysis.findings().len(),
        }
    }

    /// The run is over: judges and tells the rest. Answers with the last statistics.
    pub(super) fn finish(&mut self) -> StatsEvent {
        let now = self.crew.clock.now();
        let last = self.state.last;
        let last = At { packet: last.packet, time: last.time.max(now.time) };
        self.analyse(|analysis, tell| {
            analysis.finish_telling(last, tell);
        });
        self.close_findings(None);
        self.notices();
        self.tell_servers(usize::MAX);
        let stats = self.stats(now);
        self.observer.stats(&stats, Occasion::Last);
        stats
    }
}

/// Flows of a server that speaks MCP are not shed; those of a proxy may carry anything.
fn protect(crew: &Crew, server: &Server) {
    if server.via_proxy {
        return;
    }
    for endpoint in &server.endpoints {
        crew.protection.add(*endpoint, crew.limits.max_protected);
    }
}
