//! Names that look alike: of tools, of servers.

use super::view::look_alike;

/// Longest name that is looked at, in characters; the rest is left out.
pub const MAX_NAME_CHARS: usize = 256;

/// What a name looks like, for comparison with the skeletons of others: the skeleton of UTS 39
/// section 4, without case and without the separators `-`, `_`, `.` and blank.
///
/// Capital I looks like a small L, and is a small I in lower case: so all three are one here.
/// `readFile`, `read_file` and `rеad-fiIe` (with a Cyrillic letter) have one skeleton.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let drawn: String = unicode_security::skeleton(head(name)).collect();
    let lower: String = drawn.chars().flat_map(char::to_lowercase).collect();
    let again = unicode_security::skeleton(&lower).filter(|char| !is_separator(*char));
    again.flat_map(char::to_lowercase).map(|char| if char == 'i' { 'l' } else { char }).collect()
}

/// Whether somebody may take one name for the other: they are equal, or have one [`skeleton`], or
/// one word of them is mistyped by one letter (left out, put in, replaced, or two neighbours
/// swapped; Damerau 1964).
///
/// Honest names differ by a letter all the time, so a mistyped word has to be long: a letter put
/// in or left out or swapped counts in words of five letters, one replaced in words of six
/// (`batch` and `patch`, `get_row` and `set_row` are different things). What makes versions and
/// inflections never counts: digits (`db1` and `db2`, `search_v2`), and a last `s` or `d`.
#[must_use]
pub fn is_near(one: &str, other: &str) -> bool {
    let (one, other) = (head(one), head(other));
    if one == other {
        return true;
    }
    let (ones, others) = (words(one), words(other));
    if is_sibling(&ones, &others) {
        return false;
    }
    let drawn = skeleton(one);
    if drawn == skeleton(other) {
        // Nothing but separators and invisible characters is no name.
        return !drawn.is_empty();
    }
    let differ = ones.iter().zip(&others).filter(|(one, other)| one != other);
    match differ.collect::<Vec<_>>().as_slice() {
        [(one, other)] if ones.len() == others.len() => is_mistyped(one, other),
        _ => is_mistyped(&ones.concat(), &others.concat()),
    }
}

fn head(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_NAME_CHARS).map_or(name.len(), |(end, _)| end);
    name.get(..end).unwrap_or(name)
}

fn is_separator(char: char) -> bool {
    matches!(char, '-' | '_' | '.' | ' ')
}

