use std::path::Path;

use super::config::Spec;
use super::*;
use crate::portal::principal::{Owner, Proof};
use crate::portal::wire::{self, Message};

/// Obviously fake, and of the right shape.
const AWS: &str = "AKIAQ3EGRWZ5WBL7KXPA";
const CARD: &str = "4532 0151 1283 0366";

fn guard(yaml: &str) -> Guard {
    let spec: Spec = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}"));
    Guard::new(
        spec.check(Path::new("/nonexistent")).unwrap_or_else(|problems| panic!("{problems:?}")),
    )
}

/// Without rules: what the detectors alone do.
fn quiet(more: &str) -> Guard {
    let more = if more == "{}" { "" } else { more };
    guard(&format!("rules: {{enforce: false}}\n{more}"))
}

const REDACT: &str = "defaults: {secrets: redact, guessed: redact, personal: redact}";

fn somebody(groups: &[&str]) -> Principal {
    Principal {
        owner: Owner { issuer: "i".into(), subject: "ada".into(), client: "c".into() },
        name: None,
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
        scopes: Arc::from([]),
        proof: Proof::Token,
        expires: None,
        shown: None,
    }
}

struct Given {
    who: Principal,
    place: Place,
    method: &'static str,
    name: &'static str,
    params: Raw,
    headers: Vec<(Box<str>, Box<str>)>,
}

impl Given {
    fn of(params: &str) -> Self {
        Self {
            who: somebody(&["staff"]),
            place: Place::of("s", "https://mcp.example.com/mcp"),
            method: "tools/call",
            name: "note",
            params: RawValue::from_string(params.to_owned()).unwrap(),
            headers: Vec::new(),
        }
    }

    fn call(&self) -> Call<'_> {
        Call {
            who: &self.who,
            client: Some("10.0.0.7:4000".parse().unwrap()),
            user_agent: None,
            server: "s",
            place: &self.place,
            method: self.method,
            name: Some(self.name),
            params: Some(&self.params),
            param_headers: &self.headers,
            at: Timestamp::from_parts(1_794_816_000, 0),
        }
    }
}

fn request(guard: &Guard, params: &str) -> Outcome {
    guard.request(&Given::of(params).call())
}

/// What goes on, or the kind that was blocked in angle brackets.
fn after(outcome: &Outcome, before: &str) -> String {
    match &outcome.verdict {
        Verdict::Pass => before.to_owned(),
        Verdict::Changed(raw) => raw.get().to_owned(),
        Verdict::Blocked(blocked) => format!("<{}>", blocked.kind),
    }
}

fn redacted(params: &str) -> String {
    after(&request(&quiet(REDACT), params), params)
}

fn result(text: &str) -> Raw {
    RawValue::from_string(text.to_owned()).unwrap()
}

