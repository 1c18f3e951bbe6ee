//! `holds:` of the portal's file.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::portal::policy::Tier;

/// Calls that wait until somebody approves them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Groups that approve calls on the page. Nobody when absent; the command line always can.
    pub approvers: Vec<String>,
    /// Groups that approve calls of a tier, in place of `approvers`.
    pub approvers_of: BTreeMap<Tier, Vec<String>>,
    /// People may approve their own calls; `false` when absent.
    pub allow_requester: bool,
    /// Seconds that a call waits at most; 300 when absent.
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: Option<u64>,
    /// Calls that wait at most, more are refused; 256 when absent.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_waiting: Option<usize>,
    /// The same for each person and client; 16 when absent.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_waiting_each: Option<usize>,
}

/// The section, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    approvers: Vec<String>,
    approvers_of: BTreeMap<Tier, Vec<String>>,
    pub(super) allow_requester: bool,
    /// A call waits at most so long.
    pub timeout: Duration,
    pub(super) max_waiting: usize,
    pub(super) max_waiting_each: usize,
}

impl Config {
    /// Checks it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self) -> Result<Checked, String> {
        let seconds = self.timeout_seconds.unwrap_or(300);
        let (all, each) = (self.max_waiting.unwrap_or(256), self.max_waiting_each.unwrap_or(16));
        if !(1..=86_400).contains(&seconds) {
            return Err("`holds.timeout_seconds` is from 1 to 86400".to_owned());
        }
        if !(1..=10_000).contains(&all) || !(1..=10_000).contains(&each) {
            return Err("`holds.max_waiting` and `max_waiting_each` are from 1 to 10000".to_owned());
        }
        Ok(Checked {
            approvers: self.approvers,
            approvers_of: self.approvers_of,
            allow_requester: self.allow_requester,
            timeout: Duration::from_secs(seconds),
            max_waiting: all,
            max_waiting_each: each,
        })
    }
}

impl Checked {
    pub(super) fn approvers(&self, tier: Tier) -> &[String] {
        self.approvers_of.get(&tier).unwrap_or(&self.approvers)
    }
}
