//! `shadowtap replay`.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{self, FailOn};
use super::keylog;
use super::load::{self, Sources};
use super::logs;
use super::outputs::{Outputs, PATIENT, Run};
use super::progress::Bar;
use super::state::State;
use super::{Exit, Failure, complain};
use crate::capture::Input;
use crate::mcp::inventory::Inventory;
use crate::pipeline::{self, Config, LogInput, LogSummary, Observer, Outcome, Policy, Progress};
use crate::rules::tuning::WarningKind;
use crate::rules::{RuleInfo, Severity};
use crate::sinks::event::{Event, FindingEvent, FlowEvent, MessageEvent, ServerEvent};
use crate::sinks::report::{Report, Style};
use crate::sinks::{Existing, RotatingFile, write_event, write_junit, write_sarif};
use crate::time::Timestamp;

/// NDJSON files are closed and the next one begun at this size (64 MiB).
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Endings that the names of NDJSON files do without.
const ENDINGS: [&str; 6] = [".gz", ".zst", ".pcap", ".pcapng", ".cap", ".dmp"];

pub(super) fn run(args: &args::Replay) -> Result<Exit, Failure> {
    let captures = load::inputs(&args.captures)?;
    let mut inputs = Inputs { captures, ..Inputs::default() };
    logs::beside(&args.logs, args.run.quiet, &mut inputs)?;
    run_over(inputs, &args.run, &args.packets)
}

/// What a run reads.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) captures: Vec<Input>,
    pub(super) logs: Vec<LogInput>,
    /// Files of the logs; standard input is none.
    pub(super) paths: Vec<PathBuf>,
    /// Bytes of the logs, where that is known.
    pub(super) log_bytes: Option<u64>,
    /// What could not be read at all.
    pub(super) troubles: Vec<String>,
    /// Other formats that logs look like, by the name of the log.
    pub(super) likely: Vec<(Arc<str>, String)>,
}

impl Inputs {
    fn names(&self) -> Vec<Option<&Path>> {
        let captures = self.captures.iter().map(Input::path);
        let no_file = self.logs.len().saturating_sub(self.paths.len());
        let logs = self.paths.iter().map(|path| Some(&**path));
        captures.chain(logs).chain(std::iter::repeat_n(None, no_file)).collect()
    }

    fn bytes(&self) -> Option<u64> {
        let sizes: Option<Vec<u64>> = self.captures.iter().map(Input::size).collect();
        let captures: u64 = sizes?.iter().sum();
        if self.logs.is_empty() { Some(captures) } else { Some(captures + self.log_bytes?) }
    }
}

/// Reads everything, and reports.
pub(super) fn run_over(
    mut inputs: Inputs,
    args: &args::RunOptions,
    packets: &args::PacketOptions,
) -> Result<Exit, Failure> {
    let sources = Sources {
        rules: Some(&args.rules),
        approvals: args.approvals.as_deref(),
        accept_drafts: args.accept_drafts,
    };
    let policy = load::policy(&sources)?;
    let mut config = Config {
        vlan_scope: !packets.ignore_vlan,
        hasher: load::hasher(args.hash_key.as_deref())?,
        keyring: Arc::new(keylog::read(&packets.keylog)?),
        ..Config::default()
    };
    let (state, memory) = State::open(args.state.as_deref())?;
    config.memory = memory;
    config.shards.mcp.keep_body_head = policy.rules.reads_body_head();
    if let Some(threads) = args.threads {
        config.threads = usize::from(threads);
    }
    reports_are_writable(&args.report, &inputs)?;
    let mut output = Output::open(args, &inputs)?;
    let captures = std::mem::take(&mut inputs.captures);
    let logs = std::mem::take(&mut inputs.logs);
    let run = pipeline::replay_with_logs(&config, &policy, captures, logs, &mut output);
    let mut outcome = run.map_err(Failure::new)?;
    output.bar.clear();
    bad_lines(&outcome).iter().for_each(|line| complain(line));
    for trouble in &outcome.troubles {
        complain(&format!("warning: {trouble}"));
    }
    let servers = servers(&policy, &outcome.inventory);
    let mut failures: Vec<Failure> = state.save(&outcome.memory).err().into_iter().collect();
    let learn = args.learn.as_ref();
    let learnt = learn.map(|file| super::learn::replayed(file, &servers, &mut outcome.findings));
    let learnt = learnt.transpose().unwrap_or_else(|failure| {
        failures.push(failure);
        None
    });
    let mut written = output.events(&servers, &outcome).unwrap_or_else(|failure| {
        failures.push(failure);
        Vec::new()
    });
    for report in &args.report {
        match write_report(report, &policy, &outcome, args.fail_on) {
            Ok(()) => written.push(report.file().display().to_string()),
            Err(failure) => failures.push(failure),
        }
    }
    // What could not be written must not take the rest with it: the run may have been long.
    let (exit, reason) = match failures.first() {
        Some(failure) => (Exit::Usage, failure.to_string()),
        None => verdict(args, packets, &inputs, &outcome),
    };
    if !args.json {
        let mut notices = notices(&policy, outcome.stats.timestamp, &outcome.remarks);
        notices.extend(unmatched_keylog(packets, &config));
        notices.extend(learnt);
        notices.append(&mut outcome.remarks);
        let report = Report {
            servers: &servers,
            findings: &outcome.findings,
            stats: &outcome.stats,
            notices: &notices,
            written: &written,
            exit_code: exit.code(),
            exit_reason: &reason,
        };
        print_report(&report, &args.color)?;
    }
    for failure in failures {
        complain(&format!("error: {failure}"));
    }
    Ok(exit)
}

