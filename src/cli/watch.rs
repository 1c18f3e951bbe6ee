//! `shadowtap watch`.

mod logs;
mod metrics;
mod output;
mod packets;
mod service;
mod signals;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::args;
use super::keylog::{self, Follow};
use super::learn::Learner;
use super::load::{self, Sources};
use super::replay::{notices, print_report, servers};
use super::state::State;
use super::{Exit, Failure, complain};
use crate::app::Keyring;
use crate::capture::live::{Interface, Settings as LiveSettings, give_up_privileges};
use crate::finding::{Finding, News};
use crate::intake::Mark;
use crate::memory::Memory;
use crate::pipeline::watch::{
    Command, Feed, Health, Inlet, LiveObserver, MAX_INTERFACES, Notice, Occasion, Settings,
    Watched, watch_with,
};
use crate::pipeline::{Config, Policy, SHARDS};
use crate::sinks::event::{
    Event, FindingEvent, FlowEvent, InterfaceStats, MessageEvent, ServerEvent, StatsEvent,
};
use crate::sinks::report::Report;
use crate::time::Timestamp;
use metrics::Metrics;
use output::Output;
use packets::Kept;
use service::Service;
use signals::Signals;

pub(super) fn run(args: &args::Watch) -> Result<Exit, Failure> {
    let signals = Signals::new()?;
    let mut feeds = feeds(args)?;
    let given_up = give_up_privileges()
        .map_err(|error| Failure::new(format!("cannot give up privileges: {error}")))?;
    // Everything from here on happens with the rights that the run has for weeks, so that what it
    // cannot read or write is known now and not at the first reload.
    let explain = |failure: Failure| {
        let text = failure.to_string();
        if !given_up || !text.to_ascii_lowercase().contains("permission denied") {
            return failure;
        }
        Failure::new(format!(
            "{text}\n(privileges other than CAP_NET_RAW were given up: files need the plain rights \
             of this user)"
        ))
    };
    let policy = policy(args).map_err(explain)?;
    let mut config = config(args).map_err(explain)?;
    let (state, memory) = State::open(args.state.as_deref()).map_err(explain)?;
    config.memory = memory;
    config.shards.mcp.keep_body_head = policy.rules.reads_body_head();
    let settings = Settings {
        stats_interval: args.stats_interval,
        separate_interfaces: args.separate_interfaces,
    };
    let found = logs::Found::new(args).map_err(explain)?;
    let mut output = Output::open(args).map_err(explain)?;
    let kept = args.keep_packets.map(|bytes| Kept::open(&args.out, bytes)).transpose();
    let kept = kept.map_err(explain)?;
    if let Some(kept) = &kept {
        feeds.iter_mut().for_each(|feed| feed.tap = Some(kept.tap()));
    }
    let metrics = args.metrics.map(Metrics::serve).transpose()?;
    if !args.quiet {
        complain(&greeting(args, &policy, &output, metrics.as_ref()));
    }
    let service = Service::new();
    service.ready();
    let key_logs = KeyLogs::new(&args.keylog, Arc::clone(&config.keyring));
    let folder = args.state.as_deref().unwrap_or_else(|| Path::new(args::DEFAULT_STATE));
    let learner = args.learn.map(|time| Learner::begin(folder, time, super::approvals::now()));
    let learner = learner.transpose().map_err(explain)?;
    let inlet = Arc::<Inlet>::default();
    let followed = found.map(|found| found.start(args, &config, &inlet, &mut output));
    let followed = followed.transpose().map_err(explain)?;
    let mut watcher = Watcher {
        followed,
        args,
        output,
        signals,
        service,
        kept,
        metrics,
        key_logs,
        learner,
        state,
    };
    let watched = watch_with(&config, &settings, policy, feeds, inlet, &mut watcher);
    let watched = watched.map_err(Failure::new)?;
    let Watcher { mut output, followed, kept, metrics, learner, mut state, .. } = watcher;
    state.tend(&watched.memory);
    if let Some(followed) = followed {
        followed.finish(&mut output);
    }
    if let Some(metrics) = metrics {
        metrics.stop();
    }
    if let Some(kept) = kept {
        kept.stop();
    }
    finish(args, watched, output, learner)
}