/// The words of a name, in lower case and in ASCII where they look like it: split at separators
/// and where a capital follows a small letter.
fn words(name: &str) -> Vec<Vec<char>> {
    let mut words = vec![Vec::new()];
    let mut after_small = false;
    for char in name.chars() {
        let is_capital = char.is_uppercase();
        if (is_separator(char) || (is_capital && after_small))
            && words.last().is_some_and(|word| !word.is_empty())
        {
            words.push(Vec::new());
        }
        after_small = char.is_lowercase();
        let Some(word) = words.last_mut().filter(|_| !is_separator(char)) else { continue };
        match look_alike(char).filter(|_| !char.is_ascii()) {
            Some(ascii) => word.extend(ascii.map(|char| char.to_ascii_lowercase())),
            None => word.extend(char.to_lowercase()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether they are one name but for digits, as versions and numbered copies are.
fn is_sibling(ones: &[Vec<char>], others: &[Vec<char>]) -> bool {
    let (one, other) = (ones.concat(), others.concat());
    let stem = |name: &[char]| -> Vec<char> {
        let end = name.iter().rposition(|char| !char.is_ascii_digit()).map_or(0, |last| last + 1);
        name.get(..end).unwrap_or_default().to_vec()
    };
    let (stem_one, stem_other) = (stem(&one), stem(&other));
    let without_version = |stem: &[char]| stem.strip_suffix(&['v']).unwrap_or(stem).to_vec();
    let is_numbered = stem_one.len() < one.len() || stem_other.len() < other.len();
    if one != other && is_numbered && without_version(&stem_one) == without_version(&stem_other) {
        return true;
    }
    // A digit in the place of another, anywhere.
    let mut differ = one.iter().zip(&other).filter(|(one, other)| one != other).peekable();
    one.len() == other.len()
        && differ.peek().is_some()
        && differ.all(|(one, other)| one.is_ascii_digit() && other.is_ascii_digit())
}

/// Whether one edit makes one word of the other, and both are long enough for that to tell.
fn is_mistyped(one: &[char], other: &[char]) -> bool {
    let prefix = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (one_rest, other_rest) = (tail(one, prefix), tail(other, prefix));
    let backwards = one_rest.iter().rev().zip(other_rest.iter().rev());
    let suffix = backwards.take_while(|(one, other)| one == other).count();
    let (one_rest, other_rest) = (front(one_rest, suffix), front(other_rest, suffix));
    let longest = one.len().max(other.len());
    match (one_rest, other_rest) {
        // A doubled letter is found at its end: nothing after it differs.
        ([letter], []) | ([], [letter]) => {
            let is_inflection = suffix == 0 && matches!(letter, 's' | 'd');
            longest >= 5 && !is_inflection && !letter.is_ascii_digit()
        }
        ([_], [_]) => longest >= 6,
        ([a, b], [c, d]) => longest >= 5 && a == d && b == c,
        _ => false,
    }
}

fn tail(word: &[char], from: usize) -> &[char] {
    word.get(from..).unwrap_or_default()
}

fn front(word: &[char], without: usize) -> &[char] {
    word.get(..word.len() - without.min(word.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn skeletons_are_equal_for_what_looks_alike() {
        for (one, other) in [
            ("read_file", "readFile"),
            ("read_file", "read-file"),
            ("read_file", "READ FILE"),
            ("read_file", "r\u{435}ad_file"),
            ("read_file", "read_f\u{456}le"),
            ("list_files", "Iist_files"),
            ("list_files", "1ist_fi1es"),
            ("modern", "rnodern"),
            ("google", "g00gle"),
            ("paypal", "\u{440}\u{430}y\u{440}al"),
            ("github", "git\u{200b}hub"),
            ("github", "\u{ff47}ithub"),
            ("slack", "SLACK"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
            assert!(is_near(one, other), "{one} {other}");
        }
    }

    #[test]
    fn mistyped_names_are_near() {
        for (one, other) in [
            ("github", "gihtub"),
            ("github", "githubb"),
            ("github", "githu"),
            ("github", "githab"),
            ("slack", "slakc"),
            ("slack", "slck"),
            ("postgres-server", "postgers-server"),
            ("filesystem", "filesytem"),
            ("filesystem", "file_sytem"),
            ("send_email", "send_emial"),
            ("github", "github"),
        ] {
            assert!(is_near(one, other) && is_near(other, one), "{one} {other}");
        }
    }

    #[test]
    fn honest_neighbours_are_not_near() {
        for (one, other) in [
            ("db1", "db2"),
            ("database1", "database2"),
            ("database", "database2"),
            ("search", "search_v2"),
            ("search_v1", "search_v2"),
            ("node18", "node20"),
            ("us-east-1a", "us-east-2a"),
            ("get_config", "set_config"),
            ("get_issue", "get_issues"),
            ("update", "updated"),
            ("batch_run", "patch_run"),
            ("close_issue", "clone_issue"),
            ("move_x", "move_y"),
            ("read_row", "read_col"),
            ("read", "reed"),
            ("weather", "calendar"),
            ("github", "gitlab"),
            ("", "a"),
            ("-", "_"),
            ("", "\u{180b}"),
        ] {
            assert!(!is_near(one, other) && !is_near(other, one), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_is_symmetric(one in "\\PC{0,12}", other in "\\PC{0,12}") {
            prop_assert_eq!(is_near(&one, &other), is_near(&other, &one));
            prop_assert!(is_near(&one, &one));
        }

        #[test]
        fn a_skeleton_is_its_own(name in "[a-zA-Z0-9_. \u{430}-\u{44f}-]{0,20}") {
            let skeleton_of = skeleton(&name);
            prop_assert_eq!(skeleton(&skeleton_of), skeleton_of);
        }
    }
}
