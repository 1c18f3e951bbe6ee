use super::*;

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_but_not_more_often_than_the_floor() {
    let bench = Bench::usual();
    assert_eq!(bench.kind(&bench.signer.with(&json!({}))).await, "taken");
    let new = Signer::es256();
    let header = json!({"alg": "ES256", "kid": "2"});
    let token = new.token(&header, &claims(&json!({})));
    for _ in 0..5 {
        assert_eq!(bench.kind(&token).await, "token-key");
    }
    assert_eq!(bench.web.asked(KEYS), 1, "within the floor");
    bench.web.json(KEYS, jwks(&[bench.signer.jwk("1"), new.jwk("2")]));
    bench.hand.forward(10);
    assert_eq!(bench.kind(&token).await, "taken");
    assert_eq!(bench.web.asked(KEYS), 2);
}

#[tokio::test]
async fn a_token_of_a_key_that_was_withdrawn_is_no_longer_taken() {
    let bench = Bench::usual();
    let token = bench.signer.with(&json!({"exp": NOW + 9_999}));
    assert_eq!(bench.kind(&token).await, "taken");
    let new = Signer::es256();
    bench.web.json(KEYS, jwks(&[new.jwk("2")]));
    bench.hand.forward(600);
    // The old keys are used while the new ones are fetched.
    assert_eq!(bench.kind(&token).await, "taken");
    while bench.web.asked(KEYS) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.kind(&token).await, "token-key");
}

#[tokio::test]
async fn keys_outlive_trouble_of_their_issuer_for_a_day() {
    let bench = Bench::usual();
    let day = 86_400;
    let token = |more: &str| bench.signer.with(&json!({"exp": NOW + 9 * day, "jti": more}));
    assert_eq!(bench.kind(&token("a")).await, "taken");
    bench.web.down(KEYS);
    bench.hand.forward(day - 1);
    assert_eq!(bench.kind(&token("b")).await, "taken");
    bench.hand.forward(10);
    for known in ["a", "b", "c"] {
        let refused = bench.show(&token(known)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.status().as_u16()), ("keys-down", 503));
        let answer = refused.answer();
        assert!(answer.headers().contains_key("retry-after"));
        assert!(!answer.headers().contains_key("www-authenticate"), "nobody is to forget a token");
    }
}

#[tokio::test]
async fn keys_that_never_came_are_nobodys_fault_but_the_issuers() {
    let bench = Bench::usual();
    bench.web.down(KEYS);
    assert_eq!(bench.kind(&bench.signer.with(&json!({}))).await, "keys-down");
    for garbled in
        [json!({}), json!({"keys": []}), json!({"keys": [1, {"kty": "oct", "k": "AAAA"}]})]
    {
        bench.web.json(KEYS, garbled);
        bench.hand.forward(10);
        assert_eq!(bench.kind(&bench.signer.with(&json!({}))).await, "keys-down");
    }
}

#[tokio::test]
async fn keys_that_do_not_fit_are_left_out_and_take_nothing_from_the_others() {
    let bench = Bench::usual();
    let mut for_encryption = bench.signer.jwk("1");
    for_encryption["use"] = json!("enc");
    bench.web.json(
        KEYS,
        jwks(&[
            json!({"kty": "oct", "kid": "1", "k": "AAAA"}),
            json!({"kty": "EC", "crv": "P-521", "kid": "1", "x": "AA", "y": "AA"}),
            json!({"kty": "EC", "crv": "P-256", "kid": "1"}),
            for_encryption,
            json!("x"),
            bench.signer.jwk("1"),
        ]),
    );
    assert_eq!(bench.kind(&bench.signer.with(&json!({}))).await, "taken");
}

#[tokio::test]
async fn a_token_that_names_no_key_is_taken_where_only_one_fits() {
    let bench = Bench::usual();
    let nameless = bench.signer.token(&json!({"alg": "ES256"}), &claims(&json!({})));
    bench.web.json(KEYS, jwks(&[bench.signer.jwk("1"), Signer::es256().jwk("2")]));
    assert_eq!(bench.kind(&nameless).await, "token-key");
    bench.web.json(KEYS, jwks(&[bench.signer.jwk("1"), Signer::ed25519().jwk("2")]));
    bench.hand.forward(10);
    assert_eq!(bench.kind(&nameless).await, "taken");
}

#[tokio::test]
async fn p21_keys_are_found_by_metadata_of_the_same_issuer_only() {
    let yaml = format!("issuers: [{{issuer: '{ISSUER}', algorithms: [ES256]}}]");
    let bench = Bench::new(&yaml, Signer::es256());
    let token = bench.signer.with(&json!({}));
    let at = "https://login.example/.well-known/openid-configuration";
    for (metadata, kind) in [
        (json!({"issuer": "https://evil.example", "jwks_uri": KEYS}), "keys-down"),
        (json!({"issuer": "https://login.example/", "jwks_uri": KEYS}), "keys-down"),
        (json!({"issuer": ISSUER, "jwks_uri": "http://login.example/keys"}), "keys-down"),
        (json!({"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}), "keys-down"),
        (json!({"issuer": ISSUER, "jwks_uri": KEYS}), "taken"),
    ] {
        bench.web.json(at, metadata);
        bench.hand.forward(10);
        assert_eq!(bench.kind(&token).await, kind);
    }
}

#[tokio::test]
async fn many_callers_wait_for_one_fetch() {
    let bench = Bench::usual();
    let bench = Arc::new(bench);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let bench = Arc::clone(&bench);
        callers.spawn(async move { bench.kind(&bench.signer.with(&json!({"jti": caller}))).await });
    }
    assert!(callers.join_all().await.iter().all(|kind| *kind == "taken"));
    assert_eq!(bench.web.asked(KEYS), 1);
}
