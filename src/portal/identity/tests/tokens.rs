use super::*;

#[tokio::test]
async fn a_good_token_says_who_calls() {
    let bench = Bench::usual();
    let token = bench.signer.with(&json!({}));
    let principal = bench.show(&token).await.unwrap();
    assert_eq!(&*principal.owner.issuer, ISSUER);
    assert_eq!((&*principal.owner.subject, &*principal.owner.client), ("alice", "claude"));
    assert_eq!(principal.name.as_deref(), Some("alice@example.org"));
    assert!(principal.is_in("dev") && principal.is_in("staff") && !principal.is_in("admin"));
    assert_eq!(principal.proof, Proof::Token);
    assert_eq!(principal.shown.as_ref().unwrap().expose(), token);
    let again = bench.show(&token).await.unwrap();
    assert!(Arc::ptr_eq(&principal, &again), "remembered");
    assert_eq!(bench.web.asked(KEYS), 1);
}

#[tokio::test]
async fn every_kind_of_key_that_is_pinned_is_taken() {
    for signer in [Signer::es256(), Signer::ed25519(), Signer::Rs256(rsa()), Signer::Ps512(rsa())] {
        let name = signer.name();
        let yaml =
            format!("issuers: [{{issuer: '{ISSUER}', jwks_uri: '{KEYS}', algorithms: [{name}]}}]");
        let bench = Bench::new(&yaml, signer);
        assert_eq!(bench.kind(&bench.signer.with(&json!({}))).await, "taken", "{name}");
        let mut broken = bench.signer.with(&json!({}));
        let last = if broken.pop() == Some('A') { 'E' } else { 'A' };
        broken.push(last);
        assert_ne!(bench.kind(&broken).await, "taken", "{name}");
    }
}

#[tokio::test]
async fn p09_tokens_for_others_or_of_others_or_out_of_time_are_401() {
    let bench = Bench::usual();
    let other = Signer::es256();
    for (token, kind) in [
        (bench.signer.with(&json!({"aud": "https://other.example/mcp"})), "token-audience"),
        (bench.signer.with(&json!({"aud": [PORTAL, "https://other.example"]})), "taken"),
        (bench.signer.with(&json!({"aud": "https://portal.example/mcp/"})), "token-audience"),
        (bench.signer.with(&json!({"aud": null})), "token-audience"),
        (bench.signer.with(&json!({"aud": []})), "token-audience"),
        (bench.signer.with(&json!({"aud": {"a": 1}})), "token-audience"),
        (bench.signer.with(&json!({"iss": "https://evil.example"})), "token-issuer"),
        (bench.signer.with(&json!({"iss": "https://login.example/"})), "token-issuer"),
        (bench.signer.with(&json!({"iss": [ISSUER]})), "token-malformed"),
        (bench.signer.with(&json!({"exp": NOW - 59})), "taken"),
        (bench.signer.with(&json!({"exp": NOW - 60})), "token-expired"),
        (bench.signer.with(&json!({"exp": null})), "token-claim"),
        (bench.signer.with(&json!({"exp": "never"})), "token-claim"),
        (bench.signer.with(&json!({"nbf": NOW + 60})), "taken"),
        (bench.signer.with(&json!({"nbf": NOW + 61})), "token-early"),
        (bench.signer.with(&json!({"iat": NOW + 61})), "token-early"),
        (bench.signer.with(&json!({"nbf": "soon"})), "token-claim"),
        (bench.signer.with(&json!({"sub": ""})), "token-claim"),
        (bench.signer.with(&json!({"cnf": {"jkt": "x"}})), "token-binding"),
        (other.with(&json!({})), "token-signature"),
    ] {
        assert_eq!(bench.kind(&token).await, kind, "{token}");
        if kind != "taken" {
            let refused = bench.show(&token).await.unwrap_err();
            assert_eq!(refused.status(), 401);
            assert!(refused.challenge().contains("error=\"invalid_token\""));
        }
    }
}

#[tokio::test]
async fn p09_a_token_that_lacks_a_scope_is_403_with_what_it_needs() {
    let bench = Bench::usual();
    for scope in [json!({"scope": "openid"}), json!({"scope": null}), json!({"scope": "mcpx"})] {
        let refused = bench.show(&bench.signer.with(&scope)).await.unwrap_err();
        assert_eq!(refused.status(), 403);
        let challenge = refused.challenge();
        for part in [
            "resource_metadata=\"https://portal.example/.well-known/oauth-protected-resource/mcp\"",
            "error=\"insufficient_scope\"",
            "scope=\"mcp\"",
        ] {
            assert!(challenge.contains(part), "{challenge}");
        }
    }
    let listed = bench.signer.with(&json!({"scope": null, "scp": ["mcp"]}));
    assert_eq!(bench.kind(&listed).await, "taken");
}

