//! A run for tests of the servers: takes everything, or as much as it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{NotTaken, Outlet, Parcel, Refusal, Reply};
use crate::logs::{
    Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance, Value,
};
use crate::observation::{Event, ExchangeId, Observation};

/// What a question gets.
#[derive(Clone, Debug, Default)]
pub(super) enum Answer {
    /// It is let through.
    #[default]
    Pass,
    /// It is refused.
    Refuse(Refusal),
    /// Nobody answers.
    Silence,
}

#[derive(Debug, Default)]
pub(super) struct Run {
    flows: AtomicU64,
    pub(super) full: Mutex<bool>,
    pub(super) answer: Mutex<Answer>,
    pub(super) parcels: Mutex<Vec<Parcel>>,
    /// So that those who wait are never answered.
    silent: Mutex<Vec<Box<dyn std::any::Any + Send>>>,
}

impl Run {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// All observations so far, once there are as many that `is_it`, or after a while.
    #[expect(clippy::disallowed_methods, reason = "a test waits for a server")]
    pub(super) fn wait(&self, count: usize, is_it: impl Fn(&Observation) -> bool) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let parcels = self.parcels.lock().unwrap();
            let all = || parcels.iter().flat_map(|parcel| &parcel.observations);
            if all().filter(|o| is_it(o)).count() >= count
                || begun.elapsed() > Duration::from_secs(10)
            {
                return all().map(described).collect();
            }
            drop(parcels);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn records(&self) -> u64 {
        self.parcels.lock().unwrap().iter().map(|parcel| parcel.counts.records).sum()
    }
}

/// What an observation says, shortly.
pub(super) fn described(observation: &Observation) -> String {
    match &observation.event {
        Event::Message { message, request, .. } => {
            let user = request.provenance.as_ref().and_then(|p| p.user.as_deref()).unwrap_or("");
            let host = request.host.as_deref().unwrap_or("");
            let (kind, method) = (message.kind, message.method.as_deref().unwrap_or(""));
            format!("message {kind:?} {method} {host} {user}")
        }
        Event::Answered { response, .. } => format!("answered {}", response.status),
        Event::Ended { body_bytes, response, .. } => format!("ended {body_bytes:?} {response:?}"),
        other => format!("{other:?}").split([' ', '{', '(']).next().unwrap().to_owned(),
    }
}

pub(super) fn is_ended(observation: &Observation) -> bool {
    matches!(observation.event, Event::Ended { .. })
}

impl Outlet for Run {
    fn flow(&self) -> u64 {
        self.flows.fetch_add(1, Ordering::Relaxed)
    }

    fn offer(&self, parcel: Parcel) -> Result<(), NotTaken> {
        if *self.full.lock().unwrap() {
            return Err(NotTaken::Full(parcel));
        }
        self.parcels.lock().unwrap().push(parcel);
        Ok(())
    }

    fn ask(&self, parcel: Parcel, _: ExchangeId, reply: Reply) -> Result<(), NotTaken> {
        self.offer(parcel)?;
        match self.answer.lock().unwrap().clone() {
            Answer::Pass => reply(None),
            Answer::Refuse(refusal) => reply(Some(refusal)),
            Answer::Silence => self.silent.lock().unwrap().push(Box::new(reply)),
        }
        Ok(())
    }
}

/// `URL METHOD-OF-MCP` in each line, for servers of logs.
pub(super) static LINES: &[&Spec] = &[&Spec {
    name: "test",
    title: "Lines of the tests",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff: |start| if start.starts_with(b"http") { Likelihood::Certain } else { Likelihood::No },
    open: || Box::new(Urls),
}];

#[derive(Debug)]
struct Urls;

impl Format for Urls {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let text = std::str::from_utf8(line).map_err(|_| Reason::of("no text"))?;
        let (url, method) = text.split_once(' ').ok_or(Reason::of("one word"))?;
        record.put(Meaning::Url, Value::Text(url.into()))?;
        record.put(Meaning::Method, Value::Text("POST".into()))?;
        record.put(Meaning::Status, Value::Text("200".into()))?;
        record.put(Meaning::RpcMethod, Value::Text(method.into()))?;
        Ok(Line::Record)
    }
}
