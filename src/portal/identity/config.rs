//! `identity:` of the portal's file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::HeaderName;
use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Address;
use crate::portal::radix::from_base16;
use crate::time::Timestamp;

/// Who may call, and how they prove who they are. Several ways may stand beside each other; of
/// those that a request uses, the first in this order decides: an asserted header, a bearer token
/// (service or issued), a client certificate, nobody.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Identity")]
pub struct Section {
    /// Authorization servers whose access tokens are taken (OAuth 2.1, RFC 9068).
    pub issuers: Vec<Issuer>,
    /// Headers of a proxy in front that hold a signed token, such as `Cf-Access-Jwt-Assertion`.
    pub assertions: Vec<Assertion>,
    /// Tokens for programs, made by `shadowtap portal token new`.
    pub service_tokens: Vec<ServiceToken>,
    /// Client certificates.
    pub certificates: Option<Certificates>,
    /// Let everybody in who shows nothing. For one's own machine.
    pub anonymous: bool,
    /// Scopes that every token of an issuer needs, and that clients are told to ask for.
    pub required_scopes: Vec<String>,
    /// Seconds by which clocks may differ (default 60, at most 300).
    pub clock_skew_seconds: Option<u16>,
}

/// An authorization server and what its tokens have to be like.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentityIssuer")]
pub struct Issuer {
    /// `iss` of its tokens, to the letter.
    pub issuer: String,
    /// Values of `aud` that are taken (default: the portal's public address).
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Where its keys are (default: as its metadata says, RFC 8414).
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Algorithms that it signs with: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA
    /// (default: RS256 and ES256).
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// Values of `typ` that are taken, in any case (default: `at+jwt`, `application/at+jwt`, `JWT`
    /// and none; with values given, none is not taken).
    #[serde(default)]
    pub types: Vec<String>,
    /// Claims that name the subject, the first that is not empty (default: `sub`).
    #[serde(default)]
    pub subject_claims: Vec<String>,
    /// Claim that names the person for records (default: `email`, `preferred_username` or `name`).
    #[serde(default)]
    pub name_claim: Option<String>,
    /// Claim with the groups; with a leading `/`, a JSON pointer (default: `groups`).
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Groups as the issuer names them, and what they are here. If there are any, others are left
    /// out; without any, groups are taken as they come.
    #[serde(default)]
    pub groups: BTreeMap<String, String>,
    /// Groups that everybody of this issuer is in.
    #[serde(default)]
    pub everybody: Vec<String>,
    /// Scopes that its tokens need beside `identity.required_scopes`.
    #[serde(default)]
    pub required_scopes: Vec<String>,
}

/// A header with a signed token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentityAssertion")]
pub struct Assertion {
    /// Name of the header.
    pub header: String,
    /// Who signs it, and what it has to be like. `audiences` have to be given.
    pub token: Issuer,
}

/// A token for a program.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentityServiceToken")]
pub struct ServiceToken {
    /// Who it is, in policies and records.
    pub name: String,
    /// SHA-256 of the token, in base 16.
    pub sha256: String,
    /// Groups that it is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Until when it is taken, as `2027-01-31T00:00:00Z` (default: for ever).
    #[serde(default)]
    pub expires: Option<String>,
}

/// Client certificates that are taken.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentityCertificates")]
pub struct Certificates {
    /// PEM file of the authorities that sign them.
    pub ca_file: PathBuf,
    /// Who they are. A certificate that fits none is refused.
    pub subjects: Vec<Subject>,
}

/// What a certificate says, and who that is. Exactly one of the four has to be given.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentitySubject")]
pub struct Subject {
    /// URI among the alternative names, such as `spiffe://example.org/agent`.
    #[serde(default)]
    pub uri: Option<String>,
    /// DNS name among the alternative names.
    #[serde(default)]
    pub dns: Option<String>,
    /// Mail address among the alternative names.
    #[serde(default)]
    pub email: Option<String>,
    /// Common name of the subject, where there are no alternative names.
    #[serde(default)]
    pub common_name: Option<String>,
    /// Who it is (default: what it says).
    #[serde(default)]
    pub name: Option<String>,
    /// Groups that it is in.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// The section, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    pub(super) issuers: Vec<Trusted>,
    pub(super) assertions: Vec<(HeaderName, Trusted)>,
    pub(super) service_tokens: Vec<Service>,
    pub(super) certificates: Option<(PathBuf, Vec<Known>)>,
    pub(super) is_open: bool,
    pub(super) required_scopes: Arc<[Arc<str>]>,
    pub(super) skew_seconds: i64,
}

