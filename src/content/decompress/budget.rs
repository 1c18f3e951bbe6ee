//! The account that stops decompression bombs.

use super::Limits;

/// Output that may still be produced, in bytes: input pays in, output draws.
#[derive(Debug)]
pub(super) struct Budget {
    credit: u64,
    max_credit: u64,
    ratio: u64,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        let max_credit = u64::from(limits.burst_bytes);
        Self { credit: max_credit, max_credit, ratio: u64::from(limits.max_ratio) }
    }

    /// Most input that may be paid in at once without losing any of it to the credit's cap.
    pub(super) fn max_input_bytes(&self) -> usize {
        let bytes = self.max_credit.checked_div(self.ratio).unwrap_or(u64::MAX);
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    pub(super) fn pay(&mut self, input_bytes: usize) {
        let pay = (input_bytes as u64).saturating_mul(self.ratio);
        self.credit = self.credit.saturating_add(pay).min(self.max_credit);
    }

    /// Whether the account covers so much output.
    pub(super) fn draw(&mut self, output_bytes: usize) -> bool {
        match self.credit.checked_sub(output_bytes as u64) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(max_ratio: u32, burst_bytes: u32) -> Budget {
        Budget::new(&Limits { max_ratio, burst_bytes, ..Limits::default() })
    }

    #[test]
    fn a_burst_needs_no_input() {
        let mut budget = budget(10, 1000);
        assert!(budget.draw(1000));
        assert!(!budget.draw(1));
    }

    #[test]
    fn a_stream_at_the_ratio_never_runs_dry() {
        let mut budget = budget(10, 1000);
        for _ in 0..10_000 {
            budget.pay(100);
            assert!(budget.draw(1000));
        }
    }

    #[test]
    fn old_input_does_not_pay_for_a_later_bomb() {
        let mut budget = budget(10, 1000);
        budget.pay(1 << 20);
        assert!(!budget.draw(1001));
    }

    #[test]
    fn the_slice_size_is_at_least_one() {
        assert_eq!(budget(250, 1 << 20).max_input_bytes(), 4194);
        assert_eq!(budget(1000, 10).max_input_bytes(), 1);
        assert!(budget(0, 10).max_input_bytes() > 1 << 20);
    }
}
