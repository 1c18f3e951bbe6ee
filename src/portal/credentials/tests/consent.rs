use super::*;

async fn posted(
    browser: &mut Browser<'_>,
    link: &str,
    fields: &[(&str, &str)],
    origin: Option<&str>,
) -> u16 {
    let answer = browser.send(Method::POST, link, &form::encode(fields), origin).await;
    assert_eq!(answer.headers().contains_key("location"), answer.status() == 303);
    answer.status().as_u16()
}

#[tokio::test]
async fn p19_nobody_is_sent_away_before_they_agreed_on_a_page_in_no_frame() {
    let bench = Bench::person();
    let alice = who("alice");
    let link = bench.needs_consent(&alice).await;
    assert!(link.starts_with("https://portal.example/connect/s?for=a."), "{link}");
    let mut browser = Browser::new(&bench.keyring, &alice);
    let answer = browser.get(&link).await;
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("location"));
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(policy.contains("form-action 'self' https://as.example;"), "{policy}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    assert!(!browser.cookies.contains_key("__Host-shadowtap-journey"), "no state before consent");
    let page = text(answer).await;
    for part in
        ["<dd>s<", "https://mcp.example/mcp", "https://as.example", "alice", "claude", "read"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(bench.auth.known.lock().unwrap().clients.is_empty());
}

#[tokio::test]
async fn p19_only_the_page_itself_can_send_its_form() {
    let bench = Bench::person();
    let alice = who("alice");
    let link = bench.needs_consent(&alice).await;
    let mut browser = Browser::new(&bench.keyring, &alice);
    let ticket = browser.ticket(&link).await;
    let own = Some("https://portal.example");
    let sealed_link = link.split_once("for=").unwrap().1.to_owned();
    let good = [("ticket", &*ticket), ("action", "connect")];
    for (fields, origin, status) in [
        (&good[..1], own, 403),
        (&good[1..], own, 403),
        (&[("ticket", &*ticket), ("ticket", &*ticket), ("action", "connect")][..], own, 403),
        (&[("ticket", &*sealed_link), ("action", "connect")][..], own, 403),
        (&[("ticket", "a.AAAA"), ("action", "connect")][..], own, 403),
        (&good[..], Some("https://evil.example"), 403),
        (&good[..], Some("null"), 403),
        (&good[..], None, 303),
        (&good[..], own, 303),
    ] {
        assert_eq!(
            posted(&mut browser, &link, fields, origin).await,
            status,
            "{fields:?} {origin:?}"
        );
    }
    // Another browser, whoever it is of, has another cookie, or none.
    let mut other = Browser::new(&bench.keyring, &alice);
    assert_eq!(posted(&mut other, &link, &good, own).await, 403);
    other.ticket(&link).await;
    assert_eq!(posted(&mut other, &link, &good, own).await, 403);
    bench.hand.forward(600);
    assert_eq!(posted(&mut browser, &link, &good, own).await, 403, "too old");
}

#[tokio::test]
async fn p19_a_link_is_for_the_person_it_was_made_for() {
    let bench = Bench::person();
    let alice = who("alice");
    let link = bench.needs_consent(&alice).await;
    let mut mallory = Browser::new(&bench.keyring, &who("mallory"));
    assert_eq!(mallory.get(&link).await.status(), 403);
    let mut nobody = Browser::new(&bench.keyring, &alice);
    nobody.who = None;
    assert_eq!(nobody.get(&link).await.status(), 401);
    assert_eq!(nobody.get("https://portal.example/connect/s").await.status(), 401);
    let mut own = Browser::new(&bench.keyring, &alice);
    assert_eq!(own.get("https://portal.example/connect/s").await.status(), 200);
    let ticket = own.ticket(&link).await;
    own.who = Some(who("mallory"));
    let fields = [("ticket", &*ticket), ("action", "connect")];
    assert_eq!(posted(&mut own, &link, &fields, None).await, 403);
    own.who = Some(alice);
    for wrong in
        [link.replace("for=a.", "for=b."), link.replace("/connect/s?", "/connect/callback?")]
    {
        assert_eq!(own.get(&wrong).await.status(), 400, "{wrong}");
    }
    bench.hand.forward(600);
    assert_eq!(own.get(&link).await.status(), 400, "too old");
    let trusting = Bench::new("{kind: person}", "trust_links: true");
    let link = trusting.needs_consent(&who("alice")).await;
    let mut nobody = Browser::new(&trusting.keyring, &who("alice"));
    nobody.who = None;
    assert_eq!(nobody.get(&link).await.status(), 200);
}

#[tokio::test]
async fn p19_the_way_back_is_taken_once_by_the_same_browser_within_ten_minutes() {
    let bench = Bench::person();
    let alice = who("alice");
    let link = bench.needs_consent(&alice).await;
    let mut browser = Browser::new(&bench.keyring, &alice);
    let location = browser.agree(&link).await;
    let asked = map(location.split_once('?').unwrap().1);
    assert_eq!(asked["redirect_uri"], "https://portal.example/connect/callback");
    assert_eq!(asked["state"].len(), 43, "256 bits");
    let back = bench.auth.agree(&location);
    let cookies = browser.cookies.clone();
    let callback = async |cookies: &BTreeMap<String, String>, url: &str| {
        let mut browser = Browser::new(&bench.keyring, &alice);
        browser.cookies = cookies.clone();
        browser.get(url).await.status().as_u16()
    };
    assert_eq!(callback(&BTreeMap::new(), &back).await, 400, "another browser");
    let state = format!("state={}", asked["state"]);
    for wrong in
        [back.replace(&state, "state=x"), back.replace(&state, ""), format!("{back}&{state}")]
    {
        assert_eq!(callback(&cookies, &wrong).await, 400, "{wrong}");
    }
    bench.hand.forward(600);
    assert_eq!(callback(&cookies, &back).await, 400, "too late");
    bench.hand.forward(-600);
    assert_eq!(callback(&cookies, &back).await, 200);
    assert_eq!(callback(&cookies, &back).await, 400, "once");
    assert!(bench.auth.known.lock().unwrap().forms.len() == 1, "the code went out once");
    browser.get(&back).await;
    assert!(!browser.cookies.contains_key("__Host-shadowtap-journey"), "taken away");
}

#[tokio::test]
async fn p21_an_answer_of_another_authorization_server_is_not_taken() {
    let bench = Bench::person();
    let alice = who("alice");
    let good = "iss=https%3A%2F%2Fas.example";
    for (iss, status) in [
        ("iss=https%3A%2F%2Fevil.example", 400),
        ("iss=https%3A%2F%2Fas.example%2F", 400),
        ("iss=HTTPS%3A%2F%2Fas.example", 400),
        ("", 400),
        (good, 200),
    ] {
        let link = bench.needs_consent(&alice).await;
        let mut browser = Browser::new(&bench.keyring, &alice);
        let location = browser.agree(&link).await;
        let back = bench.auth.agree(&location).replace(good, iss);
        assert_eq!(browser.get(&back).await.status(), status, "{iss}");
        let forms = bench.auth.known.lock().unwrap().forms.len();
        assert_eq!(forms, usize::from(status == 200), "no code goes out before");
    }
}

#[tokio::test]
async fn p22_an_authorization_server_without_s256_is_refused() {
    let at = "https://as.example/.well-known/oauth-authorization-server";
    for methods in
        [json!(null), json!([]), json!(["plain"]), json!(["s256"]), json!(["plain", "S256"])]
    {
        let bench = Bench::person();
        let mut metadata = bench.auth.metadata();
        match &methods {
            Value::Null => {
                drop(metadata.as_object_mut().unwrap().remove("code_challenge_methods_supported"))
            }
            methods => metadata["code_challenge_methods_supported"] = methods.clone(),
        }
        bench.web.json(at, metadata);
        let link = bench.needs_consent(&who("alice")).await;
        let mut browser = Browser::new(&bench.keyring, &who("alice"));
        let ticket = browser.ticket(&link).await;
        let fields = [("ticket", &*ticket), ("action", "connect")];
        let status = posted(&mut browser, &link, &fields, None).await;
        assert_eq!(
            status,
            if methods == json!(["plain", "S256"]) { 303 } else { 502 },
            "{methods}"
        );
    }
}

#[tokio::test]
async fn p23_the_resource_is_named_in_every_request() {
    let bench = Bench::person();
    let alice = who("alice");
    let link = bench.needs_consent(&alice).await;
    let mut browser = Browser::new(&bench.keyring, &alice);
    let location = browser.agree(&link).await;
    let asked = map(location.split_once('?').unwrap().1);
    assert_eq!(asked["resource"], UPSTREAM);
    assert_eq!((&*asked["code_challenge_method"], &*asked["response_type"]), ("S256", "code"));
    browser.get(&bench.auth.agree(&location)).await;
    bench.hand.forward(600);
    bench.headers(&alice, None).await.unwrap();
    let forms = bench.auth.known.lock().unwrap().forms.clone();
    assert_eq!(
        forms.iter().map(|form| &*form["grant_type"]).collect::<Vec<_>>(),
        ["authorization_code", "refresh_token"]
    );
    assert!(forms.iter().all(|form| form["resource"] == UPSTREAM));
    assert_eq!(forms[0]["code_verifier"].len(), 43);
}

#[tokio::test]
async fn the_portals_own_document_is_its_id_where_that_is_taken() {
    let bench = Bench::person();
    let mut metadata = bench.auth.metadata();
    metadata["client_id_metadata_document_supported"] = json!(true);
    bench.web.json("https://as.example/.well-known/oauth-authorization-server", metadata);
    let link = bench.needs_consent(&who("alice")).await;
    let mut browser = Browser::new(&bench.keyring, &who("alice"));
    let location = browser.agree(&link).await;
    let id = map(location.split_once('?').unwrap().1)["client_id"].clone();
    let answer = browser.get(&id).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let document: Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!(document["client_id"], json!(id));
    assert_eq!(document["redirect_uris"], json!(["https://portal.example/connect/callback"]));
    assert!(bench.auth.known.lock().unwrap().clients.is_empty(), "not registered");
}

#[tokio::test]
async fn a_person_who_disconnects_has_no_token_left_anywhere() {
    let bench = Bench::person();
    let alice = who("alice");
    bench.connect(&alice).await;
    let mut browser = Browser::new(&bench.keyring, &alice);
    let link = bench.keyring.consent.as_ref().unwrap().link(&scope(&alice)).unwrap();
    let ticket = browser.ticket(&link).await;
    let fields = [("ticket", &*ticket), ("action", "disconnect")];
    assert_eq!(posted(&mut browser, &link, &fields, None).await, 200);
    assert_eq!(bench.auth.known.lock().unwrap().revoked, ["refresh-1"]);
    bench.needs_consent(&alice).await;
}

#[tokio::test]
async fn a_person_who_says_no_is_not_connected() {
    let bench = Bench::person();
    let alice = who("alice");
    let link = bench.needs_consent(&alice).await;
    let mut browser = Browser::new(&bench.keyring, &alice);
    let location = browser.agree(&link).await;
    let back = bench.auth.agree(&location).replace("code=", "error=access_denied&x=");
    let answer = browser.get(&back).await;
    assert_eq!(answer.status(), 403);
    assert!(!text(answer).await.contains("access_denied"));
    bench.needs_consent(&alice).await;
}

#[tokio::test]
async fn other_pages_are_not_ours() {
    let bench = Bench::person();
    for path in ["/", "/connect", "/connect/other", "/connect/s/x", "/connect/%73x"] {
        let parts = Request::builder().uri(path).body(()).unwrap().into_parts().0;
        assert!(bench.keyring.page(&parts, Bytes::new(), None).await.is_none(), "{path}");
    }
    let mut browser = Browser::new(&bench.keyring, &who("alice"));
    for (method, path) in [(Method::PUT, "/connect/s"), (Method::POST, "/connect/callback")] {
        assert_eq!(browser.send(method, path, "", None).await.status(), 405);
    }
}
