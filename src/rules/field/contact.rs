//! Reading fields of origins, tokens and OAuth documents, and of what the inventory concludes of
//! servers and clients.

use super::Key;
use super::read::{Each, Value, number, opt_text, text, texts};
use crate::inspect::address::host_ip;
use crate::mcp::site::is_same_site;
use crate::mcp::{Contact, Facts};
use crate::observation::RequestInfo;
use crate::rules::subject::Subject;

/// What an exchange shows beyond its fields one by one.
pub(super) fn exchange<'a>(key: Key, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    match key {
        Key::OauthEndpoints => subject
            .document
            .is_some_and(|document| texts(document.endpoints.iter().map(String::as_str), each)),
        Key::OauthEndpointSchemes => {
            subject.document.is_some_and(|document| texts(document.schemes.iter().copied(), each))
        }
        key => {
            let request = subject.request.filter(|request| request.seen);
            request.is_some_and(|request| request_head(key, request, each))
        }
    }
}

fn request_head<'a>(key: Key, request: &'a RequestInfo, each: Each<'_, 'a>) -> bool {
    let hosts = || request.audience.iter().flat_map(|audience| &audience.hosts);
    match key {
        Key::HttpOriginHost => opt_text(request.origin_host.as_deref(), each),
        Key::HttpCrossOrigin => each(Value::Bool(request.cross_origin)),
        Key::HttpHostIsIp => {
            let host = request.host.as_deref();
            host.is_some_and(|host| each(Value::Bool(host_ip(host).is_some())))
        }
        Key::HttpQuerySecretKeys => texts(request.auth.in_query.iter().map(String::as_str), each),
        Key::HttpSessionInQuery => each(Value::Bool(request.session_in_query)),
        Key::HttpQueryTransportType => opt_text(request.transport_type.as_deref(), each),
        Key::HttpQueryCommand => each(Value::Bool(request.has_command)),
        Key::HttpTokenAudience => texts(hosts().map(String::as_str), each),
        Key::BodyHead => opt_text(request.body_head.as_deref(), each),
        Key::HttpTokenAudienceMismatch => for_another(request, |a, b| a == b, each),
        Key::HttpTokenAudienceForeign => for_another(request, is_same_site, each),
        _ => false,
    }
}

/// Whether the bearer token is for other hosts only; nothing where that cannot be told.
fn for_another<'a>(
    request: &RequestInfo,
    is_own: impl Fn(&str, &str) -> bool,
    each: Each<'_, 'a>,
) -> bool {
    let Some((audience, host)) = request.audience.as_ref().zip(request.host.as_deref()) else {
        return false;
    };
    let is_other = audience.only_urls && !audience.hosts.iter().any(|named| is_own(named, host));
    each(Value::Bool(is_other))
}

/// What the inventory, other servers and the approvals add.
pub(super) fn known<'a>(key: Key, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    subject.contact.is_some_and(|contact| of_contact(key, contact, each))
}

fn of_contact<'a>(key: Key, contact: &'a Contact, each: Each<'_, 'a>) -> bool {
    let facts = &contact.facts;
    let count = |count: usize| i64::try_from(count).ok();
    match key {
        Key::ServerUnauthenticatedClients => number(count(facts.unauthenticated_clients), each),
        Key::ServerSessionBits => number(facts.session_bits.map(i64::from), each),
        Key::ServerSessionClients => number(count(facts.session_clients), each),
        Key::ServerSameSoftwarePorts => number(count(facts.same_software_ports), each),
        Key::ServerFirstContact => each(Value::Bool(facts.is_first)),
        Key::ServerSameHost => each(Value::Bool(contact.client == contact.server)),
        Key::ServerImpersonates => opt_text(facts.impersonates.as_deref(), each),
        Key::ServerLikeness => opt_text(facts.likeness.map(|likeness| likeness.as_str()), each),
        Key::ServerApproval => opt_text(facts.approval.as_deref(), each),
        Key::ServerOwner => opt_text(facts.owner.as_deref(), each),
        Key::ServerAdvisorySeverity => opt_text(facts.advisory_severity, each),
        Key::ClientAdvisorySeverity => opt_text(facts.client_advisory_severity, each),
        Key::ServerProgramStarts => {
            facts.program_starts.iter().any(|start| text(start.as_str(), each))
        }
        key => listed(key, facts, each),
    }
}

