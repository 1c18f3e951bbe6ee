//! What whole lists, several clients and several servers show.

use super::*;
use ChangeKind::{Added, First, Meaning, Returned, Same, Shape, Unknown, Upgrade, Wording};

fn tools(names: &[&str]) -> Vec<Definition> {
    names.iter().map(|name| named(name, "")).collect()
}

fn removed(lesson: &Lesson) -> Vec<&str> {
    lesson.removed.iter().map(|removed| removed.name.as_str()).collect()
}

#[test]
fn names_come_and_go() {
    let mut memory = Memory::default();
    for (names, expected, gone) in [
        (&["a", "b"][..], &[First, First][..], &[][..]),
        (&["a", "b"], &[Same, Same], &[]),
        (&["a", "b", "c"], &[Same, Same, Added], &[]),
        (&["a"], &[Same], &["b", "c"]),
        (&["a", "c"], &[Same, Returned], &[]),
        (&[], &[], &["a", "c"]),
        (&["a", "a"], &[Returned, Unknown], &[]),
    ] {
        let lesson = memory.learn_list(SERVER, &tools(names), &look(0));
        assert_eq!(kinds(&lesson), expected, "{names:?}");
        assert_eq!(removed(&lesson), gone, "{names:?}");
    }
    assert_eq!(memory.dropped().definitions, 1);
}

#[test]
fn an_empty_first_list_is_a_list() {
    let mut memory = Memory::default();
    memory.learn_list(SERVER, &[], &look(0));
    assert_eq!(kinds(&memory.learn_list(SERVER, &tools(&["a"]), &look(1))), [Added]);
}

#[test]
fn pages_are_one_list() {
    let page = |first, last| Sighting { page: Page { first, last, complete: true }, ..look(0) };
    let mut memory = Memory::default();
    let mut learn = |names: &[&str], sighting: &Sighting<'_>| {
        let lesson = memory.learn_list(SERVER, &tools(names), sighting);
        let names: Vec<_> = removed(&lesson).into_iter().map(str::to_owned).collect();
        (kinds(&lesson), names)
    };
    let none = Vec::<String>::new;
    assert_eq!(learn(&["a"], &page(true, false)), (vec![First], none()));
    // Another client in between, and one that only reads the end.
    let other = Sighting { client: ip(2), ..page(false, true) };
    assert_eq!(learn(&["x"], &other), (vec![First], none()));
    assert_eq!(learn(&["b"], &page(false, false)), (vec![First], none()));
    assert_eq!(learn(&["c"], &page(false, true)), (vec![First], none()));
    // Now it was seen whole.
    assert_eq!(learn(&["a"], &page(true, false)), (vec![Same], none()));
    assert_eq!(learn(&["d"], &page(false, true)), (vec![Added], vec!["b".into(), "c".into()]));
    // A page that was cut tells nothing of what is gone.
    let cut = Sighting { page: Page { first: false, last: false, complete: false }, ..look(0) };
    learn(&["a"], &page(true, false));
    learn(&[], &cut);
    assert_eq!(learn(&["e"], &page(false, true)), (vec![Added], none()));
}

#[test]
fn users_with_other_tools_are_no_news() {
    let user = |number: u8, at| Sighting {
        client: ip(number),
        credential: credential(number),
        ..look(at)
    };
    let mut memory = Memory::default();
    memory.learn_list(SERVER, &tools(&["a"]), &user(1, 0));
    let second = memory.learn_list(SERVER, &tools(&["a", "admin"]), &user(2, 1));
    assert_eq!(kinds(&second), [Same, First]);
    let first = memory.learn_list(SERVER, &tools(&["a"]), &user(1, 2));
    assert!(first.removed.is_empty());
    // Somebody else saw it before: for this one it is added all the same.
    let first = memory.learn_list(SERVER, &tools(&["a", "admin"]), &user(1, 3));
    assert_eq!(kinds(&first), [Same, Added]);
}