/// An issuer, checked.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    pub(super) issuer: Arc<str>,
    /// Empty: the portal's own address.
    pub(super) audiences: Vec<String>,
    pub(super) jwks_uri: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) types: Vec<String>,
    pub(super) subject_claims: Vec<String>,
    pub(super) name_claims: Vec<String>,
    pub(super) groups_claim: String,
    pub(super) groups: BTreeMap<String, Arc<str>>,
    pub(super) everybody: Vec<Arc<str>>,
    pub(super) required_scopes: Arc<[Arc<str>]>,
}

/// A service token, checked.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: Arc<str>,
    pub(super) sha256: [u8; 32],
    pub(super) groups: Arc<[Arc<str>]>,
    pub(super) expires: Option<Timestamp>,
}

/// Something that a certificate says of its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Uri(String),
    Dns(String),
    Email(String),
    CommonName(String),
}

/// Who that is.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) says: Says,
    pub(super) name: Arc<str>,
    pub(super) groups: Arc<[Arc<str>]>,
}

impl Checked {
    /// Whether everybody is let in: only for a portal that listens on this machine alone.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// The authorities that client certificates are checked against, if any are taken.
    #[must_use]
    pub fn client_ca_file(&self) -> Option<&std::path::Path> {
        self.certificates.as_ref().map(|(path, _)| &**path)
    }
}

/// What is wrong, with its place.
pub(super) struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, place: &str, text: &str) {
        self.0.push(format!("identity.{place}: {text}"));
    }
}

impl Section {
    /// Checks it.
    ///
    /// # Errors
    /// Everything that is wrong: where, and what to do.
    pub fn check(self) -> Result<Checked, Vec<String>> {
        let mut problems = Problems(Vec::new());
        if self.clock_skew_seconds.is_some_and(|skew| skew > 300) {
            problems.add("clock_skew_seconds", "at most 300");
        }
        for scope in &self.required_scopes {
            scope_fits("required_scopes", scope, &mut problems);
        }
        let common = &self.required_scopes;
        let issuers: Vec<_> = (self.issuers.into_iter().enumerate())
            .map(|(at, one)| one.check(&format!("issuers[{at}]"), common, &mut problems))
            .collect();
        for (at, one) in issuers.iter().enumerate() {
            if issuers.iter().take(at).any(|other| other.issuer == one.issuer) {
                problems.add(&format!("issuers[{at}].issuer"), "is there twice");
            }
        }
        let assertions = (self.assertions.into_iter().enumerate())
            .filter_map(|(at, one)| one.check(&format!("assertions[{at}]"), &mut problems))
            .collect();
        let services = services(self.service_tokens, &mut problems);
        let certificates = self.certificates.map(|one| one.check(&mut problems));
        let checked = Checked {
            issuers,
            assertions,
            service_tokens: services,
            certificates,
            is_open: self.anonymous,
            required_scopes: common.iter().map(|scope| Arc::from(&**scope)).collect(),
            skew_seconds: i64::from(self.clock_skew_seconds.unwrap_or(60)),
        };
        let has_any = checked.is_open
            || !checked.issuers.is_empty()
            || !checked.assertions.is_empty()
            || !checked.service_tokens.is_empty()
            || checked.certificates.is_some();
        if !has_any && problems.0.is_empty() {
            problems.add(
                "issuers",
                "nobody could call: give issuers, assertions, service_tokens or certificates, or \
                 say `anonymous: true` for your own machine",
            );
        }
        if problems.0.is_empty() { Ok(checked) } else { Err(problems.0) }
    }
}

/// `scope-token` of RFC 6749 section 3.3; `offline_access` is nothing that a resource needs.
fn scope_fits(place: &str, scope: &str, problems: &mut Problems) {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if scope.is_empty() || !scope.bytes().all(fits) {
        problems.add(place, &format!("{scope:?} is no scope"));
    }
    if scope == "offline_access" {
        problems.add(place, "offline_access is between clients and their issuer; leave it out");
    }
}