/// Opens all interfaces.
fn feeds(args: &args::Watch) -> Result<Vec<Feed<Interface>>, Failure> {
    let names = &args.interfaces;
    if names.len() > MAX_INTERFACES {
        return Err(Failure::new(format!("{MAX_INTERFACES} interfaces at most")));
    }
    let mut seen = BTreeSet::new();
    let settings = LiveSettings {
        snaplen_bytes: args.snaplen,
        buffer_bytes: args.buffer,
        promiscuous: !args.no_promiscuous,
        filter: args.filter.clone(),
    };
    let mut feeds = Vec::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Failure::new(format!("--interface {name}: named twice")));
        }
        let source = match Interface::open(name, &settings) {
            Ok(source) => source,
            Err(error) if args.wait_for_interface && error.may_pass() => {
                Interface::closed(name, &settings)
            }
            Err(error) => return Err(Failure::new(error)),
        };
        feeds.push(Feed { source, tap: None });
    }
    Ok(feeds)
}

fn policy(args: &args::Watch) -> Result<Policy, Failure> {
    let sources = Sources {
        rules: Some(&args.rules),
        approvals: args.approvals.as_deref(),
        accept_drafts: args.accept_drafts,
    };
    load::policy(&sources)
}

fn config(args: &args::Watch) -> Result<Config, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut config = Config {
        threads: args.threads.map_or(cores, usize::from).min(SHARDS),
        vlan_scope: !args.ignore_vlan,
        hasher: load::hasher(args.hash_key.as_deref())?,
        ..Config::default()
    };
    // Live traffic may be made to collide; what is found does not depend on the seed.
    let mut seed = [0; 8];
    if SystemRandom::new().fill(&mut seed).is_ok() {
        config.shards.flow.hash_seed = u64::from_le_bytes(seed);
    }
    Ok(config)
}

fn greeting(
    args: &args::Watch,
    policy: &Policy,
    output: &Output,
    metrics: Option<&Metrics>,
) -> String {
    let watched = args.interfaces.iter().chain(&args.followed.logs);
    let interfaces = watched.map(String::as_str).collect::<Vec<_>>().join(", ");
    let (rules, approvals) = (policy.rules.rules().len(), policy.approvals.all().len());
    let files = output.files().map_or_else(String::new, |files| format!("; events go to {files}"));
    let pages = metrics
        .map_or_else(String::new, |metrics| format!("; metrics on http://{}", metrics.address()));
    format!("watching {interfaces}: {rules} rules, {approvals} approvals{files}{pages}")
}

/// Watches the run for the operator: outputs, signals, the service manager.
#[derive(Debug)]
struct Watcher<'a> {
    args: &'a args::Watch,
    followed: Option<logs::Followed>,
    output: Output,
    signals: Signals,
    service: Service,
    kept: Option<Kept>,
    metrics: Option<Metrics>,
    key_logs: KeyLogs,
    learner: Option<Learner>,
    state: State,
}

/// Key logs that grow while the run goes on.
#[derive(Debug)]
struct KeyLogs {
    keyring: Arc<Keyring>,
    followed: Vec<Follow>,
    /// What was told last of a file that cannot be read.
    told: Option<String>,
}

impl KeyLogs {
    fn new(files: &[PathBuf], keyring: Arc<Keyring>) -> Self {
        keyring.expect_more(!files.is_empty());
        let followed = files.iter().map(Follow::new).collect();
        Self { keyring, followed, told: None }
    }

    fn poll(&mut self) {
        for follow in &mut self.followed {
            match follow.poll(&self.keyring) {
                Ok(added) => keylog::warn(follow.path(), &added),
                Err(error) => {
                    let text = format!("{}: {error}", follow.path().display());
                    if self.told.as_ref() != Some(&text) {
                        complain(&format!("warning: --keylog {text}"));
                        self.told = Some(text);
                    }
                }
            }
        }
    }
}

