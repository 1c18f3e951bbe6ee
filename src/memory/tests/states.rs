//! What is saved, and what damage does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::memory::store::{self, Error, Notice, Store};

/// A memory with something of everything that is saved.
fn sample() -> Memory {
    let mut memory = Memory::default();
    let software = Software { name: "s\"é".into(), version: "1".into() };
    let list = |text: &str| {
        let text = format!(r#""description":"{text}","annotations":{{"readOnlyHint":true}}"#);
        [named("a", &text), named("b", r#""inputSchema":{"required":["x"]}"#)]
    };
    let first = Sighting { credential: credential(7), software: Some(&software), ..look(1) };
    memory.learn_list(SERVER, &list("old"), &first);
    memory.learn_list(SERVER, &list("new"), &Sighting { client: ip(2), ..look(2) });
    memory.learn_list(SERVER, &list("new")[..1], &Sighting { client: ip(2), ..look(3) });
    let large = Definition { digest: None, canonical: None, ..named("large", "") };
    memory.learn_list("http://[2001:db8::1]:80/", &[large], &look(-5));
    let resources = Sighting { kind: DefinitionKind::Resource, ..look(4) };
    memory.learn_list(SERVER, &[], &resources);
    let key = baseline::Key { client: ip(1), server: SERVER, tool: "a" };
    memory.baselines.add(key, Timestamp::from_parts(86_400, 0), 2, 300);
    memory.sections.insert("learn".into(), serde_json::json!({"z": [1, "x", null], "a": {}}));
    memory
}

fn open(directory: &Path) -> (Store, Memory, Option<Notice>) {
    store::open(directory, Memory::default()).unwrap()
}

#[test]
fn a_state_survives_byte_for_byte() {
    let memory = sample();
    let text = memory.to_state().unwrap();
    let mut again = Memory::default();
    again.load_state(&text).unwrap();
    assert_eq!(again.to_state().unwrap(), text);
    assert_eq!(sample().to_state().unwrap(), text, "deterministic");
    assert_eq!(again.sections, memory.sections);
    assert_eq!(again.baselines, memory.baselines);
    assert_eq!((again.bytes > 0, again.len()), (true, 2));
    assert!(String::from_utf8(text).unwrap().starts_with(r#"{"schema":"shadowtap/state@1","#));
}

#[test]
fn what_was_read_is_known() {
    let mut again = Memory::default();
    again.load_state(&sample().to_state().unwrap()).unwrap();
    let members = r#""description":"newer. Psst.","annotations":{"readOnlyHint":true}"#;
    let next = Sighting { client: ip(2), ..look(10) };
    let lesson = again.learn_list(SERVER, &[named("a", members)], &next);
    let [change] = &lesson.changes[..] else { panic!() };
    assert_eq!(change.kind, ChangeKind::Wording);
    assert_eq!(change.added_text, ["newer.", "Psst."]);
    assert_eq!(change.removed_text, ["new"]);
    assert_eq!((change.age.as_secs(), change.versions, change.same_view), (8, 3, true));
    let at = Timestamp::from_parts(10, 0);
    assert_eq!(again.same_tool(ip(2), "", "a", at).collect::<Vec<_>>(), [SERVER]);
}

#[test]
fn a_state_cut_anywhere_is_damaged() {
    let text = sample().to_state().unwrap();
    let end = text.len() - 1; // The last line end is no part of the JSON.
    for cut in 0..end {
        let mut memory = Memory::default();
        let error = memory.load_state(&text[..cut]).unwrap_err();
        assert!(matches!(error, Unreadable::Damaged(_)), "{cut}: {error}");
        assert!(memory.is_empty() && memory.sections.is_empty());
    }
    let mut memory = Memory::default();
    memory.load_state(&text[..end]).unwrap();
    assert_eq!(memory.to_state().unwrap(), text);
}

#[test]
fn texts_that_are_no_state() {
    let other = |schema: &str| Unreadable::OtherVersion(schema.to_owned());
    for (text, expected) in [
        (r#"{"schema":"shadowtap/state@2","new":1}"#, Some(other("shadowtap/state@2"))),
        (r#"{"schema":"shadowtap/approvals@1"}"#, None),
        (r#"{"schema":"shadowtap/state@1"}"#, None),
        (r#"{"schema":1}"#, None),
        ("[]", None),
        ("", None),
        ("\u{0}", None),
    ] {
        let error = Memory::default().load_state(text.as_bytes()).unwrap_err();
        match expected {
            Some(expected) => assert_eq!(error, expected),
            None => assert!(matches!(error, Unreadable::Damaged(_)), "{text}: {error}"),
        }
    }
}

#[test]
fn what_does_not_fit_together_is_dropped() {
    let text = String::from_utf8(sample().to_state().unwrap()).unwrap();
    let forged = text.replace(r#"description\":\"new"#, r#"description\":\"nwe"#);
    assert_ne!(text, forged);
    let mut memory = Memory::default();
    memory.load_state(forged.as_bytes()).unwrap();
    let known = &memory.servers[SERVER].listings[0].definitions;
    assert!(known["a"].text.is_none() && known["b"].text.is_some());
    let limits = Limits { max_servers: 1, ..Limits::default() };
    let mut small = Memory::new(limits);
    small.load_state(text.as_bytes()).unwrap();
    assert_eq!((small.len(), small.dropped().servers), (1, 1));
    assert!(small.seen(SERVER).is_some());
}

#[test]
fn stores_open_empty_and_keep_what_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/state");
    let (store, memory, notice) = open(&path);
    assert!(memory.is_empty() && notice.is_none());
    assert_eq!(store.directory(), path);
    let saved = sample();
    store.save(&saved).unwrap();
    store.save(&saved).unwrap();
    drop(store);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("state.json"))), (0o700, 0o600));
    assert_eq!(mode(&path.join("lock")), 0o600);
    let (_store, memory, notice) = open(&path);
    assert_eq!((memory.to_state().unwrap(), notice), (saved.to_state().unwrap(), None));
    let names: Vec<_> = fs::read_dir(&path).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn two_cannot_have_a_store_open() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = open(folder.path());
    let error = store::open(folder.path(), Memory::default()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert!(error.to_string().contains("directory of its own"));
    drop(store);
    open(folder.path());
}

#[test]
fn damaged_states_are_moved_aside_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    for number in 1..=3 {
        fs::write(&state, format!("{{{number}")).unwrap();
        let (store, memory, notice) = open(folder.path());
        let moved = folder.path().join(format!("state.damaged-{number}.json"));
        let Some(Notice::Damaged { moved_to, .. }) = &notice else { panic!("{notice:?}") };
        assert_eq!(*moved_to, moved);
        assert!(notice.unwrap().to_string().contains("nothing is remembered"));
        assert_eq!(fs::read_to_string(&moved).unwrap(), format!("{{{number}"));
        assert!(memory.is_empty() && !state.exists());
        store.save(&memory).unwrap();
    }
    for number in 4..=100 {
        fs::write(folder.path().join(format!("state.damaged-{number}.json")), "").unwrap();
    }
    fs::write(&state, "{").unwrap();
    let error = store::open(folder.path(), Memory::default()).unwrap_err();
    assert!(matches!(error, Error::TooManyDamaged { .. }), "{error}");
    assert_eq!(fs::read_to_string(&state).unwrap(), "{");
}

#[test]
fn a_newer_state_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let text = r#"{"schema":"shadowtap/state@9"}"#;
    fs::write(&state, text).unwrap();
    let error = store::open(folder.path(), Memory::default()).unwrap_err();
    assert!(error.to_string().contains("`shadowtap/state@9`"), "{error}");
    assert_eq!(fs::read_to_string(&state).unwrap(), text);
}

#[test]
fn a_crash_while_saving_leaves_the_old_state_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = open(folder.path());
    let mut old = sample();
    old.sections.clear();
    store.save(&old).unwrap();
    drop(store);
    let (old, new) = (old.to_state().unwrap(), sample().to_state().unwrap());
    let fresh = folder.path().join("state.json.new");
    // Before the rename: any part of the new file is there, and does not count.
    for cut in (0..=new.len()).step_by(97) {
        fs::write(&fresh, &new[..cut]).unwrap();
        let (_store, memory, notice) = open(folder.path());
        assert_eq!((memory.to_state().unwrap(), notice), (old.clone(), None), "{cut}");
    }
    // After it.
    fs::write(&fresh, &new).unwrap();
    fs::rename(&fresh, folder.path().join("state.json")).unwrap();
    assert_eq!(open(folder.path()).1.to_state().unwrap(), new);
    // What a crash left behind does not stop the next save, nor is it written through.
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, &fresh).unwrap();
    open(folder.path()).0.save(&sample()).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read(folder.path().join("state.json")).unwrap(), new);
}

#[test]
fn failures_name_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = store::open(&file, Memory::default()).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    let directory = folder.path().join("d");
    let (store, ..) = open(&directory);
    fs::create_dir(directory.join("state.json")).unwrap();
    let error = store.save(&Memory::default()).unwrap_err();
    assert!(error.to_string().contains("state.json"), "{error}");
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = sample().to_state().unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        let mut memory = Memory::default();
        if memory.load_state(&text).is_ok() {
            let written = memory.to_state().unwrap();
            let mut again = Memory::default();
            again.load_state(&written).unwrap();
            prop_assert_eq!(again.to_state().unwrap(), written);
        }
    }
}
