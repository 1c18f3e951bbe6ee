use proptest::prelude::*;

use super::*;

fn key<'a>(scheme: Scheme, host: &'a str, port: u16, path: &'a str) -> KeyParts<'a> {
    KeyParts { scheme, host, port, path }
}

fn https<'a>(host: &'a str, path: &'a str) -> KeyParts<'a> {
    key(Scheme::Https, host, 443, path)
}

#[test]
fn hosts_match_whole_labels_only() {
    let table = [
        ("https://mcp.corp.example/mcp", "mcp.corp.example", true),
        ("https://mcp.corp.example/mcp", "MCP.Corp.Example", true),
        ("https://MCP.CORP.EXAMPLE/mcp", "mcp.corp.example", true),
        ("https://mcp.corp.example/mcp", "mcp.corp.example.", true),
        ("https://mcp.corp.example./mcp", "mcp.corp.example", true),
        ("https://mcp.corp.example/mcp", "mcp.corp.example..", false),
        ("https://mcp.corp.example/mcp", "mcp.corp.example.evil.net", false),
        ("https://mcp.corp.example/mcp", "evil-mcp.corp.example", false),
        ("https://mcp.corp.example/mcp", "x.mcp.corp.example", false),
        ("https://*.mcp.corp.example/mcp", "a.mcp.corp.example", true),
        ("https://*.mcp.corp.example/mcp", "A.MCP.corp.example.", true),
        ("https://*.mcp.corp.example/mcp", "a.b.mcp.corp.example", false),
        ("https://*.mcp.corp.example/mcp", "mcp.corp.example", false),
        ("https://*.mcp.corp.example/mcp", ".mcp.corp.example", false),
        ("https://*.mcp.corp.example/mcp", "evilmcp.corp.example", false),
        ("https://*.mcp.corp.example/mcp", "a.mcp.corp.example.evil.net", false),
        ("https://**.mcp.corp.example/mcp", "a.mcp.corp.example", true),
        ("https://**.mcp.corp.example/mcp", "a.b.c.mcp.corp.example", true),
        ("https://**.mcp.corp.example/mcp", "mcp.corp.example", false),
        ("https://**.mcp.corp.example/mcp", "a..mcp.corp.example", false),
        ("https://**.mcp.corp.example/mcp", "xmcp.corp.example", false),
        ("https://xn--bcher-kva.example/mcp", "xn--bcher-kva.example", true),
        ("https://xn--bcher-kva.example/mcp", "XN--BCHER-KVA.example", true),
        ("https://xn--bcher-kva.example/mcp", "bücher.example", false),
        ("https://localhost/mcp", "localhost", true),
        ("https://192.0.2.7/mcp", "192.0.2.7", true),
        ("https://192.0.2.7/mcp", "192.0.2.70", false),
        ("https://[2001:DB8:0::1]/mcp", "2001:db8::1", true),
        ("https://[2001:db8::1]/mcp", "[2001:0db8::0001]", true),
        ("https://[2001:db8::1]/mcp", "2001:db8::2", false),
    ];
    for (pattern, host, want) in table {
        let parsed = KeyPattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(&https(host, "/mcp")), want, "{pattern} {host}");
    }
}

#[test]
fn scheme_and_port_are_exact() {
    let table = [
        ("https://a.example/", Scheme::Https, 443, true),
        ("HTTPS://a.example:443/", Scheme::Https, 443, true),
        ("https://a.example/", Scheme::Https, 8443, false),
        ("https://a.example:8443/", Scheme::Https, 8443, true),
        ("https://a.example/", Scheme::Http, 443, false),
        ("http://a.example/", Scheme::Http, 80, true),
        ("http://a.example/", Scheme::Https, 80, false),
        ("TCP://a.example:9000", Scheme::Http, 9000, false),
    ];
    for (pattern, scheme, port, want) in table {
        let parsed = KeyPattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(&key(scheme, "a.example", port, "/")), want, "{pattern} {port}");
    }
}

#[test]
fn keys_of_bare_lines_have_a_port_and_no_path() {
    let table = [
        ("tcp://192.0.2.7:9000", Scheme::Tcp, "192.0.2.7", 9000, true),
        ("TLS://*.corp.example:9000", Scheme::Tls, "a.corp.example", 9000, true),
        ("tcp://[2001:db8::1]:9000", Scheme::Tcp, "2001:db8::1", 9000, true),
        ("tcp://192.0.2.7:9000", Scheme::Tls, "192.0.2.7", 9000, false),
        ("tcp://192.0.2.7:9000", Scheme::Tcp, "192.0.2.7", 9001, false),
        ("tcp://192.0.2.7:9000", Scheme::Http, "192.0.2.7", 9000, false),
    ];
    for (pattern, scheme, host, port, want) in table {
        let parsed = KeyPattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(&key(scheme, host, port, "")), want, "{pattern}");
        assert_eq!(parsed.to_string(), pattern.to_ascii_lowercase());
    }
    assert!(KeyPattern::parse("tcp://192.0.2.7:9000").unwrap().is_exact());
}

