//! Which values of a text are wanted, and where they go.

use super::super::json::{Order, Plan, Recorded, Shape, Text};
use super::draft::{
    Body, Draft, MAX_ID_READ_BYTES, MAX_METHOD_BYTES, MAX_STRING_BYTES, MAX_URI_BYTES, Presence,
    TopKey,
};
use super::slot::{Half, META_PREFIX, Place, Slot, Whose};
use super::{ARGUMENTS_TOO_LARGE, INVALID_ID, Limits, TOO_MANY_DEFINITIONS};
use crate::observation::{DefinitionKind, Part, PartName, Software};

/// Follows the scanner through one text.
#[derive(Clone, Debug)]
pub(super) struct Extractor {
    pub(super) limits: Limits,
    /// The entered containers, innermost last; never more than six.
    pub(super) places: Vec<Place>,
    pub(super) slot: Slot,
    pub(super) draft: Option<Box<Draft>>,
    /// Name of the definition being read.
    definition: String,
    /// Messages of this text.
    pub(super) messages: u64,
    pub(super) batch_messages: u32,
    pub(super) batch_elements: u64,
    /// Values in a row that were no messages.
    pub(super) barren: u32,
    /// Two values stood on one line: not reported yet, or reported.
    pub(super) crowded: Option<bool>,
}

