use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn guarded(loopback: bool) -> Guarded {
    let reaching = Reaching { loopback, ..Reaching::default() };
    let limits = Limits { total: Duration::from_secs(5), max_body_bytes: 64, ..Limits::default() };
    Guarded::new(None, reaching, limits).unwrap()
}

/// Answers each connection with the next of these.
async fn serve(answers: Vec<String>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _len = stream.read(&mut head).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

fn answer(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn targets_are_taken_apart() {
    for (url, host, port, authority, path) in [
        ("https://A.example", "a.example", 443, "a.example", "/"),
        ("http://a.example:80/x?y", "a.example", 80, "a.example", "/x?y"),
        ("https://[::1]:8443/", "::1", 8443, "[::1]:8443", "/"),
    ] {
        let target = Target::parse(url).unwrap();
        assert_eq!((&*target.host, target.port), (host, port), "{url}");
        assert_eq!((&*target.authority, &*target.path), (authority, path), "{url}");
    }
    for url in
        ["", "a.example", "ftp://a.example", "https://u:p@a.example/", "https://", "file:///a"]
    {
        assert!(Target::parse(url).is_err(), "{url}");
    }
    let base = Target::parse("https://a.example/b/c?d").unwrap();
    for (reference, path, same) in [
        ("/x?s=1", "/x?s=1", true),
        ("x", "/b/x", true),
        ("?e", "/b/c?e", true),
        ("https://a.example:443/y", "/y", true),
        ("https://b.example/y", "/y", false),
        ("//b.example/y", "/y", false),
        ("http://a.example/y", "/y", false),
    ] {
        let joined = base.join(reference).unwrap();
        assert_eq!((&*joined.path, joined.is_same_origin(&base)), (path, same), "{reference}");
    }
}

#[test]
fn addresses_are_refused_unless_allowed() {
    let ask = |reaching: Reaching, ip: &str, tls| reaching.allows(ip.parse().unwrap(), tls).is_ok();
    let (none, all) = (Reaching::default(), Reaching::INSIDE);
    for ip in
        ["127.0.0.1", "::1", "10.1.2.3", "169.254.7.7", "fe80::1", "fd00::1", "::ffff:10.0.0.1"]
    {
        assert!(!ask(none, ip, true) && ask(all, ip, true) && ask(all, ip, false), "{ip}");
    }
    for ip in ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254"]
    {
        assert!(!ask(none, ip, true) && !ask(all, ip, true), "{ip}");
    }
    assert!(ask(none, "8.8.8.8", true) && !ask(all, "8.8.8.8", false));
}

#[tokio::test]
async fn documents_are_got_and_redirects_checked() {
    let plain = serve(vec![answer("200 OK", "Cache-Control: max-age=60\r\n", "{\"a\":1}")]).await;
    let reply = guarded(true).get_json(&plain, &[]).await.unwrap();
    assert_eq!(reply.max_age(), Some(Duration::from_secs(60)));
    assert_eq!(reply.json::<serde_json::Value>().unwrap()["a"], 1);
    let refused = guarded(false).get_json(&plain, &[]).await.unwrap_err();
    assert!(matches!(refused, Trouble::Forbidden(_)), "{refused}");
    for to in
        ["http://169.254.169.254/latest", "http://10.0.0.1/", "https://127.0.0.1:1/", "gopher://a"]
    {
        let from = serve(vec![answer("302 Found", &format!("Location: {to}\r\n"), "")]).await;
        let trouble = guarded(true).get_json(&from, &[]).await.unwrap_err();
        assert!(!matches!(trouble, Trouble::Broken(_) | Trouble::TimedOut(_)), "{to}: {trouble}");
    }
    let round = answer("302 Found", "Location: /again\r\n", "");
    let from = serve(vec![round; 4]).await;
    let trouble = guarded(true).get_json(&from, &[]).await.unwrap_err();
    assert_eq!(trouble, Trouble::Forbidden("redirected too often".into()));
}

#[tokio::test]
async fn answers_that_are_too_large_or_too_short_are_none() {
    let large = serve(vec![answer("200 OK", "", &"x".repeat(65))]).await;
    assert_eq!(guarded(true).get_json(&large, &[]).await.unwrap_err(), Trouble::TooLarge(64));
    let short = serve(vec!["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_owned()]).await;
    assert!(matches!(guarded(true).get_json(&short, &[]).await, Err(Trouble::Broken(_))));
}

#[test]
fn forms_are_encoded() {
    let form = encoded(&[("a b", "c&d=é"), ("e", "~")]);
    assert_eq!(form, "a+b=c%26d%3D%C3%A9&e=%7E");
}
