//! Missing bytes, and the end.

use super::super::frame;
use super::super::search::Search;
use super::{Cut, Framer, Phase, Step};

impl Framer {
    /// Takes some of `len` missing bytes. Not to be called while a step is due.
    pub(in crate::app) fn gap(&mut self, len: &mut u64) -> Step<'_> {
        self.clear_spent();
        match &mut self.phase {
            Phase::Search(search) => {
                if let Some(found) = search.settle() {
                    self.phase = Phase::Header;
                    return Step::Found(found);
                }
                search.gap(std::mem::take(len));
                Step::More
            }
            Phase::Off => {
                *len = 0;
                Step::More
            }
            Phase::Header | Phase::Preface { .. } => {
                if let Some(open) = self.open.take() {
                    return self.give(open.cut_off(Cut::Missing));
                }
                let missing = std::mem::take(len).saturating_add(self.held_len as u64);
                self.held_len = 0;
                self.phase = Phase::Search(Box::new(Search::new(missing, false)));
                Step::Lost
            }
            Phase::DataPad => {
                let taken = self.miss(len, 0);
                self.phase = Phase::Data { padding: self.left };
                Step::DataGap(self.frame.stream, taken)
            }
            Phase::Data { padding } => {
                let padding = *padding;
                if self.left > padding {
                    return Step::DataGap(self.frame.stream, self.miss(len, padding));
                }
                self.miss(len, 0);
                Step::More
            }
            Phase::Block => {
                if let Some(open) = &mut self.open {
                    open.cut = Cut::Missing;
                }
                self.miss(len, 0);
                Step::More
            }
            Phase::Units { .. } => {
                self.phase = Phase::Skip;
                self.held_len = 0;
                self.miss(len, 0);
                let reset = self.frame.kind == frame::RST_STREAM;
                if reset { Step::Reset(self.frame.stream) } else { Step::More }
            }
            Phase::Skip => {
                self.miss(len, 0);
                Step::More
            }
        }
    }

    /// Takes missing bytes out of the payload, but for the last `keep` of it.
    fn miss(&mut self, len: &mut u64, keep: u32) -> u64 {
        let most = self.left.saturating_sub(keep);
        let taken = u32::try_from(*len).unwrap_or(u32::MAX).min(most);
        self.left -= taken;
        *len -= u64::from(taken);
        u64::from(taken)
    }

    /// No more bytes come. To be called until there is nothing more.
    pub(in crate::app) fn finish(&mut self) -> Step<'_> {
        self.clear_spent();
        if let Phase::Search(search) = &mut self.phase
            && let Some(found) = search.settle()
        {
            self.phase = Phase::Header;
            return Step::Found(found);
        }
        self.phase = Phase::Off;
        match self.open.take() {
            Some(open) => self.give(open.cut_off(Cut::Missing)),
            None => Step::More,
        }
    }
}
