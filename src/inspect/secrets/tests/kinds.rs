use super::super::issued::{ANCHORS, Check};
use super::super::kind::Kind;
use super::super::text::Alphabet;
use super::samples::{self, Random, body};
use super::*;

#[test]
fn samples_of_every_kind_are_found_whole() {
    for round in 1..=20 {
        let mut random = Random(round * 7919);
        for kind in SecretKind::all() {
            for (before, secret, after) in samples::of(kind.0, &mut random) {
                let text = format!("{before}{secret}{after}");
                assert_eq!(ids(&text), [(kind.id(), secret.as_str())], "{text}");
                let found = all(&text)[0];
                assert!(found.certainty >= kind.certainty(), "{found:?}");
                assert_eq!((found.start, found.end), (before.len(), before.len() + secret.len()));
            }
        }
    }
}

#[test]
fn every_kind_has_samples() {
    let of_runs = |kind: Kind| {
        ANCHORS.iter().any(|a| matches!(a.check, Check::Run { kind: other, .. } if other == kind))
    };
    for kind in SecretKind::all() {
        let has_samples = !samples::of(kind.0, &mut Random(1)).is_empty();
        assert!(has_samples || of_runs(kind.0), "{kind}");
    }
}

#[test]
fn prefixes_with_a_run_are_found_at_both_ends_of_their_lengths() {
    for anchor in ANCHORS {
        let Check::Run { kind, alphabet, least, most } = anchor.check else { continue };
        let mut random = Random(97);
        for len in [least, most, usize::midpoint(least, most)] {
            let secret = format!("{}{}", anchor.literal, body(alphabet, len, &mut random));
            let id = SecretKind(kind).id();
            assert_eq!(ids(&secret), [(id, secret.as_str())], "{secret}");
            assert_eq!(ids(&format!("k='{secret}';")), [(id, secret.as_str())], "{secret}");
        }
    }
}

#[test]
fn prefixes_with_a_run_of_another_length_or_shape_are_nothing() {
    for anchor in ANCHORS {
        let Check::Run { alphabet, least, most, .. } = anchor.check else { continue };
        let mut random = Random(101);
        let literal = anchor.literal;
        let filler = if alphabet.has(b'x') { "x" } else { "0" };
        for text in [
            format!("{literal}{}", body(alphabet, least - 1, &mut random)),
            format!("{literal}{}", body(alphabet, most + 1, &mut random)),
            format!("{literal}{}", filler.repeat(least)),
            format!("a{literal}{}", body(alphabet, least, &mut random)),
            format!(
                "{literal}{}é{}",
                body(alphabet, 3, &mut random),
                body(alphabet, 9, &mut random)
            ),
        ] {
            assert_eq!(ids(&text), [], "{text}");
        }
    }
}

