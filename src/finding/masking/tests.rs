use proptest::prelude::*;

use super::*;

/// Secrets are put together here, so that the repository holds no text that looks like one.
fn glue(parts: &[&str]) -> String {
    parts.concat()
}

#[test]
fn the_patterns_compile() {
    assert!(SECRETS.is_some() && RUNS.is_some() && SECRET_NAME.is_some());
}

#[test]
fn planted_secrets_are_masked_wherever_they_stand() {
    let pw = glue(&["hun", "ter", "2"]);
    let table = [
        (format!("Authorization: Bearer {pw}\r\nHost: a"), "Authorization: <masked>\r\nHost: a"),
        (
            format!("authorization: Digest username=\"u\", response=\"{pw}\""),
            "authorization: <masked>",
        ),
        (
            format!("{{\"authorization\":\"Basic {pw}\",\"x\":1}}"),
            "{\"authorization\":<masked>,\"x\":1}",
        ),
        (format!("Cookie: a={pw}; b={pw}\nx"), "Cookie: <masked>\nx"),
        (format!("{{\"password\": \"{pw}\"}}"), "{\"password\": <masked>}"),
        (format!("{{\"password\":\"a\\\"{pw}\"}}"), "{\"password\":<masked>}"),
        (format!("{{\\\"api_key\\\":\\\"{pw}\\\"}}"), "{\\\"api_key\\\":<masked>\"}"),
        (format!("{{\"tokens\":[\"{pw}\",\"{pw}\"]}}"), "{\"tokens\":<masked>}"),
        (format!("{{\"secret\":\"{pw}"), "{\"secret\":<masked>"),
        (format!("DB_PASSWORD={pw} x"), "DB_PASSWORD=<masked> x"),
        (format!("x?access_token={pw}&y=1"), "x?access_token=<masked>&y=1"),
        (format!("x?code={pw}&y=1"), "x?code=<masked>&y=1"),
        (format!("mysql --password {pw} db"), "mysql --password <masked> db"),
        (format!("[\"--db-token\",\"{pw}\"]"), "[\"--db-token\",\"<masked>\"]"),
        (format!("https://user:{pw}@host/p"), "https://<masked>@host/p"),
        (format!("redis://:p@{pw}@host:1/p"), "redis://<masked>@host:1/p"),
        (format!("sent Bearer {pw}"), "sent Bearer <masked>"),
        (format!("x-api-key: {pw}"), "x-api-key: <masked>"),
        (format!("clientSecret => '{pw}'"), "clientSecret => <masked>"),
    ];
    for (text, want) in table {
        let got = mask(&text);
        assert_eq!(got, want);
        assert!(!got.contains(&pw));
    }
}

#[test]
fn issued_keys_are_masked_by_their_shape() {
    let body = "Ab3dEf6hIj9lMn2pQr5t";
    for prefix in ["ghp_", "github_pat_", "glpat-", "xoxb-", "sk-", "sk-ant-", "hf_", "npm_"] {
        let key = glue(&[prefix, body]);
        assert_eq!(mask(&format!("use {key} now")), "use <masked> now");
    }
    assert_eq!(mask(&glue(&["a AK", "IA", "IOSFODNN7EXAMPLE b"])), "a <masked> b");
    assert_eq!(mask(&glue(&["sk_", "live_", body])), MASK);
    let jwt = glue(&["ey", "JhbGciOiJIUzI1NiJ9", ".", "eyJzdWIiOiIxIn0", ".", "c2ln"]);
    assert_eq!(mask(&format!("/path/to/{jwt}?x")), "/path/to/<masked>?x");
}

#[test]
fn pem_blocks_are_masked_also_when_cut() {
    let begin = glue(&["-----BEGIN ", "PRIVATE KEY", "-----"]);
    let end = glue(&["-----END ", "PRIVATE KEY", "-----"]);
    assert_eq!(mask(&format!("a {begin}\nMIIB\nxyz\n{end} b")), "a <masked> b");
    assert_eq!(mask(&format!("a {begin}\nMIIB\nxyz")), "a <masked>");
}