/// Where events go while the run is under way.
#[derive(Debug)]
struct Output {
    bar: Bar,
    file: Option<RotatingFile>,
    stdout: Option<BufWriter<io::Stdout>>,
    outputs: Outputs,
    /// The line being written, with its newline; its room is kept.
    written: Vec<u8>,
    /// The first write that failed; the run goes on, the failure is reported at its end.
    failed: Option<Failure>,
}

impl Output {
    fn open(args: &args::RunOptions, inputs: &Inputs) -> Result<Self, Failure> {
        let total = inputs.bytes();
        let file = if args.no_files {
            None
        } else {
            let stem = stem(&inputs.names());
            let created = RotatingFile::create(&args.out, &stem, MAX_FILE_BYTES, Existing::Replace);
            Some(created.map_err(Failure::new)?)
        };
        Ok(Self {
            bar: Bar::new(args.quiet, total),
            file,
            stdout: args.json.then(|| BufWriter::with_capacity(1 << 16, io::stdout())),
            outputs: Outputs::open(&args.outputs, Run::Replay)?,
            written: Vec::new(),
            failed: None,
        })
    }

    fn write(&mut self, event: &Event<'_>) {
        self.written.clear();
        if let Err(error) = write_event(&mut self.written, event) {
            self.failed.get_or_insert_with(|| Failure::new(error));
            return;
        }
        self.outputs.line(&self.written);
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_line(&self.written)
        {
            self.failed.get_or_insert_with(|| Failure::new(error));
            self.file = None;
        }
        if let Some(out) = &mut self.stdout
            && let Err(error) = out.write_all(&self.written)
        {
            self.lost_stdout(&error);
        }
    }

    /// A reader that has gone away (`| head`) is no failure.
    fn lost_stdout(&mut self, error: &io::Error) {
        self.stdout = None;
        if error.kind() != io::ErrorKind::BrokenPipe {
            let text = format!("cannot write to standard output: {error}");
            self.failed.get_or_insert_with(|| Failure::new(text));
        }
    }

    /// What is known at the end: servers, findings, statistics. Answers with the files written.
    fn events(
        mut self,
        servers: &[ServerEvent],
        outcome: &Outcome,
    ) -> Result<Vec<String>, Failure> {
        for server in servers {
            self.write(&Event::Server(server));
        }
        for finding in &outcome.findings {
            self.write(&Event::Finding(&FindingEvent::from(finding)));
        }
        self.write(&Event::Stats(&outcome.stats));
        if let Some(Err(error)) = self.stdout.as_mut().map(Write::flush) {
            self.lost_stdout(&error);
        }
        let files = match self.file.take() {
            Some(file) => file.finish().map_err(Failure::new)?,
            None => Vec::new(),
        };
        // What was not delivered stays for the next run, and is no success of this one.
        for unsent in std::mem::take(&mut self.outputs).finish(PATIENT) {
            self.failed.get_or_insert_with(|| Failure::new(unsent));
        }
        match self.failed {
            Some(failure) => Err(failure),
            None => Ok(files.iter().map(|file| file.display().to_string()).collect()),
        }
    }
}

impl Observer for Output {
    fn message(&mut self, event: &MessageEvent) {
        self.write(&Event::Message(event));
    }

    fn flow(&mut self, event: &FlowEvent) {
        self.write(&Event::Flow(event));
    }

    fn progress(&mut self, progress: Progress, findings: usize) {
        self.bar.update(progress, findings);
    }