impl Extractor {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: Vec::new(),
            slot: Slot::Other,
            draft: None,
            definition: String::new(),
            messages: 0,
            batch_messages: 0,
            batch_elements: 0,
            barren: 0,
            crowded: None,
        }
    }

    pub(super) fn rewind(&mut self) {
        *self = Self::new(self.limits);
    }

    pub(super) fn drop_draft(&mut self) {
        self.draft = None;
        self.places = Vec::new();
        self.definition = String::new();
    }

    pub(super) fn has_messages(&self) -> bool {
        self.messages > 0
    }

    pub(super) fn is_barren(&self) -> bool {
        self.barren > self.limits.max_barren_values
    }

    fn half(&mut self, half: Half) -> Option<&mut Body> {
        let draft = self.draft.as_mut()?;
        Some(match half {
            Half::Params => &mut draft.params,
            Half::Result => &mut draft.result,
        })
    }

    fn software(&mut self, half: Half, whose: Whose) -> Option<&mut Option<Software>> {
        let body = self.half(half)?;
        Some(match whose {
            Whose::Plain => &mut body.software,
            Whose::MetaClient => &mut body.meta.client,
            Whose::MetaServer => &mut body.meta.server,
        })
    }

    /// Enters a container.
    pub(super) fn enter(&mut self, place: Place) -> Order {
        self.places.push(place);
        Plan::Enter.into()
    }

    /// An object that may be a message begins.
    pub(super) fn enter_message(&mut self, batched: bool, start: u64) -> Order {
        self.draft.get_or_insert_default().restart(start, batched);
        self.enter(Place::Message)
    }

    /// An element of a batch begins.
    pub(super) fn begin_element(&mut self, shape: Shape, offset: u64) -> Order {
        self.batch_elements += 1;
        if shape == Shape::Object {
            return self.enter_message(true, offset);
        }
        self.barren += 1;
        if self.batch_elements == 1 { Plan::Stop.into() } else { Plan::Skip.into() }
    }

    /// A value of the top level of a message begins: forgets an earlier one.
    pub(super) fn begin_top(&mut self, key: TopKey, shape: Shape) -> Order {
        let Some(draft) = &mut self.draft else { return Plan::Skip.into() };
        match key {
            TopKey::Jsonrpc => draft.is_jsonrpc = false,
            TopKey::Method => draft.method = None,
            TopKey::Id => (draft.has_id, draft.id) = (true, None),
            TopKey::Params => draft.params = Body::default(),
            TopKey::Result => {
                draft.result = Body::default();
                draft.has_result = presence(shape);
            }
            TopKey::Error => {
                draft.error_code = None;
                draft.error = Body::default();
                draft.has_error = presence(shape);
            }
        }
        let plan = match (key, shape) {
            (TopKey::Params, Shape::Object) => return self.enter(Place::Body(Half::Params)),
            (TopKey::Result, Shape::Object) => return self.enter(Place::Body(Half::Result)),
            (TopKey::Error, Shape::Object) => return self.enter(Place::Error),
            // Long enough to tell `null` and `2.0` from all others.
            (TopKey::Jsonrpc, Shape::String) => Plan::Text(4),
            (TopKey::Result | TopKey::Error, Shape::Scalar) => Plan::Text(5),
            (TopKey::Method, Shape::String) => Plan::Text(MAX_METHOD_BYTES),
            (TopKey::Id, Shape::String | Shape::Scalar) => Plan::Text(MAX_ID_READ_BYTES),
            (TopKey::Id, _) => {
                draft.odd(INVALID_ID);
                Plan::Skip
            }
            _ => Plan::Skip,
        };
        plan.into()
    }

    /// A value inside `params`, `result` or `error` begins: forgets an earlier one.
    pub(super) fn begin_inner(&mut self, shape: Shape) -> Order {
        let slot = self.slot;
        self.forget(slot);
        let plan = match (slot, shape) {
            (Slot::Meta(half), Shape::Object) => return self.enter(Place::Meta(half)),
            (Slot::Software(half, whose), Shape::Object) => {
                if let Some(software) = self.software(half, whose) {
                    *software = Some(Software::default());
                }
                return self.enter(Place::Software(half, whose));
            }
            (Slot::List(kind), Shape::Array) => return self.enter(Place::List(kind)),
            (Slot::Definition(kind), Shape::Object) => return self.enter_definition(kind),
            (Slot::InputRequests, Shape::Object | Shape::Array) => {
                let record = Some(self.limits.max_part_bytes);
                return Order { record, ..self.enter(Place::InputRequests) };
            }
            (Slot::InputRequest, Shape::Object) => return self.enter(Place::InputRequest),
            (Slot::Arguments, _) => {
                return Order { plan: Plan::Skip, record: Some(self.limits.max_arguments_bytes) };
            }
            (Slot::Part(..) | Slot::ErrorPart(_), _) => {
                return Order { plan: Plan::Skip, record: Some(self.limits.max_part_bytes) };
            }
            (Slot::IsError, Shape::Scalar) => Plan::Text(5),
            (Slot::ErrorCode, Shape::Scalar) => Plan::Text(32),
            (Slot::Uri, Shape::String) => Plan::Text(MAX_URI_BYTES),
            (Slot::InputRequestMethod, Shape::String) => Plan::Text(MAX_METHOD_BYTES),
            (Slot::DefinitionName(kind), Shape::String) => Plan::Text(match kind {
                DefinitionKind::Tool | DefinitionKind::Prompt => MAX_STRING_BYTES,
                DefinitionKind::Resource | DefinitionKind::ResourceTemplate => MAX_URI_BYTES,
            }),
            (
                Slot::Version(_)
                | Slot::MetaVersion(_)
                | Slot::SoftwareName(..)
                | Slot::SoftwareVersion(..)
                | Slot::Name
                | Slot::ResultType,
                Shape::String,
            ) => Plan::Text(MAX_STRING_BYTES),
            _ => Plan::Skip,
        };
        plan.into()
    }

    fn enter_definition(&mut self, kind: DefinitionKind) -> Order {
        self.definition.clear();
        let max = self.limits.max_definitions;
        match &mut self.draft {
            Some(draft) if draft.result.definitions.len() >= max => {
                draft.odd(TOO_MANY_DEFINITIONS);
                Plan::Skip.into()
            }
            _ => {
                let record = Some(self.limits.max_definition_bytes);
                Order { record, ..self.enter(Place::Definition(kind)) }
            }
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Slot::DefinitionName(_) = slot {
            self.definition.clear();
        }
        if let Slot::Software(half, whose) = slot
            && let Some(software) = self.software(half, whose)
        {
            *software = None;
        }
        if let Slot::SoftwareName(..) | Slot::SoftwareVersion(..) = slot {
            self.set_software(slot, String::new());
        }
        let Some(draft) = &mut self.draft else { return };
        match slot {
            Slot::Name => draft.params.name = None,
            Slot::Uri => draft.params.uri = None,
            Slot::Arguments => draft.params.arguments = None,
            Slot::ResultType => draft.result.result_type = None,
            Slot::IsError => draft.result.is_error = None,
            Slot::ErrorCode => draft.error_code = None,
            Slot::List(kind) => draft.result.clear_definitions(kind),
            Slot::InputRequests => {
                draft.result.input_requests.clear();
                draft.result.forget_part(PartName::InputRequests);
            }
            Slot::Part(half, name) => body(draft, half).forget_part(name),
            Slot::ErrorPart(name) => draft.error.forget_part(name),
            Slot::Version(half) => body(draft, half).version = None,
            Slot::MetaVersion(half) => body(draft, half).meta.version = None,
            Slot::Meta(half) => body(draft, half).meta = super::draft::Meta::default(),
            _ => {}
        }
    }

    fn set_software(&mut self, slot: Slot, text: String) {
        let (Slot::SoftwareName(half, whose) | Slot::SoftwareVersion(half, whose)) = slot else {
            return;
        };
        if let Some(Some(software)) = self.software(half, whose) {
            match slot {
                Slot::SoftwareName(..) => software.name = text,
                _ => software.version = text,
            }
        }
    }

    pub(super) fn set_string(&mut self, text: Text<'_>) {
        let slot = self.slot;
        let string = || text.to_string_within(MAX_STRING_BYTES);
        match slot {
            Slot::SoftwareName(..) | Slot::SoftwareVersion(..) => {
                return self.set_software(slot, string());
            }
            Slot::DefinitionName(_) => {
                self.definition = text.to_string_within(MAX_URI_BYTES);
                return;
            }
            _ => {}
        }
        let Some(draft) = &mut self.draft else { return };
        match slot {
            Slot::Key(TopKey::Jsonrpc) => draft.is_jsonrpc = text.bytes == b"2.0",
            Slot::Key(TopKey::Method) => {
                draft.set_method(text.to_string_within(MAX_METHOD_BYTES));
            }
            Slot::Key(TopKey::Id) => draft.set_string_id(text),
            Slot::Name => draft.params.name = Some(string()),
            Slot::Uri => draft.params.uri = Some(text.to_string_within(MAX_URI_BYTES)),
            Slot::ResultType => draft.result.result_type = Some(string()),
            Slot::Version(half) => body(draft, half).version = Some(string()),
            Slot::MetaVersion(half) => body(draft, half).meta.version = Some(string()),
            Slot::InputRequestMethod => {
                draft.result.add_input_request(text.to_string_within(MAX_METHOD_BYTES));
            }
            _ => {}
        }
    }

    pub(super) fn set_scalar(&mut self, text: Text<'_>) {
        let Some(draft) = &mut self.draft else { return };
        let value = if text.bytes == b"null" { Presence::Null } else { Presence::Given };
        match self.slot {
            Slot::Key(TopKey::Id) => draft.set_scalar_id(text),
            Slot::Key(TopKey::Result) => draft.has_result = value,
            Slot::Key(TopKey::Error) => draft.has_error = value,
            Slot::IsError => {
                draft.result.is_error = match text.bytes {
                    b"true" => Some(true),
                    b"false" => Some(false),
                    _ => None,
                };
            }
            Slot::ErrorCode if !text.truncated => {
                let code = std::str::from_utf8(text.bytes).ok();
                draft.error_code = code.and_then(|code| code.parse().ok());
            }
            _ => {}
        }
    }

    /// A value that was recorded and not entered ends.
    pub(super) fn set_recorded(&mut self, recorded: Option<Recorded<'_>>) {
        let Some((draft, recorded)) = self.draft.as_mut().zip(recorded) else { return };
        let (raw, cut) = recorded.parts();
        let text = || String::from_utf8_lossy(raw).into_owned();
        match self.slot {
            Slot::Arguments => {
                draft.params.arguments = Some(text());
                if cut {
                    draft.odd(ARGUMENTS_TOO_LARGE);
                }
            }
            Slot::Part(half, name) => {
                body(draft, half).parts.push(Part { name, json: text(), cut });
            }
            Slot::ErrorPart(name) => draft.error.parts.push(Part { name, json: text(), cut }),
            _ => {}
        }
    }

    /// The requests embedded in a result end.
    pub(super) fn end_input_requests(&mut self, recorded: Option<Recorded<'_>>) {
        if let (Some(draft), Some(recorded)) = (&mut self.draft, recorded) {
            let (raw, cut) = recorded.parts();
            let json = String::from_utf8_lossy(raw).into_owned();
            draft.result.parts.push(Part { name: PartName::InputRequests, json, cut });
        }
    }

    pub(super) fn end_definition(&mut self, kind: DefinitionKind, recorded: Option<Recorded<'_>>) {
        let name = std::mem::take(&mut self.definition);
        if let Some(draft) = &mut self.draft
            && let Some(odd) = draft.result.add_definition(kind, name, recorded, &self.limits)
        {
            draft.odd(odd);
        }
    }

    pub(super) fn key(&mut self, key: Text<'_>) {
        let place = self.places.last().copied();
        self.slot = Slot::of_key(place, key.bytes);
        let Some(draft) = &mut self.draft else { return };
        match (place, self.slot) {
            (Some(Place::Message), Slot::Key(known)) => draft.see(Some(known), key.bytes),
            (Some(Place::Message), _) => draft.see(None, key.bytes),
            (Some(Place::Body(half)), _) => body(draft, half).add_key(key),
            (Some(Place::Meta(half)), _) if key.bytes.starts_with(META_PREFIX) => {
                body(draft, half).add_meta_key(key);
            }
            _ => {}
        }
    }

    /// What an element is of the array that was entered last, or the whole text's value.
    pub(super) fn positional(&self) -> Slot {
        match self.places.last() {
            None => Slot::Top,
            Some(Place::Batch) => Slot::Element,
            Some(&Place::List(kind)) => Slot::Definition(kind),
            // In an object of requests each key names one; in an array there are no keys.
            Some(Place::InputRequests) => Slot::InputRequest,
            _ => self.slot,
        }
    }
}

fn body(draft: &mut Draft, half: Half) -> &mut Body {
    match half {
        Half::Params => &mut draft.params,
        Half::Result => &mut draft.result,
    }
}

/// A scalar may still turn out to be `null`, or never end.
fn presence(shape: Shape) -> Presence {
    if shape == Shape::Scalar { Presence::Absent } else { Presence::Given }
}
