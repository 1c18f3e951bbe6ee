//! An upstream with an authorization server, and browsers, all made up.

mod consent;
mod person;
mod plain;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use hyper::Request;
use serde_json::{Value, json};

use super::*;
use crate::portal::identity::sha256;
use crate::portal::identity::tests::{Hand, PORTAL, Web, reply, text};
use crate::portal::principal::{Owner, Proof};
use crate::portal::radix::base64_url;
use crate::time::Timestamp;

const UPSTREAM: &str = "https://mcp.example/mcp";
const CHALLENGED: &str = "https://mcp.example/.well-known/oauth-protected-resource/mcp";
const KEY: &str = "a: 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

/// What a fake authorization server knows.
#[derive(Default)]
struct Known {
    /// By code: what the authorization request said.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    clients: Vec<Value>,
    /// Forms sent to the token endpoint.
    forms: Vec<BTreeMap<String, String>>,
    revoked: Vec<String>,
    given: usize,
    /// The error that refreshing ends with.
    refuses: Option<&'static str>,
}

#[derive(Clone)]
struct FakeAs {
    issuer: &'static str,
    known: Arc<Mutex<Known>>,
}

fn map(pairs: &str) -> BTreeMap<String, String> {
    form::fields(pairs).into_iter().collect()
}

impl FakeAs {
    fn new(web: &Web, issuer: &'static str) -> Self {
        let own = Self { issuer, known: Arc::default() };
        web.json(&format!("{issuer}/.well-known/oauth-authorization-server"), own.metadata());
        let known = Arc::clone(&own.known);
        web.on(&format!("{issuer}/register"), move |ask| {
            let mut known = known.lock().unwrap();
            let mut client: Value = serde_json::from_slice(&ask.body).unwrap();
            client["client_id"] = json!(format!("client-{}", known.clients.len()));
            known.clients.push(client.clone());
            Some(reply(201, &client))
        });
        let known = Arc::clone(&own.known);
        web.on(&format!("{issuer}/token"), move |ask| {
            Some(known.lock().unwrap().token(std::str::from_utf8(&ask.body).unwrap()))
        });
        let known = Arc::clone(&own.known);
        web.on(&format!("{issuer}/revoke"), move |ask| {
            let form = map(std::str::from_utf8(&ask.body).unwrap());
            known.lock().unwrap().revoked.push(form["token"].clone());
            Some(reply(200, &json!({})))
        });
        own
    }