#[test]
fn a_renewed_credential_keeps_the_view_unless_two_are_in_use() {
    let with = |token: u8, at| Sighting { credential: credential(token), ..look(at) };
    let mut memory = Memory::default();
    memory.learn_list(SERVER, &tools(&["a"]), &with(1, 0));
    assert_eq!(kinds(&memory.learn_list(SERVER, &tools(&["a", "b"]), &with(2, 9))), [Same, Added]);
    let third = memory.learn_list(SERVER, &tools(&["a"]), &with(3, 18));
    assert_eq!(removed(&third), ["b"]);
    // The second is used again after the third began: two users behind one address.
    memory.learn_list(SERVER, &tools(&["a", "b"]), &with(2, 27));
    let fourth = memory.learn_list(SERVER, &tools(&["a", "c"]), &with(4, 36));
    assert_eq!(kinds(&fourth), [Same, First]);
}

#[test]
fn a_definition_made_for_the_user_changes_for_nobody() {
    let list = |user: u8| [named("t", &format!(r#""description":"Hello {user}""#))];
    let side = |user: u8| Sighting {
        client: ip(user),
        credential: credential(user),
        scope_private: true,
        ..look(0)
    };
    let mut memory = Memory::default();
    assert_eq!(kinds(&memory.learn_list(SERVER, &list(1), &side(1))), [First]);
    let second = memory.learn_list(SERVER, &list(2), &side(2)).changes.remove(0);
    assert_eq!((second.kind, second.same_view, second.divergent), (Wording, false, None));
    for _ in 0..3 {
        for user in [1, 2] {
            let change = memory.learn_list(SERVER, &list(user), &side(user)).changes.remove(0);
            assert_eq!((change.kind, change.versions), (Same, 2));
        }
    }
}

#[test]
fn clients_that_are_shown_different_things() {
    let old = [named("t", r#""description":"old""#)];
    let new = [named("t", r#""description":"new""#)];
    let mut memory = Memory::default();
    let mut learn = |list: &[Definition], client, token: Option<SecretHash>, seconds| {
        let sighting = Sighting { client: ip(client), credential: token, ..look(seconds) };
        let change = memory.learn_list(SERVER, list, &sighting).changes.remove(0);
        change.divergent.map(|it| (it.client, it.alternates))
    };
    assert_eq!(learn(&old, 1, None, 0), None);
    assert_eq!(learn(&new, 2, None, 60), Some((ip(1), false)));
    assert_eq!(learn(&old, 1, None, 120), Some((ip(2), true)));
    // The same client, another credential, another time.
    assert_eq!(learn(&new, 3, credential(3), 130), None);
    assert_eq!(learn(&old, 3, credential(3), 140), None);
    assert_eq!(learn(&new, 2, None, 100_000), None);
}

#[test]
fn versions_beyond_the_eighth_are_forgotten_but_counted() {
    let mut memory = Memory::default();
    let list = |number: i64| [named("t", &format!(r#""description":"d{number}""#))];
    for number in 0..10 {
        memory.learn_list(SERVER, &list(number), &look(number));
    }
    let change = memory.learn_list(SERVER, &list(5), &look(20)).changes.remove(0);
    assert_eq!((change.kind, change.versions), (Returned, 10));
    assert_eq!(change.age, Duration::from_secs(11));
    let change = memory.learn_list(SERVER, &list(0), &look(21)).changes.remove(0);
    assert_eq!((change.kind, change.versions), (Wording, 11));
}

/// What another release does to the text of the tool with this number.
type Edit = Box<dyn Fn(usize, String) -> String>;

/// Tools as one version of an SDK lists them, after a change to their text.
fn release(edit: impl Fn(usize, String) -> String) -> Vec<Definition> {
    let texts = [
        r#"{"name":"get_weather","description":"Weather of a city.","inputSchema":{"type":"object",
            "properties":{"city":{"type":"string"}},"required":["city"]}}"#,
        r#"{"name":"add","description":"Adds.","inputSchema":{"type":"object",
            "properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}}"#,
        r#"{"name":"ping","description":"Answers.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"find","description":"Finds.","inputSchema":{"type":"object",
            "properties":{"text":{"type":"string"}}}}"#,
    ];
    texts.iter().enumerate().map(|(at, text)| tool(&edit(at, (*text).to_owned()))).collect()
}

fn after_release(edit: impl Fn(usize, String) -> String) -> Lesson {
    let mut memory = Memory::default();
    let old = Software { name: "weather".into(), version: "1.0".into() };
    let new = Software { version: "2.0".into(), ..old.clone() };
    let all = release(|_, text| text);
    memory.learn_list(SERVER, &all, &Sighting { software: Some(&old), ..look(0) });
    memory.learn_list(SERVER, &release(edit), &Sighting { software: Some(&new), ..look(1) })
}

fn with_schema(text: &str, more: &str) -> String {
    text.replace(r#""inputSchema":{"#, &format!(r#""inputSchema":{{{more},"#))
}

#[test]
fn the_same_change_of_form_in_all_tools_is_one_upgrade() {
    let dialect = r#""$schema":"http://json-schema.org/draft-07/schema#""#;
    let end = |text: String, more: &str| format!("{},{more}}}", text.strip_suffix('}').unwrap());
    let edits: [(&str, Edit, &[&str]); 6] = [
        ("dialect", Box::new(|_, text| with_schema(&text, dialect)), &["$schema"]),
        (
            "two members",
            Box::new(|_, text| with_schema(&text, r#""$schema":"x","additionalProperties":false"#)),
            &["$schema", "additionalProperties"],
        ),
        (
            "generated titles",
            Box::new(|_, text| {
                let name = text.split('"').nth(3).unwrap();
                with_schema(&text, &format!(r#""title":"{name}Arguments""#))
            }),
            &["title"],
        ),
        (
            "execution",
            Box::new(move |_, text| end(text, r#""execution":{"taskSupport":"forbidden"}"#)),
            &["taskSupport"],
        ),
        (
            "output schemas that differ",
            Box::new(move |at, text| {
                end(
                    text,
                    &format!(r#""outputSchema":{{"properties":{{"p{at}":{{"type":"x{at}"}}}}}}"#),
                )
            }),
            &["outputSchema"],
        ),
        (
            "icons",
            Box::new(move |at, text| {
                end(text, &format!(r#""icons":[{{"src":"https://a/{at}"}}]"#))
            }),
            &["icons"],
        ),
    ];
    for (what, edit, keys) in edits {
        let lesson = after_release(edit);
        assert_eq!(kinds(&lesson), [Upgrade; 4], "{what}");
        let upgrade = lesson.upgrade.unwrap();
        assert_eq!(upgrade.definitions, 4);
        assert_eq!(upgrade.keys, keys, "{what}");
        let versions = upgrade.software.map(|(old, new)| (old.version, new.version));
        assert_eq!(versions, Some(("1.0".into(), "2.0".into())));
        assert!(lesson.changes.iter().all(|change| !change.parts.is_empty()));
    }
}

/// Tools of the Python SDK 1.30 from a capture, against what versions before 1.10 made of the same
/// functions: no output schemas.
#[test]
fn a_python_server_that_gains_output_schemas_is_one_upgrade() {
    let parameters = |name: &str, of: &[(&str, &str)]| {
        let properties = of.iter().map(|(name, kind)| {
            let title = name.to_uppercase();
            ((*name).to_owned(), serde_json::json!({"title": title, "type": kind}))
        });
        let properties: serde_json::Map<String, Value> = properties.collect();
        let required: Vec<_> = of.iter().map(|(name, _)| *name).collect();
        serde_json::json!({"properties": properties, "required": required, "type": "object",
            "title": format!("{name}Arguments")})
    };
    let release = |has_output: bool| {
        let functions = [
            ("forecast", "Forecast of a city", &[("city", "string")][..], "string"),
            ("add", "Add", &[("a", "integer"), ("b", "integer")], "integer"),
            ("dump", "Large text", &[("kb", "integer")], "string"),
        ];
        let tools = functions.map(|(name, description, of, output)| {
            let mut text = serde_json::json!({"name": name, "description": description,
                "inputSchema": parameters(name, of)});
            if has_output {
                text["outputSchema"] = serde_json::json!({"required": ["result"],
                    "properties": {"result": {"title": "Result", "type": output}},
                    "title": format!("{name}Output"), "type": "object"});
            }
            tool(&text.to_string())
        });
        tools.to_vec()
    };
    for (before, after) in [(false, true), (true, false)] {
        let mut memory = Memory::default();
        memory.learn_list(SERVER, &release(before), &look(0));
        let lesson = memory.learn_list(SERVER, &release(after), &look(1));
        assert_eq!(kinds(&lesson), [Upgrade; 3]);
        assert_eq!(lesson.upgrade.unwrap().keys, ["outputSchema"]);
        assert!(lesson.changes.iter().all(|change| change.parts == ["output_schema"]));
    }
}

#[test]
fn what_could_hide_behind_an_upgrade_does_not() {
    let all = |more: &'static str| move |_: usize, text: String| with_schema(&text, more);
    let edits: [(&str, Edit, [ChangeKind; 4]); 8] = [
        ("prose in all", Box::new(all(r#""x-a":"First read the key""#)), [Wording; 4]),
        ("a title that says more", Box::new(all(r#""title":"Read the key""#)), [Wording; 4]),
        ("a default in all", Box::new(all(r#""default":"aa""#)), [Shape; 4]),
        ("an address in all", Box::new(all(r#""x-a":"https://a.test""#)), [Shape; 4]),
        (
            "a parameter in all",
            Box::new(|_, text| {
                with_schema(&text, r#""patternProperties":{"properties":{"z":{}}}"#)
            }),
            [Shape; 4],
        ),
        (
            "hints in all",
            Box::new(|_, text| {
                text.replace(
                    r#""description""#,
                    r#""annotations":{"readOnlyHint":true},"description""#,
                )
            }),
            [Upgrade; 4],
        ),
        (
            "one says more",
            Box::new(|at, text| {
                let text = with_schema(&text, r#""$schema":"x""#);
                if at == 1 { text.replace("Adds.", "Adds. Then mails the sum.") } else { text }
            }),
            [Upgrade, Meaning, Upgrade, Upgrade],
        ),
        (
            "one changes more",
            Box::new(|at, text| {
                with_schema(&text, if at == 1 { r#""a":1,"b":1"# } else { r#""a":1"# })
            }),
            [Upgrade, Shape, Upgrade, Upgrade],
        ),
    ];
    for (what, edit, expected) in edits {
        assert_eq!(kinds(&after_release(edit)), expected, "{what}");
    }
}

#[test]
fn two_are_an_upgrade_only_when_nothing_else_changed() {
    let some = |count: usize| {
        move |at: usize, text: String| {
            if at < count { with_schema(&text, r#""a":1"#) } else { text }
        }
    };
    assert_eq!(kinds(&after_release(some(1))), [Shape, Same, Same, Same]);
    assert_eq!(kinds(&after_release(some(2))), [Upgrade, Upgrade, Same, Same]);
    let lesson = after_release(|at, text| match at {
        0 | 1 => with_schema(&text, r#""a":1"#),
        2 => text.replace("Answers", "Replies"),
        _ => text,
    });
    assert_eq!(kinds(&lesson), [Shape, Shape, Wording, Same]);
}

#[test]
fn tools_of_one_name_on_two_servers_of_one_client() {
    let (one, two, three) = ("http://one/", "http://two/", "http://three/");
    let mut memory = Memory::default();
    let by = |client, at| Sighting { client: ip(client), ..look(at) };
    memory.learn_list(one, &tools(&["send_mail", "x"]), &by(1, 0));
    memory.learn_list(two, &tools(&["SendMail"]), &by(1, 10));
    memory.learn_list(three, &tools(&["send_mail"]), &by(2, 10));
    let same = |memory: &Memory, client, server: &str, name: &str, at| {
        let at = Timestamp::from_parts(at, 0);
        memory.same_tool(ip(client), server, name, at).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(same(&memory, 1, two, "SendMail", 10), [one]);
    assert_eq!(same(&memory, 1, one, "send_mail", 10), [two]);
    assert_eq!(same(&memory, 1, one, "x", 10), [""; 0]);
    assert_eq!(same(&memory, 2, three, "send_mail", 10), [""; 0]);
    assert_eq!(same(&memory, 1, three, "send-mail", 10), [one, two]);
    // An hour later, and when the other server no longer lists it.
    assert_eq!(same(&memory, 1, two, "SendMail", HOUR + 5), [""; 0]);
    memory.learn_list(one, &tools(&["x"]), &by(1, 20));
    assert_eq!(same(&memory, 1, two, "SendMail", 20), [""; 0]);
    let exact = memory.with_fold(str::to_owned);
    assert_eq!(same(&exact, 2, one, "send_mail", 20), [three]);
    assert_eq!(same(&exact, 2, one, "sendmail", 20), [""; 0]);
}

#[test]
fn servers_that_call_themselves_alike() {
    let software = |name: &str| Software { name: name.into(), version: "1".into() };
    let mut memory = Memory::default();
    for (server, name) in [("http://a/", "Git-Hub"), ("http://b/", "github"), ("http://c/", "x")] {
        let software = software(name);
        memory.learn_list(server, &[], &Sighting { software: Some(&software), ..look(0) });
    }
    assert_eq!(memory.same_software("http://b/", "github").collect::<Vec<_>>(), ["http://a/"]);
    assert_eq!(memory.same_software("", "nobody").count(), 0);
}

#[test]
fn servers_unused_for_longest_are_forgotten() {
    let mut memory = Memory::new(Limits { max_servers: 2, ..Limits::default() });
    for (at, server) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        memory.learn_list(server, &tools(&["t"]), &look(at));
    }
    assert_eq!((memory.len(), memory.dropped().servers), (2, 1));
    assert!(memory.seen("b").is_none());
    let (first, last) = memory.seen("a").unwrap();
    assert_eq!((first.as_nanos(), last.as_nanos()), (1_000_000_000, 3_000_000_000));
}

#[test]
fn bytes_are_bounded_for_one_server_and_for_all() {
    let limits = Limits { max_server_bytes: 20_000, max_bytes: 50_000, ..Limits::default() };
    let mut memory = Memory::new(limits);
    let text = format!(r#""description":"{}""#, "x".repeat(500));
    for server in 0..20 {
        for tool in 0..100 {
            let list = [named(&format!("t{tool}"), &text)];
            memory.learn_list(&server.to_string(), &list, &look(server));
        }
    }
    assert!(memory.bytes <= 50_000 && memory.len() >= 2, "{memory:?}");
    assert!(memory.servers.values().all(|server| server.weight < 40_000));
    assert!(memory.dropped().servers > 10 && memory.dropped().definitions > 0);
}

#[test]
fn definitions_not_listed_for_longest_make_room() {
    let limits = Limits { max_definitions: 4, max_name_bytes: 64, ..Limits::default() };
    let mut memory = Memory::new(limits);
    memory.learn_list(SERVER, &tools(&["a", "b", "c", "d"]), &look(0));
    memory.learn_list(SERVER, &tools(&["b", "c", "d"]), &look(1));
    assert_eq!(kinds(&memory.learn_list(SERVER, &tools(&["b", "e"]), &look(2))), [Same, Added]);
    let known: Vec<_> = memory.servers[SERVER].listings[0].definitions.keys().collect();
    assert_eq!(known, ["b", "c", "d", "e"]);
    let all = memory.learn_list(SERVER, &tools(&["1", "2", "3", "4", "5"]), &look(3));
    assert_eq!(kinds(&all), [Added, Added, Added, Added, Unknown]);
    let names: Vec<_> = memory.servers[SERVER].folded.keys().collect();
    assert_eq!(names, ["1", "2", "3", "4"]);
    let long = "n".repeat(65);
    assert_eq!(kinds(&memory.learn_list(SERVER, &tools(&[&long]), &look(4))), [Unknown]);
    assert_eq!(kinds(&memory.learn_list(&long, &tools(&["a"]), &look(4))), [Unknown]);
}

#[test]
fn sides_readings_and_clients_are_bounded() {
    let limits = Limits { max_views: 2, max_readings: 1, max_clients: 3, ..Limits::default() };
    let mut memory = Memory::new(limits);
    for number in 0..9 {
        let side =
            Sighting { client: ip(number), credential: credential(number), ..look(number.into()) };
        memory.learn_list(SERVER, &tools(&["a"]), &side);
        let page = Page { first: true, last: false, complete: true };
        memory.learn_list(SERVER, &tools(&["a"]), &Sighting { page, ..side });
    }
    let [listing, ..] = &memory.servers[SERVER].listings;
    assert_eq!((listing.views.len(), listing.readings.len()), (2, 1));
    assert_eq!(memory.clients.keys().copied().collect::<Vec<_>>(), [ip(6), ip(7), ip(8)]);
    for server in 0..40 {
        memory.learn_list(&format!("s{server}"), &[], &look(0));
    }
    assert_eq!(memory.clients[&ip(1)].len(), MAX_SERVERS_PER_CLIENT);
}
