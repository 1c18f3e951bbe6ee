//! Splunk's HTTP event collector: events in their envelopes, one after the other, gzipped.
//!
//! Indexer acknowledgement is not asked for: a token that demands it is refused with advice. An
//! answer says that the collector has the events in its queue.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::config::SplunkTarget;
use super::http::{Answer, Poster};
use crate::sinks::outbox::{Deliver, Segment, Trouble};

/// Delivers to a collector.
#[derive(Debug)]
pub struct Splunk {
    poster: Poster,
}

impl Splunk {
    /// Reads the token.
    ///
    /// # Errors
    /// Which secret, certificate or address cannot be used, and why.
    pub fn new(target: &SplunkTarget) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let mut token = HeaderValue::from_str(&format!("Splunk {}", target.token.read()?))
            .map_err(|_| "the token of Splunk has characters that no token has".to_owned())?;
        token.set_sensitive(true);
        headers.insert(AUTHORIZATION, token);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let url = format!("{}/services/collector/event", target.url);
        let poster = Poster::new(&url, target.ca_file.as_deref(), headers, target.timeout)?;
        Ok(Self { poster })
    }
}

impl Deliver for Splunk {
    async fn deliver(&mut self, segment: &Segment) -> Result<(), Trouble> {
        let body = gzip(&segment.body)
            .map_err(|error| Trouble::Retry(format!("cannot compress: {error}")))?;
        let answer = self.poster.post(body.into(), HeaderMap::new()).await?;
        verdict(&answer)
    }
}

/// The same bytes on every try: no time, no name in the header.
fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// What the collector answers.
#[derive(Deserialize)]
struct Reply {
    code: u32,
}

/// What its codes mean: whether the events are wrong, the configuration, or the hour.
fn verdict(answer: &Answer) -> Result<(), Trouble> {
    let Ok(Reply { code }) = serde_json::from_str(&answer.body) else { return answer.verdict() };
    let text = answer.text();
    match code {
        0 if answer.status.is_success() => Ok(()),
        1 => Err(Trouble::Stop(format!("{text}; enable the token in Splunk"))),
        2..=4 => Err(Trouble::Stop(format!("{text}; check the token"))),
        7 => Err(Trouble::Stop(format!("{text}; allow the token to write to the index"))),
        10 | 11 | 14 => {
            let advice = "switch indexer acknowledgement off for this token";
            Err(Trouble::Stop(format!("{text}; {advice}")))
        }
        5 | 6 | 12 | 13 | 15 | 27 => Err(Trouble::Drop(text)),
        8 | 9 | 18..=20 | 23 | 24 | 26 => Err(Trouble::Retry(text)),
        _ => answer.verdict(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;

    #[test]
    fn codes_of_the_collector_are_sorted() {
        for (status, body, want) in [
            (200, r#"{"text":"Success","code":0}"#, "ok"),
            (200, "", "ok"),
            (403, r#"{"text":"Token disabled","code":1}"#, "stop"),
            (401, r#"{"text":"Token is required","code":2}"#, "stop"),
            (403, r#"{"text":"Invalid token","code":4}"#, "stop"),
            (400, r#"{"text":"Invalid data format","code":6,"invalid-event-number":0}"#, "drop"),
            (400, r#"{"text":"Incorrect index","code":7,"invalid-event-number":1}"#, "stop"),
            (500, r#"{"text":"Internal server error","code":8}"#, "retry"),
            (503, r#"{"text":"Server is busy","code":9}"#, "retry"),
            (400, r#"{"text":"Data channel is missing","code":10}"#, "stop"),
            (400, r#"{"text":"Event field is required","code":12}"#, "drop"),
            (503, r#"{"text":"HEC is unhealthy, queues are full","code":18}"#, "retry"),
            (
                404,
                r#"{"text":"The requested URL was not found on this server.","code":404}"#,
                "stop",
            ),
            (413, "<html>", "drop"),
            (502, "<html>", "retry"),
        ] {
            let answer = Answer::of(StatusCode::from_u16(status).unwrap(), body);
            let got = match verdict(&answer) {
                Ok(()) => "ok",
                Err(Trouble::Retry(_)) => "retry",
                Err(Trouble::Stop(_)) => "stop",
                Err(Trouble::Drop(_)) => "drop",
            };
            assert_eq!(got, want, "{status} {body}");
        }
    }

    #[test]
    fn every_try_has_the_same_bytes() {
        let body = b"{\"event\":1}".repeat(1000);
        assert_eq!(gzip(&body).unwrap(), gzip(&body).unwrap());
        assert!(gzip(&body).unwrap().len() < body.len() / 10);
    }
}
