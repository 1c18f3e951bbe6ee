//! Decisions.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision as CedarDecision, Entities, Entity, EntityId,
    EntityTypeName, EntityUid, PolicySet, Request, RestrictedExpression, Schema,
};
use serde_json::value::RawValue;

use super::arguments::{self, Arguments, FAMILIES, Limits, Wanted};
use super::compile::{self, Asked, Entry, MAX_POLICIES};
use super::config::{Checked, Plain};
use super::slice::{Slice, Slices};
use super::tier::{self, Class, Tier};
use super::{Basis, Circumstances, Decision, Hints, Item, Kind, Phase, PinState, Ruling, raw};
use crate::portal::principal::{Owner, Principal, Proof};
use crate::rules::{Problem, Report, Source};

/// Most answers of [`Policy::sees`] that are kept.
const MAX_SEEN: usize = 16_384;
/// Id of the policy in decisions that rest on what is pinned.
const PINS: &str = "pins";
/// Id of the policy in decisions that rest on `hold_tiers`.
const HOLD_TIERS: &str = "hold_tiers";

/// All policies of a portal. Shared: a reload makes a new one.
#[derive(Debug)]
pub struct Policy {
    pub(super) rules: Vec<Plain>,
    pub(super) entries: Vec<Entry>,
    pub(super) source: Option<Source>,
    classes: Vec<Class>,
    hold_tiers: BTreeSet<Tier>,
    /// Groups that policies name: others make no difference.
    groups: BTreeSet<Arc<str>>,
    slices: Slices,
    seen: Seen,
    names: Names,
    limits: Limits,
}

/// Whether people in certain groups may do anything at a server.
type Seen = RwLock<HashMap<(Vec<Arc<str>>, Box<str>), bool>>;

/// Types and actions of the schema, parsed once.
#[derive(Debug)]
struct Names {
    user: EntityTypeName,
    group: EntityTypeName,
    server: EntityTypeName,
    kinds: [EntityTypeName; 3],
    families: [EntityTypeName; 6],
    list: EntityUid,
    call: EntityUid,
    /// Who asks, and for what, where that is known to fit.
    somebody: EntityUid,
    something: EntityUid,
}

impl Names {
    fn new() -> Result<Self, String> {
        let name = |text: &str| text.parse::<EntityTypeName>().map_err(|it| it.to_string());
        let action = name("Action")?;
        let action = |id: &str| EntityUid::from_type_name_and_id(action.clone(), EntityId::new(id));
        let [a, b, c] = Kind::ALL.map(Kind::entity);
        let [s, l, d, o, i, k] = FAMILIES.map(|(_, entity)| entity);
        let any = |of: &str| Ok::<_, String>(arguments::uid(&name(of)?));
        Ok(Self {
            somebody: any("User")?,
            something: any(a)?,
            user: name("User")?,
            group: name("Group")?,
            server: name("Server")?,
            kinds: [name(a)?, name(b)?, name(c)?],
            families: [name(s)?, name(l)?, name(d)?, name(o)?, name(i)?, name(k)?],
            list: action(Phase::List.as_str()),
            call: action(Phase::Call.as_str()),
        })
    }

    const fn action(&self, phase: Phase) -> &EntityUid {
        match phase {
            Phase::List => &self.list,
            Phase::Call => &self.call,
        }
    }
}

/// What Cedar says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) ruling: Ruling,
    pub(super) policy: Option<Arc<str>>,
    pub(super) kind: Basis,
    pub(super) note: Option<Arc<str>>,
}

impl Answer {
    const fn default_deny() -> Self {
        Self { ruling: Ruling::Deny, policy: None, kind: Basis::Default, note: None }
    }

    fn failed(kind: Basis, policy: Option<Arc<str>>, note: &str) -> Self {
        Self { ruling: Ruling::Deny, policy, kind, note: Some(Arc::from(note)) }
    }
}

