//! Tokens of persons at upstreams, each in a file of its own, sealed. The name of the file and the
//! seal are made of everything that a token is for: who, by which client, at which server, for
//! which resource, of which issuer. A file that is moved cannot be opened.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::seal::{Sealer, random};
use crate::portal::identity::sha256;
use crate::portal::principal::Scope;
use crate::portal::radix::base16;

/// Locks that all tokens share; two of one lock wait for each other.
const LOCKS: u8 = 64;
/// So long another replica may take to refresh a token.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    /// A person's token.
    Token {
        /// Whose, and where.
        scope: Scope,
        /// Of the authorization server.
        issuer: Arc<str>,
    },
    /// The portal's own registration as a client (RFC 7591).
    Registration {
        /// Id of the server.
        server: Arc<str>,
        /// Of the authorization server.
        issuer: Arc<str>,
    },
}

impl Slot {
    /// All of it, so that two slots never have the same text.
    fn text(&self) -> String {
        let parts: Vec<&str> = match self {
            Self::Token { scope, issuer } => vec![
                "token",
                &scope.owner.issuer,
                &scope.owner.subject,
                &scope.owner.client,
                &scope.server,
                &scope.resource,
                issuer,
            ],
            Self::Registration { server, issuer } => vec!["registration", server, issuer],
        };
        serde_json::Value::from(parts).to_string()
    }
}

/// A token of a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    /// Seconds since the Unix epoch.
    pub(super) expires: Option<i64>,
    pub(super) obtained: i64,
    /// Separated by spaces.
    pub(super) scopes: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry(obtained: {}, expires: {:?})", self.obtained, self.expires)
    }
}

