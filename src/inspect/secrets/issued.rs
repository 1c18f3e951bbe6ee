//! Keys that show their issuer: the table of literals, and the checks with more than one segment.

use super::checksum;
use super::kind::Kind;
use super::placeholder::is_placeholder;
use super::text::{Alphabet, Text};
use super::{Certainty, Found, jwt, named, pem, url};

/// A literal, and what to do where it stands.
pub(super) struct Anchor {
    pub(super) literal: &'static str,
    /// Upper and lower case are the same.
    pub(super) any_case: bool,
    pub(super) check: Check,
}

pub(super) enum Check {
    /// The literal and a run of characters behind it are the secret.
    Run { kind: Kind, alphabet: Alphabet, least: usize, most: usize },
    /// Whatever this function says of the place where the literal starts and ends.
    With(fn(Text<'_>, usize, usize) -> Option<Found>),
}

impl Anchor {
    pub(super) fn check(&self, text: Text<'_>, start: usize, end: usize) -> Option<Found> {
        match self.check {
            Check::With(check) => check(text, start, end),
            Check::Run { kind, alphabet, least, most } => {
                let stop = run(text, start, end, alphabet, least, most)?;
                Some(Found { kind, certainty: Certainty::Shaped, start, end: stop })
            }
        }
    }
}

const fn run_of(
    literal: &'static str,
    kind: Kind,
    alphabet: Alphabet,
    least: usize,
    most: usize,
) -> Anchor {
    Anchor { literal, any_case: false, check: Check::Run { kind, alphabet, least, most } }
}

const fn with(literal: &'static str, check: fn(Text<'_>, usize, usize) -> Option<Found>) -> Anchor {
    Anchor { literal, any_case: false, check: Check::With(check) }
}

const fn word(literal: &'static str, check: fn(Text<'_>, usize, usize) -> Option<Found>) -> Anchor {
    Anchor { literal, any_case: true, check: Check::With(check) }
}

