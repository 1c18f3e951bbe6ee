//! Token endpoints (RFC 6749 section 5): what is asked there, and what comes back.

use std::fmt;
use std::path::{Path, PathBuf};

use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use super::config::Method;
use super::fetch::{Fetch, Reply, Trouble, json, post_form};
use super::form;
use crate::portal::principal::Secret;
use crate::portal::radix::base64;

/// Longest file of a secret, in bytes.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// The portal, as a client of an authorization server.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) id: String,
    pub(super) secret: Option<Secret>,
    pub(super) method: Method,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a token endpoint gave.
#[derive(Clone)]
pub(super) struct Granted {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    /// Seconds from now.
    pub(super) lasts: Option<i64>,
    pub(super) scope: Option<String>,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

/// Why it gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoGrant {
    /// It said no, with the error code of RFC 6749 section 5.2.
    Error(String),
    /// Anything else.
    Trouble(Trouble),
}

impl fmt::Display for NoGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(code) => write!(f, "the authorization server says {code}"),
            Self::Trouble(trouble) => write!(f, "the authorization server: {trouble}"),
        }
    }
}

/// The secret in the first line of a file.
pub(super) fn secret(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?.len();
    if size > MAX_SECRET_BYTES {
        return Err(format!("{shown} has {size} bytes: too many for a secret"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(format!("{shown} has no secret in its first line"));
    }
    Ok(Secret::new(line))
}

impl Registered {
    /// As configured; the file is read now.
    pub(super) fn of(id: &str, file: Option<&PathBuf>, method: Method) -> Result<Self, String> {
        let secret = file.map(|file| secret(file)).transpose()?;
        let method = if secret.is_none() { Method::None } else { method };
        Ok(Self { id: id.to_owned(), secret, method })
    }

    /// Posts a form as this client.
    pub(super) async fn post(
        &self,
        fetch: &dyn Fetch,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, Trouble> {
        let secret = self.secret.as_ref().map_or("", Secret::expose);
        let mut fields = fields.to_vec();
        let mut authorization = None;
        if self.method == Method::Basic {
            let mut pair = String::new();
            form::escape(&self.id, &mut pair);
            pair.push(':');
            form::escape(secret, &mut pair);
            let value = HeaderValue::from_str(&format!("Basic {}", base64(pair.as_bytes())));
            authorization = value.ok().map(|mut value| {
                value.set_sensitive(true);
                value
            });
        } else {
            fields.push(("client_id", &self.id));
            if self.method == Method::Post {
                fields.push(("client_secret", secret));
            }
        }
        post_form(fetch, endpoint, authorization, &fields).await
    }

    /// Asks for a token.
    pub(super) async fn ask(
        &self,
        fetch: &dyn Fetch,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<Granted, NoGrant> {
        let reply = self.post(fetch, endpoint, fields).await.map_err(NoGrant::Trouble)?;
        granted(&reply)
    }
}

#[derive(Deserialize)]
struct Good {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Bad {
    error: String,
}

fn granted(reply: &Reply) -> Result<Granted, NoGrant> {
    if reply.status != StatusCode::OK {
        let status = NoGrant::Trouble(Trouble::Status(reply.status.as_u16()));
        let said = json::<Bad>(&reply.body).ok().filter(|_| reply.status.is_client_error());
        // The code is shown to people: only what RFC 6749 section 5.2 has in one.
        let code = said.filter(|bad| {
            bad.error.len() <= 64 && bad.error.bytes().all(|x| x.is_ascii_lowercase() || x == b'_')
        });
        return Err(code.map_or(status, |bad| NoGrant::Error(bad.error)));
    }
    let garbled = |why: &str| NoGrant::Trouble(Trouble::Garbled(why.to_owned()));
    let good: Good = json(&reply.body).map_err(NoGrant::Trouble)?;
    if !good.token_type.eq_ignore_ascii_case("bearer") {
        return Err(garbled("a token that is no bearer token"));
    }
    if good.access_token.is_empty() || !good.access_token.bytes().all(|x| x.is_ascii_graphic()) {
        return Err(garbled("a token that cannot stand in a header"));
    }
    let lasts = good.expires_in.as_ref().and_then(|value| {
        value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    });
    Ok(Granted {
        access: good.access_token,
        refresh: good.refresh_token.filter(|token| !token.is_empty()),
        lasts: lasts.map(|seconds| seconds.max(0)),
        scope: good.scope,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::identity::tests::reply;
    use serde_json::json;

    #[test]
    fn only_bearer_tokens_that_fit_a_header_are_taken() {
        let good = granted(&reply(
            200,
            &json!({"access_token": "a", "token_type": "bearer", "expires_in": "60"}),
        ));
        assert_eq!(good.unwrap().lasts, Some(60));
        for (status, body, said) in [
            (200, json!({"access_token": "a", "token_type": "DPoP"}), "no bearer token"),
            (200, json!({"access_token": "a\r\nX: y", "token_type": "Bearer"}), "header"),
            (200, json!({"access_token": "", "token_type": "Bearer"}), "header"),
            (200, json!({"error": "x"}), "not the document"),
            (400, json!({"error": "invalid_grant"}), "says invalid_grant"),
            (400, json!({"error": "<script>"}), "status 400"),
            (500, json!({"error": "invalid_grant"}), "status 500"),
            (302, json!({"access_token": "a", "token_type": "Bearer"}), "status 302"),
        ] {
            let told = granted(&reply(status, &body)).unwrap_err().to_string();
            assert!(told.contains(said), "{body}: {told}");
        }
    }

    #[test]
    fn secrets_are_the_first_line_of_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(secret(&path).is_err());
        std::fs::write(&path, "\nx").unwrap();
        assert!(secret(&path).unwrap_err().contains("no secret"));
        std::fs::write(&path, " hunter2 \nrest").unwrap();
        assert_eq!(secret(&path).unwrap().expose(), "hunter2");
    }
}
