//! Whole replays of generated captures, as ratios to `tcpdump -r FILE -w /dev/null` on the same
//! file in the same run: CPU seconds of the whole process, and peak memory.
//!
//! `cargo bench --bench replay` measures, prints, and fails if a ratio is more than 10 % above the
//! one in `benches/baseline.json`; `BLESS=1` rewrites that file. `-- --generate DIR` only writes
//! the captures. `SHADOWTAP_BENCH_SCALE=0.1` makes them a tenth of the size (and guards nothing).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    unreachable_pub,
    missing_docs,
    reason = "a measuring tool, run by hand"
)]

mod traffic;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use traffic::{Profile, generate};

/// Runs per program and capture, in turn; the median counts.
const RUNS: usize = 5;
/// How much worse than the baseline a ratio may be.
const TOLERANCE: f64 = 1.10;
const SEED: u64 = 20_261_122;

struct Case {
    name: &'static str,
    profile: Profile,
    megabytes: f64,
    /// Highest ratio to tcpdump's CPU time, and most megabytes, that are promised.
    target: (f64, f64),
}

const CASES: [Case; 3] = [
    Case { name: "mix", profile: Profile::Mix, megabytes: 1_000.0, target: (3.0, 150.0) },
    Case { name: "mcp", profile: Profile::Mcp, megabytes: 600.0, target: (12.0, 150.0) },
    Case { name: "short", profile: Profile::Short, megabytes: 700.0, target: (6.0, 300.0) },
];

/// What one run of a program cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu_seconds: f64,
    peak_megabytes: f64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let scale = std::env::var("SHADOWTAP_BENCH_SCALE").ok().and_then(|text| text.parse().ok());
    let folder = match args.iter().position(|arg| arg == "--generate") {
        Some(at) => PathBuf::from(args.get(at + 1).map_or(".", String::as_str)),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-captures"),
    };
    std::fs::create_dir_all(&folder).expect("folder for generated captures");
    let mut measured = Vec::new();
    for case in &CASES {
        let file = capture(case, &folder, scale.unwrap_or(1.0));
        if args.iter().any(|arg| arg == "--generate") {
            continue;
        }
        measured.push((case, measure(&file)));
    }
    if measured.is_empty() { ExitCode::SUCCESS } else { report(&measured, scale.is_none()) }
}

fn capture(case: &Case, folder: &Path, scale: f64) -> PathBuf {
    let bytes = (case.megabytes * scale * 1e6) as u64;
    let file = folder.join(format!("{}-{bytes}.pcap", case.name));
    let truth_file = file.with_extension("truth");
    if !truth_file.exists() {
        let truth = generate(case.profile, SEED, bytes, &file).expect("generated capture");
        std::fs::write(&truth_file, format!("{truth:?}\n")).expect("truth beside the capture");
        println!("{}: {truth:?}", file.display());
    }
    file
}

/// Medians of (shadowtap's cost, tcpdump's cost, ratio of CPU seconds).
fn measure(file: &Path) -> (Cost, Cost, f64) {
    let own = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shadowtap"));
        command.args(["replay", "--quiet", "--no-files", "--threads", "1", "--fail-on", "never"]);
        command.arg(file).stdout(Stdio::null());
        run(command)
    };
    let tcpdump = || {
        let mut command = Command::new("tcpdump");
        command.arg("-r").arg(file).args(["-w", "/dev/null"]).stderr(Stdio::null());
        run(command)
    };
    own();
    let pairs: Vec<_> = (0..RUNS).map(|_| (own(), tcpdump())).collect();
    let ratio = |(own, other): &(Cost, Cost)| own.cpu_seconds / other.cpu_seconds.max(0.01);
    let median = |values: Vec<f64>| {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let cost = |pick: fn(&(Cost, Cost)) -> Cost| Cost {
        cpu_seconds: median(pairs.iter().map(|pair| pick(pair).cpu_seconds).collect()),
        peak_megabytes: median(pairs.iter().map(|pair| pick(pair).peak_megabytes).collect()),
    };
    (cost(|pair| pair.0), cost(|pair| pair.1), median(pairs.iter().map(ratio).collect()))
}

/// Runs a program to its end. CPU time is what this process's waited-for children grew by.
fn run(mut command: Command) -> Cost {
    let before = children_cpu_seconds();
    let mut child = command.spawn().expect("program to measure (is tcpdump installed?)");
    let peak_megabytes = watch(&mut child);
    child.wait().expect("its exit code");
    Cost { cpu_seconds: children_cpu_seconds() - before, peak_megabytes }
}

/// `VmHWM` only grows: the last value read before the end is the peak, within one interval.
fn watch(child: &mut Child) -> f64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0.0) / 1000.0);
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

/// User and system time of waited-for children, from `/proc/self/stat`, in hundredths of seconds.
fn children_cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number of ticks");
    (ticks(13) + ticks(14)) / 100.0
}

fn report(measured: &[(&Case, (Cost, Cost, f64))], guard: bool) -> ExitCode {
    println!("capture  tcpdump CPU  shadowtap CPU  ratio (promised)  peak MB (promised)  baseline");
    let baseline_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/baseline.json");
    let baseline = std::fs::read_to_string(&baseline_file).unwrap_or_default();
    let mut next = String::from("{\n");
    let mut worse = false;
    for (case, (own, other, ratio)) in measured {
        let known = known_ratio(&baseline, case.name);
        println!(
            "{:<8} {:>9.2} s  {:>11.2} s  {:>5.2} ({:>4.1})      {:>6.0} ({:>3.0})        {}",
            case.name,
            other.cpu_seconds,
            own.cpu_seconds,
            ratio,
            case.target.0,
            own.peak_megabytes,
            case.target.1,
            known.map_or_else(|| "none".to_owned(), |known| format!("{known:.2}")),
        );
        worse |= known.is_some_and(|known| *ratio > known * TOLERANCE);
        let comma = if case.name == "short" { "" } else { "," };
        next += &format!("  \"{}\": {ratio:.2}{comma}\n", case.name);
    }
    next.push_str("}\n");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&baseline_file, next).expect("baseline");
    } else if worse && guard {
        println!("A ratio is more than 10 % above benches/baseline.json.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn known_ratio(baseline: &str, name: &str) -> Option<f64> {
    let rest = baseline.split(&format!("\"{name}\":")).nth(1)?;
    rest.split([',', '\n', '}']).next()?.trim().parse().ok()
}
