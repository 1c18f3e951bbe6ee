use hyper::{HeaderMap, Method, StatusCode};

use super::*;
use crate::portal::principal::Proof;

const SOON: Duration = Duration::from_millis(600);

fn who(subject: &str, groups: &[&str]) -> Principal {
    let empty: Arc<str> = Arc::from("");
    Principal {
        owner: Owner { issuer: Arc::from("i"), subject: Arc::from(subject), client: empty },
        name: None,
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
        scopes: Arc::from([]),
        proof: Proof::Token,
        expires: None,
        shown: None,
    }
}

fn held(subject: &str, arguments: &str) -> Held {
    let raw: crate::portal::wire::Raw = serde_json::from_str(arguments).unwrap();
    Held {
        owner: who(subject, &[]).owner,
        name: None,
        server: Arc::from("s"),
        tool: Arc::from("pay"),
        tier: Tier::Critical,
        arguments: arguments.into(),
        digest: digest(Some(&raw)),
        policy: None,
    }
}

fn settings(text: &str) -> Checked {
    serde_saphyr::from_str::<Config>(text).unwrap().check().unwrap()
}

fn holds(text: &str) -> Arc<Holds> {
    Arc::new(Holds::open(settings(text), None).unwrap())
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Waits for a call to be on the list.
async fn listed(holds: &Holds) -> Waiting {
    loop {
        if let Some(waiting) = holds.list().into_iter().next() {
            return waiting;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start(holds: &Arc<Holds>, held: Held) -> tokio::task::JoinHandle<Outcome> {
    let holds = Arc::clone(holds);
    tokio::spawn(async move { holds.wait(held, Duration::from_secs(60)).await })
}

#[test]
fn a_call_goes_on_once_when_another_approves_it() {
    run(async {
        let holds = holds("{approvers: [sec]}");
        let call = start(&holds, held("alice", r#"{"n":1}"#));
        let waiting = listed(&holds).await;
        let (alice, bob) = (who("alice", &["sec"]), who("bob", &["sec"]));
        let decide = |who: &Principal, digest: &str| holds.decide(&waiting.id, digest, true, who);
        assert_eq!(decide(&alice, &waiting.digest), Err(Refused::OwnCall));
        assert_eq!(decide(&who("eve", &[]), &waiting.digest), Err(Refused::NotApprover));
        assert_eq!(decide(&bob, "other"), Err(Refused::OtherArguments));
        assert_eq!(decide(&bob, &waiting.digest), Ok(()));
        assert_eq!(call.await.unwrap(), Outcome::Released { by: "i#bob".into() });
        // The next one waits again.
        let again = holds.wait(held("alice", r#"{"n":1}"#), Duration::ZERO).await;
        assert_eq!(again, Outcome::Expired);
        assert_eq!(holds.list().len(), 1);
    });
}

#[test]
fn an_approval_is_for_these_arguments_of_this_person_and_survives_the_client() {
    run(async {
        let holds = holds("{approvers: [sec]}");
        let first = holds.wait(held("alice", r#"{"n":1}"#), Duration::ZERO).await;
        assert_eq!(first, Outcome::Expired);
        let waiting = listed(&holds).await;
        holds.decide(&waiting.id, &waiting.digest, true, &who("bob", &["sec"])).unwrap();
        let wait = |held| holds.wait(held, Duration::ZERO);
        assert_eq!(wait(held("alice", r#"{"n":2}"#)).await, Outcome::Expired);
        assert_eq!(wait(held("mallory", r#"{"n":1}"#)).await, Outcome::Expired);
        let released = wait(held("alice", r#"{ "n": 1.0 }"#)).await;
        assert_eq!(released, Outcome::Released { by: "i#bob".into() });
        assert_eq!(wait(held("alice", r#"{"n":1}"#)).await, Outcome::Expired);
    });
}

#[test]
fn a_refusal_holds_for_retries() {
    run(async {
        let holds = holds("{approvers_of: {critical: [sec]}}");
        let call = start(&holds, held("alice", "{}"));
        let waiting = listed(&holds).await;
        holds.decide(&waiting.id, &waiting.digest, false, &who("bob", &["sec"])).unwrap();
        let denied = Outcome::Denied { by: "i#bob".into() };
        assert_eq!(call.await.unwrap(), denied);
        assert_eq!(holds.wait(held("alice", "{}"), SOON).await, denied);
        let again = holds.decide(&waiting.id, &waiting.digest, true, &who("bob", &["sec"]));
        assert_eq!(again, Err(Refused::Unknown));
    });
}

#[test]
fn no_more_wait_than_may() {
    run(async {
        let holds = holds("{max_waiting: 3, max_waiting_each: 2}");
        let mut outcomes = Vec::new();
        for (subject, n) in [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)] {
            let held = held(subject, &format!("{{\"n\":{n}}}"));
            outcomes.push(holds.wait(held, Duration::ZERO).await == Outcome::Full);
        }
        assert_eq!(outcomes, [false, false, true, false, true]);
    });
}

#[test]
fn the_directory_takes_decisions_of_others() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let state = Some(folder.path().to_owned());
            Arc::new(Holds::open(settings("{approvers: [sec]}"), state).unwrap())
        };
        let (one, other) = (open(), open());
        let call = start(&one, held("alice", "{}"));
        let waiting = listed(&other).await;
        other.decide(&waiting.id, &waiting.digest, true, &who("bob", &["sec"])).unwrap();
        assert_eq!(call.await.unwrap(), Outcome::Released { by: "i#bob".into() });
        assert!(other.list().is_empty());
        let desk = Desk::open(folder.path()).unwrap();
        let call = start(&one, held("alice", r#"{"n":2}"#));
        let waiting = listed(&one).await;
        assert_eq!(desk.list(Timestamp::EPOCH), std::slice::from_ref(&waiting));
        desk.decide(&waiting, false, "cli").unwrap();
        assert_eq!(desk.decide(&waiting, true, "cli"), Err(Refused::Decided));
        assert_eq!(call.await.unwrap(), Outcome::Denied { by: "cli".into() });
    });
}

/// The page, as somebody sees it.
async fn shown(holds: &Holds, principal: &Principal) -> String {
    let headers = HeaderMap::new();
    let asked =
        Asked { method: &Method::GET, path: "/holds", headers: &headers, body: b"", principal };
    let answer = holds.handle(asked).await.unwrap();
    assert!(answer.headers()["content-security-policy"].to_str().unwrap().contains("'none'"));
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[test]
fn the_page_decides_by_its_own_forms_only() {
    run(async {
        let holds = holds("{approvers: [sec]}");
        let evil = r#"{"x":"<script>alert(1)</script>\u202e"}"#;
        let call = start(&holds, held("alice", evil));
        let waiting = listed(&holds).await;
        let (bob, alice) = (who("bob", &["sec"]), who("alice", &["sec"]));
        let headers = HeaderMap::new();
        let page = shown(&holds, &bob).await;
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
        assert!(shown(&holds, &alice).await.contains("of their own"));
        assert!(shown(&holds, &who("eve", &[])).await.contains("Nothing waits"));
        let token = page.split("name=\"token\" value=\"").nth(1).unwrap();
        let token = token.split('"').next().unwrap().to_owned();
        let (id, digest) = (waiting.id.clone(), waiting.digest.clone());
        let form = move |token: &str, what: &str| {
            format!("id={id}&digest={digest}&token={token}&do={what}")
        };
        let mut foreign = HeaderMap::new();
        foreign.insert("sec-fetch-site", "cross-site".parse().unwrap());
        for (headers, principal, body, status) in [
            (&headers, &bob, form("", "approve"), StatusCode::FORBIDDEN),
            (&headers, &bob, form("zz", "approve"), StatusCode::FORBIDDEN),
            (&headers, &alice, form(&token, "approve"), StatusCode::FORBIDDEN),
            (&foreign, &bob, form(&token, "approve"), StatusCode::BAD_REQUEST),
            (&headers, &bob, form(&token, "x"), StatusCode::BAD_REQUEST),
            (&headers, &bob, form(&token, "approve"), StatusCode::OK),
            (&headers, &bob, form(&token, "approve"), StatusCode::NOT_FOUND),
        ] {
            let asked = Asked {
                method: &Method::POST,
                path: "/holds",
                headers,
                body: body.as_bytes(),
                principal,
            };
            assert_eq!(holds.handle(asked).await.unwrap().status(), status, "{body}");
        }
        assert_eq!(call.await.unwrap(), Outcome::Released { by: "i#bob".into() });
        let elsewhere = Asked {
            method: &Method::GET,
            path: "/hold",
            headers: &headers,
            body: b"",
            principal: &bob,
        };
        assert!(holds.handle(elsewhere).await.is_none());
    });
}
