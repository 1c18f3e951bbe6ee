//! `pins.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::difference::Difference;
use super::{MAX_NAMES, MAX_PENDING};

/// Format of the file.
pub const SCHEMA: &str = "shadowtap/pins@1";
/// Longest file that is read or written.
const MAX_FILE_BYTES: usize = 256 << 20;
/// Most names of other tools that a text is searched for.
const MAX_OTHERS: usize = 4_096;

/// All that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    schema: String,
    /// By id.
    pub servers: BTreeMap<String, Server>,
}

impl Default for Document {
    fn default() -> Self {
        Self { schema: SCHEMA.to_owned(), servers: BTreeMap::new() }
    }
}

/// What one server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Kinds of lists that were seen: what comes later is no first use.
    pub seen: BTreeSet<String>,
    /// By kind and name.
    pub definitions: BTreeMap<String, BTreeMap<String, Entry>>,
}

/// The definitions of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// Those that may be used, the latest last.
    pub approved: Vec<Version>,
    /// Those that wait.
    pub pending: Vec<Version>,
    /// Digests of those that nobody wants.
    pub rejected: Vec<String>,
}

/// One definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// SHA-256 of its canonical JSON, as the sensor has it: 64 hex digits.
    pub digest: String,
    /// Its canonical JSON, where it is not too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When it was approved, or first seen.
    pub at: String,
    /// Who approved it.
    pub by: String,
    /// How it differs from the approved one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

impl Entry {
    pub(super) fn knows(&self, digest: &str) -> bool {
        self.approved.iter().chain(&self.pending).any(|version| version.digest == digest)
            || self.rejected.iter().any(|own| own == digest)
    }
}

impl Document {
    /// The definitions of a name.
    #[must_use]
    pub fn entry(&self, server: &str, kind: &str, name: &str) -> Option<&Entry> {
        self.servers.get(server)?.definitions.get(kind)?.get(name)
    }

    pub(super) fn entry_mut(&mut self, server: &str, kind: &str, name: &str) -> Option<&mut Entry> {
        self.servers.get_mut(server)?.definitions.get_mut(kind)?.get_mut(name)
    }

    pub(super) fn names(&self, server: &str, kind: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let names = self.servers.get(server).and_then(|server| server.definitions.get(kind));
        names.into_iter().flatten().map(|(name, entry)| (name.as_str(), entry))
    }

    pub(super) fn was_seen(&self, server: &str, kind: &str) -> bool {
        self.servers.get(server).is_some_and(|server| server.seen.contains(kind))
    }

    pub(super) fn see(&mut self, server: &str, kind: &str) {
        self.servers.entry(server.to_owned()).or_default().seen.insert(kind.to_owned());
    }

    /// The entry of a name, made if there is room.
    pub(super) fn add(&mut self, server: &str, kind: &str, name: &str) -> Option<&mut Entry> {
        let names = self.servers.entry(server.to_owned()).or_default();
        let names = names.definitions.entry(kind.to_owned()).or_default();
        if names.len() >= MAX_NAMES && !names.contains_key(name) {
            // What only waits gives way; what is approved does not.
            let waiting = names.iter().find(|(_, entry)| entry.approved.is_empty());
            let waiting = waiting.map(|(name, _)| name.clone())?;
            names.remove(&waiting);
        }
        let entry = names.entry(name.to_owned()).or_default();
        debug_assert!(entry.pending.len() <= MAX_PENDING);
        Some(entry)
    }

    /// Names of tools, of all servers, other than this one.
    pub(super) fn other_names(&self, server: &str, kind: &str, name: &str) -> Vec<String> {
        let all = self.servers.iter().flat_map(|(id, server)| {
            let tools = server.definitions.get("tool").into_iter().flatten();
            tools.map(move |(name, _)| (id, name))
        });
        let others = all
            .filter(|(id, own)| !(kind == "tool" && id.as_str() == server && own.as_str() == name));
        others.map(|(_, name)| name.clone()).take(MAX_OTHERS).collect()
    }
}

/// Tells whether a file has changed.
pub(super) type Stamp = Option<(SystemTime, u64)>;

pub(super) fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The file; one that is not there is empty.
pub(super) fn read(file: &Path) -> Result<(Document, Stamp), String> {
    let stamp = stamp(file);
    let said = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", file.display());
    if stamp.is_some_and(|(_, len)| len > MAX_FILE_BYTES as u64) {
        return Err(said(&format_args!("longer than {MAX_FILE_BYTES} bytes")));
    }
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Document::default(), None));
        }
        Err(error) => return Err(said(&error)),
    };
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| said(&error))?;
    if document.schema != SCHEMA {
        let schema = document.schema;
        return Err(said(&format_args!("it is `{schema}`, and this version reads `{SCHEMA}`")));
    }
    Ok((document, stamp))
}

/// Writes it whole or not at all, for its user only.
pub(super) fn write(file: &Path, document: &Document) -> Result<Stamp, String> {
    let said = |error: &dyn std::fmt::Display| format!("cannot write {}: {error}", file.display());
    let mut text = serde_json::to_string_pretty(document).map_err(|error| said(&error))?;
    text.push('\n');
    if text.len() > MAX_FILE_BYTES {
        return Err(said(&format_args!("longer than {MAX_FILE_BYTES} bytes")));
    }
    let fresh = file.with_extension("json.new");
    let fill = || -> io::Result<()> {
        let mut out =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        fs::rename(&fresh, file)
    };
    fill().map_err(|error| said(&error))?;
    Ok(stamp(file))
}

/// Held while the file is changed.
pub(super) fn lock(file: &Path) -> Result<File, String> {
    let path = file.with_extension("lock");
    let said = |error: io::Error| format!("cannot lock {}: {error}", path.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(said)?;
    }
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(said)?;
    lock.lock().map_err(said)?;
    Ok(lock)
}