#[test]
fn redaction_keeps_everything_else_byte_for_byte() {
    let (open, shut) =
        (r#"{ "name":"note" ,"arguments":{"a":[1.50e0,"x"#, "y\",null ]}, \"z\":{} }");
    for (inside, want) in [
        (format!("key {AWS}."), "key [redacted:aws-access-key].".to_owned()),
        (format!("{AWS} {AWS}"), "[redacted:aws-access-key] [redacted:aws-access-key]".to_owned()),
        (format!("\\n{AWS}\\t"), "\\n[redacted:aws-access-key]\\t".to_owned()),
        (format!("card {CARD}"), "card [redacted:card]".to_owned()),
        ("plain ä \\ud83d\\ude00".to_owned(), "plain ä \\ud83d\\ude00".to_owned()),
    ] {
        let (before, want) = (format!("{open} {inside} {shut}"), format!("{open} {want} {shut}"));
        assert_eq!(redacted(&before), want);
    }
}

#[test]
fn secrets_are_found_however_a_string_is_written() {
    let escaped: String = AWS.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let base64 = "cGxlYXNlIHVzZSBBS0lBUTNFR1JXWjVXQkw3S1hQQSBub3c="; // please use AKIA... now
    let percent: String = AWS.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for (params, want) in [
        (format!(r#"{{"t":"{escaped}"}}"#), r#"{"t":"[redacted:aws-access-key]"}"#),
        (format!(r#"{{"t":"a {escaped} b"}}"#), r#"{"t":"a [redacted:aws-access-key] b"}"#),
        (format!(r#"{{"t":"\u0041KIA{}"}}"#, &AWS[4..]), r#"{"t":"[redacted:aws-access-key]"}"#),
        (format!(r#"{{"t":"{base64}"}}"#), r#"{"t":"[redacted:aws-access-key]"}"#),
        (format!(r#"{{"t":"{percent}"}}"#), r#"{"t":"[redacted:aws-access-key]"}"#),
        (format!(r#"{{"{AWS}":1}}"#), r#"{"[redacted:aws-access-key]":1}"#),
        (
            r#"{"t":"{\"password\":\"hK9#mQ2$vL5xR8\"}"}"#.to_owned(),
            r#"{"t":"{\"password\":\"[redacted:password-assignment]\"}"}"#,
        ),
        (
            r#"{"pass\u0077ord":"hK9#mQ2$vL5xR8"}"#.to_owned(),
            r#"{"pass\u0077ord":"[redacted:password-assignment]"}"#,
        ),
    ] {
        assert_eq!(redacted(&params), want, "{params}");
    }
}

#[test]
fn two_names_that_are_edited_stay_two() {
    let other = "AKIAQ3EGRWZ5WBL7KXPB";
    let edited = redacted(&format!(r#"{{"{AWS}":1,"{other}":2}}"#));
    assert_eq!(edited, r#"{"[redacted:aws-access-key]":1,"[redacted:aws-access-key#2]":2}"#);
    assert!(wire::check(edited.as_bytes(), 8).is_ok());
}

#[test]
fn a_number_that_is_redacted_becomes_a_string() {
    let edited = redacted(r#"{"card":4532015112830366,"n":1}"#);
    assert_eq!(edited, r#"{"card":"[redacted:card]","n":1}"#);
}

#[test]
fn more_secrets_than_the_detectors_report_at_once_are_all_found() {
    let many: Vec<String> =
        (0..200).map(|n| format!(r#""AKIAQ3EGRWZ5WBL7{}""#, letters(n))).collect();
    let edited =
        redacted(&format!("[{}]", many.join(",")).replace('[', "{\"a\":[").replace(']', "]}"));
    assert!(!edited.contains("AKIA"), "{edited}");
    assert_eq!(edited.matches("[redacted:aws-access-key]").count(), 200);
}

/// Four letters and digits of a key.
fn letters(number: usize) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    (0..4).map(|at| char::from(alphabet[((number * 7 + 3) >> (at * 2)) & 31])).collect()
}

#[test]
fn with_too_many_finds_nothing_passes() {
    let many = format!("{AWS} ").repeat(detect::MAX_HITS + 1);
    let params = format!(r#"{{"t":"{many}"}}"#);
    assert_eq!(redacted(&params), "<aws-access-key>");
    let allowed = quiet("defaults: {secrets: allow, guessed: allow}");
    assert!(matches!(request(&allowed, &params).verdict, Verdict::Pass));
}

#[test]
fn kinds_directions_and_exceptions_decide() {
    let yaml = "
defaults: {secrets: {request: block, response: redact}}
kinds: {card: {request: redact}, iban: block}
exceptions:
  - {kinds: [aws-*], servers: [s], tools: [note], groups: [admins], action: allow}
  - {kinds: [card], direction: response, action: block}
";
    let guard = quiet(yaml);
    let secret = format!(r#"{{"t":"{AWS}"}}"#);
    assert_eq!(after(&request(&guard, &secret), &secret), "<aws-access-key>");
    let mut given = Given::of(&secret);
    given.who = somebody(&["admins"]);
    assert!(matches!(guard.request(&given.call()).verdict, Verdict::Pass));
    given.name = "other";
    assert!(!guard.request(&given.call()).passes());
    let heard = guard.heard(&Given::of("{}").call(), Part::Result(&result(&secret)));
    assert_eq!(after(&heard, ""), r#"{"t":"[redacted:aws-access-key]"}"#);
    let card = format!(r#"{{"t":"visa card {CARD}"}}"#);
    assert_eq!(after(&request(&guard, &card), &card), r#"{"t":"visa card [redacted:card]"}"#);
    let heard = guard.heard(&Given::of("{}").call(), Part::Result(&result(&card)));
    assert_eq!(after(&heard, ""), "<card>");
}

#[test]
fn findings_count_kinds_and_name_no_value() {
    let params = format!(r#"{{"arguments":{{"a":["x","{AWS} {AWS}"]}},"{AWS}":"{AWS}"}}"#);
    let outcome = request(&quiet("defaults: {secrets: allow}"), &params);
    let [found] = outcome.findings.as_slice() else { panic!("{:?}", outcome.findings) };
    assert_eq!((&*found.kind, found.count, found.action), ("aws-access-key", 4, Action::Allow));
    assert_eq!(&*found.pointer, "/arguments/a/1");
    let in_name =
        request(&quiet("defaults: {secrets: allow}"), &format!(r#"{{"{AWS}":{{"b":"{AWS}"}}}}"#));
    assert!(!format!("{:?}", in_name.findings).contains(AWS), "{:?}", in_name.findings);
}

#[test]
fn a_key_may_go_to_whoever_issued_it() {
    let secret = format!(r#"{{"t":"{AWS}"}}"#);
    let mut given = Given::of(&secret);
    given.place = Place::of("s", "https://mcp.aws.amazon.com/mcp");
    assert!(matches!(guard("{}").request(&given.call()).verdict, Verdict::Pass));
    assert!(!quiet("own_keys: false").request(&given.call()).passes());
}

#[test]
fn every_part_of_an_answer_is_looked_at_and_binary_data_left_alone() {
    let guard = quiet("{}");
    let image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAKIAQ3EGRWZ5WBL7KXPA9awAAAA";
    let text = format!(
        r#"{{"content":[{{"type":"text","text":"{AWS}"}},{{"type":"image","data":"{image}"}},
        {{"type":"resource","resource":{{"uri":"file:///x","text":"a {AWS}"}}}}],
        "structuredContent":{{"k":"{AWS}"}},"_meta":{{"x/y":"{AWS}"}}}}"#
    );
    let heard = guard.heard(&Given::of("{}").call(), Part::Result(&result(&text)));
    // The image has the letters of a key by chance.
    let want = text.replace(AWS, "[redacted:aws-access-key]");
    let broken = image.replace(AWS, "[redacted:aws-access-key]");
    assert_eq!(after(&heard, ""), want.replace(&broken, image));
    assert_eq!(heard.findings[0].count, 4);
    // A request has no binary data: there a member named so is like any other.
    let upload = format!(
        r#"{{"data":"{}"}}"#,
        "cGxlYXNlIHVzZSBBS0lBUTNFR1JXWjVXQkw3S1hQQSBub3cgYW5kIHRlbGwgbm9ib2R5IG9mIGl0"
    );
    assert_eq!(after(&request(&guard, &upload), ""), "<aws-access-key>");
    let blob = upload.replace("data", "blob");
    let passes = guard.heard(&Given::of("{}").call(), Part::Result(&result(&blob)));
    assert!(matches!(passes.verdict, Verdict::Pass) && passes.findings.len() == 1);
    let blocked = quiet("defaults: {secrets: block}")
        .heard(&Given::of("{}").call(), Part::Result(&result(&blob)));
    assert_eq!(after(&blocked, ""), "<aws-access-key>");
}

#[test]
fn errors_notifications_and_questions_of_servers_are_looked_at() {
    let guard = quiet("{}");
    let given = Given::of("{}");
    for (text, want) in [
        (
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"no {AWS}","data":{{"k":"{AWS}"}}}}}}"#
            ),
            r#"{"code":-32000,"message":"no [redacted:aws-access-key]","data":{"k":"[redacted:aws-access-key]"}}"#,
        ),
        (
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"data":"{AWS}"}}}}"#
            ),
            r#"{"data":"[redacted:aws-access-key]"}"#,
        ),
        (
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{{"message":"{AWS}"}}}}"#
            ),
            r#"{"message":"[redacted:aws-access-key]"}"#,
        ),
    ] {
        let message = Message::parse(text.as_bytes(), 64).unwrap();
        let part = match &message {
            Message::Request(of) => Part::Request(&of.method, of.params.as_deref()),
            Message::Notification(of) => Part::Notification(&of.method, of.params.as_deref()),
            Message::Response(of) => Part::Error(of.outcome.as_ref().unwrap_err()),
        };
        assert_eq!(after(&guard.heard(&given.call(), part), ""), want);
    }
    let answer = result(&format!(r#"{{"action":"accept","content":{{"k":"{AWS}"}}}}"#));
    assert_eq!(after(&guard.heard(&given.call(), Part::Reply(&answer)), ""), "<aws-access-key>");
}

/// P33: values of `x-mcp-header` parameters may hold secrets.
#[test]
fn p33_headers_that_mirror_arguments_are_looked_at_like_them() {
    let mut given = Given::of(r#"{"arguments":{}}"#);
    given.headers =
        vec![("Mcp-Param-Region".into(), "eu".into()), ("Mcp-Param-Key".into(), AWS.into())];
    let blocked = quiet("{}").request(&given.call());
    assert_eq!(after(&blocked, ""), "<aws-access-key>");
    assert_eq!(&*blocked.findings[0].pointer, "header:Mcp-Param-Key");
    let edited = quiet(REDACT).request(&given.call());
    let headers = edited.param_headers.unwrap();
    assert_eq!((&*headers[0].1, &*headers[1].1), ("eu", "[redacted:aws-access-key]"));
}

#[test]
fn kinds_of_ones_own_are_looked_for_in_each_string_by_itself() {
    let guard = quiet(
        "custom: [{name: ticket, regex: '^SEC-\\d+$'}, {name: project, words: [Blue Bird], action: block}]",
    );
    let cases = [
        (r#"{"a":"SEC-12","b":"x SEC-12"}"#, r#"{"a":"[redacted:ticket]","b":"x SEC-12"}"#),
        (r#"{"a":"SEC\u002d12"}"#, r#"{"a":"[redacted:ticket]"}"#),
        (r#"{"a":"the blue bird flies"}"#, "<project>"),
        (r#"{"a":"bluebird"}"#, r#"{"a":"bluebird"}"#),
    ];
    for (params, want) in cases {
        assert_eq!(after(&request(&guard, params), params), want);
    }
}

#[test]
fn what_is_refused_is_told_by_its_kind_alone() {
    let blocked = request(&quiet("contact: it@corp.example"), &format!(r#"{{"t":"{AWS}"}}"#));
    let Verdict::Blocked(blocked) = blocked.verdict else { panic!() };
    let error = serde_json::to_string(&blocked.error()).unwrap();
    assert!(!error.contains(AWS));
    assert!(error.contains("aws-access-key") && error.contains("it@corp.example"), "{error}");
    assert!(error.starts_with(r#"{"code":-32080,"#), "{error}");
}

#[test]
fn rules_of_the_enforce_lane_refuse_with_id_and_reason() {
    let guard = guard("defaults: {secrets: allow}");
    let path = request(&guard, r#"{"name":"read","arguments":{"path":"../../../etc/passwd"}}"#);
    let Verdict::Blocked(blocked) = &path.verdict else { panic!("{path:?}") };
    assert_eq!(blocked.refusal.as_ref().unwrap().rule.id, "SMCP-5022");
    assert_eq!(path.rules, ["SMCP-5022".into()]);
    assert_eq!(blocked.error().code, code::REFUSED);
    let secret = request(&guard, &format!(r#"{{"name":"n","arguments":{{"t":"{AWS}"}}}}"#));
    assert_eq!(secret.rules, ["SMCP-5010".into()]);
    assert!(request(&guard, r#"{"name":"read","arguments":{"path":"a.txt"}}"#).rules.is_empty());
}

#[test]
fn what_the_configuration_lets_through_no_rule_of_secrets_refuses() {
    let guard = guard("exceptions: [{kinds: [aws-access-key], action: allow}]");
    let params = format!(r#"{{"name":"n","arguments":{{"t":"{AWS}"}}}}"#);
    assert!(matches!(request(&guard, &params).verdict, Verdict::Pass));
}

#[test]
fn a_definition_that_a_rule_refuses_does_not_cost_the_list() {
    let guard = guard("{}");
    let mut given = Given::of("{}");
    given.method = "tools/list";
    let hidden = r"Adds.\udb40\udc53\udb40\udc65\udb40\udc6e\udb40\udc64";
    let list = format!(
        r#"{{"tools":[{{"name":"good","x":1e1}},{{"name":"bad","description":"{hidden}"}}],"nextCursor":"n"}}"#
    );
    let heard = guard.heard(&given.call(), Part::Result(&result(&list)));
    assert_eq!(after(&heard, ""), r#"{"tools":[{"name":"good","x":1e1}],"nextCursor":"n"}"#);
    let dropped = Dropped { kind: "tool", name: "bad".into(), rule: "SMCP-4002".into() };
    assert_eq!(heard.dropped, [dropped]);
}

#[test]
fn what_the_guard_goes_by_is_replaced_while_it_works() {
    let guard = quiet("{}");
    let secret = format!(r#"{{"t":"{AWS}"}}"#);
    assert!(!request(&guard, &secret).passes());
    let spec: Spec =
        serde_saphyr::from_str("{defaults: {secrets: allow}, rules: {enforce: false}}").unwrap();
    guard.replace(spec.check(Path::new("/")).unwrap());
    assert!(request(&guard, &secret).passes());
}

#[test]
fn all_that_is_wrong_in_the_section_is_told_at_once() {
    let yaml = "
kinds: {github-tokne: block}
custom:
  - {name: A, regex: a}
  - {name: b}
  - {name: c, regex: '('}
  - {name: d, regex: 'x*'}
  - {name: card, words: [x]}
  - {name: e, file: words.txt}
exceptions: [{kinds: [nothing-like-it], action: allow}]
rules: {files: [no-such-folder]}
";
    let spec: Spec = serde_saphyr::from_str(yaml).unwrap();
    let problems = spec.check(Path::new("/nonexistent")).unwrap_err();
    let all = problems.join("\n");
    for part in [
        "guard.custom[0].name",
        "guard.custom[1].regex: give",
        "guard.custom[2].regex",
        "guard.custom[3].regex: it matches nothing at all",
        "guard.custom[4].name: card is the name of another kind",
        "guard.custom[5].file: cannot read /nonexistent/words.txt",
        "guard.kinds.github-tokne: no such kind; did you mean github-token?",
        "guard.exceptions[0].kinds",
        "guard.rules: cannot read rules",
    ] {
        assert!(all.contains(part), "{part} in\n{all}");
    }
    assert!(serde_saphyr::from_str::<Spec>("{kind: {}}").is_err());
}

#[test]
fn places_name_servers_as_the_sensor_does() {
    for (url, key, host) in [
        ("https://MCP.Example.com/mcp?x=1", "https://mcp.example.com:443/mcp", "mcp.example.com"),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080/", "2001:db8::1"),
        ("npx some-server", "stdio:s", ""),
    ] {
        let place = Place::of("s", url);
        assert_eq!((place.key.as_str(), place.host.as_str()), (key, host));
    }
}

proptest::proptest! {
    /// Whatever a text holds, what goes on is strict JSON of the same shape, without what was found.
    #[test]
    fn redaction_keeps_json_valid_and_leaves_nothing(
        parts in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::strategy::Just(AWS.to_owned()),
                proptest::strategy::Just(format!("card {CARD}")),
                proptest::strategy::Just(r"\u0041KIAQ3EGRWZ5WBL7KXPA".to_owned()),
                "[ -~äé]{0,12}".prop_map(|text| {
                    let quoted = serde_json::to_string(&text).unwrap();
                    quoted[1..quoted.len() - 1].to_owned()
                }),
            ],
            0..12,
        ),
    ) {
        let body: Vec<String> = parts.iter().enumerate()
            .map(|(at, part)| format!("\"k{at}\": [ \"{part}\" , {at}]"))
            .collect();
        let before = format!("{{{}}}", body.join(","));
        let edited = redacted(&before);
        proptest::prop_assert!(wire::check(edited.as_bytes(), 16).is_ok(), "{}", edited);
        let decoded: serde_json::Value = serde_json::from_str(&edited).unwrap();
        proptest::prop_assert!(!decoded.to_string().contains(AWS), "{}", edited);
        proptest::prop_assert_eq!(decoded.as_object().unwrap().len(), parts.len());
        // Once more changes nothing.
        proptest::prop_assert_eq!(redacted(&edited), edited);
    }
}
use proptest::strategy::Strategy as _;
