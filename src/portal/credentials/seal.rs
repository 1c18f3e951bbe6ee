//! Text that only the portal can read and make: AES-256-GCM with the keys of a file (NIST SP
//! 800-38D). What it is for is part of what is sealed, so nothing passes for something else.

use std::fmt;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::portal::radix::{base64_url, from_base16, from_base64_url};

/// Longest file of keys, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// Longest text that is opened, in bytes.
const MAX_SEALED_BYTES: usize = 256 << 10;

/// The keys. The first seals; all open, so that a new one is put before the others.
pub struct Sealer {
    keys: Vec<(Box<str>, LessSafeKey)>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.keys.iter().map(|(name, _)| name).collect();
        f.debug_struct("Sealer").field("keys", &names).finish()
    }
}

/// Random bytes as base64.
pub(super) fn random() -> Result<String, String> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(base64_url(&bytes))
}

impl Sealer {
    /// From a file with a line `NAME: 64 digits of base 16` for each key.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let size = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?.len();
        if size > MAX_FILE_BYTES {
            return Err(format!("{shown} has {size} bytes: too many for keys"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        Self::of(&text).map_err(|why| format!("{shown}: {why}"))
    }

    /// From the text of such a file.
    ///
    /// # Errors
    /// What is wrong with it; never what is in it.
    pub fn of(text: &str) -> Result<Self, String> {
        let mut keys: Vec<(Box<str>, LessSafeKey)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || {
                format!(
                    "line {} is not NAME: and 64 digits of base 16 (openssl rand -hex 32)",
                    at + 1
                )
            };
            let (name, key) = line.split_once(':').ok_or_else(wrong)?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if name.is_empty() || name.len() > 32 || !name.bytes().all(fits) {
                return Err(format!("line {}: names have letters, digits, - and _", at + 1));
            }
            if keys.iter().any(|(own, _)| **own == *name) {
                return Err(format!("line {}: {name} is there twice", at + 1));
            }
            let key = from_base16(key.trim()).ok_or_else(wrong)?;
            let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| wrong())?;
            keys.push((name.into(), LessSafeKey::new(key)));
        }
        if keys.is_empty() {
            return Err("no key in it: write `a: ` and 64 digits (openssl rand -hex 32)".to_owned());
        }
        Ok(Self { keys })
    }

    /// Seals something for a purpose.
    pub(super) fn seal(&self, purpose: &str, value: &impl Serialize) -> Result<String, String> {
        let (name, key) = self.keys.first().ok_or("no key")?;
        let mut sealed = serde_json::to_vec(value).map_err(|error| error.to_string())?;
        let mut nonce = [0; NONCE_LEN];
        let filled = SystemRandom::new().fill(&mut nonce);
        filled.map_err(|_| "the system gives no random bytes")?;
        let about = Aad::from(format!("{name}\0{purpose}"));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), about, &mut sealed)
            .map_err(|_| "cannot be sealed")?;
        let mut bytes = nonce.to_vec();
        bytes.append(&mut sealed);
        Ok(format!("{name}.{}", base64_url(&bytes)))
    }

    /// Opens what was sealed for that purpose, with any of the keys.
    pub(super) fn open<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        if text.len() > MAX_SEALED_BYTES {
            return None;
        }
        let (name, sealed) = text.split_once('.')?;
        let (_, key) = self.keys.iter().find(|(own, _)| **own == *name)?;
        let bytes = from_base64_url(sealed)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let about = Aad::from(format!("{name}\0{purpose}"));
        let opened = key.open_in_place(nonce, about, &mut sealed).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_for_its_purpose_with_any_key_that_is_left() {
        let (a, b) = ("a: ".to_owned() + &"0a".repeat(32), "b: ".to_owned() + &"0b".repeat(32));
        let old = Sealer::of(&a).unwrap();
        let sealed = old.seal("x", &"hunter2").unwrap();
        assert!(sealed.starts_with("a.") && !sealed.contains("hunter2"));
        let both = Sealer::of(&format!("# new\n{b}\n\n{a}\n")).unwrap();
        assert_eq!(both.open::<String>("x", &sealed).as_deref(), Some("hunter2"));
        assert!(both.seal("x", &"").unwrap().starts_with("b."));
        assert_eq!(both.open::<String>("y", &sealed), None, "another purpose");
        assert_eq!(Sealer::of(&b).unwrap().open::<String>("x", &sealed), None, "without its key");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(text) = String::from_utf8(bytes) {
                assert_eq!(both.open::<String>("x", &text), None, "changed at {at}");
            }
            assert_eq!(both.open::<String>("x", sealed.split_at(at).0), None, "cut at {at}");
        }
    }

    #[test]
    fn files_of_keys_that_are_none_say_where() {
        for (text, said) in [
            ("", "no key"),
            ("# a", "no key"),
            ("a: 12", "line 1"),
            ("\n0a", "line 2"),
            ("a b: 00", "names have letters"),
        ] {
            assert!(Sealer::of(text).unwrap_err().contains(said), "{text}");
        }
        let twice = ("a: ".to_owned() + &"0a".repeat(32) + "\n").repeat(2);
        assert!(Sealer::of(&twice).unwrap_err().contains("twice"));
    }
}