/// All literals. A prefix comes with the lengths that its issuer uses after it, in bytes.
pub(super) static ANCHORS: &[Anchor] = &[
    with("AKIA", aws_access_key),
    with("ASIA", aws_access_key),
    with("ABIA", aws_access_key),
    with("ACCA", aws_access_key),
    with("ghp_", crc_token),
    with("gho_", crc_token),
    with("ghu_", crc_token),
    with("ghs_", crc_token),
    with("ghr_", crc_token),
    with("npm_", crc_token),
    with("github_pat_", github_fine_grained),
    with("glpat-", gitlab),
    with("gldt-", gitlab),
    with("glrt-", gitlab),
    with("glptt-", gitlab),
    with("glcbt-", gitlab),
    with("gloas-", gitlab),
    with("glft-", gitlab),
    with("glsoat-", gitlab),
    with("glagent-", gitlab),
    with("xox", slack),
    with("xapp-", slack_app),
    word("hooks.slack.com/services/", slack_webhook),
    run_of("sk_live_", Kind::StripeLiveKey, Alphabet::ALNUM, 24, 247),
    run_of("rk_live_", Kind::StripeLiveKey, Alphabet::ALNUM, 24, 247),
    run_of("sk_test_", Kind::StripeTestKey, Alphabet::ALNUM, 24, 247),
    run_of("rk_test_", Kind::StripeTestKey, Alphabet::ALNUM, 24, 247),
    with("sk-", openai),
    with("sk-ant-", anthropic),
    run_of("sk-or-v1-", Kind::OpenrouterKey, Alphabet::LOWER_HEX, 64, 64),
    run_of("gsk_", Kind::GroqKey, Alphabet::ALNUM, 52, 52),
    run_of("pplx-", Kind::PerplexityKey, Alphabet::ALNUM, 48, 56),
    run_of("r8_", Kind::ReplicateToken, Alphabet::ALNUM, 37, 37),
    run_of("AIza", Kind::GoogleApiKey, Alphabet::BASE64URL, 35, 35),
    run_of("ya29.", Kind::GoogleOauthToken, Alphabet::BASE64URL, 40, 2048),
    run_of("GOCSPX-", Kind::GoogleOauthToken, Alphabet::BASE64URL, 28, 28),
    with("1//0", google_refresh),
    with("+ASt", azure_storage),
    word("accountkey", named::azure_account_key),
    with("Q~", azure_client_secret),
    with("pypi-AgEIcHlwaS5vcmc", pypi),
    with("pypi-AgENdGVzdC5weXBpLm9yZw", pypi),
    run_of("hf_", Kind::HuggingfaceToken, Alphabet::ALNUM, 34, 34),
    run_of("api_org_", Kind::HuggingfaceToken, Alphabet::ALNUM, 34, 34),
    with("SG.", sendgrid),
    run_of("SK", Kind::TwilioKey, Alphabet::LOWER_HEX, 32, 32),
    run_of("shpat_", Kind::ShopifyToken, Alphabet::HEX, 32, 32),
    run_of("shpca_", Kind::ShopifyToken, Alphabet::HEX, 32, 32),
    run_of("shppa_", Kind::ShopifyToken, Alphabet::HEX, 32, 32),
    run_of("shpss_", Kind::ShopifyToken, Alphabet::HEX, 32, 32),
    run_of("dop_v1_", Kind::DigitaloceanToken, Alphabet::LOWER_HEX, 64, 64),
    run_of("doo_v1_", Kind::DigitaloceanToken, Alphabet::LOWER_HEX, 64, 64),
    run_of("dor_v1_", Kind::DigitaloceanToken, Alphabet::LOWER_HEX, 64, 64),
    run_of("lin_api_", Kind::LinearKey, Alphabet::ALNUM, 40, 40),
    run_of("lin_oauth_", Kind::LinearKey, Alphabet::LOWER_HEX, 64, 64),
    run_of("figd_", Kind::FigmaToken, Alphabet::BASE64URL, 40, 64),
    run_of("ntn_", Kind::NotionToken, Alphabet::ALNUM, 46, 46),
    run_of("secret_", Kind::NotionToken, Alphabet::ALNUM, 43, 43),
    run_of("sq0atp-", Kind::SquareToken, Alphabet::BASE64URL, 22, 22),
    run_of("sq0csp-", Kind::SquareToken, Alphabet::BASE64URL, 43, 43),
    with("EAAA", square),
    run_of("dapi", Kind::DatabricksToken, Alphabet::LOWER_HEX, 32, 32),
    run_of("hvs.", Kind::VaultToken, Alphabet::BASE64URL, 24, 300),
    run_of("hvb.", Kind::VaultToken, Alphabet::BASE64URL, 138, 300),
    run_of("hvr.", Kind::VaultToken, Alphabet::BASE64URL, 90, 300),
    with("ATATT3", atlassian),
    run_of("dckr_pat_", Kind::DockerToken, Alphabet::BASE64URL, 27, 27),
    run_of("sbp_", Kind::SupabaseToken, Alphabet::LOWER_HEX, 40, 40),
    word("AGE-SECRET-KEY-1", age),
    with("-----BEGIN ", pem::check),
    with("eyJ", jwt::check),
    with("://", url::check),
    word("bearer ", named::bearer),
    word("basic ", named::basic),
    word("passw", named::password),
    word("passphrase", named::password),
    word("pwd", named::password),
    word("secret", named::key),
    word("secret_access_key", named::aws_secret_key),
    word("secretaccesskey", named::aws_secret_key),
    word("secret access key", named::aws_secret_key),
    word("token", named::key),
    word("apikey", named::key),
    word("api_key", named::key),
    word("api-key", named::key),
    word("accesskey", named::key),
    word("access_key", named::key),
    word("access-key", named::key),
    word("private_key", named::key),
    word("privatekey", named::key),
    word("signing_key", named::key),
    word("encryption_key", named::key),
    word("auth_key", named::key),
    word("authkey", named::key),
    word("credential", named::key),
];

