use super::*;

#[tokio::test]
async fn p11_metadata_is_at_the_path_form_and_the_root_form() {
    let bench = Bench::usual();
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource/mcp/github",
    ] {
        let answer = bench.identity.page(&parts(path, &[])).unwrap();
        assert_eq!(answer.status(), 200);
        let document: Value = serde_json::from_str(&text(answer).await).unwrap();
        assert_eq!(document["resource"], PORTAL);
        assert_eq!(document["authorization_servers"], json!([ISSUER]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    }
    for path in [
        "/",
        "/mcp",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resourcex",
    ] {
        assert!(bench.identity.page(&parts(path, &[])).is_none(), "{path}");
    }
    let refused = bench.identity.authenticate(&parts("/mcp", &[]), None).await.unwrap_err();
    let answer = refused.answer();
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert_eq!(
        challenge,
        "Bearer resource_metadata=\"https://portal.example/.well-known/oauth-protected-resource/mcp\", scope=\"mcp\""
    );
}

#[tokio::test]
async fn p12_scopes_are_those_that_are_needed_and_never_offline_access() {
    let bench = Bench::usual();
    let parts = parts("/.well-known/oauth-protected-resource", &[]);
    let document = text(bench.identity.page(&parts).unwrap()).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["scopes_supported"], json!(["mcp"]));
    let section: config::Section =
        serde_saphyr::from_str("{anonymous: true, required_scopes: [offline_access]}").unwrap();
    assert!(section.check().is_err());
}
