//! Secrets and personal data in messages: kinds, counts and keyed hashes, made where the bytes are,
//! so that nothing behind has to see them.

use std::borrow::Cow;

use crate::inspect::personal::personal;
use crate::inspect::secrets::{Certainty, last_four, secrets};
use crate::inspect::strings::{Leaf, Limits, strings};
use crate::observation::{FoundPersonal, FoundSecret, Message, Part, PartName, SecretHash};
use crate::secret::SecretHasher;

/// Different secrets kept of one message; more say nothing more.
const MAX_SECRETS: usize = 32;
/// Hashes kept of the personal data of one kind in one message.
const MAX_HASHES: usize = 64;
/// Shorter texts hold nothing that is looked for.
const MIN_JSON_BYTES: usize = 8;

/// Notes what is sensitive in a message.
pub(super) fn note(message: &mut Message, hasher: &SecretHasher) {
    let parts = message.parts.iter().filter(|part| is_content(part)).map(|part| &part.json);
    let texts = message.arguments.iter().chain(parts).filter(|json| json.len() >= MIN_JSON_BYTES);
    let mut found = Found { hasher, secrets: Vec::new(), personal: Vec::new() };
    for json in texts {
        strings(json, &Limits::default(), &mut |leaf| found.look(&leaf));
    }
    if let Some(uri) = &message.uri {
        found.text(uri);
    }
    let Found { secrets, personal, .. } = found;
    message.secrets = secrets;
    message.personal = personal.into_iter().map(Kind::into_found).collect();
}

fn is_content(part: &Part) -> bool {
    !matches!(
        part.name,
        PartName::Capabilities | PartName::ClientCapabilities | PartName::CacheScope
    )
}

struct Found<'h> {
    hasher: &'h SecretHasher,
    secrets: Vec<FoundSecret>,
    personal: Vec<Kind>,
}

/// Personal data of one kind.
struct Kind {
    kind: &'static str,
    hashes: Vec<SecretHash>,
    /// Beyond what is kept.
    more: u32,
}

impl Kind {
    fn into_found(self) -> FoundPersonal {
        let kept = u32::try_from(self.hashes.len()).unwrap_or(u32::MAX);
        let count = kept.saturating_add(self.more);
        FoundPersonal { kind: self.kind, count, hashes: self.hashes }
    }
}

impl Found<'_> {
    fn look(&mut self, leaf: &Leaf<'_>) {
        if leaf.is_key || leaf.text.len() < MIN_JSON_BYTES {
            return;
        }
        // A name such as `password` tells what the value is: together, as in an assignment.
        let name = leaf.path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]");
        let text = match names_a_secret(name) && !leaf.text.contains(char::is_whitespace) {
            false => Cow::Borrowed(leaf.text),
            true => Cow::Owned(format!("{name}={}", leaf.text)),
        };
        self.text(&text);
    }

    fn text(&mut self, text: &str) {
        secrets(text, &mut |secret| {
            let hash = self.hasher.hash(secret.bytes.as_bytes());
            let known = self.secrets.iter().any(|known| known.hash == hash);
            if !known && self.secrets.len() < MAX_SECRETS {
                self.secrets.push(FoundSecret {
                    kind: secret.kind.id(),
                    certain: secret.certainty != Certainty::Guessed,
                    issuers: secret.kind.issuers(),
                    hash,
                    last_four: last_four(secret.bytes),
                });
            }
        });
        personal(text, &mut |found| {
            let hash = self.hasher.hash(found.bytes.as_bytes());
            let id = found.kind.id();
            let at = self.personal.iter().position(|kind| kind.kind == id).unwrap_or_else(|| {
                self.personal.push(Kind { kind: id, hashes: Vec::new(), more: 0 });
                self.personal.len() - 1
            });
            let Some(kind) = self.personal.get_mut(at) else { return };
            if kind.hashes.len() >= MAX_HASHES {
                kind.more = kind.more.saturating_add(1);
            } else if !kind.hashes.contains(&hash) {
                kind.hashes.push(hash);
            }
        });
    }
}

/// Whether a key says that its value is secret.
fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 7] =
        ["password", "passwd", "secret", "token", "apikey", "api_key", "private_key"];
    let same = |(byte, wanted): (&u8, u8)| match byte {
        b'-' => wanted == b'_',
        _ => byte.to_ascii_lowercase() == wanted,
    };
    let starts = |rest: &[u8], word: &str| {
        rest.len() >= word.len() && rest.iter().zip(word.bytes()).all(same)
    };
    let name = name.as_bytes();
    (0..name.len()).any(|at| {
        let rest = name.get(at..).unwrap_or_default();
        // Most places are none where one of the words can begin.
        matches!(rest.first().map(u8::to_ascii_lowercase), Some(b'p' | b's' | b't' | b'a'))
            && WORDS.iter().any(|word| starts(rest, word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::jsonrpc::{Item, Reader};

    fn noted(text: &str) -> Message {
        let mut found = None;
        let mut reader = Reader::default();
        reader.push(text.as_bytes(), &mut |item| {
            if let Item::Message(message) = item {
                found = Some(*message);
            }
        });
        let mut message = found.expect("a message");
        note(&mut message, &SecretHasher::default());
        message
    }

    #[test]
    fn secrets_leave_as_kinds_and_hashes_wherever_they_stand() {
        let key = format!("AKIA{}", "Q3EGRWZ5WBL7KXPA");
        for text in [
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{{"a":["key {key}."]}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{key}"}}]}}}}"#
            ),
            format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"bad {key}"}}}}"#),
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{{"uri":"x://{key}"}}}}"#
            ),
        ] {
            let message = noted(&text);
            assert_eq!(message.secrets.len(), 1, "{text}");
            assert_eq!(message.secrets[0].kind, "aws-access-key");
            assert_eq!(message.secrets[0].last_four, "KXPA");
            assert!(!format!("{:?}", message.secrets).contains(&key));
        }
    }

    #[test]
    fn ordinary_messages_hold_none() {
        let message = noted(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"path":"/tmp/a","token_count":"12345678"}}}"#,
        );
        assert!(message.secrets.is_empty() && message.personal.is_empty());
    }
}