fn listed<'a>(key: Key, facts: &'a Facts, each: Each<'_, 'a>) -> bool {
    let values = match key {
        Key::ServerTokenSharedWith => &facts.token_shared_with,
        Key::ServerSoftware => &facts.software,
        Key::ServerAdvisories => &facts.advisories,
        Key::ClientSoftware => &facts.client_software,
        Key::ClientUserAgent => &facts.user_agents,
        Key::ClientAdvisories => &facts.client_advisories,
        _ => return false,
    };
    texts(values.iter().map(String::as_str), each)
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use crate::mcp::inventory::ProgramStart;
    use crate::pipeline::Recogniser;
    use crate::rules::syntax::Exchange;
    use crate::rules::{Given, On, OwnedSubject, Recognise as _};

    fn subjects(exchange: serde_json::Value) -> Vec<OwnedSubject> {
        let exchanges = vec![serde_json::from_value::<Exchange>(exchange).unwrap()];
        Recogniser.subjects(&Given { exchanges, approvals: None }).unwrap()
    }

    fn values(subjects: &[OwnedSubject], on: On, name: &str) -> String {
        let subject = subjects.iter().rev().find(|subject| subject.on == on).unwrap();
        let mut found = Vec::new();
        Field::parse(name).unwrap().visit(&subject.as_subject(), &mut |value| {
            found.push(value.to_string());
            false
        });
        found.join(",")
    }

    #[test]
    fn heads_tell_of_origins_queries_and_tokens() {
        // {"aud":["https://api.one.test/x"]}
        let token = "e30.eyJhdWQiOlsiaHR0cHM6Ly9hcGkub25lLnRlc3QveCJdfQ.sig";
        let seen = subjects(serde_json::json!({
            "request": {
                "target": "/mcp?transportType=STDIO&command=x&api_key=k&sessionId=s&q=1",
                "headers": {
                    "host": "mcp.one.test",
                    "origin": "https://Evil.test:8443",
                    "authorization": format!("Bearer {token}"),
                },
                "body": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
            },
            "response": {"body": {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}},
        }));
        for (name, want) in [
            ("http.origin_host", "evil.test"),
            ("http.cross_origin", "true"),
            ("http.host_is_ip", "false"),
            ("http.query.secret_keys", "api_key"),
            ("http.session_in_query", "true"),
            ("http.query.transport_type", "stdio"),
            ("http.query.command", "true"),
            ("http.token_audience", "api.one.test"),
            ("http.token_audience_mismatch", "true"),
            ("http.token_audience_foreign", "false"),
            ("oauth.endpoints", ""),
        ] {
            assert_eq!(values(&seen, On::Exchange, name), want, "{name}");
        }
        assert_eq!(values(&seen, On::Server, "server.program_starts"), "open,cross_origin");
        let text = format!("{seen:?}");
        assert!(!text.contains(token) && !text.contains("Bearer "), "{text}");
    }

    #[test]
    fn a_document_comes_with_its_exchange_once() {
        let seen = subjects(serde_json::json!({
            "request": {"method": "GET", "target": "/.well-known/oauth-authorization-server"},
            "response": {"body": {
                "issuer": "https://as.test",
                "authorization_endpoint": "file:///c:/x%20y",
            }},
        }));
        assert_eq!(seen.iter().filter(|subject| subject.on == On::Exchange).count(), 1);
        let endpoints = values(&seen, On::Exchange, "oauth.endpoints");
        assert!(endpoints.contains("file:///c:/x y"), "{endpoints}");
        assert!(values(&seen, On::Exchange, "oauth.endpoint_schemes").contains("other"));
        assert_eq!(values(&seen, On::Exchange, "http.response.status"), "200");
    }

    #[test]
    fn what_is_no_document_leaves_its_exchange_as_it_was() {
        for (target, body) in [
            ("/.well-known/oauth-authorization-server", serde_json::json!({"error": "none"})),
            ("/.well-known/oauth-protected-resource", serde_json::json!("no JSON object")),
        ] {
            let seen = subjects(serde_json::json!({
                "request": {"method": "GET", "target": target},
                "response": {"body": body},
            }));
            assert_eq!(seen.iter().filter(|s| s.on == On::Exchange).count(), 1, "{target}");
            assert_eq!(values(&seen, On::Exchange, "oauth.endpoints"), "");
        }
    }

    #[test]
    fn facts_of_a_contact_can_be_given() {
        let seen = subjects(serde_json::json!({
            "client": "10.0.0.1",
            "server": "10.0.0.1",
            "contact": {
                "unauthenticated_clients": 3,
                "session_bits": 16,
                "session_clients": 2,
                "token_shared_with": ["https://other.test/mcp"],
                "software": ["s/1"],
                "same_software_ports": 5,
                "impersonates": "tracker",
                "likeness": "near",
                "approval": "tracker",
                "owner": "itsm",
                "first_contact": true,
                "program_starts": ["guarded"],
                "client_software": ["c/2"],
                "user_agents": ["u/3"],
            },
        }));
        for (name, want) in [
            ("server.unauthenticated_clients", "3"),
            ("server.session_bits", "16"),
            ("server.session_clients", "2"),
            ("server.token_shared_with", "https://other.test/mcp"),
            ("server.software", "s/1"),
            ("server.same_software_ports", "5"),
            ("server.impersonates", "tracker"),
            ("server.likeness", "near"),
            ("server.approval", "tracker"),
            ("server.owner", "itsm"),
            ("server.first_contact", "true"),
            ("server.same_host", "true"),
            ("server.program_starts", "guarded"),
            ("client.software", "c/2"),
            ("client.user_agent", "u/3"),
            ("server.advisories", ""),
        ] {
            assert_eq!(values(&seen, On::Server, name), want, "{name}");
        }
        assert_eq!(ProgramStart::CrossOrigin.as_str(), "cross_origin");
    }
}