    fn wants_messages(&self) -> bool {
        self.file.is_some() || self.stdout.is_some() || !self.outputs.is_empty()
    }
}

/// Name of the NDJSON file: that of the capture without its endings, or `replay` for several.
fn stem(names: &[Option<&Path>]) -> String {
    let name = match names {
        [name] => name.and_then(Path::file_name).map(|name| name.to_string_lossy()),
        _ => None,
    };
    let name = name.unwrap_or_else(|| "replay".into());
    let mut stem = &*name;
    while let Some(rest) = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
        stem = rest;
    }
    let stem = stem.trim_matches('.');
    // Dots are for the numbers of rotated files.
    if stem.is_empty() { "replay".to_owned() } else { stem.replace('.', "-") }
}

/// The events of the servers worth a line.
pub(super) fn servers(policy: &Policy, inventory: &Inventory) -> Vec<ServerEvent> {
    let shown = pipeline::shown_servers(policy, inventory).into_iter();
    shown.map(|(_, server)| pipeline::server_event(policy, server)).collect()
}

/// The exit code and why. Statements about the input come first: findings may be incomplete then.
fn verdict(
    args: &args::RunOptions,
    packets: &args::PacketOptions,
    inputs: &Inputs,
    outcome: &Outcome,
) -> (Exit, String) {
    let mut troubles: Vec<String> = outcome.troubles.iter().map(ToString::to_string).collect();
    troubles.extend(inputs.troubles.iter().cloned());
    troubles.extend(outcome.logs.iter().filter_map(|log| trouble_of(log, &inputs.likely)));
    if let Some(trouble) = troubles.first() {
        let more = troubles.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return (Exit::Damaged, format!("{trouble}{more}"));
    }
    if let Some(least) = packets.min_coverage {
        let coverage = &outcome.stats.coverage;
        if coverage.percent() < least {
            let share = coverage.permille().unwrap_or(0);
            let (whole, tenth) = (share / 10, share % 10);
            let text = format!("coverage of {whole}.{tenth} % is below --min-coverage {least} %");
            return (Exit::Coverage, text);
        }
    }
    let failing = outcome.findings.iter().filter(|finding| args.fail_on.fails(finding.severity));
    match (failing.count(), args.fail_on) {
        (0, FailOn::Never) => (Exit::Clean, "findings do not fail this run".to_owned()),
        (0, FailOn::At(least)) => {
            (Exit::Clean, format!("no finding of severity {} or above", least.as_str()))
        }
        (count, FailOn::At(least)) => {
            let findings = if count == 1 { "finding" } else { "findings" };
            (Exit::Findings, format!("{count} {findings} of severity {} or above", least.as_str()))
        }
        (_, FailOn::Never) => (Exit::Clean, String::new()),
    }
}

/// Why a log cannot be said to have been read.
fn trouble_of(log: &LogSummary, likely: &[(Arc<str>, String)]) -> Option<String> {
    let (name, source) = (&log.name, &log.source);
    if let Some(error) = &log.stopped {
        return Some(format!("{name}: cannot be read to its end: {error}"));
    }
    if !log.counters.is_mostly_bad() {
        return None;
    }
    let (bad, lines) = (log.counters.bad, log.counters.lines);
    let other = likely.iter().find(|(of, _)| of == name);
    let hint = other.map_or_else(
        || "`shadowtap logs formats` lists the formats".to_owned(),
        |(_, format)| format!("it looks like {format}: try --format {format}"),
    );
    Some(format!("{name}: {bad} of {lines} lines cannot be read as {source}; {hint}"))
}

/// Lines of logs that could not be read: how many, and why the first ones.
fn bad_lines(outcome: &Outcome) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut said = Vec::new();
    for log in outcome.logs.iter().filter(|log| log.counters.bad > 0) {
        let (bad, lines) = (log.counters.bad, log.counters.lines);
        said.push(format!("warning: {}: {bad} of {lines} lines cannot be read", log.name));
        for line in log.bad.iter().take(SHOWN) {
            said.push(format!("  line {}: {}", line.number, line.reason));
        }
        if bad > SHOWN as u64 {
            said.push("  ...".to_owned());
        }
    }
    said
}

/// A key log that belongs to other traffic.
fn unmatched_keylog(args: &args::PacketOptions, config: &Config) -> Option<String> {
    let unmatched = !args.keylog.is_empty() && config.keyring.matched() == 0;
    unmatched.then(|| {
        "no connection of the captures has its secrets in a key log of --keylog; it must be written \
         while the traffic is, by the client or the server of it"
            .to_owned()
    })
}