/// Where a run of `least` to `most` bytes ends that stands by itself and is no placeholder. The
/// literal before it must begin a word, and no more of the alphabet (nor of words) may follow.
fn run(
    text: Text<'_>,
    start: usize,
    from: usize,
    alphabet: Alphabet,
    least: usize,
    most: usize,
) -> Option<usize> {
    if !text.starts(start, Alphabet::WORD) {
        return None;
    }
    let end = text.run(from, alphabet, most);
    let body = text.slice(from, end);
    let is_whole = body.len() >= least && text.stops(end, alphabet.and(Alphabet::ALNUM));
    (is_whole && !is_placeholder(body)).then_some(end)
}

const fn shaped(kind: Kind, start: usize, end: usize) -> Option<Found> {
    Some(Found { kind, certainty: Certainty::Shaped, start, end })
}

const fn checked(kind: Kind, start: usize, end: usize) -> Option<Found> {
    Some(Found { kind, certainty: Certainty::Checked, start, end })
}

fn aws_access_key(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let end = run(text, start, from, Alphabet::BASE32, 16, 16)?;
    checksum::aws_account(text.slice(from, end))?;
    shaped(Kind::AwsAccessKey, start, end)
}

/// GitHub and npm: the checksum must fit; placeholders do not get that far.
fn crc_token(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let is_refresh = text.has(start, "ghr_");
    let end = text.run(from, Alphabet::ALNUM, 77);
    let is_long = is_refresh && end - from == 76;
    let is_whole = (end - from == 36 || is_long) && text.stops(end, Alphabet::WORD);
    if !is_whole || !text.starts(start, Alphabet::WORD) {
        return None;
    }
    let kind = if text.has(start, "npm_") { Kind::NpmToken } else { Kind::GithubToken };
    let body = text.slice(from, end);
    if !checksum::crc_in_base62(body) {
        return None;
    }
    checked(kind, start, end)
}

fn github_fine_grained(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let middle = text.run(from, Alphabet::ALNUM, 22);
    let end = run(text, start, from, Alphabet::WORD, 82, 82)?;
    let is_split = middle == from + 22 && text.byte(middle) == Some(b'_');
    let has_second = text.run(middle + 1, Alphabet::ALNUM, 59) == end;
    if is_split && has_second { shaped(Kind::GithubFineGrainedToken, start, end) } else { None }
}

/// Twenty characters, or longer and routable: payload, version, length and checksum.
fn gitlab(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    const TAIL: Alphabet = Alphabet::LOWER.and(Alphabet::DIGITS).and(Alphabet::of(b"."));
    let middle = text.run(from, Alphabet::BASE64URL, 300);
    if text.byte(middle) == Some(b'.') && middle - from >= 27 {
        let end = text.run(middle, TAIL, 14);
        // Of the tail, the length has two characters and the checksum seven.
        let tail = text.slice(middle + 1, end);
        let is_tail = matches!(tail, [_, _, b'.', rest @ ..] if rest.len() == 9) || tail.len() == 9;
        let fits = is_tail && checksum::crc_in_base36(text.slice(start, end));
        if fits && text.starts(start, Alphabet::WORD) {
            return checked(Kind::GitlabToken, start, end);
        }
    }
    let most = if text.has(start, "gloas-") || text.has(start, "glagent-") { 64 } else { 26 };
    let end = run(text, start, from, Alphabet::BASE64URL, 20, most)?;
    shaped(Kind::GitlabToken, start, end)
}

/// Letter of the kind, then groups: numbers (one digit of a version, or ids of workspace and user)
/// and at last the random part.
fn slack(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    const GROUPS: Alphabet = Alphabet::ALNUM.and(Alphabet::of(b"-"));
    let letter = text.byte(from).filter(|byte| b"abceoprs".contains(byte))?;
    if text.byte(from + 1) != Some(b'-') || !text.starts(start, Alphabet::WORD) {
        return None;
    }
    let body = from + 2;
    let end = text.run(body, GROUPS, 256);
    let mut groups = text.slice(body, end).rsplit(|byte| *byte == b'-');
    let random = groups.next()?;
    let mut count = 0;
    for group in groups {
        let is_version = letter == b'e' && group.len() == 1;
        let is_number = Alphabet::DIGITS.has_all(group);
        if !is_number || !(is_version || (9..=14).contains(&group.len())) {
            return None;
        }
        count += 1;
    }
    let is_random = (20..=200).contains(&random.len()) && !is_placeholder(random);
    if !(1..=4).contains(&count) || !is_random || !text.stops(end, Alphabet::WORD) {
        return None;
    }
    shaped(Kind::SlackToken, start, end)
}