#[tokio::test]
async fn no_token_is_taken_by_an_algorithm_that_is_not_pinned() {
    let bench = Bench::usual();
    let claims = claims(&json!({}));
    let part = |value: &Value| base64_url(value.to_string().as_bytes());
    for (alg, kind) in [
        ("none", "token-algorithm"),
        ("None", "token-algorithm"),
        ("HS256", "token-algorithm"),
        ("ES384", "token-algorithm"),
        ("RS256", "token-algorithm"),
    ] {
        let header = json!({"alg": alg, "kid": "1", "typ": "at+jwt"});
        let signed = format!("{}.{}", part(&header), part(&claims));
        // HMAC with the public key as its secret, as it is in the set.
        let jwk = bench.signer.jwk("1");
        let secret = crate::portal::radix::from_base64_url(jwk["x"].as_str().unwrap()).unwrap();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let hmac = base64_url(ring::hmac::sign(&key, signed.as_bytes()).as_ref());
        for signature in ["", &hmac] {
            assert_eq!(bench.kind(&format!("{signed}.{signature}")).await, kind, "{alg}");
        }
    }
    let two = format!("{}.{}", part(&json!({"alg": "none"})), part(&claims));
    assert_eq!(bench.kind(&two).await, "token-malformed");
}

#[tokio::test]
async fn headers_that_ask_for_more_than_is_known_are_refused() {
    let bench = Bench::usual();
    for (header, kind) in [
        (json!({"alg": "ES256", "kid": "1"}), "taken"),
        (json!({"alg": "ES256", "kid": "1", "typ": "JWT"}), "taken"),
        (json!({"alg": "ES256", "typ": "application/AT+JWT"}), "taken"),
        (json!({"alg": "ES256", "kid": "1", "typ": "logout+jwt"}), "token-kind"),
        (json!({"alg": "ES256", "kid": "1", "crit": ["b64"], "b64": false}), "token-kind"),
        (json!({"alg": "ES256", "kid": "1", "jku": "https://evil.example/keys"}), "taken"),
        (json!({"alg": "ES256", "kid": "2"}), "token-key"),
    ] {
        assert_eq!(
            bench.kind(&bench.signer.token(&header, &claims(&json!({})))).await,
            kind,
            "{header}"
        );
    }
    assert_eq!(bench.web.asked("https://evil.example/keys"), 0);
}