/// Samples with something wrong: `{}` is replaced by what makes them long enough.
fn spoilt(kind: Kind) -> Vec<String> {
    let mut random = Random(61);
    let first = |kind| samples::of(kind, &mut Random(67)).remove(0).1;
    let mut make = |alphabet, len| body(alphabet, len, &mut random);
    let (alnum, url, hex) = (Alphabet::ALNUM, Alphabet::BASE64URL, Alphabet::LOWER_HEX);
    let zeros = |text: &str| text.replace(|c: char| c.is_ascii_alphanumeric(), "0");
    match kind {
        Kind::AwsAccessKey => vec![
            format!("AKIA{}", "IOSFODNN7EXAMPLE"),
            format!("AKIA{}", "7777777777ABCDEF"),
            format!("AKIA{}", make(Alphabet::BASE32, 15)),
            format!("AKIA{}1", make(Alphabet::BASE32, 15)),
            format!("akia{}", make(Alphabet::BASE32, 16)),
        ],
        Kind::AwsSecretKey => vec![
            format!("aws_secret_access_key={}", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            format!("aws_secret_access_key={}", "x".repeat(40)),
            "aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}".to_owned(),
            "\"SecretAccessKey\": {\"type\": \"string\"}".to_owned(),
        ],
        Kind::GithubToken | Kind::NpmToken => {
            let token = first(kind);
            let (head, _) = token.split_at(token.len() - 1);
            vec![
                format!("{head}{}", if token.ends_with('a') { 'b' } else { 'a' }),
                head.to_owned(),
                format!("{token}a"),
                format!("{}{}", &token[..4], "x".repeat(36)),
                token.to_lowercase(),
            ]
        }
        Kind::GithubFineGrainedToken => vec![
            format!("github_pat_{}_{}", make(alnum, 21), make(alnum, 60)),
            format!("github_pat_{}{}", make(alnum, 23), make(alnum, 59)),
            format!("github_pat_{}_{}", "x".repeat(22), "x".repeat(59)),
        ],
        Kind::GitlabToken => vec![
            format!("glpat-{}", make(url, 19)),
            format!("glpat-{}", "x".repeat(20)),
            format!("glpat-{}.01.14abcdefg", make(url, 40)),
            "glpat-your-token-goes-here".to_owned(),
        ],
        Kind::SlackToken => vec![
            format!("xoxb-123-456-{}", make(alnum, 24)),
            format!("xoxb-{}", make(alnum, 24)),
            format!("xoxz-123456789012-123456789012-{}", make(alnum, 24)),
            format!("xoxb-123456789012-123456789012-{}", "x".repeat(24)),
            format!("xapp-1-A0123456789-1234567890123-{}", make(hex, 63)),
        ],
        Kind::SlackWebhook => vec![
            format!("https://hooks.slack.com/services/T{0}/B{0}/{1}", "00000000", "X".repeat(24)),
            format!("https://hooks.slack.com/services/TABCDEFGH/CABCDEFGH/{}", make(alnum, 24)),
            format!("https://hooks.slack.com/services/TABCDEFGH/BABCDEFGH/{}", make(alnum, 23)),
        ],
        Kind::OpenaiKey => vec![
            format!("sk-{}", make(alnum, 48)),
            format!("sk-{}T3Blbk{}{}", make(alnum, 10), "FJ", make(alnum, 30)),
            format!("task-{}T3Blbk{}{}", make(alnum, 20), "FJ", make(alnum, 20)),
        ],
        Kind::AnthropicKey => vec![
            format!("sk-ant-api03-{}BB", make(alnum, 93)),
            format!("sk-ant-api03-{}AA", make(alnum, 40)),
            format!("sk-ant-api03-{}AA", "x".repeat(93)),
            "sk-ant-your-key".to_owned(),
        ],
        Kind::AzureStorageKey => vec![
            // Azurite's, which is the same everywhere.
            format!(
                "AccountKey={}{}",
                "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50u",
                "SRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
            ),
            format!("{}+ASt{}==", make(Alphabet::BASE64, 75), make(alnum, 6)),
            format!("AccountKey={}==", make(Alphabet::BASE64, 85)),
            format!("AccountKey={}==", "A".repeat(86)),
        ],
        Kind::AzureClientSecret => vec![
            format!("{}xQ~{}", make(alnum, 3), make(alnum, 34)),
            format!("{}8Q~{}", make(alnum, 3), make(alnum, 30)),
            format!("{}8Q~{}", make(alnum, 4), make(alnum, 35)),
        ],
        Kind::GoogleOauthToken => vec![
            format!("ya29.{}", make(url, 30)),
            format!("GOCSPX-{}", make(url, 27)),
            format!("AbC/1//0{}", make(alnum, 99)),
        ],
        Kind::PypiToken => vec![
            format!("pypi-{}", make(url, 160)),
            format!("pypi-AgEIcHlwaS5vcmcCJ{}", make(alnum, 150)),
            first(kind)[..70].to_owned(),
        ],
        Kind::SendgridKey => vec![
            format!("SG.{}.{}", make(alnum, 21), make(alnum, 44)),
            format!("SG.{}", make(alnum, 66)),
            format!("SG.{}.{}", make(alnum, 22), "x".repeat(43)),
        ],
        Kind::SquareToken => vec![
            format!("/EAAA{}", make(alnum, 60)),
            format!("EAAA{}=", make(alnum, 60)),
            format!("EAAA{}", "A".repeat(60)),
        ],
        Kind::AtlassianToken => vec![
            format!("ATATT3{}", make(alnum, 186)),
            format!("ATATT3{}={}", make(alnum, 100), make(alnum, 8)),
            zeros(&first(kind)),
        ],
        Kind::AgeSecretKey => {
            let key = first(kind);
            vec![
                key.replace("KEY-1Q", "KEY-1P").replace("KEY-1Z", "KEY-1P") + "A",
                key[..key.len() - 1].to_owned(),
                format!("AGE-SECRET-KEY-1{}", "Q".repeat(58)),
            ]
        }
        Kind::SshPrivateKey | Kind::PrivateKey => {
            let key = first(kind);
            vec![
                key.replace("PRIVATE", "PUBLIC"),
                format!("-----BEGIN {} KEY-----\n...\n-----END {} KEY-----", "PRIVATE", "PRIVATE"),
                format!("-----BEGIN {} KEY-----\n{}", "PRIVATE", "A".repeat(400)),
                format!("-----BEGIN OPENSSH {} KEY-----\n{}", "PRIVATE", make(alnum, 400)),
                format!("-----BEGIN {} KEY-----\n<your key>", "RSA PRIVATE"),
            ]
        }
        Kind::Jwt => {
            let token = first(kind);
            let (header, rest) = token.split_once('.').unwrap();
            let (payload, signature) = rest.split_once('.').unwrap();
            let no_algorithm = samples::base64(b"{\"typ\":\"JWT\",\"a\":\"lg\"}", true);
            vec![
                format!("{header}.{payload}"),
                format!("{header}.{payload}.short"),
                format!("{no_algorithm}.{payload}.{signature}"),
                format!("{}.{payload}.{signature}", &header[..header.len() - 3]),
                format!("x{token}"),
                format!("{header}.{}.{signature}", make(alnum, 30).replacen(|_| true, "A", 1)),
            ]
        }
        Kind::DatabaseUrl => {
            ["postgres:postgres@", "u:${PW}@", "user:password@", "u:p@", "user@", "u:<pw>@"]
                .map(|user| format!("postgres://{user}db.corp.test/x"))
                .into()
        }
        Kind::BasicAuthUrl => vec![
            "https://user:changeme123@a.test/".to_owned(),
            "https://a.test:8443/@scope/x:y@z".to_owned(),
            "https://user:{{password}}@a.test".to_owned(),
            "https://$USER:$PASSWORD@a.test".to_owned(),
            "ssh://git@github.com:22/x".to_owned(),
        ],
        Kind::BasicAuth => vec![
            "Basic authentication is required".to_owned(),
            format!("Basic {}", samples::base64(b"user:password", false)),
            format!("Basic {}", samples::base64(b"Aladdin:open sesame", false)),
            format!("Basic {}", samples::base64(b"no colon in this text", false)),
        ],
        Kind::BearerToken => vec![
            "Bearer authentication-is-required-for-this-api".to_owned(),
            "Bearer ${ACCESS_TOKEN_OF_THE_SERVICE_1}".to_owned(),
            "Bearer your-token-1234567890abcdefghij".to_owned(),
            "Bearer xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_owned(),
        ],
        Kind::PasswordAssignment => HARMLESS.iter().map(|text| (*text).to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// Fields with a telling name and a harmless value.
const HARMLESS: &[&str] = &[
    "password: string",
    "\"password\": {\"type\": \"string\", \"minLength\": 12}",
    "password = getPassword(user2)",
    "password=\"********\"",
    "password = ${DB_PASSWORD_2}",
    "\"password\": \"<your password, Min 8>\"",
    "password: Password123",
    "\"passwordHash\": \"$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\"",
    "const token = await client.getAccessToken2({scope: 'a'});",
    "token = request.headers['X-Auth-Token2']",
    "\"progressToken\": \"3f2b8c1e-9d47-4a6b-8e21-5c90f7ad13b6\"",
    "\"nextPageToken\": \"CAUQAAx8Kz93hGq1LmN4pRtV7wXy\"",
    "\"max_tokens\": 4096, \"total_tokens\": 123456789012345678",
    "\"tokenizer\": \"Xq8Lr3TnVz5Kp1Wm7Yc9Hb2Jd4\"",
    "PublicKeyToken=b77a5c561934e089",
    "secret_name: prod/db/credentials-9XkLm2",
    "secretsmanager.arn=arn:aws:secretsmanager:eu-west-1:123:secret:a9XkLm2Qv7",
    "api_key: process.env.OPENAI_API_KEY_V2",
    "api_key=YOUR_API_KEY_GOES_IN_HERE_2024",
    "\"apiKey\": \"{{ secrets.API_KEY_9Xk }}\"",
    "private_key_path = /etc/ssl/private/a9XkLm2Qv7Rt5.pem",
    "\"token\": \"https://a.test/t/9XkLm2Qv7Rt5Zp8Wc\"",
    "csrf_token=9XkLm2Qv7Rt5Zp8WcQx3Ty6",
    "the secretary: Xq8Lr3TnVz5Kp1Wm7Yc9Hb2Jd4",
    "\"design_tokens\": \"9XkLm2Qv7Rt5Zp8WcQx3Ty6\"",
    "tokens: [1, 2, 3]",
];

#[test]
fn spoilt_samples_of_every_kind_are_nothing() {
    for kind in SecretKind::all() {
        let texts = spoilt(kind.0);
        let is_run = samples::of(kind.0, &mut Random(1)).is_empty();
        assert!(texts.len() >= 3 || is_run, "{kind}");
        for text in texts {
            assert_eq!(ids(&text), [], "{kind}: {text}");
        }
    }
}

#[test]
fn checksums_make_certain() {
    for (kind, place, certainty) in [
        (Kind::GitlabToken, 0, Certainty::Shaped),
        (Kind::GitlabToken, 3, Certainty::Checked),
        (Kind::OpenaiKey, 0, Certainty::Checked),
        (Kind::PrivateKey, 0, Certainty::Checked),
        (Kind::PrivateKey, 4, Certainty::Shaped),
    ] {
        let (before, secret, after) = samples::of(kind, &mut Random(31)).remove(place);
        let text = format!("{before}{secret}{after}");
        assert_eq!(all(&text)[0].certainty, certainty, "{kind:?} {place}");
    }
}

#[test]
fn a_cut_private_key_counts_from_its_beginning() {
    let (_, key, _) = samples::of(Kind::PrivateKey, &mut Random(41)).remove(0);
    let cut = &key[..400];
    assert_eq!(ids(cut), [("private-key", cut.trim_end())]);
    assert_eq!(ids(&key[..90]), []);
}

#[test]
fn encrypted_tokens_have_five_segments() {
    let header = samples::base64(br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#, true);
    let mut random = Random(43);
    let mut make = |len| body(Alphabet::BASE64URL, len, &mut random);
    let token = format!("{header}.{}.{}.{}.{}", make(342), make(16), make(60), make(22));
    assert_eq!(ids(&token), [("jwt", token.as_str())]);
    assert_eq!(ids(token.rsplit_once('.').unwrap().0), []);
}