#[test]
fn paths_are_exact_below_or_any() {
    let table = [
        ("", "/", true),
        ("", "/mcp", true),
        ("", "", true),
        ("", "/../etc", true),
        ("/", "/", true),
        ("/", "/mcp", false),
        ("/", "", false),
        ("/mcp", "/mcp", true),
        ("/mcp", "/mcp/", false),
        ("/mcp", "/MCP", false),
        ("/mcp", "/mcpx", false),
        ("/mcp", "/x/mcp", false),
        ("/mcp/**", "/mcp", true),
        ("/mcp/**", "/mcp/", true),
        ("/mcp/**", "/mcp/a/b", true),
        ("/mcp/**", "/mcpx", false),
        ("/mcp/**", "/mcp/../admin", false),
        ("/mcp/**", "/mcp/..", false),
        ("/mcp/**", "/mcp/%2e%2E/admin", false),
        ("/mcp/**", "/mcp/..%2fadmin", false),
        ("/mcp/**", "/mcp/%252e%252e/admin", false),
        ("/mcp/**", "/mcp/..\\admin", false),
        ("/mcp/**", "/mcp/..;/admin", false),
        ("/mcp/**", "/mcp/..a", true),
        ("/**", "/", true),
        ("/**", "/a/b", true),
    ];
    for (pattern, path, want) in table {
        let parsed = KeyPattern::parse(&format!("https://a.example{pattern}")).unwrap();
        assert_eq!(parsed.matches(&https("a.example", path)), want, "{pattern} {path}");
    }
}

#[test]
fn bad_keys_are_refused_with_a_reason() {
    let table = [
        ("mcp.corp.example/mcp", "no scheme"),
        ("ftp://a.example", "unknown scheme"),
        ("wss://a.example/ws", "unknown scheme"),
        ("tcp://a.example", "no port"),
        ("tls://a.example:0", "not a port"),
        ("tcp://a.example:9000/", "a path without HTTP"),
        ("tls://a.example:9000/**", "a path without HTTP"),
        ("https://", "no host"),
        ("https:///mcp", "no host"),
        ("https://*.com/mcp", "covers too much"),
        ("https://**.com", "covers too much"),
        ("https://*", "`*` inside"),
        ("https://*/mcp", "`*` inside"),
        ("https://mcp.*.example/", "`*` inside"),
        ("https://mcp*.corp.example/", "`*` inside"),
        ("https://*.*.corp.example/", "`*` inside"),
        ("https://***.corp.example/", "`*` inside"),
        ("https://*.192.0.2.1/", "wildcard before an address"),
        ("https://a.example:0/", "not a port"),
        ("https://a.example:70000/", "not a port"),
        ("https://a.example:+80/", "not a port"),
        ("https://a.example:/", "not a port"),
        ("https://2001:db8::1/", "ambiguous"),
        ("https://[2001:db8::zz]/", "not an IPv6"),
        ("https://[::1]x/", "after the IPv6"),
        ("https://u:p@a.example/", "user information"),
        ("https://a.example/mcp?x=1", "query"),
        ("https://a.example/m*p", "`*` inside the path"),
        ("https://a.example/*", "`*` inside the path"),
        ("https://a.example/**/x", "`*` inside the path"),
        ("https://a.example/x/../**", "dot segments"),
        ("https://bücher.example/", "not ASCII"),
        ("https://a..example/", "not a host name"),
        ("https://-.exa mple/", "white space"),
        ("https://a.example.010/", "not an IPv4"),
        ("https://1.2.3/", "not an IPv4"),
    ];
    for (pattern, want) in table {
        let error = KeyPattern::parse(pattern).unwrap_err();
        assert!(error.message.contains(want), "{pattern}: {}", error.message);
        assert!(error.hint.is_some(), "{pattern}");
    }
}

#[test]
fn the_normal_form_is_a_fixed_point() {
    for (text, want) in [
        ("HTTPS://A.Example", "https://a.example:443"),
        ("http://a.example./x/**", "http://a.example:80/x/**"),
        ("http://[0:0::1]/", "http://[::1]:80/"),
        ("https://**.b.example:8443/mcp", "https://**.b.example:8443/mcp"),
    ] {
        let pattern = KeyPattern::parse(text).unwrap();
        assert_eq!(pattern.to_string(), want);
        assert_eq!(KeyPattern::parse(want).unwrap(), pattern);
    }
}

#[test]
fn tool_globs() {
    let table = [
        ("get_*", "get_issue", true),
        ("get_*", "get_", true),
        ("get_*", "forget_it", false),
        ("*", "", true),
        ("*", "anything", true),
        ("**", "x", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*_user_*", "delete_user_now", true),
        ("*_user_*", "delete_user", false),
        ("*ab", "aab", true),
        ("*ab*ab", "abab", true),
        ("*ab*ab", "ab", false),
        ("Get", "get", false),
        ("a", "", false),
        ("", "", false),
    ];
    for (glob, name, want) in table {
        let got = Glob::parse(glob).is_ok_and(|glob| glob.matches(name));
        assert_eq!(got, want, "{glob} {name}");
    }
}

proptest! {
    #[test]
    fn globs_agree_with_a_regular_expression(glob in "[ab*?]{1,8}", name in "[ab]{0,10}") {
        let regex = glob.replace('?', ".").replace('*', ".*");
        let regex = regex::Regex::new(&format!("^(?s:{regex})$")).unwrap();
        prop_assert_eq!(Glob::parse(&glob).unwrap().matches(&name), regex.is_match(&name));
    }

    #[test]
    fn a_foreign_suffix_never_matches(
        host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}",
        pattern in prop::sample::select(vec!["mcp.corp.example", "*.corp.example", "**.corp.example"]),
    ) {
        let parsed = KeyPattern::parse(&format!("https://{pattern}")).unwrap();
        let evil = format!("mcp.corp.example.{host}");
        prop_assert!(!parsed.matches(&https(&evil, "/")) || evil.ends_with(".corp.example"));
        let glued = format!("{}corp.example", host.replace('.', ""));
        prop_assert!(!parsed.matches(&https(&glued, "/")));
    }

    #[test]
    fn any_text_is_refused_or_has_a_normal_form(text in "(https?://)?[a-zA-Z0-9*.:/\\[\\]@%-]{0,40}") {
        if let Ok(pattern) = KeyPattern::parse(&text) {
            prop_assert_eq!(KeyPattern::parse(&pattern.to_string()), Ok(pattern));
        }
    }
}
