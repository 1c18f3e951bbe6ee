//! Segments go out in their order, each until it was taken or refused for good.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;

use super::{Shared, lock, now};
use crate::sinks::outbox::{Deliver, Notice, Segment, Trouble};

/// The spool is looked into so often without being told of segments.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// At the end tries follow each other so fast at least.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Failures that go on are told again so often.
const TELL_EVERY: Duration = Duration::from_secs(600);

/// What is known of the other side.
#[derive(Debug, Default)]
struct Course {
    /// Tries that failed since the last that did not.
    failures: u32,
    /// What was told last, and when.
    told: Option<(String, std::time::Instant)>,
    /// A try at the end met with [`Trouble::Stop`]: another would too.
    is_hopeless: bool,
}

/// Delivers until the end.
pub(super) async fn run(shared: &Shared, mut deliver: impl Deliver) {
    let mut course = Course::default();
    while !shared.has_given_up.load(Relaxed) && !course.is_hopeless {
        // In this order: what is sealed before the flag is seen by the next look.
        let is_all_sealed = shared.is_all_sealed.load(Relaxed);
        let segment = lock(&shared.spool).oldest();
        match segment {
            Some(segment) => attempt(shared, &mut deliver, &segment, &mut course).await,
            None if is_all_sealed => break,
            None => {
                let pause = tokio::time::sleep(LOOK_EVERY);
                race(pause, &shared.sealed).await;
            }
        }
    }
    shared.show();
}

async fn attempt(
    shared: &Shared,
    deliver: &mut impl Deliver,
    segment: &Segment,
    course: &mut Course,
) {
    // A pause that was cut short by the end has had its effect with this try.
    let was_ending = shared.is_ending.load(Relaxed);
    let begun = now();
    let Some(result) = race(deliver.deliver(segment), &shared.give_up).await else { return };
    match result {
        Ok(()) => {
            lock(&shared.spool).taken(segment.number);
            shared.taken(begun.elapsed());
            course.recovered(shared);
            shared.show();
        }
        Err(Trouble::Drop(reason)) => {
            lock(&shared.spool).refused(segment.number, &reason);
            lock(&shared.shown).last_error = Some(reason);
            course.failures = 0;
            shared.show();
        }
        Err(trouble) => {
            let is_stop = matches!(trouble, Trouble::Stop(_));
            shared.failed(trouble.to_string(), is_stop);
            course.failed(shared, &trouble);
            course.is_hopeless = is_stop && was_ending;
            if !course.is_hopeless {
                pause(shared, course.failures, is_stop).await;
            }
        }
    }
}

impl Shared {
    fn taken(&self, time: Duration) {
        let mut shown = lock(&self.shown);
        shown.batches += 1;
        shown.batch_time += time;
        (shown.last_error, shown.is_stopped) = (None, false);
    }

    fn failed(&self, error: String, is_stop: bool) {
        let mut shown = lock(&self.shown);
        shown.retries += 1;
        (shown.last_error, shown.is_stopped) = (Some(error), is_stop);
    }
}

impl Course {
    fn recovered(&mut self, shared: &Shared) {
        self.failures = 0;
        if self.told.take().is_some() {
            shared.tell(&Notice::Note("segments are taken again".to_owned()));
        }
    }

    /// Tells of a failure, once, and again after a while. What passes with the second try is not
    /// worth a word.
    fn failed(&mut self, shared: &Shared, trouble: &Trouble) {
        self.failures = self.failures.saturating_add(1);
        let is_stop = matches!(trouble, Trouble::Stop(_));
        if self.failures < 2 && !is_stop {
            return;
        }
        let text = trouble.to_string();
        let is_known = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| (!is_stop || *told == text) && at.elapsed() < TELL_EVERY);
        if is_known {
            return;
        }
        let notice = if is_stop {
            Notice::Error(format!("nothing is taken until this is put right: {text}"))
        } else {
            Notice::Warning(format!("{text}; it is tried again, nothing is lost meanwhile"))
        };
        shared.tell(&notice);
        self.told = Some((text, now()));
    }
}

/// Waits before the next try: a random part of a time that doubles with each failure, so that
/// many sensors do not come back all at once.
async fn pause(shared: &Shared, failures: u32, is_stop: bool) {
    let limits = &shared.options.limits;
    let mut longest = if is_stop {
        limits.stopped_pause
    } else {
        let doubled = limits.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let bound = doubled.min(limits.max_pause);
        bound.mul_f64(random_share())
    };
    if shared.is_ending.load(Relaxed) {
        longest = longest.min(LAST_PAUSE);
    }
    let sleep = tokio::time::sleep(longest);
    let unhurried = race(sleep, &shared.hurry);
    race(unhurried, &shared.give_up).await;
}

/// From above 0 to 1.
fn random_share() -> f64 {
    let mut bytes = [0; 2];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return 1.0;
    }
    (f64::from(u16::from_le_bytes(bytes)) + 1.0) / 65_536.0
}

/// What comes first: the end of the work, or a signal, which ends the work.
async fn race<W: Future>(work: W, signal: &Notify) -> Option<W::Output> {
    let mut work = pin!(work);
    let mut signal = pin!(signal.notified());
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        signal.as_mut().poll(context).map(|()| None)
    })
    .await
}
