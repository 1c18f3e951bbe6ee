use super::config::{RateSpec, Spec, ToolRateSpec};
use super::*;
use crate::portal::principal::Proof;

fn who(subject: &str, client: &str) -> Principal {
    Principal {
        owner: Owner { issuer: "i".into(), subject: subject.into(), client: client.into() },
        name: None,
        groups: Arc::from([]),
        scopes: Arc::from([]),
        proof: Proof::Token,
        expires: None,
        shown: None,
    }
}

fn rate(calls: u32, per: &str) -> RateSpec {
    RateSpec { calls, per: per.to_owned(), burst: None }
}

fn limits(spec: Spec) -> Limits {
    Limits::new(spec.check().unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn none() -> Spec {
    Spec { per_subject: None, ..Spec::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_person_is_limited_whatever_client_acts_for_them_and_others_are_not() {
    let limits = limits(Spec { per_subject: Some(rate(2, "10s")), ..none() });
    let server = Arc::from("s");
    let call =
        |person: &Principal, at| limits.admit_at(person, &server, None, seconds(at)).map(drop);
    assert!(call(&who("ada", "a"), 0).is_ok());
    assert!(call(&who("ada", "b"), 0).is_ok());
    let refused = call(&who("ada", "c"), 0).unwrap_err();
    assert_eq!(refused, Refused { limit: Limit::SubjectRate, retry_after: seconds(5) });
    assert!(call(&who("bob", "a"), 0).is_ok());
    assert!(call(&who("ada", "a"), 4).is_err());
    assert!(call(&who("ada", "a"), 5).is_ok());
}

#[test]
fn a_refused_call_takes_nothing_from_any_rate() {
    let per_tool = vec![ToolRateSpec {
        servers: vec!["s".into()],
        tools: vec!["delete_*".into()],
        rate: rate(1, "1h"),
    }];
    let limits = limits(Spec { per_subject: Some(rate(3, "1h")), per_tool, ..none() });
    let server = Arc::from("s");
    let call = |tool| limits.admit_at(&who("ada", ""), &server, Some(tool), seconds(0)).map(drop);
    assert!(call("delete_all").is_ok());
    for _ in 0..10 {
        assert_eq!(call("delete_all").unwrap_err().limit, Limit::ToolRate);
    }
    assert!(call("delete_one").is_ok());
    assert!(call("read").is_ok());
    assert_eq!(call("read").unwrap_err().limit, Limit::SubjectRate);
}

#[test]
fn a_server_is_limited_for_all_together() {
    let limits = limits(Spec { per_server: Some(rate(2, "1m")), ..none() });
    let call = |person: &str, server: &str| {
        limits.admit_at(&who(person, ""), &server.into(), None, seconds(0)).map(drop)
    };
    assert!(call("ada", "s").is_ok() && call("bob", "s").is_ok());
    assert_eq!(call("eve", "s").unwrap_err().limit, Limit::ServerRate);
    assert!(call("eve", "t").is_ok());
}

#[test]
fn calls_under_way_are_counted_until_their_permits_are_dropped() {
    let concurrency = config::ConcurrencySpec { subject: 2, server: 3, all: 4 };
    let limits = limits(Spec { concurrency, ..none() });
    let call = |person: &str, server: &str| {
        limits.admit_at(&who(person, ""), &server.into(), None, seconds(0))
    };
    let first = call("ada", "s").unwrap();
    let _second = call("ada", "s").unwrap();
    assert_eq!(call("ada", "t").unwrap_err().limit, Limit::SubjectConcurrency);
    let _third = call("bob", "s").unwrap();
    assert_eq!(call("bob", "s").unwrap_err().limit, Limit::ServerConcurrency);
    let _fourth = call("bob", "t").unwrap();
    assert_eq!(call("eve", "u").unwrap_err().limit, Limit::Concurrency);
    drop(first);
    assert_eq!(limits.under_way(), 3);
    let _fifth = call("ada", "u").unwrap();
    drop((_second, _third, _fourth, _fifth));
    assert_eq!(limits.under_way(), 0);
    let state = lock(&limits.state);
    assert!(state.busy_subjects.is_empty() && state.busy_servers.is_empty());
}

#[test]
fn a_full_table_forgets_nobody_who_is_at_a_limit() {
    let limits = limits(Spec { per_subject: Some(rate(1, "100s")), max_tracked: 10, ..none() });
    let server = Arc::from("s");
    let call =
        |person: &str, at| limits.admit_at(&who(person, ""), &server, None, seconds(at)).map(drop);
    for number in 0..10 {
        assert!(call(&format!("p{number}"), 0).is_ok());
    }
    // No room: those who come share one rate.
    assert!(call("x0", 1).is_ok());
    for number in 0..100 {
        assert!(call(&format!("x{number}"), 2).is_err());
        assert!(call(&format!("p{}", number % 10), 2).is_err());
    }
    assert_eq!(limits.tracked()[0], 10);
    // All are rested: there is room again.
    assert!(call("x1", 200).is_ok());
    assert_eq!(limits.tracked()[0], 1);
}

#[test]
fn an_answer_ends_at_its_bound() {
    let sizes = Sizes { max_body_bytes: 0, max_depth: 1, max_response_bytes: 10 };
    let mut meter = Meter::new(sizes);
    assert!(meter.take(6).is_ok() && meter.take(4).is_ok());
    assert_eq!(meter.take(1).unwrap_err().limit, Limit::ResponseBytes);
}

#[test]
fn refusals_tell_the_limit_and_when_to_come_again() {
    let refused = Refused { limit: Limit::ToolRate, retry_after: Duration::from_millis(1_200) };
    let error = refused.error();
    assert_eq!(error.data.unwrap().get(), r#"{"kind":"tool-rate","retry_after_seconds":2}"#);
    assert_eq!(&*error.message, "refused: too many calls (tool-rate); try again in 2 s");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let yaml = "
per_subject: {calls: 0}
per_server: {calls: 1, per: soon}
per_tool: [{rate: {calls: 1, burst: 0}}]
concurrency: {all: 0}
max_depth: 200
max_body_bytes: 1
";
    let spec: Spec = serde_saphyr::from_str(yaml).unwrap();
    let all = spec.check().unwrap_err().join("\n");
    for part in [
        "limits.per_subject.calls",
        "limits.per_server.per",
        "limits.per_tool[0].rate.burst",
        "limits.concurrency.all",
        "limits.max_depth",
        "limits.max_body_bytes",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    assert!(serde_saphyr::from_str::<Spec>("{rates: 1}").is_err());
    assert!(Spec::default().check().is_ok());
}