impl Watcher<'_> {
    /// Reads rules, approvals and catalog again. All of them are taken over, or none.
    fn reload(&mut self) -> Command {
        self.service.reloading();
        let command = match policy(self.args) {
            Ok(policy) => {
                let (rules, approvals) = (policy.rules.rules().len(), policy.approvals.all().len());
                complain(&format!("reloaded: {rules} rules, {approvals} approvals"));
                if let Some(metrics) = &mut self.metrics {
                    metrics.reloaded();
                }
                Command::Reload(Box::new(policy))
            }
            Err(failure) => {
                complain(&format!("error: not reloaded, those before stay in force: {failure}"));
                Command::ReloadFailed
            }
        };
        self.service.ready();
        command
    }
}

impl LiveObserver for Watcher<'_> {
    fn wants_messages(&self) -> bool {
        self.output.wants_messages()
    }

    fn message(&mut self, event: &MessageEvent) {
        self.output.write(&Event::Message(event));
    }

    fn flow(&mut self, event: &FlowEvent) {
        self.output.write(&Event::Flow(event));
    }

    fn server(&mut self, event: &ServerEvent) {
        if let Some(learner) = &mut self.learner {
            learner.server(event);
        }
        self.output.write(&Event::Server(event));
    }

    fn finding(&mut self, finding: &Finding, news: News) {
        if self.learner.as_mut().is_some_and(|learner| !learner.tells(finding, news)) {
            return;
        }
        self.output.write(&Event::Finding(&FindingEvent::live(finding, news)));
        if let Some(kept) = &self.kept {
            kept.finding(finding, news);
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.finding(finding, news);
        }
        if !self.args.quiet && news != News::Closed {
            self.output.line(finding);
        }
    }

    fn stats(&mut self, stats: &StatsEvent, occasion: Occasion) {
        match occasion {
            Occasion::Second => {
                self.service.status(stats);
                if let Some(metrics) = &mut self.metrics {
                    metrics.stats(stats, self.kept.as_ref(), self.output.stats());
                }
            }
            Occasion::Interval | Occasion::Last => {
                self.output.write(&Event::Stats(stats));
                losses(stats).iter().for_each(|line| complain(&format!("warning: {line}")));
            }
            Occasion::Asked => {
                self.output.write(&Event::Stats(stats));
                summary(stats).iter().for_each(|line| complain(line));
            }
        }
    }

    fn memory(&mut self, memory: &Memory) {
        self.state.tend(memory);
    }

    fn notice(&mut self, notice: &Notice) {
        complain(&format!("notice: {notice}"));
    }

    fn taken(&mut self, mark: Mark) {
        if let Some(followed) = &self.followed {
            followed.taken(mark);
        }
    }

    fn lost_events(&self) -> u64 {
        self.output.lost_events()
    }

    fn turn(&mut self, now: Timestamp, health: &Health) -> Command {
        self.key_logs.poll();
        if let Some(metrics) = &mut self.metrics {
            metrics.turn(now, health);
        }
        self.output.tend(health.elapsed);
        if let Some(followed) = &mut self.followed {
            followed.tend(health.elapsed, &mut self.output);
        }
        if let Some(learner) = &mut self.learner {
            learner.tend(now, health.elapsed);
        }
        self.service.tend(health);
        if self.signals.stop() || self.output.has_no_reader() {
            self.service.stopping();
            return Command::Stop;
        }
        if self.signals.reload() {
            return self.reload();
        }
        if self.signals.report() { Command::Report } else { Command::Go }
    }
}

