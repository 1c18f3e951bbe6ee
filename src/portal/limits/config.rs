//! The section `limits` of the portal's file.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::gcra::Rate;
use crate::time::span;

/// A rate: so many calls in a time, and so many of them at once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateSpec {
    /// Calls in `per`; 1 to 1,000,000.
    pub calls: u32,
    /// The time: `1s`, `1m`, `1h`, up to a day. Default `1m`.
    #[serde(default = "minute")]
    pub per: String,
    /// Calls that may come at once. Default: `calls`.
    #[serde(default)]
    pub burst: Option<u32>,
}

fn minute() -> String {
    "1m".to_owned()
}

/// A rate for each person and tool.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolRateSpec {
    /// Servers, by their ids; `*` stands for any characters. Default: all.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Tools, prompts or URIs, by the server's own names; `*` as above. Default: all.
    #[serde(default)]
    pub tools: Vec<String>,
    /// How often one person may call each of them.
    pub rate: RateSpec,
}

/// Calls under way at the same time.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConcurrencySpec {
    /// Of one person. Default 64.
    pub subject: u32,
    /// To one server. Default 1,024.
    pub server: u32,
    /// Of all. Default 8,192.
    pub all: u32,
}

impl Default for ConcurrencySpec {
    fn default() -> Self {
        Self { subject: 64, server: 1_024, all: 8_192 }
    }
}

/// Rates, concurrency and sizes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// Calls of one person, whatever client they use. Default: 1,200 in a minute, 200 at once.
    pub per_subject: Option<RateSpec>,
    /// Calls to one server, of all together. Default: as many as come.
    pub per_server: Option<RateSpec>,
    /// Calls of one person to one tool; the first that fits counts. Default: none.
    pub per_tool: Vec<ToolRateSpec>,
    /// Calls under way at the same time.
    pub concurrency: ConcurrencySpec,
    /// Longest request body, in bytes. Default 4 MiB.
    pub max_body_bytes: usize,
    /// Most arrays and objects inside of each other in a message; at most 127. Default 64.
    pub max_depth: u32,
    /// Longest answer to one request, all its events together, in bytes. Default 64 MiB.
    pub max_response_bytes: u64,
    /// People, and pairs of person and tool, whose rates are remembered, each; some 200 bytes each.
    /// Whoever is at a limit is never forgotten; when all are, those who come share one rate.
    /// Default 100,000.
    pub max_tracked: usize,
}

impl Default for Spec {
    fn default() -> Self {
        let per_subject = RateSpec { calls: 1_200, per: minute(), burst: Some(200) };
        Self {
            per_subject: Some(per_subject),
            per_server: None,
            per_tool: Vec::new(),
            concurrency: ConcurrencySpec::default(),
            max_body_bytes: 4 << 20,
            max_depth: 64,
            max_response_bytes: 64 << 20,
            max_tracked: 100_000,
        }
    }
}

/// A rate for tools, checked.
#[derive(Clone, Debug)]
pub(super) struct ToolRate {
    pub(super) servers: Vec<String>,
    pub(super) tools: Vec<String>,
    pub(super) rate: Rate,
}

/// The section, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    pub(super) per_subject: Option<Rate>,
    pub(super) per_server: Option<Rate>,
    pub(super) per_tool: Vec<ToolRate>,
    pub(super) concurrency: ConcurrencySpec,
    pub(super) sizes: super::Sizes,
    pub(super) max_tracked: usize,
}

impl Spec {
    /// Checks it.
    ///
    /// # Errors
    /// All that is wrong, each with its place in the section and what to do.
    pub fn check(self) -> Result<Checked, Vec<String>> {
        let mut problems = Vec::new();
        let mut rate = |spec: &RateSpec, at: &str| match checked(spec) {
            Ok(rate) => Some(rate),
            Err(problem) => {
                problems.push(format!("limits.{at}.{problem}"));
                None
            }
        };
        let per_subject = self.per_subject.and_then(|spec| rate(&spec, "per_subject"));
        let per_server = self.per_server.and_then(|spec| rate(&spec, "per_server"));
        let mut per_tool = Vec::with_capacity(self.per_tool.len());
        for (index, ToolRateSpec { servers, tools, rate: spec }) in
            self.per_tool.into_iter().enumerate()
        {
            if let Some(rate) = rate(&spec, &format!("per_tool[{index}].rate")) {
                per_tool.push(ToolRate { servers, tools, rate });
            }
        }
        let ConcurrencySpec { subject, server, all } = self.concurrency;
        for (name, value) in [("subject", subject), ("server", server), ("all", all)] {
            if value == 0 {
                problems.push(format!(
                    "limits.concurrency.{name}: 0 lets nothing through; use 1 or more"
                ));
            }
        }
        if !(1..=127).contains(&self.max_depth) {
            problems.push(format!("limits.max_depth: {} is not 1 to 127", self.max_depth));
        }
        for (name, is_small) in [
            ("max_body_bytes", self.max_body_bytes < 1_024),
            ("max_response_bytes", self.max_response_bytes < 1_024),
        ] {
            if is_small {
                problems
                    .push(format!("limits.{name}: less than 1,024 bytes fit no message; use more"));
            }
        }
        if self.max_tracked == 0 {
            problems
                .push("limits.max_tracked: 0 would make all share one rate; use more".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let sizes = super::Sizes {
            max_body_bytes: self.max_body_bytes,
            max_depth: self.max_depth,
            max_response_bytes: self.max_response_bytes,
        };
        let (concurrency, max_tracked) = (self.concurrency, self.max_tracked);
        Ok(Checked { per_subject, per_server, per_tool, concurrency, sizes, max_tracked })
    }
}

fn checked(spec: &RateSpec) -> Result<Rate, String> {
    let RateSpec { calls, per, burst } = spec;
    if !(1..=1_000_000).contains(calls) {
        return Err(format!("calls: {calls} is not 1 to 1,000,000"));
    }
    let day = Duration::from_secs(86_400);
    let per = span(per)
        .filter(|per| !per.is_zero() && *per <= day)
        .ok_or_else(|| format!("per: {per:?} is no time from 1s to 1d, such as 30s or 1m"))?;
    let burst = burst.unwrap_or(*calls);
    if burst == 0 {
        return Err("burst: 0 lets nothing through; use 1 or more".to_owned());
    }
    Ok(Rate::new(*calls, per, burst))
}
