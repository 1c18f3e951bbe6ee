//! `credentials:` of the portal's file and of its servers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::portal::identity::Address;

/// What is kept for persons, and how they agree.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Credentials")]
pub struct Section {
    /// Where tokens of persons are kept, sealed (needed where a server has `kind: person`).
    pub vault: Option<VaultSection>,
    /// Name of the portal on the pages of authorization servers (default: `shadowtap portal`).
    pub client_name: Option<String>,
    /// Let whoever has a person's link connect an account for that person. By default the browser
    /// has to prove who it is as well, by an asserted header or a certificate; without either in
    /// front of the portal, links are all there is. Links hold for 10 minutes.
    pub trust_links: bool,
}

/// Where tokens of persons are kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CredentialsVault")]
pub struct VaultSection {
    /// Folder, for the portal alone; several replicas may share it.
    pub folder: PathBuf,
    /// File with a line `NAME: 64 digits of base 16` for each key (`openssl rand -hex 32`). The
    /// first seals, all open.
    pub key_file: PathBuf,
}

/// What the portal shows to a server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "ServerCredentials")]
pub enum Kind {
    /// Nothing.
    #[default]
    None,
    /// A header whose value is in a file, which is read again when it changes.
    Header {
        /// Its name.
        name: String,
        /// The file; its first line counts.
        file: PathBuf,
    },
    /// `Authorization: Bearer` with the token in a file, which is read again when it changes.
    Bearer {
        /// The file; its first line counts.
        file: PathBuf,
    },
    /// A token of the portal's own (OAuth 2.1 section 4.2): the same for everybody.
    ClientCredentials(Client),
    /// The caller's token exchanged for one for the server (RFC 8693).
    TokenExchange(Client),
    /// A token of each person, who agrees at the server's authorization server.
    Person(Person),
}

/// How clients prove who they are at the token endpoint (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ClientAuthentication")]
pub enum Method {
    /// `Authorization: Basic`.
    #[default]
    Basic,
    /// Fields of the form.
    Post,
    /// Only the client's id: a public client.
    None,
}

/// The portal as a client of an authorization server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OauthClient")]
pub struct Client {
    /// The authorization server, whose metadata name the token endpoint.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The token endpoint, where there are no metadata.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Given to the portal by the authorization server.
    pub client_id: String,
    /// File with the secret; its first line counts. Read each time.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// How the secret is shown: `basic` (default), `post` or `none`.
    #[serde(default)]
    pub authentication: Method,
    /// Scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `resource` to ask for (RFC 8707; default: the server's address).
    #[serde(default)]
    pub resource: Option<String>,
    /// `audience` to ask for, where the authorization server wants one.
    #[serde(default)]
    pub audience: Option<String>,
}

/// Tokens of persons.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PersonCredentials")]
pub struct Person {
    /// The only authorization server that is taken (default: the one that the server names).
    pub issuer: Option<String>,
    /// Given to the portal by hand; needs `issuer`. By default the portal's own metadata document is
    /// its id, or it registers itself (RFC 7591).
    pub client_id: Option<String>,
    /// File with the secret of `client_id`; its first line counts.
    pub client_secret_file: Option<PathBuf>,
    /// How the secret is shown: `basic` (default), `post` or `none`.
    pub authentication: Method,
    /// Scopes to ask for (default: those that the server's metadata name).
    pub scopes: Vec<String>,
}

impl Kind {
    /// Checks it. `place`: where it stands, for messages.
    ///
    /// # Errors
    /// Everything that is wrong: where, and what to do.
    pub fn check(&self, place: &str, section: &Section) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        let mut add = |at: &str, text: &str| problems.push(format!("{place}.{at}: {text}"));
        let is_safe = |url: &String| Address::parse(url).is_some_and(|address| address.is_safe());
        match self {
            Self::None | Self::Bearer { .. } => {}
            Self::Header { name, .. } => {
                if name.parse::<hyper::header::HeaderName>().is_err() {
                    add("name", "is no name of a header");
                }
            }
            Self::ClientCredentials(client) | Self::TokenExchange(client) => {
                if client.issuer.is_some() == client.token_endpoint.is_some() {
                    add("issuer", "give either issuer or token_endpoint");
                }
                let urls = [&client.issuer, &client.token_endpoint];
                if !urls.into_iter().flatten().all(is_safe) {
                    add("issuer", "has to be an https address");
                }
                if client.client_secret_file.is_none() != (client.authentication == Method::None) {
                    add("client_secret_file", "is needed, unless authentication is none");
                }
            }
            Self::Person(person) => {
                if person.client_id.is_some() && person.issuer.is_none() {
                    // Or any server could name the one that gets the secret.
                    add("issuer", "is needed with client_id: an id belongs to one issuer");
                }
                if person.client_secret_file.is_some() && person.client_id.is_none() {
                    add("client_id", "is needed with client_secret_file");
                }
                if !person.issuer.iter().all(is_safe) {
                    add("issuer", "has to be an https address");
                }
                if section.vault.is_none() {
                    add("kind", "person needs credentials.vault, where tokens are kept");
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (yaml, said) in [
            ("{kind: none}", None),
            ("{kind: bearer, file: x}", None),
            ("{kind: header, name: 'a b', file: x}", Some("name: ")),
            ("{kind: client-credentials, client_id: a}", Some("issuer: give either")),
            (
                "{kind: client-credentials, client_id: a, issuer: 'https://a'}",
                Some("client_secret_file: "),
            ),
            (
                "{kind: client-credentials, client_id: a, issuer: 'http://a', authentication: none}",
                Some("https"),
            ),
            (
                "{kind: token-exchange, client_id: a, issuer: 'https://a', authentication: none}",
                None,
            ),
            ("{kind: person}", Some("needs credentials.vault")),
            ("{kind: person, client_id: a}", Some("issuer: is needed with client_id")),
            ("{kind: person, client_secret_file: a}", Some("client_id: ")),
        ] {
            let kind: Kind = serde_saphyr::from_str(yaml).unwrap();
            match (kind.check("servers[0].credentials", &Section::default()), said) {
                (Ok(()), None) => {}
                (Err(problems), Some(said)) => assert!(
                    problems
                        .iter()
                        .any(|it| it.starts_with("servers[0].credentials.") && it.contains(said)),
                    "{yaml}: {problems:?}"
                ),
                (other, _) => panic!("{yaml}: {other:?}"),
            }
        }
    }
}
