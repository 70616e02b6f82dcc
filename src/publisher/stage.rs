//! Changes one by one: staged durably, composed with what is staged already, never published by staging.

use std::collections::BTreeMap;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::list::{Attributes, Entry, ListId, Rule, rule_of};
use crate::store::{ArtefactKind, By, Record};
use crate::wire::Act;

use super::changes::{Staged, write};
use super::chunks::{fan_out, first_cause, join};
use super::error::cut;
use super::guards::{Screen, Tally};
use super::lines::{Lines, SmallChanges};
use super::loose::Loose;
use super::publish::LISTED;
use super::state::State;
use super::{ChangeRequest, PublishError, Publisher, Refusal, StagedView};

/// Most changes in one request; more is an import.
const MAX_CHANGES: usize = 10_000;

/// What a request asks of a rule: attributes to put, or `None` to remove it, and its place in the request.
pub(super) type Wishes = BTreeMap<Rule, (Option<Attributes>, String)>;

/// What is to be staged for rules: a change line, or `None`: nothing.
pub(super) type Overrides = BTreeMap<Box<str>, Option<Box<str>>>;

impl Publisher {
    /// Stages changes against the newest version, on top of what is staged. All of them or, if one is refused, none.
    ///
    /// An entry that is new and has no reference gets a random one; one that replaces another keeps its reference.
    ///
    /// # Errors
    /// [`PublishError::Refused`] with every refusal (on a dry run they are in the view instead).
    pub fn stage(&self, id: &ListId, request: &ChangeRequest, by: impl Into<By>) -> Result<StagedView, PublishError> {
        let (wishes, mut refused) = read_request(request);
        let (slot, by) = (self.slot(id)?, by.into());
        let mut state = slot.lock();
        state.in_service()?;
        by.expects(|| self.staged_tag(&state))?;
        let known = self.staged_lines_of(&state, &wishes)?;
        let mut overrides = Overrides::new();
        let demands = state.demands.clone();
        let mut screen = Screen::new(&state.meta, &self.options, &demands);
        let mut unchanged = 0;
        for (rule, (wish, place)) in wishes {
            match self.outcome(&state, known.get(rule.as_str()).map(|line| &**line), &rule, wish, &mut screen) {
                Ok(Outcome::Staged(change)) => {
                    overrides.insert(rule.as_str().into(), change);
                }
                Ok(Outcome::Unchanged) => unchanged += 1,
                Err(Refused::Because(mut refusal)) => {
                    if !refusal.place.starts_with("guard:") {
                        refusal.place = place;
                    }
                    refused.push(refusal);
                }
                Err(Refused::Failed(e)) => return Err(e),
            }
        }
        if !refused.is_empty() && !request.dry_run {
            return Err(PublishError::Refused(refused));
        }
        let changed = !overrides.is_empty();
        let mut view = if request.dry_run {
            self.view_with(&state, &overrides)?
        } else {
            if changed {
                let staged = self.with_overrides(&state, overrides)?;
                self.commit_staged(&mut state, Some(staged), "list.stage", &by)?;
            }
            self.view_staged(&state, LISTED)?
        };
        view.unchanged = unchanged;
        view.refused_total += refused.len() as u64;
        view.refused.extend(refused);
        view.refused.truncate(LISTED);
        Ok(view)
    }

    /// Makes `staged` what is staged. Crash before: what was staged before stays. Crash after: the start loads this.
    pub(super) fn commit_staged(&self, state: &mut State, staged: Option<Staged>, what: &str, by: &By) -> Result<(), PublishError> {
        let loose = Loose::new(self.store.artefacts());
        staged.iter().for_each(|staged| loose.add(ArtefactKind::Changes, staged.digest));
        let staged = staged.filter(|s| s.tally.total() > 0);
        let (list, at) = (state.meta.id.clone(), self.clock.now());
        let changes = staged.as_ref().map(|s| s.digest);
        let before = state.staged.as_ref().map(|s| s.digest);
        let act = Act { before, after: changes, ..by.act(at, what, format!("list:{list}")) };
        let count = staged.as_ref().map_or(0, |s| s.tally.total());
        let review = self.staged_by(state, changes, Some(&by.who))?;
        let record = Record::Staged { list, changes, count, at, by: by.who.clone() };
        loose.committed(by.clone().with([review]).commit(&self.store, record, act))?;
        state.staged = staged;
        Ok(())
    }