#[tokio::test]
async fn claims_that_two_readers_read_differently_are_refused() {
    let bench = Bench::usual();
    let header = base64_url(br#"{"alg":"ES256","kid":"1"}"#);
    let good = claims(&json!({})).to_string();
    let twice = good.replacen('{', "{\"sub\":\"mallory\",", 1);
    for (claims, kind) in [(&good, "taken"), (&twice, "token-malformed")] {
        let signed = format!("{header}.{}", base64_url(claims.as_bytes()));
        let token = format!("{signed}.{}", base64_url(&bench.signer.sign(signed.as_bytes())));
        assert_eq!(bench.kind(&token).await, kind);
    }
    let twice = base64_url(br#"{"alg":"ES256","alg":"none"}"#);
    assert_eq!(bench.kind(&format!("{twice}.e30.AA")).await, "token-malformed");
}

#[tokio::test]
async fn groups_are_mapped_where_a_map_is_given() {
    let yaml = format!(
        "issuers: [{{issuer: '{ISSUER}', jwks_uri: '{KEYS}', algorithms: [ES256], \
         groups_claim: /realm/roles, groups: {{g-1: engineering}}, everybody: [all], \
         subject_claims: [sub, common_name]}}]"
    );
    let bench = Bench::new(&yaml, Signer::es256());
    let token = bench
        .signer
        .with(&json!({"realm": {"roles": ["g-1", "g-2"]}, "sub": "", "common_name": "bot"}));
    let principal = bench.show(&token).await.unwrap();
    assert_eq!(principal.groups.iter().map(|x| &**x).collect::<Vec<_>>(), ["all", "engineering"]);
    assert_eq!(&*principal.owner.subject, "bot");
}

#[tokio::test]
async fn a_remembered_token_ends_when_its_time_does() {
    let bench = Bench::usual();
    let token = bench.signer.with(&json!({}));
    assert_eq!(bench.kind(&token).await, "taken");
    bench.hand.forward(659);
    assert_eq!(bench.kind(&token).await, "taken");
    bench.hand.forward(1);
    assert_eq!(bench.kind(&token).await, "token-expired");
}

#[tokio::test]
async fn p10_a_token_in_the_query_is_refused() {
    let bench = Bench::usual();
    let token = bench.signer.with(&json!({}));
    let value = format!("Bearer {token}");
    for uri in [format!("/mcp?access_token={token}"), "/mcp?a=1&access%5ftoken=x".to_owned()] {
        for headers in [&[][..], &[("authorization", &*value)][..]] {
            let refused =
                bench.identity.authenticate(&parts(&uri, headers), None).await.unwrap_err();
            assert_eq!((refused.kind(), refused.status().as_u16()), ("token-in-query", 400));
        }
    }
}

#[tokio::test]
async fn proofs_that_do_not_hold_are_not_passed_over_for_nobody() {
    let open = format!(
        "anonymous: true\nissuers: [{{issuer: '{ISSUER}', jwks_uri: '{KEYS}', algorithms: [ES256]}}]"
    );
    let bench = Bench::new(&open, Signer::es256());
    let nobody = bench.identity.authenticate(&parts("/mcp", &[]), None).await.unwrap();
    assert_eq!(nobody.proof, Proof::Nobody);
    for (value, kind) in [
        ("Bearer x", "token-malformed"),
        ("Basic eDp5", "credentials-unreadable"),
        ("Bearer", "credentials-unreadable"),
    ] {
        let parts = parts("/mcp", &[("authorization", value)]);
        let refused = bench.identity.authenticate(&parts, None).await.unwrap_err();
        assert_eq!(refused.kind(), kind);
    }
    let good = format!("Bearer {}", bench.signer.with(&json!({})));
    let twice = parts("/mcp", &[("authorization", &good), ("authorization", &good)]);
    assert_eq!(
        bench.identity.authenticate(&twice, None).await.unwrap_err().kind(),
        "credentials-twice"
    );
}

#[tokio::test]
async fn asserted_headers_are_tokens_of_their_own_issuer() {
    let yaml = format!(
        "assertions: [{{header: Cf-Access-Jwt-Assertion, token: {{issuer: '{ISSUER}', \
         jwks_uri: '{KEYS}', algorithms: [ES256], audiences: [app-1]}}}}]"
    );
    let bench = Bench::new(&yaml, Signer::es256());
    let show = async |token: &str| {
        let parts = parts("/mcp", &[("cf-access-jwt-assertion", token)]);
        bench.identity.authenticate(&parts, None).await.map(|it| it.proof).map_err(|it| it.kind())
    };
    let good = bench.signer.with(&json!({"aud": ["app-1"]}));
    assert_eq!(show(&good).await, Ok(Proof::Assertion));
    assert_eq!(show(&bench.signer.with(&json!({}))).await, Err("token-audience"));
    assert_eq!(show("alice").await, Err("token-malformed"));
    assert_eq!(
        show(&Signer::es256().with(&json!({"aud": ["app-1"]}))).await,
        Err("token-signature")
    );
    let bearer = parts("/mcp", &[("authorization", &format!("Bearer {good}"))]);
    let refused = bench.identity.authenticate(&bearer, None).await.unwrap_err();
    assert_eq!(refused.kind(), "no-credentials", "no bearer tokens are configured");
}

#[tokio::test]
async fn service_tokens_are_known_by_their_digest_until_they_end() {
    let minted = mint().unwrap();
    let other = mint().unwrap();
    assert_ne!(minted.token, other.token);
    let token = minted.token.expose();
    assert!(token.starts_with("stp_") && token.len() == 47, "{token}");
    let yaml = format!(
        "service_tokens: [{{name: ci, sha256: '{}', groups: [bots], expires: '2027-01-15T08:00:10Z'}}]",
        minted.sha256
    );
    let bench = Bench::new(&yaml, Signer::es256());
    let principal = bench.show(token).await.unwrap();
    assert_eq!((&*principal.owner.subject, principal.proof), ("ci", Proof::Service));
    assert!(principal.is_in("bots") && principal.shown.is_none());
    assert_eq!(bench.kind(other.token.expose()).await, "token-service");
    assert_eq!(bench.kind("stp_").await, "token-service");
    assert_eq!(bench.kind(&minted.sha256).await, "token-malformed");
    bench.hand.forward(10);
    assert_eq!(bench.kind(token).await, "token-service");
}