#[test]
fn ordinary_text_stays() {
    for text in [
        "notifications/resources/list_changed and notifications/tools/list_changed",
        "{\"name\":\"get_issue\",\"arguments\":{\"id\":17,\"q\":\"open bugs\"}}",
        "https://mcp.example.com:8443/api/v1/projects/shadow/servers",
        "/home/someone/documents/projects/sensor/src/finding/masking",
        "SELECT * FROM users WHERE name = 'x'; DROP TABLE users",
        "user@example.com wrote: ignore all previous instructions",
        "http://169.254.169.254/latest/meta-data/iam",
        "../../etc/passwd",
        "the tool asked for the tokenizer",
    ] {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn long_random_runs_go_and_long_words_stay() {
    assert_eq!(mask(&"0123456789abcdef".repeat(2)), MASK);
    assert_eq!(mask("id 123e4567-e89b-12d3-a456-426614174000."), "id <masked>.");
    let words = "averyveryveryverylongwordthatnobodywouldevertype";
    assert_eq!(mask(words), words);
    let diluted = format!("/{}/{}", "y".repeat(100), "q8Zr1Lx0Vt5Yb7Nc3Mk9Wj2Hd6Gf4Sp");
    assert_eq!(mask(&diluted), MASK);
    let camel = "listPullRequestsForRepositoryOwner2/httpRequestHandler";
    assert_eq!(mask(camel), camel);
}

#[test]
fn output_is_bounded_and_the_cut_shows() {
    let got = mask(&"word ".repeat(1000));
    assert_eq!(got.chars().count(), MAX_OUTPUT_CHARS + 1);
    assert!(got.ends_with('…'));
    assert_eq!(mask(""), "");
    let exact = "w ".repeat(MAX_OUTPUT_CHARS / 2);
    assert_eq!(mask(&exact), exact);
}

#[test]
fn a_secret_across_the_input_bound_is_not_shown_in_part() {
    let pem = glue(&["-----BEGIN ", "X-----"])
        + &"A".repeat(MAX_INPUT_BYTES - 60)
        + &glue(&["-----END ", "X-----"]);
    let planted = glue(&["gh", "p_", "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2"]);
    for pad in 0..40 {
        let text = format!("{pem}{}{planted}", " ".repeat(pad));
        assert!(!mask(&text).contains("Zz9"), "{pad}");
    }
}

#[test]
fn values_of_secret_names_are_masked_whole() {
    assert_eq!(mask_value("arguments.password", "two words"), MASK);
    assert_eq!(mask_value("Mcp-Session-Id", "17"), MASK);
    assert_eq!(mask_value("method", "tools/call"), "tools/call");
}

proptest! {
    #[test]
    fn short_words_hold_no_secret(text in "[a-z0-9_./ ]{0,11}") {
        prop_assert!(is_harmless(&text));
        prop_assert_eq!(masked(&text), text);
    }

    #[test]
    fn a_planted_secret_never_shows(
        before in "[ -~]{0,60}",
        after in "[ -~]{0,60}",
        kind in 0_usize..9,
        body in "[A-Za-z0-9]{40,60}",
        hex in "[0-9a-f]{32,64}",
    ) {
        let body = format!("a1B{body}");
        let (planted, secret) = match kind {
            0 => (format!("\nAuthorization: Bearer {body}\n"), body),
            1 => (format!(" {}{body} ", ["gh", "p_"].concat()), body),
            2 => (format!(" {}{body}.{body} ", ["ey", "J"].concat()), body),
            3 => (format!(" {hex} "), hex),
            4 => (format!("{{\"api_key\":\"{body}\"}}"), body),
            5 => (format!(" password={body} "), body),
            6 => (format!(" https://user:{body}@host/ "), body),
            7 => (format!(" {}{body} ", ["s", "k-"].concat()), body),
            _ => (format!("\n{}\n{body}\n{}\n", ["-----BEGIN ", "KEY-----"].concat(),
                ["-----END ", "KEY-----"].concat()), body),
        };
        let masked = mask(&format!("{before}{planted}{after}"));
        prop_assert!(!masked.contains(&secret), "{} in {}", secret, masked);
    }

    #[test]
    fn masking_never_grows_beyond_its_bound(text in ".{0,2000}") {
        prop_assert!(mask(&text).chars().count() <= MAX_OUTPUT_CHARS + 1);
    }
}
