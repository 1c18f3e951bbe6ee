//! All that the portal can be asked to do with a call: tokens of an issuer, policies, the guard with
//! its usual settings, records. The issuer is this program: a key of one run, shown on loopback.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// Rules of the policy that are about others: the one that allows the calls is among them.
const OTHER_RULES: usize = 50;

/// An issuer of tokens.
pub struct Issuer {
    port: u16,
    key: EcdsaKeyPair,
}

impl Issuer {
    /// Shows its key until this program ends.
    pub fn start() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let point = key.public_key().as_ref();
        let keys = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
            "x": base64(&point[1..33]), "y": base64(&point[33..65]),
        }]});
        let keys = keys.to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                show(stream.unwrap(), &keys);
            }
        });
        Self { port, key }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A token for the portal, for an hour.
    pub fn token(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let head = json!({"alg": "ES256", "typ": "at+jwt", "kid": "bench"});
        let claims = json!({
            "iss": self.url(), "aud": "bench", "sub": "load@example.com", "client_id": "load",
            "email": "load@example.com", "groups": ["engineering", "load"], "scope": "mcp",
            "iat": now.as_secs(), "exp": (now + Duration::from_secs(3_600)).as_secs(),
        });
        let text = format!(
            "{}.{}",
            base64(head.to_string().as_bytes()),
            base64(claims.to_string().as_bytes())
        );
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", base64(signature.as_ref()))
    }

    /// The portal's file with everything on.
    pub fn everything(&self, file: &str) -> String {
        let mut file: Value = serde_json::from_str(file).unwrap();
        file["identity"] = json!({"issuers": [{
            "issuer": self.url(), "audiences": ["bench"], "jwks_uri": self.url() + "/keys",
        }]});
        let mut rules: Vec<_> = (0..OTHER_RULES)
            .map(|n| {
                json!({"name": format!("other-{n}"), "effect": "allow",
                    "groups": [format!("group-{}", n % 10)], "servers": [format!("server-{}", n % 7)],
                    "tools": [format!("tool_{n}_*")]})
            })
            .collect();
        rules.push(json!({"name": "echo", "effect": "allow", "groups": ["load"],
            "servers": ["stub"], "tools": ["ech*"], "arguments": {"/text": {"prefix": "said"}}}));
        rules.push(json!({"name": "not-this", "effect": "deny", "groups": ["load"],
            "servers": ["stub"], "tools": ["echo"], "arguments": {"/text": {"eq": "drop"}}}));
        file["policy"] = json!({"rules": rules});
        serde_json::to_string_pretty(&file).unwrap()
    }
}

/// Answers a request, whatever it is.
fn show(mut stream: TcpStream, keys: &str) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{keys}",
        keys.len()
    );
    let _gone = stream.write_all(answer.as_bytes());
}

/// RFC 4648 section 5, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(DIGITS[bits >> (18 - 6 * place) & 63]));
        }
    }
    text
}
