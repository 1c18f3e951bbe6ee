//! Text of every day in which nothing is secret.

use std::fmt::Write as _;

use super::super::text::Alphabet;
use super::samples::{Random, base64, body, bytes};
use super::*;

fn assert_harmless(text: &str) {
    let found: Vec<_> =
        all(text).iter().map(|s| (s.kind, s.certainty, s.bytes.to_owned())).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn base64_of_random_and_of_regular_bytes() {
    let mut random = Random(2027);
    assert_harmless(&base64(&bytes(300_000, &mut random), false));
    assert_harmless(&base64(&bytes(300_000, &mut random), true));
    assert_harmless(&base64(&vec![0; 100_000], false));
    // Like images: short runs of noise between zeros.
    let mut mixed = Vec::new();
    for _ in 0..20_000 {
        mixed.extend(bytes(random.below(9), &mut random));
        mixed.resize(mixed.len() + random.below(9), 0);
    }
    let image = base64(&mixed, false);
    assert_harmless(&format!(
        "{{\"type\":\"image\",\"data\":\"{image}\",\"mimeType\":\"image/png\"}}"
    ));
    assert_harmless(&format!("url(data:image/png;base64,{image})"));
}

#[test]
fn lists_of_ids_and_digests() {
    let mut random = Random(4099);
    let mut text = String::new();
    for _ in 0..2000 {
        let mut hex = |len| body(Alphabet::LOWER_HEX, len, &mut random);
        let uuid = format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12));
        writeln!(text, "{uuid} {} {} commit {}", hex(32), hex(64), hex(40)).unwrap();
        writeln!(text, "index {}..{} 100644", hex(7), hex(7)).unwrap();
        let digest = base64(&bytes(64, &mut random), false);
        writeln!(text, "\"integrity\": \"sha512-{digest}\",").unwrap();
        writeln!(text, "\"etag\": \"W/\\\"{}\\\"\"", body(Alphabet::ALNUM, 27, &mut random))
            .unwrap();
    }
    assert_harmless(&text);
}

#[test]
fn programs_and_prose() {
    let texts = [
        "!function(e,t){\"object\"==typeof exports?module.exports=t():e.token=t()}(this,function(){var \
         sk=1,n=e.password||\"\",r=t.secret?t.secret.length:0;return{apiKey:r,token:n+sk_test_1}});",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt.",
        "Set the `GITHUB_TOKEN` variable: `export GITHUB_TOKEN=ghp_your_token_here`.",
        "OPENAI_API_KEY=sk-... npx server --token <token> --password \"$PASSWORD\"",
        "postgres://user:password@localhost:5432/db, redis://localhost:6379, https://a.test/@scope/pkg",
        "curl -u user:pass -H \"Authorization: Bearer $TOKEN\" -H 'X-Api-Key: ${KEY}' https://a.test",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"login\",\
         \"arguments\":{\"user\":\"a\",\"password\":\"\"},\"_meta\":{\"progressToken\":\"7f3a9c\"}}}",
        "{\"usage\":{\"input_tokens\":1843,\"output_tokens\":201},\"stop_reason\":\"max_tokens\"}",
        "{\"properties\":{\"api_key\":{\"type\":\"string\",\"description\":\"Key, e.g. sk-proj-abc123\"}}}",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYD\n-----END CERTIFICATE-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@host",
        "task-force, disk-usage, risk-assessment-of-a-very-long-name-that-goes-on-and-on-for-a-while",
        "arn:aws:iam::123456789012:role/Admin s3://bucket/AKIA.txt AKIAIOSFODNN7EXAMPLE",
        "pub const PrivateKeyExportable: X509CertificateTemplatePrivateKeyFlag = X509Flag(1);",
        "GET /cb#access_token=2YotnFZFEjr1zCsicMWpAA HTTP/1.1",
        "System.Private.CoreLib, Version=8.0.0.0, Culture=neutral, PublicKeyToken=7cec85d7bea7798e",
    ];
    texts.iter().for_each(|text| assert_harmless(text));
}

#[test]
fn programs_rules_and_lock_files() {
    let texts = [
        include_str!("../../../finding/masking.rs"),
        include_str!("../../../observation.rs"),
        include_str!("../../../secret.rs"),
        include_str!("../../../app/tls/mod.rs"),
        include_str!("../../../rules/builtin.rs"),
        include_str!("../../../../rules/README.md"),
        include_str!("../../../../README.md"),
        include_str!("../../../../Cargo.lock"),
        include_str!("../issued.rs"),
        include_str!("../named.rs"),
        include_str!("../../personal/card.rs"),
    ];
    texts.iter().for_each(|text| assert_harmless(text));
}
