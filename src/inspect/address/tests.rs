use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn found(text: &str) -> Vec<Url<'_>> {
    let mut found = Vec::new();
    urls(text, &mut |url| found.push(url));
    found
}

/// Scheme, host, port and path.
fn parts(text: &str) -> Vec<(String, String, Option<u16>, String)> {
    let own = |url: Url<'_>| {
        (url.scheme.to_owned(), url.host.into_owned(), url.port, url.path.to_owned())
    };
    found(text).into_iter().map(own).collect()
}

#[track_caller]
fn expect(text: &str, want: &[(&str, &str, Option<u16>, &str)]) {
    let own = |(s, h, port, p): &(&str, &str, Option<u16>, &str)| {
        ((*s).to_owned(), (*h).to_owned(), *port, (*p).to_owned())
    };
    assert_eq!(parts(text), want.iter().map(own).collect::<Vec<_>>(), "{text}");
}

#[test]
fn urls_are_found_in_text() {
    expect("see https://Example.COM/a/b?c=d#e now", &[("https", "example.com", None, "/a/b")]);
    expect("http://h:8080", &[("http", "h", Some(8080), "")]);
    expect("(http://h.example).", &[("http", "h.example", None, "")]);
    expect(
        "[x](http://h.example/p), or <http://i.example/q>",
        &[("http", "h.example", None, "/p"), ("http", "i.example", None, "/q")],
    );
    expect(
        "\"http://h/p\",\"http://i/q\"",
        &[("http", "h", None, "/p"), ("http", "i", None, "/q")],
    );
    expect(
        "http://a.example),http://b.example",
        &[("http", "a.example", None, ""), ("http", "b.example", None, "")],
    );
    expect(
        "https://proxy.example/http://inner.example/x?y",
        &[
            ("https", "proxy.example", None, "/http://inner.example/x"),
            ("http", "inner.example", None, "/x"),
        ],
    );
    expect(
        "https://p.example/?u=http://i.example",
        &[("https", "p.example", None, "/"), ("http", "i.example", None, "")],
    );
    expect("file:///etc/passwd", &[("file", "", None, "/etc/passwd")]);
    expect("postgres://u:p@db.corp:5432/x", &[("postgres", "db.corp", Some(5432), "/x")]);
    expect(
        "http://[2001:db8::1]:80/x http://[::1]",
        &[("http", "2001:db8::1", Some(80), "/x"), ("http", "::1", None, "")],
    );
}

#[test]
fn careless_spellings_are_urls_too() {
    for text in [
        "http:\\\\h.example\\x",
        "http:/\\h.example\\x",
        "http:////h.example\\x",
        "http:\\/\\/h.example\\x",
    ] {
        expect(text, &[("http", "h.example", None, "\\x")]);
    }
}

#[test]
fn what_has_no_authority_is_no_url() {
    for text in [
        "",
        "://",
        "http://",
        "http:// x",
        "http:///",
        "mailto:a@b",
        "//host/path",
        "host:80/path",
        "C:\\\\x",
        "c://x",
        "std::io",
        "12://h",
        "custom:\\\\h",
        "x://?y",
        "http://@/",
    ] {
        expect(text, &[]);
    }
}

#[test]
fn hosts_are_what_a_resolver_takes() {
    for (text, host) in [
        ("http://EXAMPLE.com./", "example.com"),
        ("http://ex%61mple.com/", "example.com"),
        ("http://\u{ff45}xample\u{3002}com/", "example.com"),
        ("http://example\u{ff61}com\u{ff0e}/", "example.com"),
        ("http://ex\u{ad}am\u{200b}ple.com/", "example.com"),
        ("http://\u{2460}\u{2461}\u{2466}.0.0.1/", "127.0.0.1"),
        ("http://b\u{fc}cher.example/", "b\u{fc}cher.example"),
        ("http://B\u{dc}CHER.example/", "b\u{fc}cher.example"),
    ] {
        assert_eq!(parts(text)[0].1, host, "{text}");
    }
}

