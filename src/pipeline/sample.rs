//! A bounded sample of what captures give rules to look at, for measuring rules.

use super::{Config, Error, Policy, Trouble, replay_sampling};
use crate::capture::Input;
use crate::rules::{On, OwnedSubject, RuleSet, Subject};

/// Subjects of one kind that are kept at most. Worst-case memory: 5 kinds × 2,000 × the bound of a
/// message, 64 KiB or so, though most are a few kilobytes.
const MAX_OF_KIND: usize = 2_000;

/// Every so many-th subject of each kind: when there is no more room, every second one goes, and
/// from then on half as many are taken. The same captures give the same sample.
#[derive(Debug, Default)]
pub struct Sample {
    kinds: [Kind; On::ALL.len()],
}

#[derive(Debug)]
struct Kind {
    kept: Vec<OwnedSubject>,
    seen: usize,
    /// One of so many is taken.
    stride: usize,
}

impl Default for Kind {
    fn default() -> Self {
        Self { kept: Vec::new(), seen: 0, stride: 1 }
    }
}

impl Sample {
    /// Takes a subject, or passes it over.
    pub(super) fn offer(&mut self, subject: &Subject<'_>) {
        let Some(kind) = self.kinds.get_mut(subject.on as usize) else { return };
        let takes = kind.seen % kind.stride == 0;
        kind.seen += 1;
        if !takes {
            return;
        }
        if kind.kept.len() == MAX_OF_KIND {
            let mut index = 0;
            kind.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            kind.stride *= 2;
            if (kind.seen - 1) % kind.stride != 0 {
                return;
            }
        }
        kind.kept.push(OwnedSubject::from(subject));
    }

    /// What was kept, kind by kind.
    pub fn subjects(&self) -> impl Iterator<Item = Subject<'_>> {
        self.kinds.iter().flat_map(|kind| &kind.kept).map(OwnedSubject::as_subject)
    }

    /// How many subjects there were.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.kinds.iter().map(|kind| kind.seen).sum()
    }
}

/// Replays captures and samples what rules would look at. No rules are evaluated.
///
/// # Errors
/// As [`replay`](super::replay()). Bad captures are in the second part of the answer.
pub fn sample(
    config: &Config,
    policy: Policy,
    inputs: Vec<Input>,
) -> Result<(Sample, Vec<Trouble>), Error> {
    let policy = Policy { rules: RuleSet::default(), ..policy };
    let mut sample = Some(Sample::default());
    let outcome = replay_sampling(config, &policy, inputs, Vec::new(), &mut (), &mut sample)?;
    Ok((sample.unwrap_or_default(), outcome.troubles))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::GivenExchange;

    #[test]
    fn a_full_sample_thins_out_evenly() {
        let exchange: GivenExchange = serde_json::from_value(serde_json::json!({})).unwrap();
        let (mut contact, methods) = exchange.bare_contact().unwrap();
        let mut sample = Sample::default();
        let offered = MAX_OF_KIND * 5;
        for number in 0..offered {
            contact.key = number.to_string();
            sample.offer(&Subject::server(&contact, &methods));
        }
        let kept: Vec<usize> =
            sample.subjects().map(|s| s.contact.unwrap().key.parse().unwrap()).collect();
        assert!(kept.len() > MAX_OF_KIND / 2 && kept.len() <= MAX_OF_KIND);
        assert!(kept.windows(2).all(|pair| pair[1] - pair[0] == 8), "{:?}", &kept[..9]);
        assert_eq!((sample.seen(), kept[0]), (offered, 0));
    }
}
