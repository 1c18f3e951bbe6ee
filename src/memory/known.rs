//! What is remembered of the lists of one server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::anatomy::{Digests, Hints};
use super::document::{hex, nanos, secret};
use crate::observation::SecretHash;
use crate::time::Timestamp;

/// Digests remembered per definition.
pub(super) const MAX_VERSIONS: usize = 8;
/// Looks remembered per definition, to tell clients that are shown different things.
pub(super) const MAX_LOOKS: usize = 8;

/// One digest that a definition had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    /// 64 hex digits.
    pub(super) digest: String,
    /// Since when it stands, or stood.
    #[serde(with = "nanos")]
    pub(super) since: Timestamp,
    /// Last listed.
    #[serde(with = "nanos")]
    pub(super) last: Timestamp,
}

/// Who was shown which version. Kept for minutes, never saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) client: IpAddr,
    pub(super) credential: Option<SecretHash>,
    pub(super) digest: u64,
    pub(super) at: Timestamp,
}

/// One name that a server lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    #[serde(with = "nanos")]
    pub(super) first: Timestamp,
    #[serde(with = "nanos")]
    pub(super) last: Timestamp,
    /// Lists that held it.
    pub(super) lists: u64,
    /// Different definitions so far.
    pub(super) total: u64,
    /// The current one last; at most [`MAX_VERSIONS`]. Empty while no definition had a digest.
    pub(super) versions: Vec<Version>,
    /// Canonical text of the current definition, unless it was too long or held a secret.
    pub(super) text: Option<Box<str>>,
    /// Parts of the current definition; `None` when it could not be taken apart.
    pub(super) digests: Option<Digests>,
    pub(super) hints: Hints,
    #[serde(skip)]
    pub(super) looks: Vec<Look>,
}

impl Known {
    pub(super) fn current(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// Adds or renews the newest version.
    pub(super) fn set_current(&mut self, digest: &str, at: Timestamp) {
        let is_new = !self.versions.iter().any(|version| version.digest == digest);
        self.versions.retain(|version| version.digest != digest);
        if self.versions.len() >= MAX_VERSIONS {
            self.versions.remove(0);
        }
        self.versions.push(Version { digest: digest.to_owned(), since: at, last: at });
        self.total += u64::from(is_new);
    }

    fn weight(&self, name: &str) -> usize {
        let text = self.text.as_ref().map_or(0, |text| text.len());
        320 + name.len() + text + 120 * self.versions.len() + 48 * self.looks.len()
    }
}

/// The first 8 bytes of a digest in hex.
pub(super) fn short(digest: &str) -> u64 {
    digest.get(..16).and_then(|start| u64::from_str_radix(start, 16).ok()).unwrap_or(0)
}

/// What one side was last shown under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    /// Start of the digest; 0 when there was none.
    #[serde(with = "hex")]
    pub(super) digest: u64,
    /// The last whole list held it.
    pub(super) present: bool,
}

/// A list as one side saw it whole: whoever has one credential, or everybody without any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    #[serde(with = "secret")]
    pub(super) credential: Option<SecretHash>,
    pub(super) client: IpAddr,
    #[serde(with = "nanos")]
    pub(super) first: Timestamp,
    #[serde(with = "nanos")]
    pub(super) last: Timestamp,
    pub(super) names: BTreeMap<String, Shown>,
}

impl View {
    fn weight(&self) -> usize {
        128 + self.names.keys().map(|name| name.len() + 64).sum::<usize>()
    }
}

/// A list of several pages that a client is reading. Never saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) client: IpAddr,
    pub(super) credential: Option<SecretHash>,
    pub(super) began: Timestamp,
    pub(super) names: BTreeMap<String, u64>,
}

/// Everything of one kind that a server listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    pub(super) definitions: BTreeMap<String, Known>,
    pub(super) views: Vec<View>,
    #[serde(skip)]
    pub(super) readings: Vec<Reading>,
}

impl Listing {
    /// The view of a side. An unknown credential is taken for the renewed one of the same client,
    /// if the client has used no two at the same time.
    pub(super) fn view(
        &self,
        client: IpAddr,
        credential: Option<SecretHash>,
        is_private: bool,
    ) -> Option<usize> {
        let is_exact = |view: &View| {
            let is_side = credential.is_some() || !is_private || view.client == client;
            view.credential == credential && is_side
        };
        let exact = self.views.iter().position(is_exact);
        exact.or_else(|| {
            let of_client = |view: &&View| view.client == client && view.credential.is_some();
            credential?;
            let (index, newest) = self.views.iter().enumerate().max_by_key(|(_, view)| {
                (view.client == client && view.credential.is_some(), view.last)
            })?;
            let mut others = self.views.iter().filter(of_client);
            let alone = others.all(|view| std::ptr::eq(view, newest) || view.last < newest.first);
            (of_client(&newest) && alone).then_some(index)
        })
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.definitions.remove(name);
        for view in &mut self.views {
            view.names.remove(name);
        }
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        let known = self.definitions.iter().map(|(name, known)| known.weight(name));
        let views = self.views.iter().map(View::weight);
        let readings = self.readings.iter().map(|reading| 128 + 80 * reading.names.len());
        known.chain(views).chain(readings).sum()
    }
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    #[serde(with = "nanos")]
    pub(super) first: Timestamp,
    #[serde(with = "nanos")]
    pub(super) last: Timestamp,
    /// Name and version that it gave of itself last.
    pub(super) software: Option<(String, String)>,
    /// By kind, in the order of [`DefinitionKind`](crate::observation::DefinitionKind).
    pub(super) listings: [Listing; 4],
    /// Names of tools by the key that confusable names share.
    #[serde(skip)]
    pub(super) folded: BTreeMap<String, BTreeSet<String>>,
    /// About how many bytes it takes.
    #[serde(skip)]
    pub(super) weight: usize,
}

impl Server {
    pub(super) fn weigh(&mut self, key: &str) {
        let folded: usize = self.folded.keys().map(|name| 2 * name.len() + 128).sum();
        let listings: usize = self.listings.iter().map(Listing::weight).sum();
        let software = self.software.as_ref().map_or(0, |it| it.0.len() + it.1.len());
        self.weight = 512 + 2 * key.len() + software + listings + folded;
    }
}