#[test]
fn user_information_is_noticed() {
    for (text, host, user_info) in [
        ("https://good.example@evil.example/", "evil.example", true),
        ("https://a@b@evil.example", "evil.example", true),
        ("https://evil.example/@good.example", "evil.example", false),
        ("https://evil.example\\@good.example", "evil.example", false),
        ("https://evil.example?@good.example", "evil.example", false),
    ] {
        let found = found(text);
        assert_eq!((found[0].host.as_ref(), found[0].user_info), (host, user_info), "{text}");
    }
}

#[test]
fn a_long_authority_is_cut_between_characters() {
    let text = format!("http://{}\u{e4}", "\u{e4}".repeat(3000));
    assert_eq!(found(&text).len(), 1);
}

#[test]
fn addresses_are_read_in_every_notation() {
    let metadata = "169.254.169.254";
    for (host, want) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("1", "0.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0x7f.0.0x0.01", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x", "0.0.0.0"),
        ("2852039166", metadata),
        ("0xa9fea9fe", metadata),
        ("0251.0376.0251.0376", metadata),
        ("169.254.43518", metadata),
        ("169.254.169.254.", metadata),
        ("[::ffff:169.254.169.254]", "::ffff:169.254.169.254"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("localhost", "127.0.0.1"),
        ("app.localhost", "127.0.0.1"),
        ("localhost.", "127.0.0.1"),
        ("x.lvh.me", "127.0.0.1"),
        ("ip6-localhost", "::1"),
        ("metadata.google.internal", metadata),
        ("169-254-169-254.nip.io", metadata),
        ("10.0.0.1.sslip.io", "10.0.0.1"),
        ("app.10.0.0.1.nip.io", "10.0.0.1"),
        ("customer1-app-10-0-0-1.nip.io", "10.0.0.1"),
        ("a9fea9fe.nip.io", metadata),
        ("app-7f000001.nip.io", "127.0.0.1"),
        ("--1.sslip.io", "::1"),
        ("2001-db8--1.sslip.io", "2001:db8::1"),
        ("08080808.7f000001.rbndr.us", "127.0.0.1"),
        ("make-8.8.8.8-rebind-169.254.169.254-rr.1u.ms", metadata),
        ("8.8.8.8.nip.io", "8.8.8.8"),
    ] {
        assert_eq!(host_ip(host), Some(want.parse().unwrap()), "{host}");
    }
}

#[test]
fn what_is_no_address_is_none() {
    for host in [
        "",
        ".",
        "example.com",
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.65536",
        "4294967296",
        "08",
        "1..2",
        "0xg",
        "a.1",
        "[::1",
        "[1.2.3.4]",
        ":::",
        "mylocalhost",
        "localhost.evil.example",
        "nip.io",
        "x.nip.io",
        "10.0.0.nip.io",
        "10.0.0.1.nip.io.evil.example",
        "99999999999999999999999999",
    ] {
        assert_eq!(host_ip(host), None, "{host}");
    }
}

#[test]
fn addresses_inside_addresses_are_found() {
    for (outer, want) in [
        ("::ffff:10.0.0.1", Some("10.0.0.1")),
        ("::10.0.0.1", Some("10.0.0.1")),
        ("::ffff:0:10.0.0.1", Some("10.0.0.1")),
        ("64:ff9b::a9fe:a9fe", Some("169.254.169.254")),
        ("2002:a9fe:a9fe::1", Some("169.254.169.254")),
        ("::", None),
        ("::1", None),
        ("2001:db8::1", None),
        ("fe80::1", None),
    ] {
        let outer: Ipv6Addr = outer.parse().unwrap();
        assert_eq!(embedded_v4(outer), want.map(|want| want.parse().unwrap()), "{outer}");
    }
}

#[test]
fn addresses_reach_as_far_as_their_numbers_say() {
    for (ip, want) in [
        ("127.9.9.9", Reach::Loopback),
        ("::1", Reach::Loopback),
        ("::ffff:127.0.0.1", Reach::Loopback),
        ("169.254.1.1", Reach::LinkLocal),
        ("fe80::1", Reach::LinkLocal),
        ("10.1.2.3", Reach::Private),
        ("172.16.0.1", Reach::Private),
        ("172.31.255.255", Reach::Private),
        ("172.32.0.0", Reach::Public),
        ("192.168.1.1", Reach::Private),
        ("100.64.0.1", Reach::Private),
        ("fd12::1", Reach::Private),
        ("64:ff9b::10.0.0.1", Reach::Private),
        ("169.254.169.254", Reach::Metadata),
        ("169.254.170.2", Reach::Metadata),
        ("fd00:ec2::254", Reach::Metadata),
        ("100.100.100.200", Reach::Metadata),
        ("192.0.0.192", Reach::Metadata),
        ("168.63.129.16", Reach::Metadata),
        ("2002:a9fe:a9fe::", Reach::Metadata),
        ("0.0.0.0", Reach::Unspecified),
        ("::", Reach::Unspecified),
        ("224.0.0.1", Reach::Multicast),
        ("ff02::1", Reach::Multicast),
        ("0.1.2.3", Reach::Reserved),
        ("255.255.255.255", Reach::Reserved),
        ("203.0.113.7", Reach::Reserved),
        ("2001:db8::1", Reach::Reserved),
        ("8.8.8.8", Reach::Public),
        ("2606:4700::1", Reach::Public),
    ] {
        assert_eq!(reach(ip.parse().unwrap()), want, "{ip}");
    }
}

#[test]
fn addresses_in_urls_are_read() {
    for (text, want) in [
        ("http://0xA9FEA9FE/latest/meta-data", Reach::Metadata),
        ("http://[::FFFF:a9fe:a9fe]/", Reach::Metadata),
        ("http://user@2130706433:80/", Reach::Loopback),
        ("http://127%2e0%2e0%2e1/", Reach::Loopback),
        ("http://127\u{3002}0\u{3002}0\u{3002}1/", Reach::Loopback),
        ("gopher://localhost:6379/_x", Reach::Loopback),
    ] {
        assert_eq!(found(text)[0].ip.map(reach), Some(want), "{text}");
    }
}

proptest! {
    #[test]
    fn dotted_quads_are_what_std_reads(octets: [u8; 4]) {
        let ip = Ipv4Addr::from(octets);
        prop_assert_eq!(host_ip(&ip.to_string()), Some(IpAddr::V4(ip)));
        let bits = u32::from(ip);
        for spelled in [bits.to_string(), format!("{bits:#x}"), format!("0{bits:o}")] {
            prop_assert_eq!(host_ip(&spelled), Some(IpAddr::V4(ip)));
        }
        let [a, b, c, d] = octets;
        prop_assert_eq!(host_ip(&format!("{a}.{b:#X}.{}", u16::from_be_bytes([c, d]))), Some(IpAddr::V4(ip)));
        prop_assert_eq!(host_ip(&format!("x-{a}-{b}-{c}-{d}.nip.io")), Some(IpAddr::V4(ip)));
    }

    #[test]
    fn v6_is_what_std_reads(bits: u128) {
        let ip = Ipv6Addr::from(bits);
        prop_assert_eq!(host_ip(&ip.to_string()), Some(IpAddr::V6(ip)));
        prop_assert_eq!(host_ip(&format!("[{ip}]")), Some(IpAddr::V6(ip)));
    }

    #[test]
    fn a_url_is_found_wherever_it_stands(before in "[ -~]{0,30} ", after in " [ -~]{0,30}", port: u16) {
        let text = format!("{before}https://mcp.example:{port}/x{after}");
        let hit = found(&text).into_iter().any(|url| {
            (url.host.as_ref(), url.port, url.path) == ("mcp.example", Some(port), "/x")
        });
        prop_assert!(hit);
    }

    #[test]
    fn never_panics(text in "[a-z:/\\\\@\\[\\]%0-9.?#) \u{3002}]{0,60}|\\PC{0,40}") {
        for url in found(&text) {
            prop_assert!(url.path.is_empty() || url.path.starts_with(['/', '\\']));
        }
        let bare = text.trim_end_matches('.');
        prop_assert_eq!(host_ip(bare), host_ip(&format!("{bare}.")));
    }
}