    pub(super) fn view_staged(&self, state: &State, lines: usize) -> Result<StagedView, PublishError> {
        let Some(staged) = &state.staged else { return Ok(StagedView::default()) };
        let mut view = self.view_of(state, staged.tally);
        let mut stream = staged.lines(self.store.artefacts())?;
        while view.lines.len() < lines
            && let Some(line) = stream.next_line()?
        {
            view.lines.push(line.to_owned());
        }
        drop(stream);
        (view.refused, view.refused_total) = self.screen(state)?;
        Ok(view)
    }

    /// Counts and guards.
    pub(super) fn view_of(&self, state: &State, tally: Tally) -> StagedView {
        StagedView {
            added: tally.added,
            removed: tally.removed,
            replaced: tally.replaced,
            guards: self.guards(state, tally),
            ..StagedView::default()
        }
    }

    /// What the view would be with these overrides.
    fn view_with(&self, state: &State, overrides: &Overrides) -> Result<StagedView, PublishError> {
        let (mut tally, mut lines) = (Tally::default(), Vec::new());
        self.overridden(state, overrides, |line| {
            tally.count(line.as_bytes()[0]);
            if lines.len() < LISTED {
                lines.push(line.to_owned());
            }
            Ok(())
        })?;
        Ok(StagedView { lines, ..self.view_of(state, tally) })
    }

    /// What is staged for the rules of a request.
    pub(super) fn staged_lines_of(&self, state: &State, wishes: &Wishes) -> Result<SmallChanges, PublishError> {
        let mut known = SmallChanges::new();
        let Some(staged) = &state.staged else { return Ok(known) };
        if let Some(small) = &staged.small {
            let found = wishes.keys().filter_map(|rule| small.get_key_value(rule.as_str()));
            return Ok(found.map(|(rule, line)| (rule.clone(), line.clone())).collect());
        }
        // A large import: one pass over it, whatever the request.
        let mut wanted = wishes.keys().map(Rule::as_str).peekable();
        let mut lines = staged.lines(self.store.artefacts())?;
        while let Some(line) = lines.next_line()? {
            let rule = rule_of(&line[1..]);
            while wanted.next_if(|wanted| *wanted < rule).is_some() {}
            match wanted.peek() {
                None => break,
                Some(wanted) if *wanted == rule => {
                    known.insert(rule.into(), line.into());
                }
                Some(_) => {}
            }
        }
        Ok(known)
    }

    /// What a wish for a rule comes to.
    fn outcome(
        &self,
        state: &State,
        staged: Option<&str>,
        rule: &Rule,
        wish: Option<Attributes>,
        screen: &mut Screen<'_>,
    ) -> Result<Outcome, Refused> {
        let published = match &state.published {
            Some(published) => published.content.get(rule).map_err(|e| Refused::Failed(e.into()))?,
            None => None,
        };
        let published = published.as_ref().map(Entry::line);
        let effective = match staged {
            Some(line) => (!line.starts_with('-')).then(|| &line[1..]),
            None => published,
        };
        let Some(attributes) = wish else {
            let Some(_) = effective else { return Err(absent(rule)) };
            return Ok(Outcome::Staged(published.map(|_| format!("-{rule}").into())));
        };
        // Put back after a staged removal, it is the entry it was.
        let entry = with_reference(rule, attributes, effective.or(published)).map_err(|e| match e {
            ReferenceError::Entry(e) => {
                let (reason, hint) = e.reason_and_hint();
                Refused::Because(Refusal { place: String::new(), text: cut(rule.as_str()), reason, hint })
            }
            ReferenceError::System(e) => Refused::Failed(PublishError::System(e)),
        })?;
        let line = entry.line();
        if Some(line) == effective {
            return Ok(Outcome::Unchanged);
        }
        if let Some(refusal) = screen.refuses(line) {
            return Err(Refused::Because(refusal));
        }
        Ok(Outcome::Staged(match published {
            Some(old) if old == line => None,
            Some(_) => Some(format!("~{line}").into()),
            None => Some(format!("+{line}").into()),
        }))
    }

    /// What is staged after these overrides.
    pub(super) fn with_overrides(&self, state: &State, overrides: Overrides) -> Result<Staged, PublishError> {
        let artefacts = self.store.artefacts();
        let screened = state.staged.as_ref().is_none_or(|s| s.screened);
        let mut staged = match state.staged.as_ref().map(|s| &s.small) {
            None | Some(Some(_)) => {
                let mut small = state.staged.as_ref().and_then(|s| s.small.clone()).unwrap_or_default();
                apply_overrides(&mut small, overrides);
                Staged::put(artefacts, small)?
            }
            Some(None) => {
                let (mut sender, [receiver]) = fan_out();
                thread::scope(|scope| {
                    let written = scope.spawn(move || write(artefacts, &receiver));
                    let made = self.overridden(state, &overrides, |line| Ok(sender.push([line, ""])?));
                    let made = sender.end(made);
                    first_cause(join(written), made).map(|(staged, ())| staged)
                })?
            }
        };
        staged.screened = screened;
        Ok(staged)
    }

