#![allow(
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    reason = "samples are ASCII, their numbers small, and their tables long"
)]

use super::*;

mod benign;
mod kinds;
mod properties;
mod samples;

/// All secrets of a text.
fn all(text: &str) -> Vec<Secret<'_>> {
    let mut found = Vec::new();
    secrets(text, &mut |secret| found.push(secret));
    found
}

/// Ids and bytes of all secrets of a text.
fn ids(text: &str) -> Vec<(&'static str, &str)> {
    all(text).iter().map(|secret| (secret.kind.id(), secret.bytes)).collect()
}

#[test]
fn the_table_of_literals_compiles() {
    assert!(FINDER.is_some());
}

#[test]
fn ids_of_kinds_are_unique_and_lead_back() {
    let mut seen = std::collections::BTreeSet::new();
    for kind in SecretKind::all() {
        assert!(seen.insert(kind.id()), "{kind}");
        assert_eq!(SecretKind::by_id(kind.id()), Some(kind));
        assert!(
            kind.id().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        assert!(!kind.title().is_empty());
        assert!(kind.issuers().iter().all(|host| host.contains('.') && !host.starts_with('.')));
    }
    assert_eq!(SecretKind::by_id("none-such"), None);
}

#[test]
fn a_provider_is_known_by_its_host_and_what_is_below() {
    let kind = SecretKind::by_id("github-token").unwrap();
    for host in ["github.com", "api.GitHub.com", "api.githubcopilot.com", "api.github.com."] {
        assert!(kind.is_issued_by(host), "{host}");
    }
    for host in ["evilgithub.com", "github.com.evil.test", "com", "", "gitlab.com"] {
        assert!(!kind.is_issued_by(host), "{host}");
    }
    assert!(!SecretKind::by_id("jwt").unwrap().is_issued_by("github.com"));
}

#[test]
fn last_four_characters_of_long_secrets_only() {
    for (secret, last) in [
        ("abcdefghijkl", "ijkl"),
        ("abcdefghijk", ""),
        ("", ""),
        ("aaaaaaaaaaaaäöüß", "äöüß"),
        ("日本語日本語日本語日本語", "語日本語"),
    ] {
        assert_eq!(last_four(secret), last, "{secret}");
    }
}

#[test]
fn debug_output_holds_no_secret() {
    let token = samples::crc("ghp_", 30, &mut samples::Random(7));
    let found = all(&token);
    assert_eq!(found.len(), 1);
    assert!(!format!("{found:?}").contains(token.get(4..12).unwrap()));
}

#[test]
fn the_search_stops_at_its_bound() {
    let mut random = samples::Random(3);
    let mut text = String::new();
    for _ in 0..MAX_SECRETS + 20 {
        text.push_str(&samples::crc("ghp_", 30, &mut random));
        text.push('\n');
    }
    assert_eq!(all(&text).len(), MAX_SECRETS);
}

#[test]
fn of_overlapping_finds_the_more_certain_one_counts() {
    let mut random = samples::Random(11);
    let token = samples::crc("ghp_", 30, &mut random);
    for text in [
        format!("https://x-access-token:{token}@github.com/a/b.git"),
        format!("GITHUB_TOKEN={token}"),
        format!("{{\"api_key\": \"{token}\"}}"),
        format!("curl -H 'Authorization: Bearer {token}' https://api.github.com"),
        format!("{{\\\"password\\\":\\\"{token}\\\"}}"),
    ] {
        assert_eq!(ids(&text), [("github-token", token.as_str())], "{text}");
    }
    let key = samples::body(text::Alphabet::BASE64, 40, &mut random);
    let text = format!("AWS_SECRET_ACCESS_KEY={key}");
    assert_eq!(ids(&text), [("aws-secret-key", key.as_str())]);
}

#[test]
fn several_secrets_come_in_the_order_of_the_text() {
    let mut random = samples::Random(5);
    let (a, b) = (samples::crc("npm_", 30, &mut random), samples::crc("gho_", 30, &mut random));
    let url = format!("postgres{}app:{}@db.internal/x", "://", "kV93hsQx2L");
    let text = format!("{a}, then {url}\\n{b}");
    let expected =
        [("npm-token", a.as_str()), ("database-url", "kV93hsQx2L"), ("github-token", &b)];
    assert_eq!(ids(&text), expected);
}

#[test]
fn escapes_are_borders_of_secrets() {
    let token = samples::crc("ghp_", 30, &mut samples::Random(23));
    for (before, after) in [
        ("\\n", "\\n"),
        ("\\\"", "\\\""),
        ("\\u0022", "\\u0022"),
        ("%20", "%20"),
        ("%22", "&x=1"),
        ("ü", "ü"),
        ("(", ")"),
        ("=", ";"),
        ("/", "/"),
    ] {
        let text = format!("{before}{token}{after}");
        assert_eq!(ids(&text), [("github-token", token.as_str())], "{text}");
    }
    for (before, after) in [("x", ""), ("", "x"), ("_", ""), ("", "_")] {
        assert_eq!(ids(&format!("{before}{token}{after}")), []);
    }
}
