//! POST of batches to an address, signed.
//!
//! Every request has `Idempotency-Key`, the same on every try. With a key, two more fields say
//! who sent it: `X-Shadowtap-Timestamp`, seconds since 1970, and `X-Shadowtap-Signature`,
//! `sha256=` and the hexadecimal HMAC-SHA256 of the timestamp, a dot and the body.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::Value;

use super::config::{Body, HeaderText, WebhookTarget};
use super::http::Poster;
use crate::sinks::outbox::{Deliver, Segment, Trouble};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-shadowtap-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-shadowtap-signature");

/// Delivers to a webhook.
#[derive(Debug)]
pub struct Webhook {
    poster: Poster,
    body: Body,
    key: Option<hmac::Key>,
    /// How far the segment of a token went, one request for each record: a retry goes on there.
    progress: Option<Progress>,
}

#[derive(Debug)]
struct Progress {
    token: String,
    sent: usize,
    /// Records that were refused, and why the last was.
    refused: u64,
    reason: String,
}

impl Webhook {
    /// Reads the secrets.
    ///
    /// # Errors
    /// Which secret, certificate or address cannot be used, and why.
    pub fn new(target: &WebhookTarget) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let content_type = match target.body {
            Body::Ndjson => "application/x-ndjson",
            Body::Array | Body::Template(_) => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in &target.headers {
            let text = match value {
                HeaderText::Plain(text) => text.clone(),
                HeaderText::Secret(secret) => secret.read()?,
            };
            let bad = |error: &dyn std::fmt::Display| format!("header field {name}: {error}");
            let field = HeaderName::from_bytes(name.as_bytes()).map_err(|error| bad(&error))?;
            let mut text = HeaderValue::from_str(&text).map_err(|error| bad(&error))?;
            text.set_sensitive(matches!(value, HeaderText::Secret(_)));
            headers.insert(field, text);
        }
        let key = target.sign.as_ref().map(|secret| secret.read()).transpose()?;
        let poster = Poster::new(&target.url, target.ca_file.as_deref(), headers, target.timeout)?;
        Ok(Self {
            poster,
            body: target.body.clone(),
            key: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())),
            progress: None,
        })
    }

    async fn send(&mut self, body: Bytes, key: &str) -> Result<(), Trouble> {
        let mut headers = HeaderMap::new();
        if let Ok(key) = HeaderValue::from_str(key) {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        if let Some(key) = &self.key {
            let time = now();
            headers.insert(TIMESTAMP, HeaderValue::from(time));
            if let Ok(signature) = HeaderValue::from_str(&signature(key, time, &body)) {
                headers.insert(SIGNATURE, signature);
            }
        }
        self.poster.post(body, headers).await?.verdict()
    }

    /// One request for each record. One that is refused does not hold up the others; when all have
    /// been sent the segment as a whole is put aside, with what it lost.
    async fn each(&mut self, segment: &Segment) -> Result<(), Trouble> {
        let mut progress = match self.progress.take() {
            Some(progress) if progress.token == segment.token => progress,
            _ => Progress {
                token: segment.token.clone(),
                sent: 0,
                refused: 0,
                reason: String::new(),
            },
        };
        let Body::Template(template) = self.body.clone() else { return Ok(()) };
        let mut records = records(&segment.body).enumerate().skip(progress.sent);
        let result = loop {
            let Some((index, record)) = records.next() else { break Ok(()) };
            let body = match serde_json::from_slice::<Value>(record) {
                Ok(record) => template.fill(&record),
                Err(error) => {
                    progress.refused += 1;
                    progress.reason = format!("a record is not JSON: {error}");
                    continue;
                }
            };
            let key = format!("{}-{index}", segment.token);
            match self.send(body.into_bytes().into(), &key).await {
                Err(Trouble::Drop(reason)) => {
                    progress.refused += 1;
                    progress.reason = reason;
                }
                Ok(()) => {}
                Err(other) => break Err(other),
            }
            progress.sent = index + 1;
        };
        if result.is_err() {
            self.progress = Some(progress);
            return result;
        }
        if progress.refused == 0 {
            return Ok(());
        }
        let Progress { refused, reason, .. } = progress;
        let all = segment.records;
        Err(Trouble::Drop(format!("{refused} of {all} messages were refused; the last: {reason}")))
    }
}

impl Deliver for Webhook {
    async fn deliver(&mut self, segment: &Segment) -> Result<(), Trouble> {
        match self.body {
            Body::Ndjson => self.send(Bytes::copy_from_slice(&segment.body), &segment.token).await,
            Body::Array => self.send(array(&segment.body).into(), &segment.token).await,
            Body::Template(_) => self.each(segment).await,
        }
    }
}

/// The records of a body, without their newlines.
pub(super) fn records(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').filter(|record| !record.is_empty())
}

fn array(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 2);
    out.push(b'[');
    for record in records(body) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(record);
    }
    out.push(b']');
    out
}

#[expect(clippy::disallowed_methods, reason = "receivers refuse signatures that are old")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// `sha256=` and the HMAC of time, dot and body.
fn signature(key: &hmac::Key, time: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(time.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let mut text = String::from("sha256=");
    for byte in context.sign().as_ref() {
        _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_an_array() {
        assert_eq!(array(b"{\"a\":1}\n{\"b\":2}\n"), b"[{\"a\":1},{\"b\":2}]");
        assert_eq!(array(b""), b"[]");
    }

    #[test]
    fn a_signature_is_the_hmac_of_time_dot_body() {
        // Computed with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac fake-key
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"fake-key");
        let want = "sha256=2e97336b3d8f14af2e328af75733a6e06fb64069ce985387ba525e5cbca54bae";
        assert_eq!(signature(&key, 1_700_000_000, b"{\"a\":1}"), want);
    }
}
