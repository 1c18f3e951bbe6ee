//! Who may push, and what: a YAML file.
//!
//! ```yaml
//! schema: shadowtap/push@1
//! sources:
//!   - name: edge                  # /v1/logs/edge
//!     format: squid               # or auto
//!     token_file: /etc/shadowtap/edge.token
//!   - name: gateway
//!     token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```

use std::path::{Path, PathBuf};

use ring::digest;
use serde::Deserialize;

use crate::logs::{Spec, format};

/// The value of `schema:`.
const SCHEMA: &str = "shadowtap/push@1";
/// Longest file of sources and of a token, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Shorter tokens can be guessed.
const MIN_TOKEN_BYTES: usize = 16;

/// One that may push.
#[derive(Clone)]
pub struct Source {
    /// Last part of the path.
    pub name: Box<str>,
    /// Number of the source in the run.
    pub number: u16,
    /// Its format, if it is named.
    pub format: Option<&'static Spec>,
    /// SHA-256 of its token.
    token: [u8; 32],
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("number", &self.number).finish()
    }
}

impl Source {
    /// With a token.
    #[must_use]
    pub fn new(name: &str, number: u16, format: Option<&'static Spec>, token: &[u8]) -> Self {
        Self { name: name.into(), number, format, token: hash(token) }
    }
}

/// All that may push.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        Self(sources.into_iter().collect())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    sources: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    token_file: Option<PathBuf>,
    #[serde(default)]
    token_sha256: Option<String>,
}

impl Sources {
    /// Reads a file; the sources get the numbers from `first` on. Names of token files are relative
    /// to it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn read(path: &Path, first: u16) -> Result<Self, String> {
        let text = read(path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&text, folder, first).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn parse(text: &str, folder: &Path, first: u16) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if file.schema != SCHEMA {
            return Err(format!("schema is {}; this program reads {SCHEMA}", file.schema));
        }
        let mut sources: Vec<Source> = Vec::new();
        for (number, entry) in (first..=u16::MAX).zip(file.sources) {
            if sources.iter().any(|source| *source.name == *entry.name) {
                return Err(format!("two sources are called {}", entry.name));
            }
            sources.push(entry.source(folder, number)?);
        }
        if sources.is_empty() {
            return Err("there are no sources: nobody could push".to_owned());
        }
        Ok(Self(sources))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// The source of a name, with its place among all, if the token is its own. Takes the same time
    /// whatever the token has in common with the right one: hashes are compared, and whole.
    pub(super) fn find(&self, name: &str, token: &[u8]) -> Option<(usize, &Source)> {
        let given = hash(token);
        let known = self.0.iter().enumerate().find(|(_, source)| *source.name == *name);
        let expected = known.map_or([0; 32], |(_, source)| source.token);
        let difference = given.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b));
        known.filter(|_| difference == 0 && !token.is_empty())
    }
}

impl Entry {
    fn source(self, folder: &Path, number: u16) -> Result<Source, String> {
        let name = self.name.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(format!("{name:?} is no name: letters, digits, - and _, 64 at most"));
        }
        let format = match self.format.as_deref() {
            None | Some("auto") => None,
            Some(format) => Some(format::by_name(format).ok_or_else(|| {
                let known: Vec<_> = format::ALL.iter().map(|spec| spec.name).collect();
                format!("{name}: no format is called {format}; there are: {}", known.join(", "))
            })?),
        };
        let token = match (&self.token_file, &self.token_sha256) {
            (Some(file), None) => {
                let path = folder.join(file);
                let text = read(&path)?;
                let token = text.lines().next().unwrap_or_default().trim();
                if token.len() < MIN_TOKEN_BYTES {
                    let path = path.display();
                    return Err(format!(
                        "{path}: a token needs {MIN_TOKEN_BYTES} bytes, as `openssl rand -hex 32` \
                         gives them"
                    ));
                }
                hash(token.as_bytes())
            }
            (None, Some(text)) => hexadecimal(text).ok_or_else(|| {
                format!("{name}: token_sha256 has 64 hexadecimal digits, as sha256sum prints them")
            })?,
            _ => return Err(format!("{name}: give one of token_file and token_sha256")),
        };
        Ok(Source { name: name.into(), number, format, token })
    }
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|e| format!("cannot read {shown}: {e}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{shown} has {size} bytes: too many"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))
}

fn hash(token: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token);
    digest.as_ref().try_into().unwrap_or([0; 32])
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
    let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHED: &str = "schema: shadowtap/push@1\nsources: [{name: a, token_sha256: \
        9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}]";

    #[test]
    fn only_the_right_token_of_the_right_source_finds_it() {
        let mut sources = Sources::parse(HASHED, Path::new(""), 3).unwrap();
        sources.0.push(Source::new("b", 4, None, b"fake-token-of-b"));
        for (name, token, expected) in [
            ("a", "test", Some(3)),
            ("b", "fake-token-of-b", Some(4)),
            ("a", "fake-token-of-b", None),
            ("b", "test", None),
            ("c", "test", None),
            ("a", "", None),
            ("a", "tesu", None),
        ] {
            let found = sources.find(name, token.as_bytes()).map(|(_, source)| source.number);
            assert_eq!(found, expected, "{name} {token}");
        }
        assert!(!format!("{sources:?}").contains("token"));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("short"), "fake\n").unwrap();
        std::fs::write(folder.path().join("long"), "fake-fake-fake-fake\n").unwrap();
        let parse = |entry: &str| {
            let text = format!("schema: shadowtap/push@1\nsources: [{entry}]");
            Sources::parse(&text, folder.path(), 0).map(|_| ())
        };
        assert_eq!(parse("{name: a, format: auto, token_file: long}"), Ok(()));
        for (entry, says) in [
            ("", "no sources"),
            ("{name: a}", "one of token_file"),
            ("{name: a, token_file: long, token_sha256: ab}", "one of token_file"),
            ("{name: a, token_sha256: ab}", "64 hexadecimal"),
            ("{name: a, token_file: short}", "16 bytes"),
            ("{name: a, token_file: none}", "cannot read"),
            ("{name: a/b, token_file: long}", "no name"),
            ("{name: a, format: x, token_file: long}", "no format is called x"),
            ("{name: a, token_file: long}, {name: a, token_file: long}", "two sources"),
            ("{name: a, tokenfile: long}", "tokenfile"),
        ] {
            let why = parse(entry).unwrap_err();
            assert!(why.contains(says), "{entry}: {why}");
        }
        assert!(Sources::parse("schema: x\nsources: []", folder.path(), 0).is_err());
    }
}
