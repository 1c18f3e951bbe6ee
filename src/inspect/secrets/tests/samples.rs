//! Secrets built at run time, so that none stands in the source: scanners of hosting sites would
//! refuse it.

use super::super::kind::Kind;
use super::super::text::Alphabet;

/// xorshift64*.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// Random characters of an alphabet.
pub(super) fn body(alphabet: Alphabet, len: usize, random: &mut Random) -> String {
    let letters: Vec<char> = (0..128_u8).filter(|b| alphabet.has(*b)).map(char::from).collect();
    (0..len).map(|_| letters[random.below(letters.len())]).collect()
}

fn crc32(text: &str) -> u64 {
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    crc.sum().into()
}

fn in_base(mut number: u64, digits: &str, width: usize) -> String {
    let mut out = Vec::new();
    for _ in 0..width {
        out.push(digits.as_bytes()[(number % digits.len() as u64) as usize]);
        number /= digits.len() as u64;
    }
    out.reverse();
    String::from_utf8(out).unwrap()
}

/// A token of GitHub or npm.
pub(super) fn crc(prefix: &str, len: usize, random: &mut Random) -> String {
    let body = body(Alphabet::ALNUM, len, random);
    let digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    format!("{prefix}{body}{}", in_base(crc32(&body), digits, 6))
}

/// A routable token of GitLab.
fn routable(random: &mut Random) -> String {
    let payload = body(Alphabet::BASE64URL, 40, random);
    let head = format!("glpat-{payload}.01.{}", in_base(40, BASE36, 2));
    let sum = in_base(crc32(&head), BASE36, 7);
    head + &sum
}

const BASE36: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

pub(super) fn base64(bytes: &[u8], url: bool) -> String {
    let last = if url { "-_" } else { "+/" };
    let alphabet = format!("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789{last}");
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u64::from(u32::from_be_bytes(word));
        let text = in_base(word, &alphabet, 4);
        out.push_str(&text[..=chunk.len()]);
        if !url {
            out.push_str(&"=="[..3 - chunk.len()]);
        }
    }
    out
}

pub(super) fn bytes(len: usize, random: &mut Random) -> Vec<u8> {
    (0..len).map(|_| random.below(256) as u8).collect()
}

fn age(random: &mut Random) -> String {
    let letters = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let data: Vec<u32> = (0..52).map(|_| random.below(32) as u32).collect();
    let name = b"age-secret-key-";
    let mut sum = 1_u32;
    let mut add = |value: u32| {
        let top = sum >> 25;
        sum = ((sum & 0x01ff_ffff) << 5) ^ value;
        let taps = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        for (bit, tap) in taps.into_iter().enumerate() {
            sum ^= if top >> bit & 1 == 1 { tap } else { 0 };
        }
        sum
    };
    for value in name.iter().map(|byte| u32::from(*byte >> 5)).chain([0]) {
        add(value);
    }
    for value in name.iter().map(|byte| u32::from(*byte & 31)).chain(data.iter().copied()) {
        add(value);
    }
    let sum = (0..6).fold(0, |_, _| add(0)) ^ 1;
    let checks = (0..6).map(|place| sum >> (5 * (5 - place)) & 31);
    let digits = data.iter().copied().chain(checks);
    let text: String = digits.map(|d| char::from(letters.as_bytes()[d as usize])).collect();
    format!("AGE-SECRET-KEY-1{text}")
}

fn pem(label: &str, der: &[u8], line_end: &str) -> String {
    let text = base64(der, false);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
    let body = lines.join(line_end);
    format!("-----BEGIN {label}-----{line_end}{body}{line_end}-----END {label}-----")
}

pub(super) fn jwt(header: &str, random: &mut Random) -> String {
    let payload = format!("{{\"sub\":\"u{}\",\"exp\":1794816000}}", random.below(1_000_000));
    let signature = body(Alphabet::BASE64URL, 43, random);
    let header = base64(header.as_bytes(), true);
    format!("{header}.{}.{signature}", base64(payload.as_bytes(), true))
}

