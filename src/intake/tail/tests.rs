//! Real files in a folder, and every kind of rotation.

mod model;
mod stage;

use std::fs;

use stage::{Stage, compress, numbers};

use super::StartAt;

#[test]
fn a_file_is_followed_from_before_it_exists() {
    let stage = Stage::new();
    let mut run = stage.run(StartAt::End);
    run.poll();
    stage.append("a.log", "1\n2\n3");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=2));
    stage.append("a.log", "3\n\n44\n");
    run.poll();
    assert_eq!(run.taken(), [1, 2, 33, 44]);
    assert_eq!(run.lines(), [1, 2, 3, 5]);
}

#[test]
fn lines_behind_the_end_of_a_file_are_numbered_as_in_it() {
    let stage = Stage::new();
    stage.append("a.log", "#Fields: n\n1\n2\nhalf");
    let mut run = stage.run(StartAt::End);
    run.poll();
    stage.append("a.log", " a line\n3\n");
    run.poll();
    // The half line was not there when reading began, and is none of this format.
    assert_eq!((run.taken(), run.lines(), run.bad()), (vec![3], vec![5], 1));
    assert_eq!(run.checkpoint().files[0].header, ["#Fields: n"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_next() {
    let stage = Stage::new();
    stage.append("a.log", "1\n2\n");
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    stage.append("a.log", "3\n");
    stage.rename("a.log", "a.log.1");
    stage.append("a.log", "5\n");
    // The writer has it open a while longer.
    stage.append("a.log.1", "4\n");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=5));
    stage.append("a.log.1", "6\n7");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=6));
    // Its last line has no end, and gets none.
    run.wait(20);
    run.poll();
    assert_eq!(run.taken(), numbers(1..=7));
    stage.append("a.log", "8\n");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=8));
}

#[test]
fn files_that_came_and_went_between_two_looks_are_read_in_order() {
    let stage = Stage::new();
    stage.append("a.log.1", "100\n");
    stage.append("a.log", "1\n");
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    for last in [2, 3, 4] {
        stage.append("a.log", &format!("{last}\n"));
        for number in (1..5).rev() {
            stage.rename(&format!("a.log.{number}"), &format!("a.log.{}", number + 1));
        }
        stage.rename("a.log", "a.log.1");
    }
    stage.append("a.log", "5\n");
    run.poll();
    // What was rotated before the first look is not read.
    assert_eq!(run.taken(), numbers(1..=5));
}

#[test]
fn a_file_that_was_copied_and_emptied_has_its_rest_in_the_copy() {
    let stage = Stage::new();
    stage.append("a.log", "1\n2\n");
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    stage.append("a.log", "3\n");
    stage.copy("a.log", "a.log.1");
    stage.empty("a.log");
    run.poll();
    stage.append("a.log", "4\n");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=4));
    // Longer than before when it is looked at again.
    stage.copy("a.log", "a.log.2");
    stage.empty("a.log");
    stage.append("a.log", "5\n6\n7\n8\n");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=8));
}

#[test]
fn an_emptied_file_is_read_from_its_start() {
    let stage = Stage::new();
    stage.append("a.log", "1\n2\n");
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    stage.empty("a.log");
    stage.append("a.log", "3\n");
    run.poll();
    stage.empty("a.log");
    run.poll();
    stage.append("a.log", "4\n5\n");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=5));
}

#[test]
fn a_rotated_file_that_was_compressed_is_known_and_not_read_again() {
    let stage = Stage::new();
    stage.append("a.log", "1\n2\n");
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    stage.rename("a.log", "a.log.1");
    compress(&stage.path("a.log.1"));
    stage.append("a.log", "3\n");
    run.poll();
    stage.rename("a.log.1.gz", "a.log.2.gz");
    stage.rename("a.log", "a.log.1");
    stage.append("a.log", "4\n");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=4));
}

#[test]
fn a_restart_goes_on_where_it_was_whatever_was_done_to_the_files() {
    for rotation in ["none", "rename", "copy", "compress", "twice", "date"] {
        let stage = Stage::new();
        stage.append("a.log", "#Fields: n\n1\n2\n");
        let mut run = stage.run(StartAt::Beginning);
        run.poll();
        let checkpoint = run.checkpoint();
        stage.append("a.log", "3\n");
        match rotation {
            "rename" => stage.rename("a.log", "a.log.1"),
            "date" => stage.rename("a.log", "a.log-20261123"),
            "compress" => {
                stage.rename("a.log", "a.log.1");
                compress(&stage.path("a.log.1"));
            }
            "copy" => {
                stage.copy("a.log", "a.log.1");
                stage.empty("a.log");
            }
            "twice" => {
                stage.rename("a.log", "a.log.2");
                stage.append("a.log", "4\n");
                stage.rename("a.log", "a.log.1");
            }
            _ => {}
        }
        if rotation != "twice" {
            stage.append("a.log", "4\n");
        }
        drop(run);
        let mut run = stage.restart(StartAt::End, &checkpoint);
        run.poll();
        assert_eq!(run.taken(), [3, 4], "{rotation}: {:?}", run.said());
        assert!(run.said().is_empty(), "{rotation}: {:?}", run.said());
        let checkpoint = run.checkpoint();
        drop(run);
        stage.append("a.log", "5\n");
        let mut run = stage.restart(StartAt::End, &checkpoint);
        run.poll();
        assert_eq!(run.taken(), [5], "{rotation}, again");
    }
}