fn slack_app(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let version = text.run(from, Alphabet::DIGITS, 2);
    let app = text.run(version + 1, Alphabet::UPPER_ALNUM, 16);
    let number = text.run(app + 1, Alphabet::DIGITS, 16);
    let end = text.run(number + 1, Alphabet::LOWER_HEX, 64);
    let is_random = end == number + 65 && !is_placeholder(text.slice(number + 1, end));
    let dashes = [version, app, number].iter().all(|at| text.byte(*at) == Some(b'-'));
    let is_app = text.byte(version + 1) == Some(b'A') && app - version >= 9;
    let is_number = number - app >= 10 && version > from && is_random;
    let is_apart = text.starts(start, Alphabet::WORD) && text.stops(end, Alphabet::WORD);
    if dashes && is_app && is_number && is_apart {
        shaped(Kind::SlackToken, start, end)
    } else {
        None
    }
}

/// Workspace, channel and 24 random characters; the URL without scheme is the secret.
fn slack_webhook(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let team = text.run(from, Alphabet::UPPER_ALNUM, 16);
    let channel = text.run(team + 1, Alphabet::UPPER_ALNUM, 16);
    let end = text.run(channel + 1, Alphabet::ALNUM, 25);
    let slashes = text.byte(team) == Some(b'/') && text.byte(channel) == Some(b'/');
    let letters = text.byte(from) == Some(b'T') && text.byte(team + 1) == Some(b'B');
    let lengths = team - from >= 9 && channel - team >= 9 && end.checked_sub(channel) == Some(25);
    let is_random = !is_placeholder(text.slice(channel + 1, end));
    let is_whole = slashes && letters && lengths && is_random;
    if is_whole { shaped(Kind::SlackWebhook, start, end) } else { None }
}

/// Two random halves around the issuer's name in base64.
fn openai(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    const NAME: &[u8] = b"T3BlbkFJ";
    let end = run(text, start, from, Alphabet::BASE64URL, 48, 220)?;
    let body = text.slice(from, end);
    let at = memchr::memmem::find(body, NAME)?;
    let (before, after) = (body.get(..at)?, body.get(at + NAME.len()..)?);
    let prefix = [&b"proj-"[..], b"svcacct-", b"admin-", b"None-"]
        .iter()
        .find(|prefix| before.starts_with(prefix))
        .map_or(0, |prefix| prefix.len());
    let half = before.len() - prefix;
    if half < 20 || after.len() < 20 {
        return None;
    }
    let is_even = half == after.len() && matches!(half, 20 | 58 | 74);
    let certainty = if is_even { Certainty::Checked } else { Certainty::Shaped };
    Some(Found { kind: Kind::OpenaiKey, certainty, start, end })
}

/// Kind and number of the kind, then 95 characters of which the last two are `AA`.
fn anthropic(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let letters = text.run(from, Alphabet::LOWER, 8);
    let number = text.run(letters, Alphabet::DIGITS, 2);
    let end = run(text, start, number + 1, Alphabet::BASE64URL, 80, 128)?;
    let is_kind = letters - from >= 3 && number == letters + 2 && text.byte(number) == Some(b'-');
    let has_end = text.slice(end - 2, end) == b"AA";
    if is_kind && has_end { shaped(Kind::AnthropicKey, start, end) } else { None }
}

/// Refresh tokens begin like a piece of base64: none of that alphabet may stand before.
fn google_refresh(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let end = run(text, start, from, Alphabet::BASE64URL, 60, 512)?;
    let is_apart = text.starts(start, Alphabet::BASE64.and(Alphabet::BASE64URL));
    let is_whole = is_apart && text.stops(end, Alphabet::BASE64);
    if is_whole { shaped(Kind::GoogleOauthToken, start, end) } else { None }
}