/// By its name in RFC 7518 or RFC 8037. HMAC and `none` are not among them: a public key is no
/// secret.
fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}

/// The list, or what stands for none.
fn or(list: Vec<String>, otherwise: &[&str]) -> Vec<String> {
    if list.is_empty() { otherwise.iter().map(|&one| one.to_owned()).collect() } else { list }
}

impl Issuer {
    fn check(self, place: &str, common: &[String], problems: &mut Problems) -> Trusted {
        let is_safe = |url: &str| Address::parse(url).is_some_and(|address| address.is_safe());
        if !is_safe(&self.issuer) {
            problems.add(
                &format!("{place}.issuer"),
                &format!("{:?} is no https address (http only on this machine)", self.issuer),
            );
        }
        if self.jwks_uri.as_deref().is_some_and(|url| !is_safe(url)) {
            problems.add(&format!("{place}.jwks_uri"), "no https address");
        }
        let mut algorithms = Vec::new();
        for name in or(self.algorithms, &["RS256", "ES256"]) {
            match algorithm(&name) {
                Some(algorithm) => algorithms.push(algorithm),
                None => problems.add(
                    &format!("{place}.algorithms"),
                    &format!(
                        "{name:?} is not taken; one of RS256, RS384, RS512, PS256, PS384, PS512, \
                         ES256, ES384, EdDSA"
                    ),
                ),
            }
        }
        for scope in &self.required_scopes {
            scope_fits(&format!("{place}.required_scopes"), scope, problems);
        }
        let mut scopes: Vec<Arc<str>> =
            common.iter().chain(&self.required_scopes).map(|scope| Arc::from(&**scope)).collect();
        scopes.sort();
        scopes.dedup();
        let names = ["email", "preferred_username", "name"];
        Trusted {
            issuer: self.issuer.into(),
            audiences: self.audiences,
            jwks_uri: self.jwks_uri,
            algorithms,
            types: self.types,
            subject_claims: or(self.subject_claims, &["sub"]),
            name_claims: or(self.name_claim.into_iter().collect(), &names),
            groups_claim: self.groups_claim.unwrap_or_else(|| "groups".to_owned()),
            groups: self.groups.into_iter().map(|(from, to)| (from, to.into())).collect(),
            everybody: self.everybody.into_iter().map(Into::into).collect(),
            required_scopes: scopes.into(),
        }
    }
}

impl Assertion {
    fn check(self, place: &str, problems: &mut Problems) -> Option<(HeaderName, Trusted)> {
        if self.token.audiences.is_empty() {
            problems.add(&format!("{place}.token.audiences"), "have to be given for a header");
        }
        let header = self.header.parse::<HeaderName>().ok();
        let header = header.filter(|name| *name != hyper::header::AUTHORIZATION);
        if header.is_none() {
            let text = format!("{:?} is no header that can be one", self.header);
            problems.add(&format!("{place}.header"), &text);
        }
        let token = self.token.check(&format!("{place}.token"), &[], problems);
        Some((header?, token))
    }
}

/// Groups in their order, each once.
pub(super) fn sorted(groups: impl IntoIterator<Item = Arc<str>>) -> Arc<[Arc<str>]> {
    let groups: std::collections::BTreeSet<_> = groups.into_iter().collect();
    groups.into_iter().collect()
}

fn services(tokens: Vec<ServiceToken>, problems: &mut Problems) -> Vec<Service> {
    let mut checked: Vec<Service> = Vec::new();
    for (at, token) in tokens.into_iter().enumerate() {
        let place = format!("service_tokens[{at}]");
        let Some(sha256) = from_base16(&token.sha256) else {
            problems.add(
                &format!("{place}.sha256"),
                "has to be 64 digits of base 16, as `shadowtap portal token new` prints them",
            );
            continue;
        };
        let expires = token.expires.as_deref().map(str::parse::<jiff::Timestamp>);
        if matches!(expires, Some(Err(_))) {
            problems.add(&format!("{place}.expires"), "is no time like 2027-01-31T00:00:00Z");
        }
        if token.name.trim().is_empty() || checked.iter().any(|other| *other.name == token.name) {
            problems.add(&format!("{place}.name"), "is empty, or there twice");
        }
        let expires = expires.and_then(Result::ok);
        checked.push(Service {
            name: token.name.into(),
            sha256,
            groups: sorted(token.groups.into_iter().map(Into::into)),
            expires: expires.map(|time| Timestamp::from_parts(time.as_second(), 0)),
        });
    }
    checked
}

