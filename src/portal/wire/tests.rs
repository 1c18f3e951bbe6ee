use super::*;

fn parse(text: &str) -> Result<Message, Malformed> {
    Message::parse(text.as_bytes(), 16)
}

#[test]
fn messages_go_as_they_came() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","x":1.50,"y":[ 1,2 ]}}"#,
        r#"{"jsonrpc":"2.0","id":"a\"b","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":-7,"result":{"new":{"deep":[1e300]}}}"#,
        r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no","data":[1]}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#,
    ] {
        assert_eq!(parse(text).unwrap().to_json(), text);
    }
}

#[test]
fn what_is_no_strict_message_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "not JSON: EOF"),
        ("{} x", "trailing"),
        ("[1e400]", "range"),
        (r#"{"jsonrpc":"2.0","method":"a","method":"b"}"#, "same name"),
        (r#"{"jsonrpc":"2.0","method":"a","\u006dethod":"b"}"#, "same name"),
        (r#"{"jsonrpc":"2.0","method":"a","params":{"x":[{"k":1,"k":1}]}}"#, "same name"),
        (r#"{"jsonrpc":"1.0","method":"a"}"#, "`jsonrpc`"),
        (r#"{"method":"a"}"#, "`jsonrpc`"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, "null"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, "`params`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#, "more than one"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "without an `id`"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "neither"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#, "no JSON-RPC message"),
        ("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "deeply"),
    ] {
        let said = parse(text).unwrap_err().to_string();
        assert!(said.contains(reason), "{text}: {said}");
    }
    assert_eq!(check(b"\"\xFF\"", 16), Err(Malformed::NotUtf8(1)));
}

#[test]
fn keys_are_told_apart_however_many_there_are() {
    let object = |last: &str| {
        let members: Vec<_> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
        format!("{{{},\"{last}\":0}}", members.join(","))
    };
    assert!(check(object("k100").as_bytes(), 16).is_ok());
    for last in ["k0", "k11", "k12", "k99"] {
        assert!(check(object(last).as_bytes(), 16).is_err(), "{last}");
    }
}

#[test]
fn depth_is_counted_as_said() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(check(nested(16).as_bytes(), 16).is_ok());
    assert!(check(nested(17).as_bytes(), 16).is_err());
    assert!(check(nested(127).as_bytes(), 1_000).is_ok());
    assert!(check(nested(128).as_bytes(), 1_000).is_err());
}

#[test]
fn an_edit_leaves_the_rest_as_it_is() {
    let before: Raw = serde_json::from_str(r#"{"b": 1.50 ,"name":"x","_meta":{"k":1e2}}"#).unwrap();
    let changes = vec![("name", Some(raw(&"y"))), ("b", None), ("new", Some(raw(&[1])))];
    let after = object(Some(&before), changes);
    assert_eq!(after.get(), r#"{"name":"y","_meta":{"k":1e2},"new":[1]}"#);
    assert_eq!(text(Some(&before), "name").as_deref(), Some("x"));
    assert_eq!(member::<i64>(Some(&before), "name"), None);
    assert_eq!(object(None, Vec::new()).get(), "{}");
}

#[test]
fn a_member_is_found_by_what_its_name_means_and_stands_where_it_came() {
    let of: Raw = serde_json::from_str(r#"{"a":{"b":0},"\u0062" : [ 1 ],"c":null}"#).unwrap();
    for (name, want) in [("a", Some(r#"{"b":0}"#)), ("b", Some("[ 1 ]")), ("c", Some("null"))] {
        assert_eq!(held(Some(&of), name).map(RawValue::get), want, "{name}");
    }
    assert!(held(Some(&of), "d").is_none() && held(None, "a").is_none());
    assert!(held(Some(&raw(&[1])), "a").is_none());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        drop(Message::parse(&bytes, 16));
    }

    #[test]
    fn what_serde_writes_is_strict(value: i64, key: String, text: String) {
        let json = serde_json::json!({ "a": { key: [text, value] } }).to_string();
        proptest::prop_assert_eq!(check(json.as_bytes(), 16), Ok(&*json));
    }
}
