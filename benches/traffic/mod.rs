//! A seeded generator of captures: the same seed and size give the same bytes.
//!
//! Three profiles, after the traffic that sensors are measured on: `mix` (web, TLS and MCP flows
//! with losses), `mcp` (MCP only) and `short` (30,000 new small flows a second).

mod flow;
mod frame;
mod script;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flow::Flow;

/// xorshift64*: good enough to vary traffic, and the same everywhere.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A generator of a seed; zero is replaced.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from `low` up to, not including, `high`.
    pub fn range(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() >> 16) as usize % (high - low).max(1)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: f64) -> bool {
        ((self.next() >> 16) % 1_000_000) as f64 / 10_000.0 < percent
    }
}

/// What kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// 57 % TLS, 40 % web, 3 % MCP flows; 0.2 % of data packets lost, 1 % late.
    Mix,
    /// MCP sessions only.
    Mcp,
    /// 30,000 new flows a second of a few packets each.
    Short,
}

/// What was generated, to hold results against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth {
    /// Packets written.
    pub packets: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Flows begun.
    pub flows: u64,
    /// `tools/call` requests in flows without losses.
    pub calls: u64,
}

/// Writes a capture of about `bytes` bytes.
pub fn generate(profile: Profile, seed: u64, bytes: u64, path: &Path) -> io::Result<Truth> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    out.write_all(&frame::file_header())?;
    let mut random = Random::new(seed);
    let mut truth = Truth { bytes: 24, ..Truth::default() };
    // Flows in order of their next packet; the number breaks ties, so the order is fixed.
    let mut due: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut flows: std::collections::HashMap<u64, Flow> = std::collections::HashMap::new();
    let (gap_ns, _) = pace(profile);
    let mut next_start = 0_u64;
    let mut frame = Vec::with_capacity(2048);
    loop {
        let open = truth.bytes < bytes;
        if open && due.peek().is_none_or(|Reverse((time, _))| next_start <= *time) {
            let (flow, calls) = new_flow(profile, truth.flows, next_start, &mut random);
            truth.calls += calls;
            due.push(Reverse((next_start, truth.flows)));
            flows.insert(truth.flows, flow);
            truth.flows += 1;
            next_start += gap_ns;
            continue;
        }
        let Some(Reverse((time, number))) = due.pop() else { break };
        let Some(flow) = flows.get_mut(&number) else { continue };
        frame.clear();
        if let Some(next) = flow.next(time, &mut frame, &mut random) {
            due.push(Reverse((next, number)));
        } else {
            flows.remove(&number);
        }
        if !frame.is_empty() {
            out.write_all(&frame::record_header(time, frame.len()))?;
            out.write_all(&frame)?;
            truth.packets += 1;
            truth.bytes += 16 + frame.len() as u64;
        }
    }
    out.flush()?;
    Ok(truth)
}

/// Nanoseconds between new flows and between the packets of a flow.
fn pace(profile: Profile) -> (u64, u64) {
    match profile {
        Profile::Mix => (2_000_000, 150_000),
        Profile::Mcp => (4_000_000, 200_000),
        Profile::Short => (33_333, 300_000),
    }
}

fn new_flow(profile: Profile, number: u64, start: u64, random: &mut Random) -> (Flow, u64) {
    let (_, step) = pace(profile);
    let (script, calls, port) = match profile {
        Profile::Mix => match random.range(0, 100) {
            0..57 => (script::tls(random), 0, 443),
            57..97 => (script::web(random), 0, 80),
            _ => mcp(random, 6),
        },
        Profile::Mcp => mcp(random, 40),
        Profile::Short => match random.range(0, 100) {
            0..2 => mcp(random, 1),
            2..40 => (script::short_tls(random), 0, 443),
            _ => (script::short_web(random), 0, 80),
        },
    };
    let lossy = profile == Profile::Mix && random.chance(25.0);
    let flow = Flow::new(number, start, step, port, script, lossy);
    (flow, if lossy { 0 } else { calls })
}

fn mcp(random: &mut Random, most: usize) -> (script::Script, u64, u16) {
    let calls = random.range(1, most + 1);
    (script::mcp(random, calls), calls as u64, 8000)
}
