//! POST requests of outputs, and what answers mean.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, sleep_until, timeout};

use crate::sinks::connector::{Connector, connector};
use crate::sinks::outbox::Trouble;
use crate::sinks::printable;

/// So much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// So much of it is repeated in messages, in bytes.
const MAX_QUOTED_BYTES: usize = 300;
/// A server's `Retry-After` beyond this is not believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);
/// Connections that are not used so long are closed.
const IDLE: Duration = Duration::from_secs(30);

/// An answer, read.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The beginning of its body.
    pub(super) body: String,
    /// `Location` of a redirect.
    location: String,
}

/// Posts to one address.
#[derive(Debug)]
pub(super) struct Poster {
    client: Client<Connector, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    timeout: Duration,
    /// The server does not want to be asked before.
    not_before: Option<Instant>,
}

impl Poster {
    /// # Errors
    /// An address that is none, and files of certificates that cannot be read.
    pub(super) fn new(
        url: &str,
        ca_file: Option<&Path>,
        mut headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Self, String> {
        let uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector(ca_file)?);
        let agent = HeaderValue::from_static(concat!("shadowtap/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(agent);
        Ok(Self { client, uri, headers, timeout, not_before: None })
    }

    /// Posts a body. When the server asked for a pause the time before, it is kept first.
    pub(super) async fn post(&mut self, body: Bytes, more: HeaderMap) -> Result<Answer, Trouble> {
        if let Some(time) = self.not_before.take() {
            sleep_until(time).await;
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        // What a request says of itself comes last: nobody replaces it.
        for (name, value) in &more {
            request.headers_mut().insert(name, value.clone());
        }
        match timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = self.timeout.as_secs();
                Err(Trouble::Retry(format!("no answer within {seconds} seconds")))
            }
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Trouble> {
        let response = self.client.request(request).await.map_err(|error| network(&error))?;
        let status = response.status();
        let text = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (location, pause) = (text("location"), text(RETRY_AFTER.as_str()));
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        // The status says it all; a body that breaks off or is too long takes nothing away.
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        if !status.is_success()
            && let Some(pause) = retry_after(&pause)
        {
            self.not_before = Some(Instant::now() + pause);
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), location })
    }
}

/// Seconds of a `Retry-After` (RFC 9110 section 10.2.3). A date is not read: the pauses between
/// tries do then.
fn retry_after(value: &str) -> Option<Duration> {
    let seconds: u64 = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// No answer: what a retry may help with, and certificates, which somebody has to look at.
pub(super) fn network(error: &(dyn Error + 'static)) -> Trouble {
    let mut text = error.to_string();
    let mut next = Some(error);
    let mut certificate = false;
    while let Some(error) = next {
        certificate |= is_certificate(error);
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    if certificate {
        return Trouble::Stop(format!("{text}; name the server's CA in `tls: {{ca_file: …}}`"));
    }
    Trouble::Retry(text)
}

fn is_certificate(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    // An I/O error passes over what it wraps when it is asked for its source.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_certificate(wrapped))
}

impl Answer {
    #[cfg(test)]
    pub(super) fn of(status: StatusCode, body: &str) -> Self {
        Self { status, body: body.to_owned(), location: String::new() }
    }

    /// What the status means, for servers that give no reasons that a program could read.
    pub(super) fn verdict(&self) -> Result<(), Trouble> {
        let status = self.status;
        if status.is_success() {
            return Ok(());
        }
        let text = self.text();
        Err(match status.as_u16() {
            408 | 425 | 429 | 500..=599 => Trouble::Retry(text),
            300..=399 => {
                let to = printable(&self.location);
                Trouble::Stop(format!("{text}; it points at {to}: name that address"))
            }
            401 | 403 | 407 => Trouble::Stop(format!("{text}; check the secret")),
            404 | 405 | 410 => Trouble::Stop(format!("{text}; check the address")),
            _ => Trouble::Drop(text),
        })
    }

    /// The answer in a line.
    pub(super) fn text(&self) -> String {
        let body =
            printable(crate::sinks::encode::cut(self.body.trim(), MAX_QUOTED_BYTES)).into_owned();
        let space = if body.is_empty() { "" } else { ": " };
        format!("the server answered {}{space}{body}", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted() {
        for (status, want) in [
            (200, "ok"),
            (202, "ok"),
            (204, "ok"),
            (301, "stop"),
            (308, "stop"),
            (400, "drop"),
            (401, "stop"),
            (403, "stop"),
            (404, "stop"),
            (405, "stop"),
            (408, "retry"),
            (410, "stop"),
            (413, "drop"),
            (422, "drop"),
            (429, "retry"),
            (500, "retry"),
            (502, "retry"),
            (503, "retry"),
            (504, "retry"),
        ] {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                body: "why\x1b".into(),
                location: "https://other.example/".into(),
            };
            let got = match answer.verdict() {
                Ok(()) => "ok",
                Err(Trouble::Retry(_)) => "retry",
                Err(Trouble::Stop(_)) => "stop",
                Err(Trouble::Drop(_)) => "drop",
            };
            assert_eq!(got, want, "{status}");
            assert!(answer.text().ends_with(": why\\u{1b}"), "{}", answer.text());
        }
    }

    #[test]
    fn a_pause_is_bounded_and_a_date_is_none() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("86400"), Some(MAX_RETRY_AFTER));
        for text in ["", "-1", "Fri, 31 Dec 2026 23:59:59 GMT"] {
            assert_eq!(retry_after(text), None);
        }
    }
}
