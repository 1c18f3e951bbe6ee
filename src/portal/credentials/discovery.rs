//! Authorization servers, found as MCP has it: the upstream's challenge, its metadata (RFC 9728),
//! and that of the server named there (RFC 8414, OpenID Connect Discovery 1.0).

use hyper::Method;
use hyper::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::challenge::Challenge;
use super::fetch::{Ask, Fetch, Trouble, get_json, post_json};
use crate::portal::identity::Address;

/// Metadata of an authorization server, as far as it is used.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AuthServer {
    /// Equal to what its address was made of.
    pub issuer: String,
    /// Where people agree.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where codes and tokens are traded.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// RFC 7591.
    #[serde(default)]
    pub registration_endpoint: Option<String>,
    /// RFC 7009.
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
    /// RFC 7517.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// RFC 7636.
    #[serde(default)]
    pub code_challenge_methods_supported: Vec<String>,
    /// By default `client_secret_basic`.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Client id metadata documents.
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
    /// All that it has.
    #[serde(default)]
    pub scopes_supported: Vec<String>,
    /// RFC 9207.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// Metadata of a protected resource (RFC 9728), as far as it is used.
#[derive(Clone, Debug, Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// What is known of how to get tokens for an upstream.
#[derive(Clone, Debug)]
pub struct Found {
    /// Who gives them.
    pub server: AuthServer,
    /// What tokens are asked for (RFC 8707).
    pub resource: String,
    /// Which scopes the upstream speaks of.
    pub scopes: Vec<String>,
}

/// Metadata of an issuer. Endpoints that may not be followed make it useless.
///
/// # Errors
/// When there is none, or it is of another issuer.
pub async fn of_issuer(fetch: &dyn Fetch, issuer: &str) -> Result<AuthServer, Trouble> {
    let wrong = |why: &str| Err(Trouble::Garbled(format!("{issuer}: {why}")));
    let Some(address) = Address::parse(issuer).filter(|it| it.is_safe() && it.query.is_none())
    else {
        return wrong("no issuer: an https address without `?` and `#`");
    };
    let (origin, path) = (address.origin(), address.path.trim_end_matches('/'));
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    let mut last = Trouble::Status(404);
    for url in urls {
        match get_json::<AuthServer>(fetch, &url).await {
            // Mix-up: the document of one issuer must not speak for another (RFC 8414 section 3.3).
            Ok(server) if server.issuer != issuer => {
                return wrong(&format!("its metadata is of {:?}", server.issuer));
            }
            Ok(server) => return checked(&address, server),
            Err(trouble) => last = trouble,
        }
    }
    Err(last)
}

fn checked(address: &Address, server: AuthServer) -> Result<AuthServer, Trouble> {
    let endpoints = [
        &server.authorization_endpoint,
        &server.token_endpoint,
        &server.registration_endpoint,
        &server.revocation_endpoint,
        &server.jwks_uri,
    ];
    for endpoint in endpoints.into_iter().flatten() {
        if !Address::parse(endpoint).is_some_and(|endpoint| address.may_name(&endpoint)) {
            let why = format!("{}: {endpoint:?} may not be followed", server.issuer);
            return Err(Trouble::Garbled(why));
        }
    }
    Ok(server)
}

/// How to get tokens for an upstream. `pinned`: the only issuer that is taken.
///
/// # Errors
/// When it does not say, or says what may not be followed.
pub async fn of_upstream(
    fetch: &dyn Fetch,
    upstream: &str,
    pinned: Option<&str>,
) -> Result<Found, Trouble> {
    let wrong = |why: String| Trouble::Garbled(format!("{upstream}: {why}"));
    let address =
        Address::parse(upstream).ok_or_else(|| wrong("no address of the web".to_owned()))?;
    let challenge = challenge(fetch, upstream).await;
    let resource = match resource(fetch, &address, challenge.resource_metadata).await {
        Ok(resource) => resource,
        // Revision 2025-03-26: the server is its own authorization server.
        Err(Trouble::Status(_)) => Resource {
            resource: address.canonical(),
            authorization_servers: vec![pinned.map_or_else(|| address.origin(), str::to_owned)],
            scopes_supported: Vec::new(),
        },
        Err(trouble) => return Err(trouble),
    };
    let named = &resource.authorization_servers;
    let issuer = match (pinned, named.first()) {
        (Some(pinned), _) if named.iter().any(|issuer| issuer == pinned) => pinned,
        (Some(pinned), _) => {
            return Err(wrong(format!(
                "it does not name the issuer {pinned}, which is configured"
            )));
        }
        (None, Some(first)) => first,
        (None, None) => return Err(wrong("its metadata names no issuer".to_owned())),
    };
    if !Address::parse(issuer).is_some_and(|issuer| address.may_name(&issuer)) {
        return Err(wrong(format!("the issuer {issuer:?} may not be followed")));
    }
    let server = of_issuer(fetch, issuer).await?;
    // What it asks for comes before all that there is (MCP, "Scope Selection Strategy").
    let asked = challenge.scope.map(|scope| scope.split(' ').map(str::to_owned).collect());
    let scopes = asked.unwrap_or(resource.scopes_supported);
    Ok(Found { server, resource: resource.resource, scopes })
}

/// What an upstream says to somebody without a token. Some protect calls only, so it is asked
/// something that changes nothing, and by GET where that has no answer.
async fn challenge(fetch: &dyn Fetch, upstream: &str) -> Challenge {
    let ping = serde_json::json!({"jsonrpc": "2.0", "id": 0, "method": "ping"});
    let posted = post_json(fetch, upstream, &ping).await.ok();
    if let Some(challenge) = posted.and_then(|reply| challenged(&reply.headers)) {
        return challenge;
    }
    let ask = Ask {
        method: Method::GET,
        url: upstream.to_owned(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
    };
    let reply = fetch.send(ask).await.ok();
    reply.and_then(|reply| challenged(&reply.headers)).unwrap_or_default()
}

/// The challenge that says something, of all that there are.
fn challenged(headers: &HeaderMap) -> Option<Challenge> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = challenges.filter_map(|value| value.to_str().ok());
    texts.map(Challenge::of).find(|challenge| *challenge != Challenge::default())
}

/// Metadata of a resource, where the challenge says, or at its well-known places.
async fn resource(
    fetch: &dyn Fetch,
    address: &Address,
    named: Option<String>,
) -> Result<Resource, Trouble> {
    let (origin, path) = (address.origin(), address.path.trim_end_matches('/'));
    let mut urls = Vec::from_iter(named);
    urls.push(format!("{origin}/.well-known/oauth-protected-resource{path}"));
    if !path.is_empty() {
        urls.push(format!("{origin}/.well-known/oauth-protected-resource"));
    }
    let mut last = Trouble::Status(404);
    for url in urls {
        if !Address::parse(&url).is_some_and(|url| address.may_name(&url)) {
            last = Trouble::Garbled(format!("{url:?} may not be followed"));
            continue;
        }
        match get_json::<Resource>(fetch, &url).await {
            Ok(found) => {
                // Or tokens of another server would be asked for in its name (RFC 9728 section 3.3).
                let own = Address::parse(&found.resource).is_some_and(|it| it.covers(address));
                if own {
                    return Ok(found);
                }
                last = Trouble::Garbled(format!("metadata of {:?}", found.resource));
            }
            Err(trouble) => last = trouble,
        }
    }
    Err(last)
}