/// What was lost in an interval, a line each.
fn losses(stats: &StatsEvent) -> Vec<String> {
    let Some(live) = &stats.live else { return Vec::new() };
    let seconds = live.interval_millis.div_ceil(1_000);
    let mut lines = Vec::new();
    for InterfaceStats { name, received, dropped, if_dropped, rx_missed, .. } in &live.interfaces {
        let by_interface = if_dropped.interval.max(rx_missed.interval);
        for (lost, whose, hint) in [
            (dropped.interval, "the kernel", "raise --buffer, or give it more processors"),
            (by_interface, "the interface", "its ring is too small, or its queues are too few"),
        ] {
            if lost > 0 {
                let of = received.interval.max(lost);
                lines.push(format!(
                    "{name}: {lost} of {of} packets were dropped by {whose} in {seconds} s; {hint}"
                ));
            }
        }
    }
    let shed = &live.shed;
    if shed.packets.interval > 0 {
        lines.push(format!(
            "{} packets were shed in {seconds} s, {} new flows among them, because the workers were \
             too slow; more processors, --threads or --filter help",
            shed.packets.interval, shed.flows.interval
        ));
    }
    if shed.overflow_packets.interval > 0 {
        let lost = shed.overflow_packets.interval;
        lines.push(format!("{lost} packets of known MCP servers found no room in {seconds} s"));
    }
    if live.lost_events.interval > 0 {
        let lost = live.lost_events.interval;
        lines.push(format!("{lost} events could not be written in {seconds} s"));
    }
    lines
}

/// Statistics for a person, a line each.
fn summary(stats: &StatsEvent) -> Vec<String> {
    let Some(live) = &stats.live else { return Vec::new() };
    let mut lines = vec![format!(
        "statistics after {} s: {} flows, {} packets, queues {} of {}, shedding {} of 16, {} reloads \
         ({} failed)",
        live.uptime_seconds,
        stats.coverage.flows,
        stats.coverage.packets,
        live.queued_batches,
        live.queue_capacity,
        live.shed.sixteenths,
        live.reloads,
        live.failed_reloads,
    )];
    for interface in &live.interfaces {
        lines.push(format!(
            "  {} ({}): {} packets, {} bytes; dropped {} by the kernel, {} by the interface; {} \
             outages of {} s",
            interface.name,
            interface.state,
            interface.packets.total,
            interface.bytes.total,
            interface.dropped.total,
            interface.if_dropped.total.max(interface.rx_missed.total),
            interface.outages,
            interface.outage_seconds,
        ));
    }
    let shed = &live.shed;
    lines.push(format!(
        "  shed {} flows, {} packets, {} bytes; {} packets found no room",
        shed.flows.total, shed.packets.total, shed.bytes.total, shed.overflow_packets.total
    ));
    lines
}

/// The report, and the exit code.
fn finish(
    args: &args::Watch,
    mut watched: Watched,
    output: Output,
    learner: Option<Learner>,
) -> Result<Exit, Failure> {
    if let Some(learner) = &learner {
        watched.findings.retain(|finding| learner.shows(finding));
    }
    let learnt = learner.and_then(Learner::finish);
    let fails = watched.worst.is_some_and(|worst| args.fail_on.fails(worst));
    let (exit, reason) = match args.fail_on {
        args::FailOn::Never => (Exit::Clean, "stopped; findings do not fail this run".to_owned()),
        args::FailOn::At(least) if fails => {
            (Exit::Findings, format!("there were findings of severity {} or above", least.as_str()))
        }
        args::FailOn::At(least) => {
            (Exit::Clean, format!("no finding of severity {} or above", least.as_str()))
        }
    };
    let files = output.files();
    output.finish()?;
    if args.json {
        return Ok(exit);
    }
    let mut notices = notices(&watched.policy, watched.stats.timestamp, &watched.remarks);
    if watched.earlier_findings > 0 {
        let more = watched.earlier_findings;
        notices.push(format!("{more} earlier findings are not shown here, but in the output"));
    }
    notices.extend(learnt);
    let written: Vec<String> = files.into_iter().collect();
    let report = Report {
        servers: &servers(&watched.policy, &watched.inventory),
        findings: &watched.findings,
        stats: &watched.stats,
        notices: &notices,
        written: &written,
        exit_code: exit.code(),
        exit_reason: &reason,
    };
    print_report(&report, &args.color)?;
    Ok(exit)
}
