//! Small stand-ins for what `inspect` will do. Each is replaced by the function it names, and
//! then this file goes.

use std::net::IpAddr;

// Replaced by inspect::randomness::bits when that lands.
/// About how many bits of an identifier are random, judging by its length and alphabet.
pub(crate) fn randomness_bits(id: &[u8]) -> u32 {
    let mut present = [false; 256];
    for byte in id {
        if let Some(seen) = present.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    let distinct = present.iter().filter(|seen| **seen).count().max(1);
    // Hundredths of a bit per character: of the alphabet, and of the characters that do occur.
    let alphabet = if id.iter().all(u8::is_ascii_digit) {
        332
    } else if id.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-') {
        400
    } else {
        600
    };
    let occurring = 100 * distinct.next_power_of_two().ilog2();
    let dashes = id.iter().filter(|byte| **byte == b'-').count();
    let length = u32::try_from(id.len() - dashes).unwrap_or(u32::MAX).min(4_096);
    length * alphabet.min(occurring) / 100
}

// Replaced by inspect::address::host_ip when that lands.
/// The address that a host is a literal of.
pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

// Replaced by inspect::confusable::skeleton when that lands.
/// A name reduced to what it looks like.
pub(crate) fn skeleton(name: &str) -> String {
    let plain = |c: char| match c {
        '0' => 'o',
        '1' | '|' | 'I' => 'l',
        ' ' | '_' | '.' => '-',
        c => c.to_ascii_lowercase(),
    };
    name.trim().chars().map(plain).collect()
}

// Replaced by inspect::confusable::is_near when that lands.
/// Whether one insertion, deletion or replacement of a character makes `b` of `a`.
pub(crate) fn is_near(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 {
        return false;
    }
    let same = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    let rest = |text: &[char], from: usize| text.get(from..).unwrap_or_default().to_vec();
    let shift = usize::from(short.len() == long.len());
    same < long.len() && rest(&short, same + shift) == rest(&long, same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_do_roughly_what_they_stand_for() {
        assert!(randomness_bits(b"6f1c0d1e-3b4a-4c2d-9e8f-0a1b2c3d4e5f") >= 100);
        assert!(randomness_bits(b"1") < 8 && randomness_bits(b"session-12") < 64);
        assert!(randomness_bits(&[b'a'; 64]) < 8 && randomness_bits(b"") == 0);
        assert!(host_ip("10.0.0.1").is_some() && host_ip("mcp.test").is_none());
        assert_eq!(skeleton("G1thub MCP"), skeleton("glthub-mcp"));
        for (a, b, near) in [
            ("github", "githab", true),
            ("github", "githubs", true),
            ("github", "gthub", true),
            ("github", "github", false),
            ("github", "gitlab", false),
            ("", "ab", false),
        ] {
            assert_eq!(is_near(a, b), near, "{a} {b}");
        }
    }
}
