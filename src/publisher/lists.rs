//! Lists as such: made, described, removed, looked at.

use std::io::Write;
use std::sync::Arc;

use crate::list::{Code, Digest, ListId, Serial};
use crate::store::{By, Content, ListMeta, PublishedList, Record, digest_of};
use crate::wire::Act;

use super::base::list_lines;
use super::error::cut;
use super::lines::Lines;
use super::policy::Demands;
use super::state::{Slot, State};
use super::{ListPatch, ListView, LogPage, NewList, PublishError, Publisher, Refusal};

/// Longest text of a description, in octets.
const MAX_TEXT: usize = 500;
/// Most categories of a list.
const MAX_CATEGORIES: usize = 64;
/// Most versions in a page of the log.
const MAX_PAGE: usize = 1_000;

impl Publisher {
    /// All lists by name.
    pub fn lists(&self) -> Vec<ListView> {
        self.slots().iter().map(|slot| view(&slot.lock())).collect()
    }

    /// One list.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn view(&self, id: &ListId) -> Result<ListView, PublishError> {
        Ok(view(&self.slot(id)?.lock()))
    }

    /// Makes a list. It is served once it is published. A name that was removed goes on with its serials and with what it
    /// demanded, if its colour is the same.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by form; [`PublishError::ListExists`].
    pub fn create_list(&self, new: NewList, by: impl Into<By>) -> Result<ListView, PublishError> {
        let mut slots = self.slots_mut();
        let state = self.draft(new, |id| slots.contains_key(id))?;
        let (by, at, meta) = (by.into(), self.clock.now(), ListMeta::clone(&state.meta));
        let act = Act { after: Some(digest_of(&meta)), ..by.act(at, "list.create", format!("list:{}", meta.id)) };
        by.commit(&self.store, Record::List { meta, at, by: by.who.clone() }, act)?;
        let view = view(&state);
        slots.insert(state.meta.id.clone(), Arc::new(Slot::new(state)));
        Ok(view)
    }

    /// The list that [`Publisher::create_list`] would make; makes nothing.
    ///
    /// # Errors
    /// The same.
    pub fn would_create_list(&self, new: NewList) -> Result<ListView, PublishError> {
        Ok(view(&self.draft(new, |id| self.slot(id).is_ok())?))
    }

    /// A list that is not there yet, as it would begin.
    fn draft(&self, new: NewList, exists: impl Fn(&ListId) -> bool) -> Result<State, PublishError> {
        let mut meta = ListMeta {
            id: new.id,
            colour: new.colour,
            title: new.title,
            categories: new.categories,
            owner: new.owner,
            licence: new.licence,
            source: new.source,
            review: new.review,
            created: self.clock.now(),
        };
        settle(&mut meta)?;
        if exists(&meta.id) {
            return Err(PublishError::ListExists(meta.id));
        }
        let known = self.store.list(&meta.id)?;
        if let Some(known) = known.as_ref().filter(|known| known.meta.colour != meta.colour) {
            return Err(PublishError::Refused(vec![Refusal {
                place: "colour".into(),
                text: meta.colour.to_string(),
                reason: format!("a list of this name was removed, and it is {} for ever", known.meta.colour),
                hint: "use that colour, or another name".into(),
            }]));
        }
        let mut state = State::new(meta);
        if let Some(known) = known {
            (state.last, state.floor) = (known.last, known.floor);
        }
        // What a list of this name demanded before it was removed is demanded of it again, at once as after a restart.
        state.demands = Arc::new(Demands::load(&self.store, &state.meta.id)?);
        Ok(state)
    }

    /// Changes a list's description.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by form; [`PublishError::NoList`].
    pub fn set_list(&self, id: &ListId, patch: ListPatch, by: impl Into<By>) -> Result<ListView, PublishError> {
        let (slot, by) = (self.slot(id)?, by.into());
        let mut state = slot.lock();
        state.not_removed()?;
        by.expects(|| tag(&state))?;
        let meta = patched(&state.meta, patch)?;
        if meta != *state.meta {
            let at = self.clock.now();
            let act = by.act(at, "list.describe", format!("list:{id}"));
            let act = Act { before: Some(digest_of(&*state.meta)), after: Some(digest_of(&meta)), ..act };
            by.commit(&self.store, Record::List { meta: meta.clone(), at, by: by.who.clone() }, act)?;
            state.meta = Arc::new(meta);
            if let Some(staged) = &mut state.staged {
                // The categories may be others now.
                staged.screened = false;
            }
            if let Some(published) = &state.published {
                let published = Arc::new(PublishedList { meta: state.meta.clone(), ..PublishedList::clone(published) });
                state.published = Some(published.clone());
                self.catalog.set(published);
            }
        }
        Ok(view(&state))
    }

    /// The list as [`Publisher::set_list`] would leave it; changes nothing.
    ///
    /// # Errors
    /// The same.
    pub fn would_set_list(&self, id: &ListId, patch: ListPatch, by: &By) -> Result<ListView, PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        by.expects(|| tag(&state))?;
        Ok(ListView { meta: patched(&state.meta, patch)?, ..view(&state) })
    }

    /// The list that [`Publisher::remove_list`] would remove; removes nothing.
    ///
    /// # Errors
    /// The same.
    pub fn would_remove_list(&self, id: &ListId, by: &By) -> Result<ListView, PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        by.expects(|| tag(&state))?;
        Ok(view(&state))
    }

    /// Offers a list no longer. Its serials stay known for ever.
    ///
    /// # Errors
    /// [`PublishError::NoList`], or of the store.
    pub fn remove_list(&self, id: &ListId, by: impl Into<By>) -> Result<(), PublishError> {
        let slot = self.slot(id)?;
        // Whoever is changing the list is waited for before all lists are locked, which everybody needs to find one.
        let mut state = slot.lock();
        state.not_removed()?;
        let mut slots = self.slots_mut();
        let (by, at) = (by.into(), self.clock.now());
        by.expects(|| tag(&state))?;
        let before = state.last.map(|(_, version)| version);
        let act = Act { before, ..by.act(at, "list.remove", format!("list:{id}")) };
        by.commit(&self.store, Record::ListRemoved { list: id.clone(), at, by: by.who.clone() }, act)?;
        slots.remove(id);
        state.remove();
        self.catalog.remove(id);
        (self.announce)(id);
        Ok(())
    }

    /// The log of a list, newest first: versions before `before`, at most `limit` (up to 1,000).
    ///
    /// # Errors
    /// [`PublishError::NoList`], or of the store.
    pub fn log(&self, id: &ListId, before: Option<Serial>, limit: usize) -> Result<LogPage, PublishError> {
        self.slot(id)?;
        let limit = limit.clamp(1, MAX_PAGE);
        let mut versions = self.store.versions(id, before, limit + 1)?;
        let more = versions.len() > limit;
        versions.truncate(limit);
        let next = if more { versions.last().map(|v| v.serial) } else { None };
        Ok(LogPage { versions, next })
    }

    /// Writes the newest version's entry lines, in order, each with its LF. Returns their number.
    ///
    /// # Errors
    /// [`PublishError::NoList`], or of disk and `out`.
    pub fn export(&self, id: &ListId, out: &mut dyn Write) -> Result<u64, PublishError> {
        // The version that is current now; the lock is not held while a slow reader takes it.
        let published = {
            let slot = self.slot(id)?;
            let state = slot.lock();
            state.in_service()?;
            state.published.clone()
        };
        let empty = Content::empty();
        let (base, content) = published.as_ref().map_or((None, &empty), |p| (p.bases.last(), &p.content));
        let mut lines = list_lines(self.store.artefacts(), base, content)?;
        let mut out = std::io::BufWriter::with_capacity(64 << 10, out);
        let mut count = 0;
        while let Some(line) = lines.next_line()? {
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
            count += 1;
        }
        out.flush()?;
        Ok(count)
    }
}