/// The files.
#[derive(Debug)]
pub(super) struct Vault {
    folder: PathBuf,
    sealer: Arc<Sealer>,
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

impl Vault {
    /// In a folder, which is made if it is not there (mode 0700).
    pub(super) fn open(folder: &Path, sealer: &Arc<Sealer>) -> Result<Self, String> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| failed(folder, &error))?;
        Ok(Self { folder: folder.to_owned(), sealer: Arc::clone(sealer) })
    }

    fn path(&self, slot: &Slot) -> PathBuf {
        self.folder.join(base16(&sha256(slot.text().as_bytes())))
    }

    /// What is kept. A file that cannot be opened is as good as none.
    pub(super) fn get<T: DeserializeOwned>(&self, slot: &Slot) -> Result<Option<T>, String> {
        let path = self.path(slot);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(self.sealer.open(&slot.text(), text.trim_end())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// Keeps something: after this it is on the disk, or what was there still is.
    pub(super) fn put(&self, slot: &Slot, value: &impl Serialize) -> Result<(), String> {
        let sealed = self.sealer.seal(&slot.text(), value)?;
        let path = self.path(slot);
        let new = self.folder.join(format!(".{}", random()?));
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(sealed.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()
        })();
        written.map_err(|error| {
            // Nothing to be done about what is left over.
            let _left = fs::remove_file(&new);
            failed(&path, &error)
        })
    }

    /// Forgets something.
    pub(super) fn remove(&self, slot: &Slot) -> Result<(), String> {
        let path = self.path(slot);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, &error)),
            _ => Ok(()),
        }
    }

    /// Held, nobody else refreshes the token, on this replica or another with the same folder.
    pub(super) async fn lock(&self, slot: &Slot) -> Result<File, String> {
        let [first, ..] = sha256(slot.text().as_bytes());
        let path = self.folder.join(format!("lock-{}", first % LOCKS));
        let options =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = options.map_err(|error| failed(&path, &error))?;
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while let Err(error) = file.try_lock() {
            match error {
                fs::TryLockError::Error(error) => return Err(failed(&path, &error)),
                fs::TryLockError::WouldBlock if waited >= MAX_WAIT => {
                    return Err(format!("{}: somebody else holds it", path.display()));
                }
                fs::TryLockError::WouldBlock => tokio::time::sleep(step).await,
            }
            waited += step;
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::principal::Owner;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn vault(folder: &Path) -> Vault {
        let sealer = Sealer::of(&("a: ".to_owned() + &"0a".repeat(32))).unwrap();
        Vault::open(folder, &Arc::new(sealer)).unwrap()
    }

    fn slot(parts: &[String; 6]) -> Slot {
        let [issuer, subject, client, server, resource, auth] =
            parts.each_ref().map(|x| Arc::from(&**x));
        let owner = Owner { issuer, subject, client };
        Slot::Token { scope: Scope { owner, server, resource }, issuer: auth }
    }

    fn entry(text: &str) -> Entry {
        let access = text.to_owned();
        Entry { access, refresh: None, expires: None, obtained: 0, scopes: String::new() }
    }

    proptest! {
        #[test]
        fn no_key_omits_any_part(parts: [String; 6], other in ".{0,8}", at in 0_usize..6) {
            let mut changed = parts.clone();
            changed[at] = other;
            let (one, two) = (slot(&parts), slot(&changed));
            prop_assert_eq!(one.text() == two.text(), parts == changed);
            prop_assert_eq!(one == two, parts == changed);
        }

        #[test]
        fn parts_that_run_into_each_other_are_other_keys(text in "[a\",\\]\\[]{0,8}", at in 0_usize..8) {
            let cut = at.min(text.len());
            let halves = |at: usize| {
                let (one, two) = text.split_at(at);
                slot(&[one, two, "", "", "", ""].map(str::to_owned))
            };
            prop_assert_eq!(halves(cut).text() == halves(0).text(), cut == 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn two_owners_interleaved_never_see_each_others_tokens(steps in proptest::collection::vec((0_usize..4, 0_u8..3, 0_u32..9), 1..24)) {
            let folder = tempfile::tempdir().unwrap();
            let vault = vault(folder.path());
            let slots = ["alice", "bob", "alic", "e"].map(|who| {
                slot(&["https://login.example", who, "c", "s", "https://s.example", "https://as.example"].map(str::to_owned))
            });
            let mut model = [const { None }; 4];
            for (who, what, value) in steps {
                match what {
                    0 => {
                        let own = entry(&format!("{who}-{value}"));
                        vault.put(&slots[who], &own).unwrap();
                        model[who] = Some(own);
                    }
                    1 => {
                        vault.remove(&slots[who]).unwrap();
                        model[who] = None;
                    }
                    _ => {}
                }
                for (slot, want) in slots.iter().zip(&model) {
                    prop_assert_eq!(&vault.get::<Entry>(slot).unwrap(), want);
                }
            }
        }
    }

    #[test]
    fn files_are_sealed_private_and_bound_to_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder.path().join("new"));
        let of = |who: &str| slot(&["i", who, "c", "s", "r", "a"].map(str::to_owned));
        vault.put(&of("alice"), &entry("hunter2")).unwrap();
        let path = vault.path(&of("alice"));
        assert!(!fs::read_to_string(&path).unwrap().contains("hunter2"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&vault.folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::copy(&path, vault.path(&of("bob"))).unwrap();
        assert_eq!(vault.get::<Entry>(&of("bob")).unwrap(), None);
        assert_eq!(vault.get::<Entry>(&of("alice")).unwrap(), Some(entry("hunter2")));
        let files = fs::read_dir(&vault.folder).unwrap().count();
        assert_eq!(files, 2, "nothing is left over");
    }

    #[tokio::test]
    async fn one_at_a_time_holds_the_lock_of_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (vault(folder.path()), vault(folder.path()));
        let slot = slot(&["i", "alice", "c", "s", "r", "a"].map(str::to_owned));
        let held = one.lock(&slot).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(60), two.lock(&slot)).await.is_err());
        drop(held);
        two.lock(&slot).await.unwrap();
    }
}