#[test]
fn what_was_given_and_not_taken_before_a_kill_is_read_again() {
    for rotation in ["compress", "copy"] {
        let stage = Stage::new();
        stage.append("a.log", "1\n");
        let mut run = stage.run(StartAt::Beginning);
        run.poll();
        stage.rename("a.log", "a.log.2");
        stage.append("a.log", "");
        run.look();
        // Of this file nothing is known but that it was there.
        stage.append("a.log", "2\n");
        run.look();
        if rotation == "copy" {
            stage.copy("a.log", "a.log.1");
            stage.empty("a.log");
        } else {
            stage.rename("a.log", "a.log.1");
            compress(&stage.path("a.log.1"));
        }
        stage.append("a.log", "3\n");
        run.look();
        let checkpoint = run.checkpoint();
        drop(run);
        let mut run = stage.restart(StartAt::End, &checkpoint);
        run.poll();
        assert_eq!(run.taken(), [2, 3], "{rotation}: {checkpoint:?}");
    }
}

#[test]
fn a_file_that_is_gone_after_a_restart_is_told() {
    let stage = Stage::new();
    stage.append("a.log", "1\n");
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    let checkpoint = run.checkpoint();
    drop(run);
    fs::remove_file(stage.path("a.log")).unwrap();
    stage.append("a.log", "2\n");
    let mut run = stage.restart(StartAt::End, &checkpoint);
    run.poll();
    assert_eq!(run.taken(), [2]);
    assert!(run.said()[0].contains("is not there any more"), "{:?}", run.said());
}

#[test]
fn a_link_that_moves_leaves_its_old_file_when_that_is_read() {
    let stage = Stage::new();
    fs::create_dir(stage.path("pods")).unwrap();
    stage.append("pods/0.log", "1\n");
    let link = |to: &str| {
        let new = stage.path("new");
        std::os::unix::fs::symlink(stage.path(to), &new).unwrap();
        fs::rename(new, stage.path("a.log")).unwrap();
    };
    link("pods/0.log");
    let mut run = stage.clone_paths().run(StartAt::Beginning);
    run.poll();
    stage.append("pods/0.log", "2\n");
    stage.append("pods/1.log", "3\n");
    let link = |to: &str| {
        let new = stage.path("new");
        std::os::unix::fs::symlink(stage.path(to), &new).unwrap();
        fs::rename(new, stage.path("a.log")).unwrap();
    };
    link("pods/1.log");
    run.poll();
    assert_eq!(run.taken(), numbers(1..=3));
    // Rotated behind the link, while nobody looks.
    let checkpoint = run.checkpoint();
    drop(run);
    stage.append("pods/1.log", "4\n");
    stage.rename("pods/1.log", "pods/1.log.20261123-101500");
    stage.append("pods/1.log", "5\n");
    let mut run = stage.restart(StartAt::End, &checkpoint);
    run.poll();
    assert_eq!(run.taken(), [4, 5]);
}

#[test]
fn a_folder_stands_for_its_files_and_those_to_come() {
    let mut stage = Stage::new();
    stage.append("old-2026-11-21.log", "1\n");
    stage.append("b.log", "100\n");
    stage.append("b.log.1", "99\n");
    stage.follow("");
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    assert_eq!(run.sorted(), [1, 100]);
    stage.append("old-2026-11-22.log", "2\n");
    stage.append("b.log", "101\n");
    stage.rename("b.log", "b.log.1");
    stage.append("b.log", "102\n");
    run.wait(2);
    run.poll();
    assert_eq!(run.sorted(), [1, 2, 100, 101, 102]);
    // Compressed before all of it was read.
    let checkpoint = run.checkpoint();
    drop(run);
    stage.append("old-2026-11-22.log", "3\n");
    compress(&stage.path("old-2026-11-22.log"));
    stage.append("old-2026-11-23.log", "4\n");
    let mut run = stage.restart(StartAt::End, &checkpoint);
    run.poll();
    run.wait(2);
    run.poll();
    assert_eq!(run.sorted(), [3, 4], "{:?}", run.said());
    // What is gone is forgotten.
    fs::remove_file(stage.path("old-2026-11-21.log")).unwrap();
    for _ in 0..4 {
        run.wait(40);
        run.poll();
    }
    let known = run.checkpoint().files;
    assert!(known.iter().all(|file| !file.followed.contains("11-21")), "{known:?}");
}

#[test]
fn what_looks_like_no_format_is_told_once_and_waits() {
    let mut stage = Stage::new();
    stage.dialect = None;
    stage.append("a.log", "what is this\n");
    let mut run = stage.run(StartAt::Beginning);
    for _ in 0..5 {
        run.poll();
        run.wait(2);
    }
    assert_eq!(run.said().len(), 1, "{:?}", run.said());
    assert!(run.said()[0].contains("--logs"), "{:?}", run.said());
    fs::write(stage.path("a.log"), "#numbers\n1\n").unwrap();
    run.wait(2);
    run.poll();
    assert_eq!(run.taken(), [1]);
    assert!(run.said()[1].contains("is read as numbers"), "{:?}", run.said());
}

#[test]
fn lines_of_another_format_are_counted_and_the_first_are_told() {
    let stage = Stage::new();
    let text: String = (0..100).map(|number| format!("x{number}\n")).collect();
    stage.append("a.log", &text);
    let mut run = stage.run(StartAt::Beginning);
    run.poll();
    assert_eq!(run.bad(), 100);
    let said = run.said();
    assert_eq!(said.len(), 6, "{said:?}");
    assert!(said[0].contains("a.log:1: no number"), "{said:?}");
    assert!(said[5].contains("most lines of"), "{said:?}");
}

#[test]
fn a_run_that_is_over_ends_the_tail() {
    let stage = Stage::new();
    stage.append("a.log", "1\n");
    let mut run = stage.run(StartAt::Beginning);
    run.close();
    assert_eq!(run.tail.poll(std::time::Duration::ZERO), None);
}