/// A description with a patch over it, in its form.
fn patched(meta: &ListMeta, patch: ListPatch) -> Result<ListMeta, PublishError> {
    let mut meta = meta.clone();
    let texts = [
        (&mut meta.title, patch.title),
        (&mut meta.owner, patch.owner),
        (&mut meta.licence, patch.licence),
        (&mut meta.source, patch.source),
        (&mut meta.review, patch.review),
    ];
    for (old, new) in texts {
        if let Some(new) = new {
            *old = new;
        }
    }
    meta.categories = patch.categories.unwrap_or(meta.categories);
    settle(&mut meta)?;
    Ok(meta)
}

/// The tag of a list: of what [`Publisher::view`] shows.
fn tag(state: &State) -> Result<Option<Digest>, PublishError> {
    Ok(Some(digest_of(&view(state))))
}

fn view(state: &State) -> ListView {
    let published = state.published.as_ref();
    ListView {
        meta: ListMeta::clone(&state.meta),
        serial: published.map(|p| p.head.serial),
        entries: state.entries(),
        updated: published.map(|p| p.updated),
        expires: published.map(|p| p.head.expires),
        staged: state.staged.as_ref().map_or(0, |s| s.tally.total()),
    }
}

/// Brings a description into its form, or says what is wrong with it.
fn settle(meta: &mut ListMeta) -> Result<(), PublishError> {
    let mut refusals = Vec::new();
    let texts = [
        ("title", &mut meta.title),
        ("owner", &mut meta.owner),
        ("licence", &mut meta.licence),
        ("source", &mut meta.source),
        ("review", &mut meta.review),
    ];
    for (place, text) in texts {
        *text = text.trim().to_owned();
        if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            refusals.push(Refusal {
                place: place.into(),
                text: cut(text),
                reason: format!("longer than {MAX_TEXT} octets, or more than one line"),
                hint: "write one line".into(),
            });
        }
    }
    meta.categories.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    meta.categories.dedup();
    if meta.categories.len() > MAX_CATEGORIES {
        refusals.push(Refusal {
            place: "categories".into(),
            text: meta.categories.last().map_or("", Code::as_str).into(),
            reason: format!("more than {MAX_CATEGORIES} categories"),
            hint: "make several lists of it".into(),
        });
    }
    if refusals.is_empty() { Ok(()) } else { Err(PublishError::Refused(refusals)) }
}
