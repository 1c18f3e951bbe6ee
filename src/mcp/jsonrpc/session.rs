//! Messages as they become complete.

use super::super::json::{Ended, Order, Plan, Recorded, Shape, Text, Visitor};
use super::extract::Extractor;
use super::slot::{Place, Slot};
use super::{BATCH_TOO_LONG, Item, MALFORMED, MULTIPLE_VALUES};

/// The extractor at work: what it finds goes to `out` at once.
pub(super) struct Session<'a, F> {
    pub(super) extractor: &'a mut Extractor,
    pub(super) out: &'a mut F,
}

impl<F: FnMut(Item)> Session<'_, F> {
    /// The object being read is complete, or as complete as it gets.
    fn message(&mut self, end: u64, partial: bool) {
        let Some(draft) = &mut self.extractor.draft else { return };
        let Some(kind) = draft.kind(partial) else {
            self.extractor.barren += 1;
            return;
        };
        let (message, oddities) = std::mem::take(&mut **draft).into_message(kind, end, partial);
        self.extractor.barren = 0;
        self.extractor.messages += 1;
        self.extractor.batch_messages += u32::from(message.batched);
        self.report_crowd();
        for kind in oddities {
            (self.out)(Item::Anomaly(kind));
        }
        (self.out)(Item::Message(Box::new(message)));
    }

    /// Nothing more comes of the object being read, if one is.
    pub(super) fn interrupt(&mut self, offset: u64) {
        if self.extractor.places.contains(&Place::Message) {
            self.message(offset, true);
        }
    }

    /// The text stops being JSON.
    pub(super) fn malformed(&mut self) {
        let extractor = &self.extractor;
        let inside = extractor.places.contains(&Place::Message);
        if inside && extractor.draft.as_ref().is_some_and(|draft| draft.is_jsonrpc) {
            (self.out)(Item::Anomaly(MALFORMED));
        }
    }

    /// A value begins on the line where another one ended.
    pub(super) fn crowd(&mut self) {
        self.extractor.crowded.get_or_insert(false);
        if self.extractor.has_messages() {
            self.report_crowd();
        }
    }

    /// Only a text that holds messages is worth the report.
    fn report_crowd(&mut self) {
        if self.extractor.crowded == Some(false) {
            self.extractor.crowded = Some(true);
            (self.out)(Item::Anomaly(MULTIPLE_VALUES));
        }
    }
}

impl<F: FnMut(Item)> Visitor for Session<'_, F> {
    fn begin(&mut self, shape: Shape, offset: u64) -> Order {
        let extractor = &mut *self.extractor;
        extractor.slot = extractor.positional();
        match (extractor.slot, shape) {
            (Slot::Other, _) => Plan::Skip.into(),
            (Slot::Top, Shape::Object) => extractor.enter_message(false, offset),
            (Slot::Top, Shape::Array) => {
                (extractor.batch_elements, extractor.batch_messages) = (0, 0);
                extractor.enter(Place::Batch)
            }
            (Slot::Top, _) => Plan::Stop.into(),
            (Slot::Element, _) if extractor.is_barren() => Plan::Stop.into(),
            (Slot::Element, _)
                if extractor.batch_messages >= extractor.limits.max_batch_messages =>
            {
                (self.out)(Item::Anomaly(BATCH_TOO_LONG));
                Plan::Stop.into()
            }
            (Slot::Element, _) => extractor.begin_element(shape, offset),
            (Slot::Key(key), _) => extractor.begin_top(key, shape),
            _ => extractor.begin_inner(shape),
        }
    }

    fn key(&mut self, key: Text<'_>) {
        self.extractor.key(key);
    }

    fn end(&mut self, ended: Ended<'_>, recorded: Option<Recorded<'_>>, offset: u64) {
        match ended {
            Ended::Skipped => self.extractor.set_recorded(recorded),
            Ended::String(text) => self.extractor.set_string(text),
            Ended::Scalar(text) => self.extractor.set_scalar(text),
            Ended::Container => match self.extractor.places.pop() {
                Some(Place::Message) => self.message(offset, false),
                Some(Place::Definition(kind)) => self.extractor.end_definition(kind, recorded),
                Some(Place::InputRequests) => self.extractor.end_input_requests(recorded),
                _ => {}
            },
        }
    }

    fn oddity(&mut self, kind: &'static str) {
        if let Some(draft) = &mut self.extractor.draft {
            draft.odd(kind);
        }
    }
}