/// What the operator should know beside the findings. `remarks`: what exceptions and thresholds
/// took.
pub(super) fn notices(policy: &Policy, now: Timestamp, remarks: &[String]) -> Vec<String> {
    let mut notices = Vec::new();
    if policy.approvals.all().is_empty() {
        notices.push(
            "no approvals given, so every server counts as unapproved; `shadowtap approvals draft \
             CAPTURE > approvals.yaml` writes a file to review"
                .to_owned(),
        );
    }
    let warnings = policy.approvals.warnings(now);
    notices.extend(warnings.into_iter().map(|warning| warning.text));
    notices.extend_from_slice(remarks);
    // An exception that has expired and was missed is among the remarks already.
    let is_said = |name: &str| {
        let said = format!("exception {name} expired ");
        remarks.iter().any(|remark| remark.starts_with(&said))
    };
    let warnings = policy.rules.tuning().warnings(now).into_iter();
    let warnings =
        warnings.filter(|warning| warning.kind != WarningKind::Expired || !is_said(&warning.name));
    notices.extend(warnings.map(|warning| warning.text));
    notices
}

fn write_report(
    report: &args::Report,
    policy: &Policy,
    outcome: &Outcome,
    fail_on: FailOn,
) -> Result<(), Failure> {
    let rules: Vec<Arc<RuleInfo>> =
        policy.rules.tellers().iter().map(|teller| Arc::clone(teller.info)).collect();
    let (file, written) = match report {
        args::Report::Sarif(file) => (
            file,
            create(file).and_then(|mut out| {
                write_sarif(&mut out, env!("CARGO_PKG_VERSION"), &rules, &outcome.findings)?;
                out.flush()
            }),
        ),
        args::Report::Junit(file) => (
            file,
            create(file).and_then(|mut out| {
                let threshold = match fail_on {
                    FailOn::At(severity) => severity,
                    FailOn::Never => Severity::Critical,
                };
                write_junit(&mut out, &rules, &outcome.findings, threshold)?;
                out.flush()
            }),
        ),
    };
    written.map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))
}

fn create(file: &PathBuf) -> io::Result<BufWriter<File>> {
    File::create(file).map(BufWriter::new)
}

/// Finds out before the run, which may be long, and keeps captures from being written over.
fn reports_are_writable(reports: &[args::Report], inputs: &Inputs) -> Result<(), Failure> {
    let real = |path: &Path| path.canonicalize().ok();
    let captures: BTreeSet<PathBuf> =
        inputs.names().into_iter().flatten().filter_map(real).collect();
    let mut seen = BTreeSet::new();
    for file in reports.iter().map(args::Report::file) {
        let name = file.display();
        if real(file).is_some_and(|path| captures.contains(&path)) {
            return Err(Failure::new(format!("--report {name}: this is a file to be read")));
        }
        if !seen.insert(file) {
            return Err(Failure::new(format!("--report {name}: named twice")));
        }
        let opened = OpenOptions::new().append(true).create(true).open(file);
        opened.map_err(|error| {
            let hint = "name a file in a folder that exists and may be written";
            Failure::new(format!("cannot write {name}: {error}; {hint}"))
        })?;
    }
    Ok(())
}

pub(super) fn print_report(report: &Report<'_>, color: &str) -> Result<(), Failure> {
    let stdout = io::stdout();
    // Set but empty does not count: https://no-color.org.
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let colour = match color {
        "always" => true,
        "never" => false,
        _ => stdout.is_terminal() && !set("NO_COLOR"),
    };
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let style = Style { colour, width: columns.unwrap_or(100) };
    let mut out = BufWriter::new(stdout.lock());
    match report.write(&mut out, &style).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndjson_files_are_named_after_the_capture() {
        let stem_of = |path: &str| stem(&[Some(Path::new(path))]);
        assert_eq!(stem_of("captures/office-morning.pcap"), "office-morning");
        assert_eq!(stem_of("x/day1.pcapng.gz"), "day1");
        assert_eq!(stem_of(".hidden.pcap"), "hidden");
        assert_eq!(stem_of("eth0.2026-11-16.pcap.zst"), "eth0-2026-11-16");
        assert_eq!(stem_of("trace.pcap1"), "trace-pcap1");
        assert_eq!(stem_of(".pcap"), "replay");
        assert_eq!(stem(&[None]), "replay");
        assert_eq!(stem(&[Some(Path::new("a")), Some(Path::new("b"))]), "replay");
    }
}
