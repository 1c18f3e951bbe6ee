use std::fs;

use super::*;

fn position(offset: u64) -> Position {
    Position { followed: "/var/log/a.log".to_owned(), offset, ..Position::default() }
}

#[test]
fn a_checkpoint_is_there_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let (store, found, damage) = CheckpointStore::open(&folder).unwrap();
    assert!(found.is_none() && damage.is_none());
    let keeper = Keeper::start(store).unwrap();
    for offset in 0..100 {
        keeper.save(Checkpoint::new(vec![position(offset)], None), None);
    }
    keeper.settle().unwrap();
    assert!(matches!(CheckpointStore::open(&folder), Err(Problem::Locked(_))));
    keeper.save(Checkpoint::new(vec![position(100)], None), None);
    drop(keeper);
    let (_store, found, _) = CheckpointStore::open(&folder).unwrap();
    assert_eq!(found.unwrap().files, [position(100)]);
}

#[test]
fn a_torn_or_foreign_file_is_moved_aside_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = serde_json::to_string(&Checkpoint::new(vec![position(7)], None)).unwrap();
    let cut = whole.get(..whole.len() / 2).unwrap();
    let other = whole.replace("shadowtap-logs/1", "shadowtap-logs/2");
    for text in ["", "{}", "null", "\0\0\0\0", cut, &other] {
        fs::write(folder.path().join("logs.json"), text).unwrap();
        let (store, found, damage) = CheckpointStore::open(folder.path()).unwrap();
        assert!(found.is_none(), "{text}");
        let damage = damage.unwrap().to_string();
        assert!(damage.contains("logs.damaged.json") && damage.contains("--logs-from"), "{damage}");
        assert_eq!(fs::read_to_string(folder.path().join("logs.damaged.json")).unwrap(), text);
        store.save(&Checkpoint::new(Vec::new(), None)).unwrap();
    }
}

#[test]
fn events_behind_the_checkpoint_are_cut_from_its_own_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("watch.ndjson");
    let partial = folder.path().join("watch.ndjson.partial");
    fs::write(&partial, "one\ntwo\nthr").unwrap();
    let events = Events::of(&fs::File::open(&partial).unwrap(), &done, 8).unwrap();
    assert_eq!(events.cut(".partial").unwrap(), Cut::Done(3));
    assert_eq!(fs::read_to_string(&partial).unwrap(), "one\ntwo\n");
    // It may have got its name since.
    fs::rename(&partial, &done).unwrap();
    fs::write(&partial, "another file of that name").unwrap();
    assert_eq!(events.cut(".partial").unwrap(), Cut::Done(0));
    fs::write(&done, "one\n").unwrap();
    assert_eq!(events.cut(".partial").unwrap(), Cut::Short(4));
    fs::remove_file(&done).unwrap();
    assert_eq!(events.cut(".partial").unwrap(), Cut::Gone);
    assert_eq!(fs::read_to_string(&partial).unwrap(), "another file of that name");
}
