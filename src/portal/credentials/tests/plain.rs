use super::*;

const MACHINE: &str = "client_id: portal, client_secret_file: DIR/secret, issuer: 'https://as.example', scopes: [read]";

#[tokio::test]
async fn p08_the_callers_token_never_reaches_a_server() {
    for kind in [
        "{kind: none}".to_owned(),
        "{kind: header, name: X-Key, file: DIR/secret}".to_owned(),
        "{kind: bearer, file: DIR/secret}".to_owned(),
        format!("{{kind: client-credentials, {MACHINE}}}"),
        format!("{{kind: token-exchange, {MACHINE}}}"),
        "{kind: person}".to_owned(),
    ] {
        let bench = Bench::new(&kind, "");
        let alice = who("alice");
        if kind.contains("person") {
            bench.connect(&alice).await;
        }
        let sent = bench.headers(&alice, None).await.unwrap();
        assert!(!sent.contains("inbound"), "{kind}: {sent}");
        for ask in bench.web.asked.lock().unwrap().iter() {
            let is_exchange = kind.contains("exchange") && ask.url == "https://as.example/token";
            let body = std::str::from_utf8(&ask.body).unwrap();
            assert!(is_exchange || !body.contains("inbound"), "{kind}: {}", ask.url);
            assert!(
                ask.headers.iter().all(|(_, value)| !value.to_str().unwrap().contains("inbound"))
            );
        }
    }
}

#[tokio::test]
async fn an_exchange_that_gives_back_what_it_got_is_refused() {
    let bench = Bench::new(&format!("{{kind: token-exchange, {MACHINE}}}"), "");
    bench.web.on("https://as.example/token", |_| {
        Some(reply(200, &json!({"access_token": "inbound-alice", "token_type": "Bearer"})))
    });
    assert!(matches!(bench.headers(&who("alice"), None).await, Err(Failure::Refused(401, _))));
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let bench = Bench::new("{kind: bearer, file: DIR/secret}", "");
    let alice = who("alice");
    assert_eq!(bench.headers(&alice, None).await.unwrap(), "authorization: Bearer hunter2");
    let path = bench.folder.path().join("secret");
    std::fs::write(&path, "hunter-22").unwrap();
    assert_eq!(bench.headers(&alice, None).await.unwrap(), "authorization: Bearer hunter-22");
    std::fs::write(&path, "").unwrap();
    assert_eq!(bench.headers(&alice, None).await.unwrap(), "authorization: Bearer hunter-22");
    let bench = Bench::new("{kind: header, name: X-Key, file: DIR/none}", "");
    assert!(matches!(bench.headers(&alice, None).await, Err(Failure::Unreachable(_))));
}

#[tokio::test]
async fn the_portals_own_token_is_asked_for_once_and_again_when_it_is_refused() {
    let bench = Bench::new(&format!("{{kind: client-credentials, {MACHINE}}}"), "");
    let (alice, bob) = (who("alice"), who("bob"));
    for who in [&alice, &bob] {
        assert_eq!(bench.headers(who, None).await.unwrap(), "authorization: Bearer access-1");
    }
    let form = bench.auth.known.lock().unwrap().forms[0].clone();
    let want = [("grant_type", "client_credentials"), ("resource", UPSTREAM), ("scope", "read")];
    assert_eq!(
        form,
        want.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    );
    let asked = bench.web.asked.lock().unwrap().last().unwrap().clone();
    let basic = asked.headers.iter().find(|(name, _)| *name == AUTHORIZATION).unwrap();
    assert_eq!(basic.1, "Basic cG9ydGFsOmh1bnRlcjI=");
    assert_eq!(
        bench.headers(&alice, Some("Bearer")).await.unwrap(),
        "authorization: Bearer access-1"
    );
    bench.hand.forward(5);
    assert_eq!(
        bench.headers(&alice, Some("Bearer")).await.unwrap(),
        "authorization: Bearer access-2"
    );
    assert_eq!(
        bench.headers(&bob, Some("Bearer")).await.unwrap(),
        "authorization: Bearer access-2"
    );
    bench.hand.forward(570);
    assert_eq!(bench.headers(&alice, None).await.unwrap(), "authorization: Bearer access-3");
}

#[tokio::test]
async fn exchanged_tokens_are_of_those_whose_token_was_exchanged() {
    let bench = Bench::new(&format!("{{kind: token-exchange, {MACHINE}, audience: api}}"), "");
    let (alice, bob) = (who("alice"), who("bob"));
    for _ in 0..2 {
        assert_eq!(bench.headers(&alice, None).await.unwrap(), "authorization: Bearer access-1");
        assert_eq!(bench.headers(&bob, None).await.unwrap(), "authorization: Bearer access-2");
    }
    let forms = bench.auth.known.lock().unwrap().forms.clone();
    assert_eq!(forms.len(), 2);
    assert_eq!((&*forms[0]["subject_token"], &*forms[0]["resource"]), ("inbound-alice", UPSTREAM));
    assert_eq!(forms[1]["subject_token"], "inbound-bob");
    assert_eq!(forms[0]["audience"], "api");
    let mut newer = alice.clone();
    newer.shown = Some(Secret::new("inbound-alice-2"));
    assert_eq!(bench.headers(&newer, None).await.unwrap(), "authorization: Bearer access-3");
    newer.shown = None;
    assert!(matches!(bench.headers(&newer, None).await, Err(Failure::Refused(401, _))));
}

#[tokio::test]
async fn a_scope_of_somebody_else_opens_nothing() {
    let bench = Bench::new("{kind: bearer, file: DIR/secret}", "");
    let (alice, bob) = (who("alice"), who("bob"));
    let refused = bench.keyring.headers(&alice, &scope(&bob), None).await;
    assert!(matches!(refused, Err(Failure::Refused(403, _))));
    let other = alice.at(&"s".into(), &"https://other.example".into());
    assert!(matches!(
        bench.keyring.headers(&alice, &other, None).await,
        Err(Failure::Refused(403, _))
    ));
    let none = alice.at(&"t".into(), &UPSTREAM.into());
    assert!(matches!(
        bench.keyring.headers(&alice, &none, None).await,
        Err(Failure::Unreachable(_))
    ));
}

#[test]
fn what_cannot_be_opened_is_said_with_its_place() {
    let section: Section =
        serde_saphyr::from_str("vault: {folder: /nowhere/x, key_file: /nowhere/key}").unwrap();
    let kind: Kind = serde_saphyr::from_str("{kind: person, client_id: a}").unwrap();
    let web = Web::default();
    let server = Server { id: "s".into(), resource: UPSTREAM.into(), kind, fetch: web.fetch() };
    let place = Place::new(PORTAL).unwrap();
    let problems = Keyring::new(&section, vec![server], &place, &Clock::system()).unwrap_err();
    assert!(problems[0].starts_with("credentials.vault: /nowhere/key: "), "{problems:?}");
    assert!(problems[1].starts_with("servers.s.credentials.issuer: "), "{problems:?}");
}
