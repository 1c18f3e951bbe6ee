//! Keys, tokens and a web that are made up.

mod certificates;
mod keys;
mod metadata;
mod tokens;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA512, RsaKeyPair,
};
use serde_json::{Value, json};

use super::*;
use crate::portal::Task;
use crate::portal::credentials::fetch::{Ask, Fetch, Reply};
use crate::portal::radix::base64_url;
use crate::time::Timestamp;

pub(in crate::portal) const NOW: i64 = 1_800_000_000;
pub(in crate::portal) const ISSUER: &str = "https://login.example";
pub(in crate::portal) const PORTAL: &str = "https://portal.example/mcp";

type Handler = Arc<dyn Fn(&Ask) -> Option<Reply> + Send + Sync>;

/// A web of made-up answers, which remembers what was asked.
#[derive(Clone, Default)]
pub(in crate::portal) struct Web {
    pages: Arc<Mutex<HashMap<String, Handler>>>,
    pub(in crate::portal) asked: Arc<Mutex<Vec<Ask>>>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Web")
    }
}

pub(in crate::portal) fn reply(status: u16, body: &Value) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_string().into(),
    }
}

impl Web {
    pub(in crate::portal) fn on(
        &self,
        url: &str,
        handler: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static,
    ) {
        self.pages.lock().unwrap().insert(url.to_owned(), Arc::new(handler));
    }

    pub(in crate::portal) fn json(&self, url: &str, body: Value) {
        self.on(url, move |_| Some(reply(200, &body)));
    }

    pub(in crate::portal) fn down(&self, url: &str) {
        self.on(url, |_| None);
    }

    pub(in crate::portal) fn asked(&self, url: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|ask| ask.url == url).count()
    }

    pub(in crate::portal) fn fetch(&self) -> Arc<dyn Fetch> {
        Arc::new(self.clone())
    }
}

impl Fetch for Web {
    fn send(&self, ask: Ask) -> Task<'_, Result<Reply, String>> {
        self.asked.lock().unwrap().push(ask.clone());
        let handler = self.pages.lock().unwrap().get(&ask.url).cloned();
        Box::pin(async move {
            tokio::task::yield_now().await;
            match handler {
                Some(handler) => handler(&ask).ok_or_else(|| "is down".to_owned()),
                None => Ok(reply(404, &json!({}))),
            }
        })
    }
}

/// A clock that is set by hand.
#[derive(Clone)]
pub(in crate::portal) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub(in crate::portal) fn new() -> (Self, Clock) {
        let hand = Arc::new(AtomicI64::new(NOW));
        let own = Arc::clone(&hand);
        let clock = Clock::new(move || Timestamp::from_parts(own.load(Ordering::Relaxed), 0));
        (Self(hand), clock)
    }

    pub(in crate::portal) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// A key of an issuer.
pub(in crate::portal) enum Signer {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rs256(RsaKeyPair),
    Ps512(RsaKeyPair),
}

fn rsa() -> RsaKeyPair {
    RsaKeyPair::from_der(include_bytes!("rsa.der")).unwrap()
}

impl Signer {
    pub(in crate::portal) fn es256() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Es256(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    fn ed25519() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub(in crate::portal) fn name(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
            Self::Rs256(_) => "RS256",
            Self::Ps512(_) => "PS512",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |key: &RsaKeyPair, padding: &'static dyn ring::signature::RsaEncoding| {
            let mut signed = vec![0; key.public().modulus_len()];
            key.sign(padding, &random, message, &mut signed).unwrap();
            signed
        };
        match self {
            Self::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Rs256(key) => rsa(key, &RSA_PKCS1_SHA256),
            Self::Ps512(key) => rsa(key, &RSA_PSS_SHA512),
        }
    }

    pub(in crate::portal) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Es256(key) => {
                let public = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
                       "x": base64_url(&public[1..33]), "y": base64_url(&public[33..])})
            }
            Self::Ed25519(key) => {
                let public = key.public_key().as_ref();
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64_url(public)})
            }
            Self::Rs256(key) | Self::Ps512(key) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": kid, "n": base64_url(&public.n),
                       "e": base64_url(&public.e)})
            }
        }
    }

    pub(in crate::portal) fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            base64_url(header.to_string().as_bytes()),
            base64_url(claims.to_string().as_bytes())
        );
        format!("{signed}.{}", base64_url(&self.sign(signed.as_bytes())))
    }

    /// A good token with some claims changed; `null` takes a claim out.
    pub(in crate::portal) fn with(&self, changes: &Value) -> String {
        self.token(&json!({"alg": self.name(), "kid": "1", "typ": "at+jwt"}), &claims(changes))
    }
}

pub(in crate::portal) fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": PORTAL, "sub": "alice", "client_id": "claude", "iat": NOW,
        "exp": NOW + 600, "scope": "mcp openid", "groups": ["staff", "dev"],
        "email": "alice@example.org",
    });
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.clone(), value.clone())),
        }
    }
    claims
}

pub(in crate::portal) fn jwks(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

/// Everything for one test.
pub(in crate::portal) struct Bench {
    pub(in crate::portal) web: Web,
    pub(in crate::portal) hand: Hand,
    pub(in crate::portal) signer: Signer,
    pub(in crate::portal) identity: Arc<Identity>,
}

pub(in crate::portal) const KEYS: &str = "https://login.example/keys";
const USUAL: &str = "issuers: [{issuer: 'https://login.example', jwks_uri: 'https://login.example/keys', \
                     algorithms: [ES256]}]\nrequired_scopes: [mcp]";

impl Bench {
    pub(in crate::portal) fn new(yaml: &str, signer: Signer) -> Self {
        let web = Web::default();
        web.json(KEYS, jwks(&[signer.jwk("1")]));
        let (hand, clock) = Hand::new();
        let config = serde_saphyr::from_str::<config::Section>(yaml).unwrap().check().unwrap();
        let place = Place::new(PORTAL).unwrap();
        let limits = Limits::default();
        let identity = Identity::new(config, place, &web.fetch(), &clock, limits);
        Self { web, hand, signer, identity: Arc::new(identity) }
    }

    pub(in crate::portal) fn usual() -> Self {
        Self::new(USUAL, Signer::es256())
    }

    async fn show(&self, token: &str) -> Result<Arc<Principal>, Refused> {
        let value = format!("Bearer {token}");
        self.identity.authenticate(&parts("/mcp", &[("authorization", &value)]), None).await
    }

    async fn kind(&self, token: &str) -> &'static str {
        match self.show(token).await {
            Ok(_) => "taken",
            Err(refused) => refused.kind(),
        }
    }
}

pub(in crate::portal) fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

pub(in crate::portal) async fn text(answer: Answer) -> String {
    use http_body_util::BodyExt as _;
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