/// 64 bytes in base64, whose 58th to 60th are a mark.
fn azure_storage(text: Text<'_>, mark: usize, after: usize) -> Option<Found> {
    let start = mark.checked_sub(76)?;
    let is_head = text.run_back(mark, Alphabet::BASE64, 76) == start;
    let end = text.run(after, Alphabet::BASE64, 6) + 2;
    let is_tail = end == start + 88 && text.slice(end - 2, end) == b"==";
    let is_apart = text.starts(start, Alphabet::BASE64);
    let is_random = !is_placeholder(text.slice(start, mark));
    let is_whole = is_head && is_tail && is_apart && is_random;
    if is_whole { shaped(Kind::AzureStorageKey, start, end) } else { None }
}

/// Three characters and a digit before the mark, 31 to 34 characters after it.
fn azure_client_secret(text: Text<'_>, mark: usize, after: usize) -> Option<Found> {
    const FIRST: Alphabet = Alphabet::WORD.and(Alphabet::of(b"~."));
    const REST: Alphabet = FIRST.and(Alphabet::of(b"-"));
    let start = mark.checked_sub(4)?;
    let is_head = FIRST.has_all(text.slice(start, mark - 1))
        && text.before(mark).is_some_and(|byte| Alphabet::DIGITS.has(byte));
    let end = text.run(after, REST, 34);
    let is_whole =
        is_head && end - after >= 31 && text.stops(end, REST) && text.starts(start, REST);
    if is_whole && !is_placeholder(text.slice(after, end)) {
        return shaped(Kind::AzureClientSecret, start, end);
    }
    None
}

/// A macaroon: location and a UUID as identifier, in base64.
fn pypi(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let body = start + "pypi-".len();
    let end = text.run(body, Alphabet::BASE64URL, 1200);
    let mut bytes = [0; 60];
    let head = checksum::base64(text.slice(body, from + 56), &mut bytes)?;
    let location: &[u8] = if text.has(from, "CJ") {
        b"\x02\x01\x08pyp\x69.org"
    } else {
        b"\x02\x01\x0dtest.pyp\x69.org"
    };
    let id = head.strip_prefix(location)?.strip_prefix(&[0x02, 0x24])?.get(..32)?;
    let is_id = id.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let is_whole = end - body >= 100 && text.starts(start, Alphabet::WORD);
    if is_id && is_whole { checked(Kind::PypiToken, start, end) } else { None }
}

fn sendgrid(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let middle = text.run(from, Alphabet::BASE64URL, 22);
    let end = run(text, start, middle + 1, Alphabet::BASE64URL, 43, 43)?;
    let is_split = middle == from + 22 && text.byte(middle) == Some(b'.');
    if is_split { shaped(Kind::SendgridKey, start, end) } else { None }
}

/// Sixty characters after four that base64 of binary data often has: it must stand apart.
fn square(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let end = run(text, start, from, Alphabet::BASE64URL, 60, 60)?;
    let is_apart = text.starts(start, Alphabet::BASE64.and(Alphabet::BASE64URL));
    let is_whole = is_apart && text.stops(end, Alphabet::BASE64.and(Alphabet::of(b"=")));
    if is_whole { shaped(Kind::SquareToken, start, end) } else { None }
}

/// 186 characters with the checksum behind an equals sign.
fn atlassian(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    const BODY: Alphabet = Alphabet::BASE64URL.and(Alphabet::of(b"="));
    let end = run(text, start, from, BODY, 186, 186)?;
    let has_sign = text.byte(end - 9) == Some(b'=');
    if has_sign { shaped(Kind::AtlassianToken, start, end) } else { None }
}

/// Bech32 with the name `age-secret-key-` (age specification).
fn age(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let end = text.run(from, Alphabet::ALNUM, 59);
    let is_whole = end - from == 58 && text.starts(start, Alphabet::WORD);
    if is_whole && checksum::bech32(b"age-secret-key-", text.slice(from, end)) {
        return checked(Kind::AgeSecretKey, start, end);
    }
    None
}