    fn metadata(&self) -> Value {
        let issuer = self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// The person agrees: where the browser is sent back to.
    fn agree(&self, location: &str) -> String {
        let (endpoint, query) = location.split_once('?').unwrap();
        assert_eq!(endpoint, format!("{}/authorize", self.issuer));
        let asked = map(query);
        assert_eq!(asked["tenant"], "1");
        let mut known = self.known.lock().unwrap();
        let code = format!("code-{}", known.codes.len());
        let back =
            form::encode(&[("code", &code), ("state", &asked["state"]), ("iss", self.issuer)]);
        let to = format!("{}?{back}", asked["redirect_uri"]);
        known.codes.insert(code, asked);
        to
    }
}

impl Known {
    fn token(&mut self, form: &str) -> fetch::Reply {
        let form = map(form);
        self.forms.push(form.clone());
        let no = |code: &str| reply(400, &json!({ "error": code }));
        match &*form["grant_type"] {
            "authorization_code" => {
                let Some(asked) = self.codes.remove(&form["code"]) else {
                    return no("invalid_grant");
                };
                let challenge = base64_url(&sha256(form["code_verifier"].as_bytes()));
                let same = |name: &str| asked[name] == form[name];
                if challenge != asked["code_challenge"]
                    || !["redirect_uri", "client_id", "resource"].into_iter().all(same)
                {
                    return no("invalid_grant");
                }
            }
            "refresh_token" => {
                if let Some(error) = self.refuses {
                    return no(error);
                }
            }
            _ => {}
        }
        self.given += 1;
        let scope = form.get("scope").cloned().unwrap_or_else(|| "read".to_owned());
        let given = self.given;
        reply(
            200,
            &json!({"access_token": format!("access-{given}"), "token_type": "Bearer",
                    "expires_in": 600, "refresh_token": format!("refresh-{given}"), "scope": scope}),
        )
    }
}

/// Everything for one test.
struct Bench {
    web: Web,
    hand: Hand,
    clock: Clock,
    auth: FakeAs,
    folder: tempfile::TempDir,
    keyring: Keyring,
}

fn named(web: &Web, issuers: &[&str]) {
    web.json(
        CHALLENGED,
        json!({"resource": UPSTREAM, "authorization_servers": issuers, "scopes_supported": ["read"]}),
    );
}

impl Bench {
    fn new(kind: &str, section: &str) -> Self {
        let web = Web::default();
        let (hand, clock) = Hand::new();
        web.on(UPSTREAM, |_| {
            let mut answer = reply(401, &json!({}));
            let challenge = format!("Bearer error=\"x\", resource_metadata=\"{CHALLENGED}\"");
            answer.headers.insert("www-authenticate", challenge.parse().unwrap());
            Some(answer)
        });
        named(&web, &["https://as.example"]);
        let auth = FakeAs::new(&web, "https://as.example");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), KEY).unwrap();
        std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
        let keyring = keyring(&web, &clock, folder.path(), kind, section);
        Self { web, hand, clock, auth, folder, keyring }
    }

    fn person() -> Self {
        Self::new("{kind: person}", "")
    }

    async fn headers(&self, who: &Principal, refused: Option<&str>) -> Result<String, Failure> {
        let headers = self.keyring.headers(who, &scope(who), refused).await?;
        Ok(headers.iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect())
    }

    async fn needs_consent(&self, who: &Principal) -> String {
        match self.headers(who, None).await {
            Err(Failure::NeedsConsent(link)) => link.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// All the way.
    async fn connect(&self, who: &Principal) {
        let mut browser = Browser::new(&self.keyring, who);
        let link = self.needs_consent(who).await;
        let location = browser.agree(&link).await;
        let back = self.auth.agree(&location);
        let answer = browser.get(&back).await;
        assert_eq!(answer.status(), 200, "{}", text(answer).await);
    }
}

fn keyring(
    web: &Web,
    clock: &Clock,
    folder: &std::path::Path,
    kind: &str,
    section: &str,
) -> Keyring {
    let at = folder.display().to_string();
    let yaml = format!("vault: {{folder: '{at}/vault', key_file: '{at}/key'}}\n{section}");
    let section: Section = serde_saphyr::from_str(&yaml).unwrap();
    let kind: Kind = serde_saphyr::from_str(&kind.replace("DIR", &at)).unwrap();
    let server = Server { id: "s".into(), resource: UPSTREAM.into(), kind, fetch: web.fetch() };
    Keyring::new(&section, vec![server], &Place::new(PORTAL).unwrap(), clock).unwrap()
}

fn who(subject: &str) -> Principal {
    Principal {
        owner: Owner {
            issuer: "https://login.example".into(),
            subject: subject.into(),
            client: "claude".into(),
        },
        name: None,
        groups: Arc::default(),
        scopes: Arc::default(),
        proof: Proof::Token,
        expires: Some(Timestamp::from_parts(i64::MAX / 2_000_000_000, 0)),
        shown: Some(Secret::new(&format!("inbound-{subject}"))),
    }
}

fn scope(who: &Principal) -> Scope {
    who.at(&"s".into(), &UPSTREAM.into())
}

/// A browser of somebody, with its cookies.
struct Browser<'a> {
    keyring: &'a Keyring,
    who: Option<Principal>,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    fn new(keyring: &'a Keyring, who: &Principal) -> Self {
        let mut who = who.clone();
        who.owner.client = Arc::default();
        Self { keyring, who: Some(who), cookies: BTreeMap::new() }
    }

    async fn send(
        &mut self,
        method: Method,
        url: &str,
        form: &str,
        origin: Option<&str>,
    ) -> Answer {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request =
            Request::builder().method(method).uri(url).header("cookie", cookies.join("; "));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let form = Bytes::from(form.to_owned());
        let answer = self.keyring.page(&parts, form, self.who.as_ref()).await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with("__Host-"), "{cookie}");
            assert!(cookie.ends_with("Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        self.cookies.retain(|_, value| !value.is_empty());
        answer
    }

    async fn get(&mut self, url: &str) -> Answer {
        self.send(Method::GET, url, "", None).await
    }

    /// The ticket in the form of a page.
    async fn ticket(&mut self, link: &str) -> String {
        let answer = self.get(link).await;
        assert_eq!(answer.status(), 200);
        let text = text(answer).await;
        text.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// Presses the button: where the browser is sent.
    async fn agree(&mut self, link: &str) -> String {
        let ticket = self.ticket(link).await;
        let form = form::encode(&[("ticket", &ticket), ("action", "connect")]);
        let answer = self.send(Method::POST, link, &form, Some("https://portal.example")).await;
        assert_eq!(answer.status(), 303);
        answer.headers()["location"].to_str().unwrap().to_owned()
    }
}
