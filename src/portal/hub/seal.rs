//! Sealed texts: tokens that say nothing, cannot be made up, and are good for one purpose and one
//! owner only (AES-256-GCM, NIST SP 800-38D). Any replica with the same keys opens them.

use std::fmt;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};

use crate::portal::principal::Owner;
use crate::portal::radix::{base64_url, from_base16, from_base64_url};

/// Longest sealed text that is opened, in characters.
const MAX_SEALED_CHARS: usize = 64 << 10;
/// Keys in a file.
const MAX_KEYS: usize = 16;

/// What a sealed text is for. One for another purpose does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sessions of clients.
    Session,
    /// `requestState` (MCP 2026-07-28).
    State,
    /// Cursors of lists.
    Cursor,
}

impl Purpose {
    const fn byte(self) -> u8 {
        match self {
            Self::Session => b's',
            Self::State => b'r',
            Self::Cursor => b'c',
        }
    }
}

/// One key, known by the byte that is the first of what it sealed.
struct Key {
    id: u8,
    key: LessSafeKey,
}

/// Keys: the first one seals, all of them open.
pub struct KeyRing {
    keys: Vec<Key>,
    random: SystemRandom,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// A key that only this process has.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<Self, String> {
        let mut bytes = [0; 32];
        let random = SystemRandom::new();
        random.fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
        Ok(Self { keys: vec![key(0, &bytes)?], random })
    }

    /// Reads a file with a key on each line: an id from 0 to 255, `:`, and 64 hexadecimal digits.
    /// The first one seals. Empty lines and those that begin with `#` are left out.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {name}: {error}"))?;
        Self::parse(&text).map_err(|why| format!("{name}: {why}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let at = at + 1;
            let wrong = || {
                format!("line {at}: a key is ID:64-HEX-DIGITS; `openssl rand -hex 32` makes digits")
            };
            let (id, digits) = line.split_once(':').ok_or_else(wrong)?;
            let id = id.trim().parse().map_err(|_| wrong())?;
            let bytes = from_base16(digits.trim()).ok_or_else(wrong)?;
            if keys.iter().any(|key| key.id == id) || keys.len() == MAX_KEYS {
                return Err(format!("line {at}: ids are used once, and {MAX_KEYS} keys at most"));
            }
            keys.push(key(id, &bytes)?);
        }
        if keys.is_empty() {
            return Err("it has no key: put `1:` and 64 hexadecimal digits into it".to_owned());
        }
        Ok(Self { keys, random: SystemRandom::new() })
    }

    /// Random bytes.
    ///
    /// # Errors
    /// When the system has none.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), Broken> {
        self.random.fill(bytes).map_err(|_| Broken)
    }

    /// Seals a text for an owner.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(
        &self,
        purpose: Purpose,
        owner: &Owner,
        more: &[u8],
        text: &[u8],
    ) -> Result<String, Broken> {
        let key = self.keys.first().ok_or(Broken)?;
        let mut nonce = [0; NONCE_LEN];
        self.fill(&mut nonce)?;
        let mut bytes = text.to_vec();
        let aad = Aad::from(bound(purpose, owner, more));
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        key.key.seal_in_place_append_tag(nonce_used, aad, &mut bytes).map_err(|_| Broken)?;
        let mut all = Vec::with_capacity(1 + NONCE_LEN + bytes.len());
        all.push(key.id);
        all.extend_from_slice(&nonce);
        all.extend_from_slice(&bytes);
        Ok(base64_url(&all))
    }

    /// Opens what was sealed for the same purpose, owner and `more`.
    ///
    /// # Errors
    /// For anything else.
    pub fn open(
        &self,
        purpose: Purpose,
        owner: &Owner,
        more: &[u8],
        sealed: &str,
    ) -> Result<Vec<u8>, Broken> {
        if sealed.len() > MAX_SEALED_CHARS {
            return Err(Broken);
        }
        let mut all = from_base64_url(sealed).ok_or(Broken)?;
        let (id, rest) = all.split_first_mut().ok_or(Broken)?;
        let key = self.keys.iter().find(|key| key.id == *id).ok_or(Broken)?;
        let (nonce, bytes) = rest.split_at_mut_checked(NONCE_LEN).ok_or(Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Broken)?;
        let aad = Aad::from(bound(purpose, owner, more));
        let text = key.key.open_in_place(nonce, aad, bytes).map_err(|_| Broken)?;
        Ok(text.to_vec())
    }
}

/// Not sealed here, not for this, not for them, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

fn key(id: u8, bytes: &[u8]) -> Result<Key, String> {
    let unbound =
        UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| "a key has 32 bytes".to_owned())?;
    Ok(Key { id, key: LessSafeKey::new(unbound) })
}

/// What a sealed text is bound to: a digest of it all, each with its length.
fn bound(purpose: Purpose, owner: &Owner, more: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&[purpose.byte()]);
    for part in [owner.issuer.as_bytes(), owner.subject.as_bytes(), owner.client.as_bytes(), more] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "tests cut where characters begin")]
mod tests {
    use super::*;

    fn owner(subject: &str) -> Owner {
        Owner { issuer: "i".into(), subject: subject.into(), client: "c".into() }
    }

    #[test]
    fn p13_sealed_texts_open_for_their_owner_and_purpose_only() {
        let ring = KeyRing::random().unwrap();
        let sealed = ring.seal(Purpose::Session, &owner("ann"), b"m", b"text").unwrap();
        assert!(sealed.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        let open = |purpose, who: &str, more: &[u8]| ring.open(purpose, &owner(who), more, &sealed);
        assert_eq!(open(Purpose::Session, "ann", b"m").unwrap(), b"text");
        assert!(open(Purpose::Session, "bob", b"m").is_err());
        assert!(open(Purpose::State, "ann", b"m").is_err());
        assert!(open(Purpose::Session, "ann", b"n").is_err());
        let moved = Owner { issuer: "ia".into(), subject: "nn".into(), client: "c".into() };
        assert!(ring.open(Purpose::Session, &moved, b"m", &sealed).is_err());
    }

    #[test]
    fn p16_any_change_of_a_sealed_text_is_found() {
        let ring = KeyRing::random().unwrap();
        let sealed = ring.seal(Purpose::State, &owner("ann"), b"", b"{\"a\":1}").unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(ring.open(Purpose::State, &owner("ann"), b"", &changed).is_err(), "{at}");
            assert!(ring.open(Purpose::State, &owner("ann"), b"", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn a_new_key_seals_and_the_old_one_still_opens() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let old = KeyRing::parse(&format!("1:{one}\n")).unwrap();
        let new = KeyRing::parse(&format!("# new\n2:{two}\n\n1:{one}")).unwrap();
        let sealed = old.seal(Purpose::Session, &owner("ann"), b"", b"x").unwrap();
        assert_eq!(new.open(Purpose::Session, &owner("ann"), b"", &sealed).unwrap(), b"x");
        let sealed = new.seal(Purpose::Session, &owner("ann"), b"", b"x").unwrap();
        assert!(old.open(Purpose::Session, &owner("ann"), b"", &sealed).is_err());
    }

    #[test]
    fn files_without_good_keys_say_so() {
        for text in ["", "# none", "1:12", "x:0", &format!("1:{0}\n1:{0}", "a".repeat(64))] {
            assert!(KeyRing::parse(text).is_err(), "{text}");
        }
    }
}