/// A sample: what stands before the secret, the secret, what stands behind it.
pub(super) type Sample = (String, String, &'static str);

fn bare(secret: String) -> Sample {
    (String::new(), secret, "")
}

/// Samples of a kind, different for every state of `random`.
pub(super) fn of(kind: Kind, random: &mut Random) -> Vec<Sample> {
    let mut make = |alphabet, len| body(alphabet, len, random);
    let (alnum, url, hex) = (Alphabet::ALNUM, Alphabet::BASE64URL, Alphabet::LOWER_HEX);
    match kind {
        Kind::AwsAccessKey => {
            // The letters after Q may hold no account: these do.
            let id = format!("QN{}", make(Alphabet::BASE32, 14));
            vec![bare(format!("AKIA{id}")), bare(format!("ASIA{id}"))]
        }
        Kind::AwsSecretKey => {
            let key = || "aws_secret_access_key";
            let secret = make(Alphabet::BASE64, 40);
            vec![
                (format!("{} = ", key()), secret.clone(), "\n"),
                ("\"SecretAccessKey\": \"".to_owned(), secret.clone(), "\""),
                ("secret access key: ".to_owned(), secret, " "),
            ]
        }
        Kind::GithubToken => ["ghp_", "gho_", "ghu_", "ghs_"]
            .map(|prefix| bare(crc(prefix, 30, random)))
            .into_iter()
            .chain([bare(crc("ghr_", 70, random))])
            .collect(),
        Kind::NpmToken => vec![bare(crc("npm_", 30, random))],
        Kind::GithubFineGrainedToken => {
            vec![bare(format!("github_pat_{}_{}", make(alnum, 22), make(alnum, 59)))]
        }
        Kind::GitlabToken => {
            let mut samples = vec![
                bare(format!("glpat-{}", make(url, 20))),
                bare(format!("gldt-{}", make(url, 20))),
                bare(format!("gloas-{}", make(hex, 64))),
            ];
            samples.push(bare(routable(random)));
            samples
        }
        Kind::SlackToken => {
            let mut number = || make(Alphabet::DIGITS, 12).replace('0', "1");
            let (a, b, c) = (number(), number(), number());
            vec![
                bare(format!("xoxb-{a}-{b}-{}", make(alnum, 24))),
                bare(format!("xoxp-{a}-{b}-{c}-{}", make(hex, 32))),
                bare(format!("xoxe-1-{}", make(Alphabet::UPPER_ALNUM, 146))),
                bare(format!("xapp-1-A{}-{a}-{}", make(Alphabet::UPPER_ALNUM, 10), make(hex, 64))),
            ]
        }
        Kind::SlackWebhook => {
            let (team, channel) =
                (make(Alphabet::UPPER_ALNUM, 10), make(Alphabet::UPPER_ALNUM, 10));
            let random = make(alnum, 24);
            let path = format!("hooks.slack.com/services/T{team}/B{channel}/{random}");
            vec![("https://".to_owned(), path.clone(), "\""), bare(path)]
        }
        Kind::OpenaiKey => {
            let name = format!("T3Blbk{}", "FJ");
            let mut half = |len| make(url, len);
            vec![
                bare(format!("sk-{}{name}{}", half(20), half(20))),
                bare(format!("sk-proj-{}{name}{}", half(74), half(74))),
                bare(format!("sk-svcacct-{}{name}{}", half(58), half(58))),
                bare(format!("sk-admin-{}{name}{}", half(58), half(58))),
            ]
        }
        Kind::AnthropicKey => ["api03", "admin01", "oat01"]
            .map(|name| bare(format!("sk-ant-{name}-{}AA", make(url, 93))))
            .into(),
        Kind::AzureStorageKey => {
            let mut key = || make(Alphabet::BASE64, 76);
            let marked = format!("{}+ASt{}Q==", key(), "x9Kt2");
            let plain = format!("{}{}w==", key(), "Gt3pR8Lk2");
            vec![bare(marked), ("AccountName=a;AccountKey=".to_owned(), plain, ";")]
        }
        Kind::AzureClientSecret => {
            vec![bare(format!("{}8Q~{}", make(alnum, 3), make(alnum, 34)))]
        }
        Kind::GoogleOauthToken => vec![
            bare(format!("ya29.a0{}", make(url, 200))),
            bare(format!("GOCSPX-{}", make(url, 28))),
            bare(format!("1//0{}", make(url, 99))),
        ],
        Kind::PypiToken => [("\x02\x01\x08pyp\x69.org", 80), ("\x02\x01\x0dtest.pyp\x69.org", 81)]
            .map(|(location, tail)| {
                let id = "3f2b8c1e-9d47-4a6b-8e21-5c90f7ad13b6";
                let mut macaroon = format!("{location}\x02\x24{id}").into_bytes();
                macaroon.extend(bytes(tail, random));
                bare(format!("pypi-{}", base64(&macaroon, true)))
            })
            .into(),
        Kind::SendgridKey => vec![bare(format!("SG.{}.{}", make(url, 22), make(url, 43)))],
        Kind::SquareToken => {
            vec![bare(format!("EAAA{}", make(url, 60))), bare(format!("sq0atp-{}", make(url, 22)))]
        }
        Kind::AtlassianToken => {
            vec![bare(format!("ATATT3{}={}", make(url, 177), make(Alphabet::UPPER_ALNUM, 8)))]
        }
        Kind::AgeSecretKey => vec![bare(age(random)), bare(age(random).to_ascii_lowercase())],
        Kind::SshPrivateKey => {
            let mut key = b"openssh-key-v1\0".to_vec();
            key.extend(bytes(300, random));
            let label = "OPENSSH PRIVATE KEY";
            vec![bare(pem(label, &key, "\n")), bare(pem(label, &key, "\\n"))]
        }
        Kind::PrivateKey => {
            let mut der = vec![0x30, 0x82, 0x04, 0xa3];
            der.extend(bytes(600, random));
            let encrypted = pem("RSA PRIVATE KEY", &bytes(600, random), "\n").replacen(
                "-----\n",
                "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n",
                1,
            );
            vec![
                bare(pem("RSA PRIVATE KEY", &der, "\n")),
                bare(pem("PRIVATE KEY", &der, "\r\n")),
                bare(pem("EC PRIVATE KEY", &der, "\\n")),
                bare(pem("ENCRYPTED PRIVATE KEY", &der, " ")),
                bare(encrypted),
            ]
        }
        Kind::Jwt => [
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"kid":"a1","alg":"RS256","jku":"https://a.test/k"}"#,
            r#"{"typ":"at+jwt","alg":"ES256","x":{"y":[1,2]}}"#,
        ]
        .map(|header| bare(jwt(header, random)))
        .into(),
        Kind::DatabaseUrl | Kind::BasicAuthUrl => {
            let schemes = match kind {
                Kind::DatabaseUrl => ["postgresql+psycopg2", "mongodb+srv", "redis", "amqps"],
                _ => ["https", "ftp", "smtp", "git+https"],
            };
            let samples = schemes.map(|scheme| {
                let user = if scheme == "redis" { "" } else { "svc" };
                let before = format!("{scheme}://{user}:");
                (before, body(alnum, 14, random), "@db.corp.test:5432/x?y=1")
            });
            samples.into()
        }
        Kind::BasicAuth => {
            let secret = base64(format!("svc:{}", make(alnum, 14)).as_bytes(), false);
            vec![
                ("Authorization: Basic ".to_owned(), secret.clone(), "\r\n"),
                ("-H 'authorization: basic ".to_owned(), secret, "'"),
            ]
        }
        Kind::BearerToken => {
            let secret = format!("{}7", make(alnum, 39));
            vec![("Authorization: Bearer ".to_owned(), secret, "\\n")]
        }
        Kind::PasswordAssignment => {
            let password = format!("4{}x7#Q", make(alnum, 9));
            let key = format!("q7{}", make(alnum, 30));
            vec![
                ("password = \"".to_owned(), password.clone(), "\""),
                ("\"dbPassword\":\"".to_owned(), password.clone(), "\"}"),
                ("mysql --password ".to_owned(), password.clone(), " -h db"),
                ("PGPASSWORD=".to_owned(), password, " psql"),
                ("{\\\"api_key\\\": \\\"".to_owned(), key.clone(), "\\\"}"),
                ("client_secret=".to_owned(), key.clone(), "&grant_type=x"),
                ("x-api-key: ".to_owned(), key.clone(), "\r\n"),
                ("auth_token%3D".to_owned(), key.clone(), "&"),
                ("config['access_token'] = '".to_owned(), key, "'"),
            ]
        }
        // Those of the table's runs.
        _ => Vec::new(),
    }
}