impl Certificates {
    fn check(self, problems: &mut Problems) -> (PathBuf, Vec<Known>) {
        let mut subjects = Vec::new();
        for (at, subject) in self.subjects.into_iter().enumerate() {
            let all = [
                subject.uri.map(Says::Uri),
                subject.dns.map(Says::Dns),
                subject.email.map(Says::Email),
                subject.common_name.map(Says::CommonName),
            ];
            let mut all: Vec<_> = all.into_iter().flatten().collect();
            match (all.pop(), all.is_empty()) {
                (Some(says), true) => {
                    let (Says::Uri(own)
                    | Says::Dns(own)
                    | Says::Email(own)
                    | Says::CommonName(own)) = &says;
                    let name = subject.name.unwrap_or_else(|| own.clone()).into();
                    let groups = sorted(subject.groups.into_iter().map(Into::into));
                    subjects.push(Known { says, name, groups });
                }
                _ => problems.add(
                    &format!("certificates.subjects[{at}]"),
                    "needs exactly one of uri, dns, email and common_name",
                ),
            }
        }
        if subjects.is_empty() {
            problems.add("certificates.subjects", "nobody is named, so no certificate would do");
        }
        (self.ca_file, subjects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<Checked, Vec<String>> {
        serde_saphyr::from_str::<Section>(yaml).unwrap().check()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (yaml, said) in [
            ("{}", "nobody could call"),
            ("issuers: [{issuer: http://login.example}]", "issuers[0].issuer: "),
            ("issuers: [{issuer: 'https://a', algorithms: [HS256]}]", "issuers[0].algorithms: "),
            ("issuers: [{issuer: 'https://a', algorithms: [none]}]", "issuers[0].algorithms: "),
            (
                "issuers: [{issuer: 'https://a'}, {issuer: 'https://a'}]",
                "issuers[1].issuer: is there twice",
            ),
            ("issuers: [{issuer: 'https://a', jwks_uri: 'http://b'}]", "issuers[0].jwks_uri: "),
            ("{anonymous: true, required_scopes: [offline_access]}", "required_scopes: "),
            ("{anonymous: true, required_scopes: ['a b']}", "required_scopes: "),
            ("{anonymous: true, clock_skew_seconds: 301}", "clock_skew_seconds: "),
            (
                "assertions: [{header: X-A, token: {issuer: 'https://a'}}]",
                "assertions[0].token.audiences: ",
            ),
            (
                "assertions: [{header: authorization, token: {issuer: 'https://a', audiences: [b]}}]",
                "assertions[0].header: ",
            ),
            ("service_tokens: [{name: a, sha256: ab}]", "service_tokens[0].sha256: "),
            (
                "certificates: {ca_file: a, subjects: [{uri: a, dns: b}]}",
                "certificates.subjects[0]: ",
            ),
            ("certificates: {ca_file: a, subjects: []}", "certificates.subjects: "),
        ] {
            let problems = check(yaml).unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(said)), "{yaml}: {problems:?}");
            assert!(problems.iter().all(|problem| problem.starts_with("identity.")));
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_saphyr::from_str::<Section>("{anonymos: true}").is_err());
    }

    #[test]
    fn defaults_are_as_documented() {
        let checked =
            check("issuers: [{issuer: 'https://a', required_scopes: [b]}]\nrequired_scopes: [a]")
                .unwrap();
        let one = &checked.issuers[0];
        assert_eq!(one.algorithms, [Algorithm::RS256, Algorithm::ES256]);
        assert_eq!(one.required_scopes.iter().map(|x| &**x).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((checked.skew_seconds, checked.is_open()), (60, false));
    }
}
