//! The rules that ship with the program: every YAML file below `rules/`, by name.

use super::problem::Source;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$((concat!("rules/", $name), include_str!(concat!("../../rules/", $name)))),*]
    };
}

#[rustfmt::skip]
const FILES: &[(&str, &str)] = files![
    "calls/any-call.yaml",
    "calls/command-injection.yaml",
    "calls/credential-file.yaml",
    "calls/destructive-call.yaml",
    "calls/foreign-url-ask.yaml",
    "calls/injection-in-result.yaml",
    "calls/inspector-proxy-asked.yaml",
    "calls/inspector-proxy-used.yaml",
    "calls/internal-address.yaml",
    "calls/malicious-oauth-metadata.yaml",
    "calls/metadata-service.yaml",
    "calls/path-traversal.yaml",
    "calls/personal-data.yaml",
    "calls/read-then-send.yaml",
    "calls/secret-ask.yaml",
    "calls/secret-in-arguments.yaml",
    "calls/secret-in-result.yaml",
    "calls/some-personal-data.yaml",
    "calls/sql-injection.yaml",
    "calls/undeclared-ask.yaml",
    "clients/known-vulnerable.yaml",
    "clients/probe.yaml",
    "clients/same-on-many-ports.yaml",
    "correlations/enumeration.yaml",
    "correlations/loop.yaml",
    "correlations/more-bytes-than-usual.yaml",
    "correlations/more-calls-than-usual.yaml",
    "correlations/personal-data-in-an-hour.yaml",
    "correlations/poisoned-then-sent.yaml",
    "discovery/attempt.yaml",
    "discovery/catalogued-host.yaml",
    "discovery/encrypted-catalogued.yaml",
    "discovery/encrypted-named.yaml",
    "discovery/hidden-host.yaml",
    "discovery/look-up.yaml",
    "discovery/quic-host.yaml",
    "discovery/resource-challenge.yaml",
    "discovery/resource-metadata.yaml",
    "evasion/ambiguous-overlap.yaml",
    "evasion/duplicate-keys.yaml",
    "evasion/header-body-disagreement.yaml",
    "exposure/credential-in-url.yaml",
    "exposure/foreign-page.yaml",
    "exposure/login-without-metadata.yaml",
    "exposure/no-authentication.yaml",
    "exposure/plaintext-credentials.yaml",
    "exposure/plaintext.yaml",
    "exposure/rebound-name.yaml",
    "exposure/session-in-url.yaml",
    "exposure/shared-session.yaml",
    "exposure/shared-token.yaml",
    "exposure/token-for-another.yaml",
    "exposure/weak-session-id.yaml",
    "lists/generic-server-names.yaml",
    "lists/local-names.yaml",
    "lists/loopback-nets.yaml",
    "lists/metadata-hosts.yaml",
    "lists/metadata-nets.yaml",
    "lists/private-nets.yaml",
    "lists/rebinding-hosts.yaml",
    "lists/secret-file-names.yaml",
    "lists/tunnel-hosts.yaml",
    "protocol/base64-header.yaml",
    "protocol/completion.yaml",
    "protocol/envelope.yaml",
    "protocol/initialize-result.yaml",
    "protocol/initialize.yaml",
    "protocol/lifecycle.yaml",
    "protocol/logging.yaml",
    "protocol/prompts.yaml",
    "protocol/resources.yaml",
    "protocol/routing-headers.yaml",
    "protocol/server-asks.yaml",
    "protocol/session-header.yaml",
    "protocol/sse-endpoint.yaml",
    "protocol/subscriptions.yaml",
    "protocol/tasks.yaml",
    "protocol/tools.yaml",
    "protocol/version-header.yaml",
    "servers/client-not-allowed.yaml",
    "servers/expired.yaml",
    "servers/open-to-the-network.yaml",
    "servers/portal-bypass.yaml",
    "servers/reached-from-outside.yaml",
    "servers/tool-not-allowed.yaml",
    "servers/tunnelled.yaml",
    "servers/unapproved.yaml",
    "tools/drift.yaml",
    "tools/fake-role.yaml",
    "tools/false-annotation.yaml",
    "tools/hidden-text.yaml",
    "tools/impersonation.yaml",
    "tools/instructions.yaml",
    "tools/per-client.yaml",
    "tools/pin-broken.yaml",
    "tools/rug-pull.yaml",
    "tools/shadowed-name.yaml",
];

/// The files of the rules that ship with the program.
#[must_use]
pub fn sources() -> Vec<Source> {
    let source = |(name, text): &(&str, &str)| Source::new(*name, *text);
    FILES.iter().map(source).collect()
}

/// The same without the tests, which are most of the text: for whoever only wants the rules.
#[must_use]
pub fn sources_without_tests() -> Vec<Source> {
    let mut sources = sources();
    for source in &mut sources {
        // They come last (`rules fmt`).
        if let Some(end) = source.text.find("\ntests:\n") {
            source.text.truncate(end + 1);
            source.is_cut = true;
        }
    }
    sources
}
