use super::*;

#[tokio::test]
async fn a_person_agrees_once_and_the_token_is_used_and_refreshed() {
    let bench = Bench::person();
    let alice = who("alice");
    bench.connect(&alice).await;
    assert_eq!(bench.headers(&alice, None).await.unwrap(), "authorization: Bearer access-1");
    // Another replica, or the same after a restart.
    let other = keyring(&bench.web, &bench.clock, bench.folder.path(), "{kind: person}", "");
    let found = other.headers(&alice, &scope(&alice), None).await.unwrap();
    assert_eq!(found[0].1.expose(), "Bearer access-1");
    bench.hand.forward(571);
    let calls = (0..8).map(|_| bench.headers(&alice, None));
    for call in calls {
        assert_eq!(call.await.unwrap(), "authorization: Bearer access-2");
    }
    // The other replica finds the new one, and does not spend the old refresh token.
    let found = other.headers(&alice, &scope(&alice), None).await.unwrap();
    assert_eq!(found[0].1.expose(), "Bearer access-2");
    let forms = bench.auth.known.lock().unwrap().forms.clone();
    assert_eq!(forms.len(), 2);
    assert_eq!(forms[1]["refresh_token"], "refresh-1");
}

#[tokio::test]
async fn many_calls_refresh_a_refused_token_once() {
    let bench = Bench::person();
    let alice = who("alice");
    bench.connect(&alice).await;
    bench.hand.forward(60);
    let bench = Arc::new(bench);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (bench, alice) = (Arc::clone(&bench), alice.clone());
        calls.spawn(async move {
            bench.headers(&alice, Some("Bearer error=\"invalid_token\"")).await.unwrap()
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(60), calls.join_all()).await.unwrap();
    assert!(all.iter().all(|sent| sent == "authorization: Bearer access-2"), "{all:?}");
    assert_eq!(bench.auth.known.lock().unwrap().forms.len(), 2);
}

#[tokio::test]
async fn a_token_that_cannot_be_refreshed_needs_consent_again() {
    for (error, needs) in [("invalid_grant", true), ("invalid_client", true), ("slow_down", false)]
    {
        let bench = Bench::person();
        let alice = who("alice");
        bench.connect(&alice).await;
        bench.auth.known.lock().unwrap().refuses = Some(error);
        bench.hand.forward(600);
        let failure = bench.headers(&alice, None).await.unwrap_err();
        assert_eq!(matches!(failure, Failure::NeedsConsent(_)), needs, "{error}: {failure:?}");
        bench.connect_if(&alice, needs).await;
        let clients = bench.auth.known.lock().unwrap().clients.len();
        assert_eq!(clients, if error == "invalid_client" { 2 } else { 1 }, "{error}");
    }
}

impl Bench {
    async fn connect_if(&self, who: &Principal, needs: bool) {
        if needs {
            self.connect(who).await;
        }
    }
}

#[tokio::test]
async fn two_owners_interleaved_never_see_each_others_tokens() {
    let bench = Bench::person();
    let (alice, bob) = (who("alice"), who("bob"));
    let mut other_client = who("alice");
    other_client.owner.client = "cursor".into();
    let mut other_issuer = who("alice");
    other_issuer.owner.issuer = "https://other.example".into();
    let all = [&alice, &bob, &other_client, &other_issuer];
    for (at, one) in all.iter().enumerate() {
        for (other, two) in all.iter().enumerate() {
            let found = bench.headers(two, None).await;
            match found {
                Ok(sent) => assert_eq!(sent, format!("authorization: Bearer access-{}", other + 1)),
                Err(failure) => {
                    assert!(
                        other >= at && matches!(failure, Failure::NeedsConsent(_)),
                        "{failure:?}"
                    );
                }
            }
        }
        bench.connect(one).await;
    }
}

#[tokio::test]
async fn p20_addresses_that_metadata_name_are_followed_only_by_tls() {
    let bench = Bench::person();
    let alice = who("alice");
    let failed = async || match bench.headers(&alice, None).await {
        Err(Failure::Unreachable(why)) => why.to_string(),
        other => panic!("{other:?}"),
    };
    for issuer in [
        "http://169.254.169.254/latest",
        "http://127.0.0.1:9",
        "http://localhost",
        "file:///etc",
        "https://u:p@as.example",
    ] {
        named(&bench.web, &[issuer]);
        assert!(failed().await.contains("may not be followed"), "{issuer}");
        assert!(!bench.web.asked.lock().unwrap().iter().any(|ask| ask.url.starts_with(issuer)));
    }
    named(&bench.web, &["https://as.example"]);
    let at = "https://as.example/.well-known/oauth-authorization-server";
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
        "jwks_uri",
    ] {
        let mut metadata = bench.auth.metadata();
        metadata[name] = json!("http://10.0.0.1/x");
        bench.web.json(at, metadata);
        assert!(failed().await.contains("may not be followed"), "{name}");
    }
    // The challenge of a server may name no document of another kind of address.
    bench.web.on(UPSTREAM, |_| {
        let mut answer = reply(401, &json!({}));
        let challenge = "Bearer resource_metadata=\"http://169.254.169.254/x\"";
        answer.headers.insert("www-authenticate", challenge.parse().unwrap());
        Some(answer)
    });
    bench.web.json(at, bench.auth.metadata());
    bench.needs_consent(&alice).await;
    assert_eq!(bench.web.asked("http://169.254.169.254/x"), 0);
}

