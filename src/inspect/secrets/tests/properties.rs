use proptest::prelude::*;

use super::super::kind::Kind;
use super::samples::{self, Random};
use super::*;

/// Kinds whose sample stands for itself.
const KINDS: [Kind; 14] = [
    Kind::AwsAccessKey,
    Kind::GithubToken,
    Kind::GithubFineGrainedToken,
    Kind::GitlabToken,
    Kind::SlackToken,
    Kind::OpenaiKey,
    Kind::AnthropicKey,
    Kind::NpmToken,
    Kind::PypiToken,
    Kind::SendgridKey,
    Kind::AgeSecretKey,
    Kind::SshPrivateKey,
    Kind::PrivateKey,
    Kind::Jwt,
];

proptest! {
    #[test]
    fn any_text_is_looked_at_without_panic(text in any::<String>()) {
        let mut from = 0;
        for secret in all(&text) {
            prop_assert!(from <= secret.start && secret.start < secret.end);
            prop_assert_eq!(text.get(secret.start..secret.end), Some(secret.bytes));
            from = secret.end;
        }
    }

    #[test]
    fn literals_in_any_order_make_no_panic(
        parts in proptest::collection::vec((0..issued::ANCHORS.len(), "[ -~é\\n]{0,12}"), 0..40),
    ) {
        let mut text = String::new();
        for (index, rest) in parts {
            text.push_str(issued::ANCHORS[index].literal);
            text.push_str(&rest);
        }
        let mut from = 0;
        for secret in all(&text) {
            prop_assert!(from <= secret.start && secret.start < secret.end);
            prop_assert_eq!(text.get(secret.start..secret.end), Some(secret.bytes));
            from = secret.end;
        }
    }

    #[test]
    fn a_secret_anywhere_in_a_text_is_found_alone(
        text in "[ -~äß漢\\n]{0,300}",
        place in any::<prop::sample::Index>(),
        kind in prop::sample::select(&KINDS[..]),
        seed in 1..u64::MAX,
        border in prop::sample::select(&[" ", "\"", "\n", "\\n", "'"][..]),
    ) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let (before, after) = text.split_at(places[place.index(places.len())]);
        let samples = samples::of(kind, &mut Random(seed));
        let (_, secret, _) = &samples[seed as usize % samples.len()];
        // A word such as `dummy` by chance: once in many thousand secrets.
        prop_assume!(!placeholder::has_placeholder_word(secret.as_bytes()));
        let whole = format!("{before}{border}{secret}{border}{after}");
        prop_assert_eq!(ids(&whole), [(SecretKind(kind).id(), secret.as_str())]);
    }

    #[test]
    fn a_secret_cut_anywhere_makes_no_panic(
        kind in prop::sample::select(&KINDS[..]),
        seed in 1..u64::MAX,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let (_, secret, _) = samples::of(kind, &mut Random(seed)).remove(0);
        let (from, to) = (from.index(secret.len()), to.index(secret.len()));
        let cut = secret.get(from.min(to)..from.max(to)).unwrap_or_default();
        prop_assert!(all(cut).len() <= 1);
    }
}
