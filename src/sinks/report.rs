//! The report for the terminal: what a tired analyst has to know, the worst first.
//!
//! All text that came from the network passes [`printable`](super::printable()).

mod findings;
mod layout;
mod servers;
mod table;

use std::collections::BTreeMap;
use std::io::{self, Write};

use layout::{Page, bytes, counted, listed};
pub use table::Table;

use super::event::{Coverage, LogFile, ServerEvent, StatsEvent};
use super::printable;
use crate::finding::Finding;
use crate::rules::Severity;
use crate::verdict::Verdict;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Colours and weights; leave it off when the output is not a terminal.
    pub colour: bool,
    /// Width in columns; less than 60 is taken as 60.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { colour: false, width: 100 }
    }
}

/// What to print.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The servers, hints too.
    pub servers: &'a [ServerEvent],
    /// The findings.
    pub findings: &'a [Finding],
    /// What was read and what was not.
    pub stats: &'a StatsEvent,
    /// Sentences to print after the findings: approvals that end soon, no approvals given.
    pub notices: &'a [String],
    /// Files that were written.
    pub written: &'a [String],
    /// Exit code.
    pub exit_code: u8,
    /// Why that exit code.
    pub exit_reason: &'a str,
}

impl Report<'_> {
    /// Prints the report.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write<W: Write>(&self, out: &mut W, style: &Style) -> io::Result<()> {
        let mut page = Page::new(out, *style);
        page.long_heading(&self.headline(), 0, 2)?;
        servers::write(&mut page, self.servers)?;
        findings::write(&mut page, self.findings)?;
        self.notices(&mut page)?;
        self.blind_spots(&mut page)?;
        page.blank()?;
        if !self.written.is_empty() {
            let files = listed(self.written.iter().map(|file| printable(file).into_owned()), 8);
            page.paragraph(&format!("Written: {files}"), 0, 2)?;
        }
        let reason = printable(self.exit_reason);
        page.paragraph(&format!("Exit code {}: {reason}", self.exit_code), 0, 2)
    }

    /// `3 MCP servers, 2 not approved; 4 findings (1 high, 3 medium); 1 hint`.
    fn headline(&self) -> String {
        let proven: Vec<&ServerEvent> = self.servers.iter().filter(|server| server.mcp).collect();
        let bad = proven.iter().filter(|server| server.verdict != Verdict::Approved).count();
        let mut parts = Vec::new();
        parts.push(match (proven.len(), bad) {
            (0, _) => "no MCP server".to_owned(),
            (all, 0) => format!("{}, all approved", counted(all, "MCP server")),
            (all, bad) => format!("{}, {bad} not approved", counted(all, "MCP server")),
        });
        parts.push(match self.findings.len() {
            0 => "no findings".to_owned(),
            all => format!("{} ({})", counted(all, "finding"), by_severity(self.findings)),
        });
        let hints = self.servers.len() - proven.len();
        if hints > 0 {
            parts.push(counted(hints, "hint"));
        }
        parts.join("; ")
    }

    fn notices<W: Write>(&self, page: &mut Page<'_, W>) -> io::Result<()> {
        if self.notices.is_empty() {
            return Ok(());
        }
        page.blank()?;
        page.heading("Take note")?;
        self.notices.iter().try_for_each(|notice| page.paragraph(&printable(notice), 2, 4))
    }

    fn blind_spots<W: Write>(&self, page: &mut Page<'_, W>) -> io::Result<()> {
        page.blank()?;
        page.heading("Could not see")?;
        let stopped = self.stats.captures.iter().filter_map(|capture| {
            let why = capture.stopped.as_ref()?;
            Some(format!("the rest of {}: {}", printable(&capture.file), printable(why)))
        });
        let coverage = &self.stats.coverage;
        let never = "servers over stdio, and what a tool does behind its server: never on the wire";
        let logs = self.stats.logs.iter().flat_map(of_log);
        let missing = stopped.chain(logs).chain(missing(coverage));
        for line in missing.chain([never.to_owned()]) {
            page.paragraph(&line, 2, 4)?;
        }
        self.stats.logs.iter().try_for_each(|log| {
            let (file, format) = (printable(&log.file), printable(&log.format));
            let lines = counted(log.lines, "line");
            let read =
                format!("read {} of {lines} of {file} ({format})", log.lines - log.bad_lines);
            page.paragraph(&read, 2, 4)
        })?;
        if coverage.packets == 0 && !self.stats.logs.is_empty() {
            return Ok(());
        }
        let read = match coverage.permille() {
            None => "no TCP payload in the capture".to_owned(),
            Some(permille) => format!(
                "read {}.{} % of the payload ({} of {}) in {} and {}",
                permille / 10,
                permille % 10,
                bytes(coverage.readable_bytes),
                bytes(coverage.payload_bytes),
                counted(coverage.packets, "packet"),
                counted(coverage.flows, "flow"),
            ),
        };
        page.paragraph(&read, 2, 4)
    }
}

/// `1 high, 3 medium`, the worst first.
fn by_severity(findings: &[Finding]) -> String {
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += 1;
    }
    let worst_first = counts.iter().rev();
    let parts: Vec<String> =
        worst_first.map(|(severity, count)| format!("{count} {}", severity.as_str())).collect();
    parts.join(", ")
}

/// What of a log was not read.
fn of_log(log: &LogFile) -> Vec<String> {
    let file = printable(&log.file);
    let bad = (log.bad_lines > 0)
        .then(|| format!("{} of {file} that cannot be read", counted(log.bad_lines, "line")));
    let stopped = log.stopped.as_ref().map(|why| format!("the rest of {file}: {}", printable(why)));
    bad.into_iter().chain(stopped).collect()
}

/// One line for each way in which something was not seen.
fn missing(coverage: &Coverage) -> impl Iterator<Item = String> + use<> {
    let Coverage { encrypted_bytes, gap_bytes, .. } = *coverage;
    let lines = [
        (
            coverage.encrypted_flows,
            "encrypted flow",
            format!(" without keys, {}", bytes(encrypted_bytes)),
        ),
        (coverage.gaps, "gap", format!(" in TCP streams, {} missing", bytes(gap_bytes))),
        (coverage.truncated_packets, "packet", " cut by the snap length".to_owned()),
        (coverage.undecodable_packets, "packet", " of unknown link types or protocols".to_owned()),
        (coverage.malformed_packets, "packet", " that made no sense".to_owned()),
        (coverage.lost_fragments, "IP fragment", " without the others of its packet".to_owned()),
        (coverage.midstream_flows, "flow", " whose beginning is not in the capture".to_owned()),
        (coverage.evictions, "time", " something was pushed out of full memory".to_owned()),
        (coverage.dropped_findings, "finding", " beyond the bound on findings".to_owned()),
    ];
    lines
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, noun, rest)| format!("{}{rest}", counted(count, noun)))
}

#[cfg(test)]
mod tests;
