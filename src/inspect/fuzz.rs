//! What the fuzz target calls: properties that must hold for any text.

use super::view::View;
use super::{address, confusable, fingerprint, hidden, path, strings, view};

/// Reads `data` as text in every way there is.
#[cfg_attr(not(fuzzing), allow(unreachable_pub, reason = "only the fuzz target calls it"))]
pub fn fuzz(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    for one in View::ALL {
        let Some(seen) = view::view(text, one) else { continue };
        assert!(seen != text, "{one:?} shows the text itself");
        let again = view::view(&seen, one);
        assert!(one != View::Folded || again.is_none(), "folding twice is not folding once");
    }
    fuzz_strings(text);
    hidden::hidden(text, &mut |found| {
        assert_eq!(text.get(found.range), Some(found.text));
        assert!(found.count > 0);
    });
    address::urls(text, &mut |url| {
        assert!(url.path.is_empty() || url.path.starts_with(['/', '\\']));
        assert_eq!(url.ip, address::host_ip(&url.host));
    });
    if let Some(ip) = address::host_ip(text) {
        assert!(address::Reach::ALL.contains(&address::reach(ip)));
    }
    assert!(!path::climbs(text) || text.len() <= path::MAX_PATH_BYTES);
    assert!(!path::is_path_like(text) || path::last_segment(text) != Some(""));
    let half = text.get(..text.len() / 2).unwrap_or(text);
    assert_eq!(confusable::is_near(text, half), confusable::is_near(half, text));
    let prints = fingerprint::fingerprints(text, 100);
    assert!(prints.len() <= 100 && prints.is_sorted());
}

/// A beginning of a text must give a beginning of its strings.
fn fuzz_strings(text: &str) {
    let leaves = |json: &str| {
        let mut found = Vec::new();
        strings::strings(json, &strings::Limits::default(), &mut |leaf| {
            found.push((leaf.path.to_owned(), leaf.text.to_owned(), leaf.is_key));
        });
        found
    };
    let whole = leaves(text);
    let end = (0..=text.len() / 2).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let cut = leaves(text.get(..end).unwrap_or_default());
    for (index, (cut_leaf, leaf)) in cut.iter().zip(&whole).enumerate() {
        if index + 1 < cut.len() {
            assert_eq!(cut_leaf, leaf);
        } else {
            assert_eq!((&cut_leaf.0, cut_leaf.2), (&leaf.0, leaf.2));
            assert!(leaf.1.starts_with(&cut_leaf.1));
        }
    }
    assert!(cut.len() <= whole.len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_will_do(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::fuzz(&data);
        }

        #[test]
        fn any_text_will_do(text in "\\PC{0,80}") {
            super::fuzz(text.as_bytes());
        }
    }
}
