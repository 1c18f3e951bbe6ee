//! Key log files (RFC 9850; also known as NSS key log format): lines of a label, the client's
//! random and a secret, the latter two in hexadecimal.

use super::secret::{Secret, wipe};

/// A line that is neither a key log line nor a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the text, from 1.
    pub number: usize,
    /// What was expected.
    pub expected: &'static str,
}

/// Which secret a line gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// TLS 1.2: the master secret.
    Master,
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    ClientTraffic,
    ServerTraffic,
}

/// One line.
#[derive(Debug)]
pub(super) enum Line {
    /// A secret that serves decryption.
    Secret(Label, [u8; 32], Secret),
    /// A comment, or a secret that serves nothing here.
    Nothing,
}

const SHAPE: &str = "a line is a label, 64 hexadecimal digits and a secret in hexadecimal digits, \
                     with one space between each";
const RANDOM: &str = "the client random has 64 hexadecimal digits";
const MASTER: &str = "the master secret has 96 hexadecimal digits";
const TRAFFIC: &str = "the secret has 64 or 96 hexadecimal digits";

/// Reads one line, without its end.
pub(super) fn line(line: &[u8]) -> Result<Line, &'static str> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(Line::Nothing);
    }
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let (Some(label), Some(random), Some(secret), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        // `RSA Session-ID:… Master-Key:…` and other lines of programs' own.
        return if line.starts_with(b"RSA ") { Ok(Line::Nothing) } else { Err(SHAPE) };
    };
    let label = match label {
        b"CLIENT_RANDOM" => Label::Master,
        b"CLIENT_EARLY_TRAFFIC_SECRET" => Label::ClientEarly,
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::ClientHandshake,
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::ServerHandshake,
        b"CLIENT_TRAFFIC_SECRET_0" => Label::ClientTraffic,
        b"SERVER_TRAFFIC_SECRET_0" => Label::ServerTraffic,
        // Later secrets follow from the first, and exporters are for others (RFC 9850 section 2:
        // unknown labels are passed over).
        other if other.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') => {
            return Ok(Line::Nothing);
        }
        _ => return Err(SHAPE),
    };
    let random = hex::<32>(random).filter(|(_, len)| *len == 32).ok_or(RANDOM)?.0;
    let expected = if label == Label::Master { MASTER } else { TRAFFIC };
    let (mut bytes, len) = hex::<48>(secret).ok_or(expected)?;
    let fits = len == 48 || (len == 32 && label != Label::Master);
    let secret = bytes.get(..len).filter(|_| fits).and_then(Secret::new);
    wipe(&mut bytes);
    Ok(Line::Secret(label, random, secret.ok_or(expected)?))
}

/// Up to `N` bytes of hexadecimal digits, and how many there were.
fn hex<const N: usize>(digits: &[u8]) -> Option<([u8; N], usize)> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    for (at, [high, low]) in pairs.iter().enumerate() {
        *bytes.get_mut(at)? = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some((bytes, pairs.len()))
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_what_they_give() {
        let random = "ab".repeat(32);
        let (short, long) = ("0C".repeat(32), "0c".repeat(48));
        let with = |label: &str, secret: &str| format!("{label} {random} {secret}");
        let table = [
            (with("CLIENT_RANDOM", &long), Ok(Some((Label::Master, 48)))),
            (with("CLIENT_RANDOM", &short), Err(MASTER)),
            (with("CLIENT_TRAFFIC_SECRET_0", &short), Ok(Some((Label::ClientTraffic, 32)))),
            (with("SERVER_TRAFFIC_SECRET_0", &long), Ok(Some((Label::ServerTraffic, 48)))),
            (with("SERVER_TRAFFIC_SECRET_1", &long), Ok(None)),
            (with("EXPORTER_SECRET", &short), Ok(None)),
            (with("CLIENT_EARLY_TRAFFIC_SECRET", &short), Ok(Some((Label::ClientEarly, 32)))),
            (
                with("  CLIENT_HANDSHAKE_TRAFFIC_SECRET", &format!("{short}\r")),
                Ok(Some((Label::ClientHandshake, 32))),
            ),
            (with("SERVER_HANDSHAKE_TRAFFIC_SECRET", "0c0"), Err(TRAFFIC)),
            (with("SERVER_HANDSHAKE_TRAFFIC_SECRET", &"0c".repeat(31)), Err(TRAFFIC)),
            (with("SERVER_HANDSHAKE_TRAFFIC_SECRET", &format!("{long}00")), Err(TRAFFIC)),
            (format!("CLIENT_RANDOM {} {long}", "ab".repeat(31)), Err(RANDOM)),
            (format!("CLIENT_RANDOM {}xx {long}", "ab".repeat(31)), Err(RANDOM)),
            (format!("CLIENT_RANDOM {random}"), Err(SHAPE)),
            (format!("RSA 0011223344556677 {long}"), Ok(None)),
            (format!("RSA Session-ID:{random} Master-Key:{long} x"), Ok(None)),
            ("# comment".to_owned(), Ok(None)),
            (String::new(), Ok(None)),
            ("<html> <body> no".to_owned(), Err(SHAPE)),
        ];
        for (text, expected) in table {
            let found = line(text.as_bytes()).map(|line| match line {
                Line::Secret(label, random, secret) => {
                    assert_eq!(random, [0xab; 32]);
                    assert!(secret.bytes().iter().all(|byte| *byte == 12));
                    Some((label, secret.bytes().len()))
                }
                Line::Nothing => None,
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