/// What one evaluation needs beside policies.
pub(super) struct Asking<'a> {
    pub(super) principal: &'a Principal,
    pub(super) item: Item<'a>,
    pub(super) tier: Tier,
    pub(super) phase: Phase,
    pub(super) circumstances: &'a Circumstances,
}

impl Policy {
    /// Compiles what was checked, with the Cedar files that it names (as the caller read them).
    ///
    /// # Errors
    /// All that is wrong with them, with file and line.
    pub fn new(checked: Checked, cedar: &[Source]) -> Result<Self, Report> {
        let Checked { rules, classes, hold_tiers, source, .. } = checked;
        let mut report = Report::default();
        let internal = |message: String| {
            let problem = Problem::of_file("policy", "internal", message);
            Report { problems: vec![problem] }
        };
        let schema: Schema = raw::schema().map_err(internal)?;
        let names = Names::new().map_err(internal)?;
        let mut entries = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            entries.extend(compile::rule(index, rule).map_err(internal)?);
            if entries.len() > MAX_POLICIES {
                let message = format!("the rules make more than {MAX_POLICIES} policies");
                let name = source.as_ref().map_or("policy", |source| &source.name);
                let hint = "use `*` in names of servers, and fewer groups";
                return Err(Report {
                    problems: vec![Problem::of_file(name, "too-many", message).hint(hint)],
                });
            }
        }
        entries.extend(raw::read(cedar, &schema, &mut report));
        let mut ids = HashSet::new();
        for entry in &entries {
            if !ids.insert(Arc::clone(&entry.id)) {
                let message = format!("a rule and a Cedar policy have the id `{}`", entry.id);
                report.push(Problem::of_file("cedar", "duplicate-id", message));
            }
        }
        if report.has_errors() {
            report.sort();
            return Err(report);
        }
        let mut groups: BTreeSet<_> =
            entries.iter().filter_map(|entry| entry.scope.group.clone()).collect();
        for entry in entries.iter().filter(|entry| entry.is_raw) {
            let literals = entry.policy.entity_literals();
            let own = literals.iter().filter(|uid| *uid.type_name() == names.group);
            groups.extend(own.map(|uid| Arc::from(uid.id().unescaped())));
        }
        let (slices, seen, limits) = (Slices::default(), Seen::default(), Limits::default());
        Ok(Self {
            rules,
            entries,
            source,
            classes,
            hold_tiers,
            groups,
            slices,
            seen,
            names,
            limits,
        })
    }

    /// The same with other bounds for arguments.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// All policies of the rules, as Cedar text.
    #[must_use]
    pub fn to_cedar(&self) -> String {
        let own = self.entries.iter().filter(|entry| !entry.is_raw);
        own.map(|entry| format!("// {}\n{}\n\n", entry.id, entry.text)).collect()
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none, so that nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Tier of an item.
    #[must_use]
    pub fn tier(&self, item: &Item<'_>) -> Tier {
        tier::tier(&self.classes, item.server, item.kind, item.name, item.hints)
    }

    /// Whether a server is there at all for somebody: whether any policy could allow anything at it.
    #[must_use]
    pub fn sees(&self, principal: &Principal, server: &str) -> bool {
        let key = (self.groups_of(principal), Box::from(server));
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sees) = seen.get(&key) {
            return *sees;
        }
        drop(seen);
        let allows = |entry: &Entry| {
            let scope = &entry.scope;
            entry.ruling != Ruling::Deny
                && scope.group.as_ref().is_none_or(|group| key.0.contains(group))
                && scope.server.as_ref().is_none_or(|own| own.matches(server))
        };
        let sees = self.entries.iter().any(allows);
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        seen.insert(key, sees);
        sees
    }

    /// Whether somebody is shown something. What may be called with some arguments is shown, and
    /// what may not be called is not. `Hold` says that a call would wait, as far as can be told.
    #[must_use]
    pub fn list(
        &self,
        principal: &Principal,
        item: &Item<'_>,
        circumstances: &Circumstances,
    ) -> Decision {
        let tier = self.tier(item);
        if let Some(refused) = quarantined(circumstances, tier) {
            return refused;
        }
        let groups = self.groups_of(principal);
        let asking = |phase| Asking { principal, item: *item, tier, phase, circumstances };
        let listing = asking(Phase::List);
        let slice = self.slice(&listing, &groups);
        let answer = self.plainly(&listing, &groups, &slice);
        if answer.ruling == Ruling::Deny {
            return self.decision(answer, tier);
        }
        let calling = asking(Phase::Call);
        let slice = self.slice(&calling, &groups);
        let call = self.plainly(&calling, &groups, &slice);
        // Nothing without a look at the arguments allows the call, and nothing forbids it.
        let is_maybe = call.kind == Basis::Default && slice.may_allow;
        match call.ruling {
            Ruling::Deny if !is_maybe => self.decision(call, tier),
            Ruling::Hold => self.decision(call, tier),
            _ => self.decision(answer, tier),
        }
    }

    /// Whether somebody may call something with these arguments (`params.arguments`).
    #[must_use]
    pub fn call(
        &self,
        principal: &Principal,
        item: &Item<'_>,
        arguments: Option<&RawValue>,
        circumstances: &Circumstances,
    ) -> Decision {
        let tier = self.tier(item);
        if let Some(refused) = quarantined(circumstances, tier) {
            return refused;
        }
        let groups = self.groups_of(principal);
        let asking = Asking { principal, item: *item, tier, phase: Phase::Call, circumstances };
        let slice = self.slice(&asking, &groups);
        let answer = match &slice.fixed {
            Some(answer) => answer.clone(),
            None => self.evaluate(&asking, &groups, &slice, &slice.whole, Some(arguments)),
        };
        self.decision(answer, tier)
    }

    /// Groups of somebody that make a difference.
    pub(super) fn groups_of(&self, principal: &Principal) -> Vec<Arc<str>> {
        principal.groups.iter().filter(|group| self.groups.contains(*group)).cloned().collect()
    }

    pub(super) fn slice(&self, asking: &Asking<'_>, groups: &[Arc<str>]) -> Arc<Slice> {
        let Item { server, kind, name, .. } = asking.item;
        let asked = Asked { phase: asking.phase, server, kind, name, tier: asking.tier };
        self.slices.get(&asked, groups, || {
            let mut slice = Slice::of(&self.entries, &asked, groups);
            if !slice.is_raw && !slice.needs_arguments {
                // Nothing looks at the person or the circumstances: anybody's answer is all's.
                let nobody = nobody(groups);
                let circumstances = Circumstances::default();
                let asking =
                    Asking { principal: &nobody, circumstances: &circumstances, ..*asking };
                let answer = self.evaluate(&asking, groups, &slice, &slice.whole, None);
                slice.fixed = Some(answer);
            }
            slice
        })
    }

    /// Without a look at arguments.
    fn plainly(&self, asking: &Asking<'_>, groups: &[Arc<str>], slice: &Slice) -> Answer {
        match &slice.fixed {
            Some(answer) => answer.clone(),
            None => self.evaluate(asking, groups, slice, &slice.plain, None),
        }
    }

    /// Asks Cedar. `arguments`: none while they are not known.
    pub(super) fn evaluate(
        &self,
        asking: &Asking<'_>,
        groups: &[Arc<str>],
        slice: &Slice,
        policies: &PolicySet,
        arguments: Option<Option<&RawValue>>,
    ) -> Answer {
        if policies.is_empty() {
            return Answer::default_deny();
        }
        let read = match arguments {
            Some(raw) if slice.needs_arguments => {
                let wanted = if slice.is_raw { Wanted::All } else { Wanted::At(&slice.paths) };
                match Arguments::read(raw, wanted, &self.limits) {
                    Ok(read) => Some(read),
                    Err(why) => return Answer::failed(Basis::Arguments, None, why),
                }
            }
            _ => None,
        };
        match self.request(asking, groups, slice, read) {
            Ok((request, entities)) => ask(&request, slice, policies, &entities),
            Err(why) => Answer::failed(Basis::Error, None, &why),
        }
    }

    fn request(
        &self,
        asking: &Asking<'_>,
        groups: &[Arc<str>],
        slice: &Slice,
        arguments: Option<Arguments>,
    ) -> Result<(Request, Entities), String> {
        if !slice.is_raw {
            return self.bare_request(asking.phase, slice, arguments);
        }
        let names = &self.names;
        let entity = |name: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
        };
        let Item { server, kind, name, .. } = asking.item;
        let (text, is) = (RestrictedExpression::new_string, |it: &str| it.to_owned());
        let user = user(asking.principal, groups, names)?;
        let kind = match (kind, &names.kinds) {
            (Kind::Tool, [tool, ..]) => tool,
            (Kind::Prompt, [_, prompt, _]) => prompt,
            (Kind::Resource, [.., resource]) => resource,
        };
        let attributes = HashMap::from([
            (is("server"), text(is(server))),
            (is("name"), text(is(name))),
            (is("tier"), text(is(asking.tier.as_str()))),
        ]);
        let parents = HashSet::from([entity(&names.server, server)]);
        let target = Entity::new(entity(kind, &format!("{server}/{name}")), attributes, parents)
            .map_err(|error| error.to_string())?;
        let action = names.action(asking.phase);
        let circumstances = asking.circumstances;
        let mut context = vec![
            (is("pin"), text(is(circumstances.pin.as_str()))),
            (is("code"), RestrictedExpression::new_bool(circumstances.code)),
            (is("now"), RestrictedExpression::new_datetime(now(circumstances))),
        ];
        let (principal, resource) = (user.uid(), target.uid());
        let mut entities = vec![user, target];
        if asking.phase == Phase::Call {
            let families = FAMILIES.iter().zip(&names.families).zip(slice.families);
            for (((member, _), name), _) in families.filter(|(_, is_used)| *is_used) {
                let uid = arguments::uid(name);
                context.push((is(member), RestrictedExpression::new_entity_uid(uid)));
            }
            let arguments = arguments.unwrap_or_default();
            entities.extend(arguments.entities(&names.families, slice.families)?);
        }
        let context = Context::from_pairs(context).map_err(|error| error.to_string())?;
        let request = Request::new(principal, action.clone(), resource, context, None)
            .map_err(|error| error.to_string())?;
        let entities =
            Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
        Ok((request, entities))
    }

    /// For policies that look at nothing but arguments: who asks for what was looked at before.
    fn bare_request(
        &self,
        phase: Phase,
        slice: &Slice,
        arguments: Option<Arguments>,
    ) -> Result<(Request, Entities), String> {
        let names = &self.names;
        let action = names.action(phase);
        let records = match arguments {
            Some(arguments) => arguments.records(slice.families)?,
            None => Vec::new(),
        };
        let context = Context::from_pairs(records).map_err(|error| error.to_string())?;
        let [somebody, something] = [&names.somebody, &names.something].map(Clone::clone);
        let request = Request::new(somebody, action.clone(), something, context, None);
        Ok((request.map_err(|error| error.to_string())?, Entities::empty()))
    }

    /// With what tiers ask for.
    fn decision(&self, answer: Answer, tier: Tier) -> Decision {
        let Answer { ruling, policy, kind, note } = answer;
        if ruling == Ruling::Allow && self.hold_tiers.contains(&tier) {
            let policy = Some(Arc::from(HOLD_TIERS));
            return Decision { ruling: Ruling::Hold, policy, kind: Basis::Tier, note, tier };
        }
        Decision { ruling, policy, kind, note, tier }
    }
}

