use super::*;
use rustls::pki_types::CertificateDer;

const NAMES: &[u8] = include_bytes!("names.der");
const COMMON_NAME: &[u8] = include_bytes!("common_name.der");

async fn who(
    bench: &Bench,
    certificate: &'static [u8],
    headers: &[(&str, &str)],
) -> Result<String, &'static str> {
    let chain = [CertificateDer::from(certificate)];
    let found = bench.identity.authenticate(&parts("/mcp", headers), Some(&chain)).await;
    found.map(|it| it.owner.subject.to_string()).map_err(|it| it.kind())
}

fn bench(subject: &str) -> Bench {
    let yaml =
        format!("certificates: {{ca_file: ca.pem, subjects: [{{{subject}, groups: [agents]}}]}}");
    Bench::new(&yaml, Signer::es256())
}

#[tokio::test]
async fn certificates_are_known_by_what_they_say_of_their_subject() {
    for (subject, certificate, who_is_it) in [
        ("uri: 'spiffe://example.org/agent'", NAMES, Ok("spiffe://example.org/agent")),
        ("dns: agent.example", NAMES, Ok("agent.example")),
        ("email: agent@example.org", NAMES, Ok("agent@example.org")),
        ("common_name: agent.example", COMMON_NAME, Ok("agent.example")),
        ("common_name: agent.example", NAMES, Err("certificate-unknown")),
        ("dns: agent.example", COMMON_NAME, Err("certificate-unknown")),
        ("uri: 'spiffe://example.org/other'", NAMES, Err("certificate-unknown")),
    ] {
        let bench = bench(subject);
        for _ in 0..2 {
            let found = who(&bench, certificate, &[]).await;
            assert_eq!(found.as_deref(), who_is_it.as_ref().copied(), "{subject}");
        }
    }
    let bench = bench("dns: agent.example");
    assert_eq!(who(&bench, b"no certificate", &[]).await, Err("certificate-unknown"));
    assert_eq!(
        bench.identity.authenticate(&parts("/mcp", &[]), None).await.unwrap_err().kind(),
        "no-credentials"
    );
}

#[tokio::test]
async fn certificates_end_even_while_the_connection_lasts() {
    let bench = bench("dns: agent.example");
    assert!(who(&bench, NAMES, &[]).await.is_ok());
    bench.hand.forward(200 * 365 * 86_400);
    assert_eq!(who(&bench, NAMES, &[]).await, Err("certificate-unknown"));
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_needs_it_each_time() {
    let bench = Bench::usual();
    let bound = json!({"cnf": {"x5t#S256": base64_url(&sha256(NAMES))}});
    let token = format!("Bearer {}", bench.signer.with(&bound));
    let headers = [("authorization", &*token)];
    assert_eq!(who(&bench, NAMES, &headers).await.as_deref(), Ok("alice"));
    assert_eq!(who(&bench, COMMON_NAME, &headers).await, Err("token-binding"));
    let none = bench.identity.authenticate(&parts("/mcp", &headers), None).await;
    assert_eq!(none.unwrap_err().kind(), "token-binding");
}

#[test]
fn the_verifier_of_client_certificates_takes_a_file_of_authorities() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(client_verifier(&root.join("tests/outputs/ca.pem")).is_ok());
    assert!(client_verifier(&root.join("Cargo.toml")).is_err());
}
