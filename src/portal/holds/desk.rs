//! The directory in which calls wait: `ID.json` for each, `ID.decision.json` for what was decided,
//! `forms.key` for the page.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::{Held, MAX_SHOWN_BYTES, Refused};
use crate::portal::policy::Tier;
use crate::time::Timestamp;

/// Most files that are looked at.
const MAX_FILES: usize = 20_000;
/// Longest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// A call that waits, as approvers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// 32 hex digits.
    pub id: Box<str>,
    /// Of who calls.
    pub issuer: Box<str>,
    /// Who calls.
    pub subject: Box<str>,
    /// With which client.
    pub client: Box<str>,
    /// Their name.
    pub name: Option<Box<str>>,
    /// Id of the server.
    pub server: Box<str>,
    /// The tool.
    pub tool: Box<str>,
    /// Its tier.
    pub tier: Tier,
    /// Arguments, redacted.
    pub arguments: Box<str>,
    /// Digest of the arguments.
    pub digest: Box<str>,
    /// The policy that holds it.
    pub policy: Option<Box<str>>,
    /// Since when, RFC 3339.
    pub since: Box<str>,
    /// Until when, nanoseconds since 1970.
    pub until: i64,
}

impl Waiting {
    pub(super) fn new(id: Box<str>, held: &Held, now: Timestamp, timeout: Duration) -> Self {
        let mut end = held.arguments.len().min(MAX_SHOWN_BYTES);
        while !held.arguments.is_char_boundary(end) {
            end -= 1;
        }
        let text = |text: &str| -> Box<str> { text.into() };
        Self {
            id,
            issuer: text(&held.owner.issuer),
            subject: text(&held.owner.subject),
            client: text(&held.owner.client),
            name: held.name.as_deref().map(text),
            server: text(&held.server),
            tool: text(&held.tool),
            tier: held.tier,
            arguments: text(held.arguments.get(..end).unwrap_or_default()),
            digest: held.digest.clone(),
            policy: held.policy.as_deref().map(text),
            since: text(&now.to_string()),
            until: now.plus(timeout).as_nanos(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    digest: Box<str>,
    release: bool,
    by: Box<str>,
}

/// The directory.
#[derive(Clone, Debug)]
pub struct Desk(PathBuf);

/// A key.
pub(super) fn random() -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(bytes)
}

/// Ids come from command lines and forms, and become names of files.
fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Makes a file that is there whole or not at all, and was not there before.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    out.write_all(bytes)?;
    // A link, not a move: of two who decide at once the first one counts.
    let linked = fs::hard_link(&fresh, path);
    drop(fs::remove_file(&fresh));
    linked
}

impl Desk {
    /// `holds` in a state directory, made for its user only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(state: &Path) -> Result<Self, String> {
        let folder = state.join("holds");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(super) fn form_key(&self) -> Result<Vec<u8>, String> {
        let path = self.0.join("forms.key");
        // Replicas that share the directory share the key: whoever is first makes it.
        drop(create(&path, &random()?));
        let key = fs::read(&path).map_err(|it| format!("cannot read {}: {it}", path.display()))?;
        if key.len() < 32 {
            return Err(format!("{} is no key: remove it", path.display()));
        }
        Ok(key)
    }

    pub(super) fn put(&self, waiting: &Waiting) -> io::Result<()> {
        let text = serde_json::to_vec(waiting)?;
        create(&self.0.join(format!("{}.json", waiting.id)), &text)
    }

    pub(super) fn remove(&self, id: &str) {
        for name in [format!("{id}.json"), format!("{id}.decision.json")] {
            drop(fs::remove_file(self.0.join(name)));
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        let path = self.0.join(name);
        if fs::metadata(&path).ok()?.len() > MAX_FILE_BYTES {
            return None;
        }
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// What was decided on a call, if it was on these very arguments.
    pub(super) fn decision(&self, waiting: &Waiting) -> Option<(bool, Box<str>)> {
        let decided: Decided = self.read(&format!("{}.decision.json", waiting.id))?;
        (decided.digest == waiting.digest).then_some((decided.release, decided.by))
    }

    /// All calls that wait and are not decided, the oldest first. What expired is removed.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<Waiting> {
        let Ok(files) = fs::read_dir(&self.0) else { return Vec::new() };
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let mut all = Vec::new();
        for name in names.take(MAX_FILES) {
            let Some(id) = name.strip_suffix(".json").filter(|id| is_id(id)) else { continue };
            let Some(waiting) = self.read::<Waiting>(&name) else { continue };
            if waiting.until < now.as_nanos() {
                self.remove(id);
            } else if *waiting.id == *id && self.decision(&waiting).is_none() {
                all.push(waiting);
            }
        }
        all.sort_by(|a, b| (&a.since, &a.id).cmp(&(&b.since, &b.id)));
        all
    }

    /// Approves a call, or refuses it: whoever may write here may.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn decide(&self, waiting: &Waiting, release: bool, by: &str) -> Result<(), Refused> {
        let path = self.0.join(format!("{}.decision.json", waiting.id));
        let decided = Decided { digest: waiting.digest.clone(), release, by: by.into() };
        let text = serde_json::to_vec(&decided).map_err(|_| Refused::NotWritten)?;
        create(&path, &text).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Refused::Decided,
            _ => Refused::NotWritten,
        })
    }
}