fn ask(request: &Request, slice: &Slice, policies: &PolicySet, entities: &Entities) -> Answer {
    let response = Authorizer::new().is_authorized(request, policies, entities);
    let diagnostics = response.diagnostics();
    let errors = diagnostics.errors().map(|error| match error {
        AuthorizationError::PolicyEvaluationError(inner) => (inner.policy_id().to_string(), error),
    });
    if let Some((id, error)) = errors.min_by(|a, b| a.0.cmp(&b.0)) {
        // Cedar leaves out what fails; a policy that forbids must not fall silent.
        let note = error.to_string();
        return Answer::failed(Basis::Error, Some(Arc::from(id)), &note);
    }
    let mut reasons: Vec<_> = diagnostics.reason().collect();
    reasons.sort_unstable();
    let first = |ids: &[&cedar_policy::PolicyId]| {
        ids.first().map(|id| -> Arc<str> { Arc::from(AsRef::<str>::as_ref(*id)) })
    };
    let holds: Vec<_> = reasons.iter().copied().filter(|id| slice.holds.contains(id)).collect();
    let (ruling, policy) = match response.decision() {
        CedarDecision::Allow if !holds.is_empty() => (Ruling::Hold, first(&holds)),
        CedarDecision::Allow => (Ruling::Allow, first(&reasons)),
        CedarDecision::Deny => (Ruling::Deny, first(&reasons)),
    };
    match policy {
        None => Answer::default_deny(),
        policy => Answer { ruling, policy, kind: Basis::Policy, note: None },
    }
}