    /// Hands on every change line that would be staged with these overrides.
    fn overridden(
        &self,
        state: &State,
        overrides: &Overrides,
        mut out: impl FnMut(&str) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        let mut overrides = overrides.iter().peekable();
        if let Some(staged) = &state.staged {
            let mut lines = staged.lines(self.store.artefacts())?;
            while let Some(line) = lines.next_line()? {
                let rule = rule_of(&line[1..]);
                while let Some((_, change)) = overrides.next_if(|(r, _)| &***r < rule) {
                    change.iter().try_for_each(|line| out(line))?;
                }
                match overrides.next_if(|(r, _)| &***r == rule) {
                    Some((_, change)) => change.iter().try_for_each(|line| out(line))?,
                    None => out(line)?,
                }
            }
        }
        for (_, change) in overrides {
            change.iter().try_for_each(|line| out(line))?;
        }
        Ok(())
    }
}

enum Outcome {
    Staged(Option<Box<str>>),
    Unchanged,
}

enum Refused {
    Because(Refusal),
    Failed(PublishError),
}

fn absent(rule: &Rule) -> Refused {
    Refused::Because(Refusal {
        place: String::new(),
        text: cut(rule.as_str()),
        reason: "this rule is not on the list, so it cannot be removed".into(),
        hint: "look with `bwld export`; a host alone means domain:, perhaps the list has subtree: or url: of it".into(),
    })
}

fn apply_overrides(small: &mut SmallChanges, overrides: Overrides) {
    for (rule, change) in overrides {
        match change {
            Some(line) => small.insert(rule, line),
            None => small.remove(&rule),
        };
    }
}

enum ReferenceError {
    Entry(crate::list::EntryError),
    System(String),
}

/// The entry, with the reference of the one before it, or a random one if it is new.
fn with_reference(rule: &Rule, mut attributes: Attributes, before: Option<&str>) -> Result<Entry, ReferenceError> {
    if attributes.reference.is_none() {
        attributes.reference = match before {
            // An entry that came in bulk has none, and stays without.
            Some(line) => Entry::trusted(line).attributes().reference,
            None => Some(random_reference::<9>().map_err(ReferenceError::System)?),
        };
    }
    Entry::new(rule, &attributes).map_err(ReferenceError::Entry)
}

/// `N` random octets as text: nothing of the target can be told from it. It does not begin with a hyphen, which a command line
/// would take for an option.
pub(crate) fn random_reference<const N: usize>() -> Result<String, String> {
    loop {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).map_err(|e| format!("the system gives no random numbers ({e}); try again"))?;
        let text = URL_SAFE_NO_PAD.encode(bytes);
        if !text.starts_with('-') {
            return Ok(text);
        }
    }
}

/// Brings a request to canonical rules; what is refused by form is named with its place.
fn read_request(request: &ChangeRequest) -> (Wishes, Vec<Refusal>) {
    let (mut wishes, mut refused) = (Wishes::new(), Vec::new());
    if request.put.len() + request.remove.len() > MAX_CHANGES {
        refused.push(Refusal {
            place: "put".into(),
            text: (request.put.len() + request.remove.len()).to_string(),
            reason: format!("more than {MAX_CHANGES} changes in one request"),
            hint: "import them as a file".into(),
        });
        return (wishes, refused);
    }
    let puts = request.put.iter().enumerate().map(|(at, put)| (format!("put[{at}].rule"), &put.rule, Some(put.attributes.clone())));
    let removes = request.remove.iter().enumerate().map(|(at, rule)| (format!("remove[{at}]"), rule, None));
    for (place, text, wish) in puts.chain(removes) {
        let rule = Rule::interpret(text.trim()).and_then(|rule| match &wish {
            // Whatever came to be on a list can be taken off it.
            None => Ok(rule),
            Some(_) => rule.check_suffix().map(|()| rule),
        });
        match rule {
            Err(e) => refused.push(Refusal::of_target(place, text, &e)),
            Ok(rule) => match wishes.get(&rule) {
                Some((before, first)) if *before != wish => refused.push(Refusal {
                    place,
                    text: cut(text),
                    reason: format!("the same rule is in {first}, and the two do not agree"),
                    hint: "leave one of them out".into(),
                }),
                _ => {
                    wishes.insert(rule, (wish, place));
                }
            },
        }
    }
    (wishes, refused)
}