#[tokio::test]
async fn metadata_of_another_resource_are_not_believed() {
    let bench = Bench::person();
    for (resource, is_own) in [
        ("https://evil.example/mcp", false),
        ("https://mcp.example/other", false),
        ("http://mcp.example/mcp", false),
        ("https://mcp.example", true),
    ] {
        bench.web.json(
            CHALLENGED,
            json!({"resource": resource, "authorization_servers": ["https://as.example"]}),
        );
        bench.hand.forward(3_600);
        let failure = bench.headers(&who("alice"), None).await.unwrap_err();
        assert_eq!(matches!(failure, Failure::NeedsConsent(_)), is_own, "{resource}: {failure:?}");
    }
}

#[tokio::test]
async fn p21_metadata_of_another_issuer_are_not_believed() {
    let bench = Bench::person();
    let at = "https://as.example/.well-known/oauth-authorization-server";
    for issuer in ["https://evil.example", "https://as.example/", "HTTPS://as.example"] {
        let mut metadata = bench.auth.metadata();
        metadata["issuer"] = json!(issuer);
        bench.web.json(at, metadata);
        match bench.headers(&who("alice"), None).await {
            Err(Failure::Unreachable(why)) => assert!(why.contains("its metadata is of"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_pinned_issuer_is_the_only_one() {
    let kind = "{kind: person, issuer: 'https://as.example', client_id: own, client_secret_file: DIR/secret, authentication: post}";
    let bench = Bench::new(kind, "");
    let alice = who("alice");
    named(&bench.web, &["https://evil.example"]);
    assert!(matches!(bench.headers(&alice, None).await, Err(Failure::Unreachable(_))));
    named(&bench.web, &["https://evil.example", "https://as.example"]);
    bench.connect(&alice).await;
    let known = bench.auth.known.lock().unwrap();
    assert!(known.clients.is_empty(), "it is registered by hand");
    assert_eq!(
        (&*known.forms[0]["client_id"], &*known.forms[0]["client_secret"]),
        ("own", "hunter2")
    );
}

#[tokio::test]
async fn p24_another_authorization_server_gets_nothing_of_the_old_one() {
    let bench = Bench::person();
    let alice = who("alice");
    bench.connect(&alice).await;
    let new = FakeAs::new(&bench.web, "https://new.example");
    named(&bench.web, &["https://new.example"]);
    bench.hand.forward(300);
    assert!(bench.headers(&alice, None).await.is_ok(), "not looked at again yet");
    bench.hand.forward(3_300);
    let link = bench.needs_consent(&alice).await;
    assert!(new.known.lock().unwrap().forms.is_empty(), "no refresh token went there");
    let mut browser = Browser::new(&bench.keyring, &alice);
    let location = browser.agree(&link).await;
    assert_eq!(new.known.lock().unwrap().clients.len(), 1, "registered anew");
    assert_eq!(browser.get(&new.agree(&location)).await.status(), 200);
    assert!(bench.headers(&alice, None).await.is_ok());
    let old = bench.auth.known.lock().unwrap().forms.len();
    assert_eq!((old, new.known.lock().unwrap().forms.len()), (1, 1));
}

#[tokio::test]
async fn p24_a_refused_token_has_the_authorization_server_looked_up_again() {
    let bench = Bench::person();
    let alice = who("alice");
    bench.connect(&alice).await;
    let _new = FakeAs::new(&bench.web, "https://new.example");
    named(&bench.web, &["https://new.example"]);
    assert!(bench.headers(&alice, None).await.is_ok());
    let refused = "Bearer error=\"invalid_token\"";
    let failure = bench.headers(&alice, Some(refused)).await.unwrap_err();
    assert!(matches!(failure, Failure::NeedsConsent(_)), "{failure:?}");
    // Another refusal right behind it asks for nothing.
    named(&bench.web, &["https://as.example"]);
    assert!(bench.headers(&alice, Some(refused)).await.is_err());
    bench.hand.forward(10);
    assert!(bench.headers(&alice, Some(refused)).await.is_ok());
}

#[tokio::test]
async fn scopes_are_those_of_the_challenge_and_one_for_refreshing() {
    let bench = Bench::person();
    let mut metadata = bench.auth.metadata();
    metadata["scopes_supported"] = json!(["read", "offline_access"]);
    bench.web.json("https://as.example/.well-known/oauth-authorization-server", metadata);
    bench.web.on(UPSTREAM, |ask| {
        let mut answer = reply(401, &json!({}));
        if ask.method == Method::POST {
            let challenge = format!("Bearer scope=\"a b\", resource_metadata=\"{CHALLENGED}\"");
            answer.headers.insert("www-authenticate", challenge.parse().unwrap());
        }
        Some(answer)
    });
    let alice = who("alice");
    let link = bench.needs_consent(&alice).await;
    let location = Browser::new(&bench.keyring, &alice).agree(&link).await;
    let asked = map(location.split_once('?').unwrap().1);
    assert_eq!(asked["scope"], "a b offline_access");
}

#[tokio::test]
async fn more_scopes_are_asked_for_when_the_server_says_so() {
    let bench = Bench::person();
    let alice = who("alice");
    bench.connect(&alice).await;
    let refused = "Bearer error=\"insufficient_scope\", scope=\"write\"";
    assert!(matches!(bench.headers(&alice, Some(refused)).await, Err(Failure::NeedsConsent(_))));
    let link = bench.keyring.consent.as_ref().unwrap().link(&scope(&alice)).unwrap();
    let location = Browser::new(&bench.keyring, &alice).agree(&link).await;
    assert_eq!(map(location.split_once('?').unwrap().1)["scope"], "read write");
}

#[tokio::test]
async fn an_authorization_server_in_trouble_is_no_reason_to_ask_the_person() {
    let bench = Bench::person();
    let alice = who("alice");
    bench.connect(&alice).await;
    bench.hand.forward(3_600);
    bench.web.down(UPSTREAM);
    bench.web.down(CHALLENGED);
    bench.web.down("https://as.example/token");
    assert!(matches!(bench.headers(&alice, None).await, Err(Failure::Unreachable(_))));
}