fn quarantined(circumstances: &Circumstances, tier: Tier) -> Option<Decision> {
    (circumstances.pin == PinState::Quarantined).then(|| Decision {
        ruling: Ruling::Deny,
        policy: Some(Arc::from(PINS)),
        kind: Basis::Quarantine,
        note: None,
        tier,
    })
}

/// Milliseconds are what Cedar has.
fn now(circumstances: &Circumstances) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(circumstances.now.as_nanos()));
    format!("{:.3}", time.unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// Somebody in these groups of whom nothing else is known.
fn nobody(groups: &[Arc<str>]) -> Principal {
    let empty: Arc<str> = Arc::from("");
    let owner = Owner { issuer: Arc::clone(&empty), subject: Arc::clone(&empty), client: empty };
    Principal {
        owner,
        name: None,
        groups: groups.into(),
        scopes: Arc::from([]),
        proof: Proof::Nobody,
        expires: None,
        shown: None,
    }
}

fn user(principal: &Principal, groups: &[Arc<str>], names: &Names) -> Result<Entity, String> {
    let Owner { issuer, subject, client } = &principal.owner;
    let id = EntityId::new(format!("{issuer}#{subject}"));
    let uid = EntityUid::from_type_name_and_id(names.user.clone(), id);
    let group = |group: &Arc<str>| {
        EntityUid::from_type_name_and_id(names.group.clone(), EntityId::new(group))
    };
    let parents: HashSet<_> = groups.iter().map(group).collect();
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let scopes = principal.scopes.iter().map(|scope| text(scope));
    let mut attributes = HashMap::from([
        ("issuer".to_owned(), text(issuer)),
        ("subject".to_owned(), text(subject)),
        ("client".to_owned(), text(client)),
        ("proof".to_owned(), text(principal.proof.as_str())),
        ("scopes".to_owned(), RestrictedExpression::new_set(scopes)),
    ]);
    attributes.extend(principal.name.iter().map(|name| ("name".to_owned(), text(name))));
    Entity::new(uid, attributes, parents).map_err(|error| error.to_string())
}

/// Somebody, for the cases of `portal policy test` and for `explain`.
pub(super) fn principal(
    issuer: &str,
    subject: &str,
    client: &str,
    groups: &[String],
    scopes: &[String],
) -> Principal {
    let shared = |all: &[String]| -> Arc<[Arc<str>]> {
        let mut all: Vec<Arc<str>> = all.iter().map(|text| Arc::from(text.as_str())).collect();
        all.sort_unstable();
        all.into()
    };
    let (issuer, subject, client) = (issuer.into(), subject.into(), client.into());
    Principal {
        owner: Owner { issuer, subject, client },
        groups: shared(groups),
        scopes: shared(scopes),
        ..nobody(&[])
    }
}

impl Default for Item<'_> {
    fn default() -> Self {
        Self { server: "", kind: Kind::Tool, name: "", hints: Hints::default() }
    }
}
