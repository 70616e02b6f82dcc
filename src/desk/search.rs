//! Search over everything on the desk and on the lists: cases by their register, entries without a case by a scan of what is
//! published for the rarest of the texts that must stand in their lines.
//!
//! Guarantees: cost is bounded by one pass over the lists that are asked about, and a page that is full ends it; what a cursor leaves
//! out and what it goes on with do not overlap as long as nothing is published in between.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Attributes, Code, Date, Entry, Kind, ListId, Rule, rule_of};
use crate::publisher::Refusal;
use crate::store::{Needle, PublishedList};

use super::case::Case;
use super::states::CaseState;
use super::tick::EXPIRES;
use super::{Cases, Desk, DeskError};

/// Most results of a page.
pub(super) const MOST: usize = 1_000;

/// What to look for; everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Only these lists; none: all.
    pub lists: Option<Vec<ListId>>,
    /// A text in the rule, the attributes or any word of the case, its letters small or capital.
    pub text: String,
    /// A rule, or a target of a rule of any kind.
    pub rule: String,
    /// A category, of the list or of any scheme.
    pub category: Option<Code>,
    /// A reason code.
    pub reason: Option<Code>,
    /// A reference.
    pub reference: String,
    /// Who proposed it.
    pub proposer: String,
    /// One of these states; empty: any.
    pub states: Vec<CaseState>,
    /// Begun on this day or later, and on this day or before.
    pub created: (Option<Date>, Option<Date>),
    /// Expires on this day or later, and on this day or before.
    pub expires: (Option<Date>, Option<Date>),
    /// Where the page before ended.
    pub cursor: String,
    /// Results of a page, at most 1,000.
    pub limit: usize,
}

/// An entry that was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// The list.
    pub list: ListId,
    /// The rule.
    pub rule: String,
    /// Where it stands.
    pub state: CaseState,
    /// Its attributes.
    pub attributes: Attributes,
    /// The case, if there is one.
    pub case: Option<Case>,
}

/// A page of results.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// What was found.
    pub found: Vec<Found>,
    /// Ask with `cursor=` this for the next page.
    pub next: Option<String>,
}

/// Where a page ends.
enum Cursor {
    /// Behind the case of this reference.
    Case(String),
    /// Behind this rule in this bucket of this list.
    Entry(ListId, u32, String),
}

impl Cursor {
    fn read(text: &str) -> Option<Cursor> {
        let (kind, rest) = text.split_at_checked(1)?;
        match kind {
            "c" => Some(Cursor::Case(rest.to_owned())),
            "e" => {
                let mut parts = rest.splitn(3, '.');
                let (list, bucket, rule) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
                Some(Cursor::Entry(list, bucket, String::from_utf8(URL_SAFE_NO_PAD.decode(rule).ok()?).ok()?))
            }
            _ => None,
        }
    }

    fn entry(list: &ListId, bucket: u32, rule: &str) -> String {
        format!("e{list}.{bucket}.{}", URL_SAFE_NO_PAD.encode(rule))
    }
}

impl Search {
    /// The rules that `rule` may mean.
    fn rules(&self) -> Vec<Rule> {
        let text = self.rule.trim();
        let kinds: &[Kind] = match Kind::split(text) {
            _ if text.is_empty() => return Vec::new(),
            Some(_) => return Rule::interpret(text).into_iter().collect(),
            None => match Rule::interpret_kind(text) {
                Kind::Cidr => &[Kind::Cidr],
                Kind::Url => &[Kind::Prefix, Kind::Url],
                _ => &[Kind::Domain, Kind::Subtree],
            },
        };
        kinds.iter().filter_map(|kind| Rule::new(*kind, text).ok()).collect()
    }

    /// What stands in every line that can be meant.
    fn needles(&self) -> Vec<Needle<'static>> {
        let keyed = |key: &str, value: &str| Some(format!("{key}{value}")).filter(|_| !value.is_empty());
        let code = |code: &Option<Code>| code.as_ref().map(Code::to_string).unwrap_or_default();
        let expires = match self.expires {
            (None, None) => None,
            // The letters that all days in between have in common.
            (Some(from), Some(to)) => {
                let (from, to) = (from.to_string(), to.to_string());
                let same = from.bytes().zip(to.bytes()).take_while(|(a, b)| a == b).count();
                Some(format!("{EXPIRES}{}", &from[..same]))
            }
            _ => Some(EXPIRES.to_owned()),
        };
        let texts = [keyed("\tref=", &self.reference), keyed("\trsn=", &code(&self.reason)), keyed("", &code(&self.category)), expires];
        let texts = texts.iter().flatten().map(|text| Needle::exact(text));
        texts.chain((!self.text.is_empty()).then(|| Needle::in_any_case(&self.text))).collect()
    }

    fn on_list(&self, list: &ListId) -> bool {
        self.lists.as_ref().is_none_or(|lists| lists.contains(list))
    }

    fn has_state(&self, state: CaseState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    fn meets_case(&self, case: &Case, rules: &[Rule]) -> bool {
        self.on_list(&case.list)
            && self.has_state(case.state)
            && (self.rule.is_empty() || rules.iter().any(|rule| rule.as_str() == case.words.rule))
            && (self.reference.is_empty() || case.reference == self.reference)
            && (self.proposer.is_empty() || case.proposer == self.proposer)
            && within(Some(case.created.date()), self.created)
            && self.category.as_ref().is_none_or(|code| case.words.categories().any(|one| one == code))
            && (self.reason.is_none() || self.reason == case.words.attributes.reason)
            && within(case.words.attributes.expires, self.expires)
    }

    /// Whether an entry that has no case can be meant.
    fn wants_plain(&self) -> bool {
        self.proposer.is_empty() && self.created == (None, None) && self.has_state(CaseState::Published)
    }

    fn check(&self) -> Result<Option<Cursor>, DeskError> {
        let refuse = |place: &str, reason: &str, hint: &str| {
            let (place, reason, hint) = (place.into(), reason.into(), hint.into());
            Err(DeskError::Refused(vec![Refusal { place, text: String::new(), reason, hint }]))
        };
        for (place, text) in [("text", &self.text), ("rule", &self.rule), ("reference", &self.reference), ("proposer", &self.proposer)] {
            if text.len() > 4_096 || text.chars().any(char::is_control) {
                return refuse(place, "longer than 4,096 octets, or more than one line", "write less");
            }
        }
        match Cursor::read(&self.cursor) {
            None if !self.cursor.is_empty() => refuse("cursor", "not a cursor that was given", "begin at the first page"),
            cursor => Ok(cursor),
        }
    }
}

pub(super) fn within(day: Option<Date>, (from, to): (Option<Date>, Option<Date>)) -> bool {
    match day {
        Some(day) => from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to),
        None => from.is_none() && to.is_none(),
    }
}

/// What is looked for, as it stands in entry lines: nothing is taken apart that need not be.
struct InLines<'s> {
    search: &'s Search,
    text: Needle<'static>,
    category: Option<&'s str>,
    reason: Option<&'s str>,
    expires: (Option<String>, Option<String>),
}

impl<'s> InLines<'s> {
    fn new(search: &'s Search) -> InLines<'s> {
        let (from, to) = search.expires;
        InLines {
            search,
            text: Needle::in_any_case(&search.text),
            category: search.category.as_ref().map(Code::as_str),
            reason: search.reason.as_ref().map(Code::as_str),
            expires: (from.map(|day| day.to_string()), to.map(|day| day.to_string())),
        }
    }

    fn meets(&self, line: &str) -> bool {
        let value = |key: &str| line.split('\t').skip(1).find_map(|part| part.strip_prefix(key));
        // Days of four digits a year: in order as texts.
        let (from, to) = (self.expires.0.as_deref(), self.expires.1.as_deref());
        let in_time = || value("exp=").is_some_and(|day| from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to));
        self.category.is_none_or(|code| value("cat=").is_some_and(|codes| codes.split(',').any(|one| one == code)))
            && (self.reason.is_none() || self.reason == value("rsn="))
            && (self.search.reference.is_empty() || value("ref=") == Some(&self.search.reference))
            && (from.is_none() && to.is_none() || in_time())
            && self.text.is_in(line)
    }
}

impl Desk {
    /// Everything that is meant, page by page: cases in the order in which they were begun, then entries without a case, list by list. A list is read as it was
    /// when its turn came, whatever is published meanwhile. Returns how many there were.
    ///
    /// # Errors
    /// Those of [`Desk::search`] and of `take`.
    pub(super) fn every(&self, search: &Search, take: &mut dyn FnMut(&Found) -> std::io::Result<()>) -> Result<u64, DeskError> {
        search.check()?;
        let rules = search.rules();
        let mut count = 0;
        let mut hand_on = |page: &Page| -> Result<(), DeskError> {
            count += page.found.len() as u64;
            Ok(page.found.iter().try_for_each(&mut *take)?)
        };
        if !search.rule.is_empty() && rules.is_empty() {
            return Ok(0);
        }
        let mut behind: Option<String> = None;
        loop {
            let mut page = Page::default();
            self.read(|cases| search_cases(cases, search, &rules, behind.as_deref(), MOST, &mut page));
            hand_on(&page)?;
            behind = page.found.last().and_then(|found| Some(found.case.as_ref()?.reference.clone()));
            if page.found.len() < MOST {
                break;
            }
        }
        let lists = if search.wants_plain() { self.catalog.all() } else { Default::default() };
        for published in lists.iter().filter(|published| search.on_list(&published.meta.id)) {
            let mut from = None;
            loop {
                let mut page = Page::default();
                let place = from.as_ref().map(|(bucket, rule): &(u32, String)| (*bucket, rule.as_str()));
                self.search_list(published, search, &rules, place, MOST, &mut page)?;
                hand_on(&page)?;
                from = match page.next.as_deref().and_then(Cursor::read) {
                    Some(Cursor::Entry(_, bucket, rule)) => Some((bucket, rule)),
                    _ => break,
                };
            }
        }
        Ok(count)
    }

    /// A page of what is meant: cases in the order in which they were begun, then entries without a case, list by list.
    ///
    /// # Errors
    /// [`DeskError::Refused`] by form; of reading.
    pub fn search(&self, search: &Search) -> Result<Page, DeskError> {
        let cursor = search.check()?;
        let limit = search.limit.clamp(1, MOST);
        let rules = search.rules();
        let mut page = Page::default();
        if !search.rule.is_empty() && rules.is_empty() {
            return Ok(page);
        }
        if !matches!(cursor, Some(Cursor::Entry(..))) {
            let after = if let Some(Cursor::Case(reference)) = &cursor { Some(reference.as_str()) } else { None };
            self.read(|cases| search_cases(cases, search, &rules, after, limit + 1, &mut page));
            if page.found.len() > limit {
                page.found.truncate(limit);
                page.next = page.found.last().and_then(|found| Some(format!("c{}", found.case.as_ref()?.reference)));
                return Ok(page);
            }
        }
        if !search.wants_plain() {
            return Ok(page);
        }
        let from = if let Some(Cursor::Entry(list, bucket, rule)) = cursor { Some((list, bucket, rule)) } else { None };
        for published in self.catalog.all() {
            let id = &published.meta.id;
            if !search.on_list(id) || from.as_ref().is_some_and(|(list, ..)| id < list) {
                continue;
            }
            let from = from.as_ref().filter(|(list, ..)| list == id).map(|(_, bucket, rule)| (*bucket, rule.as_str()));
            self.search_list(&published, search, &rules, from, limit, &mut page)?;
            if page.next.is_some() {
                break;
            }
        }
        Ok(page)
    }

    fn search_list(
        &self,
        published: &Arc<PublishedList>,
        search: &Search,
        rules: &[Rule],
        from: Option<(u32, &str)>,
        limit: usize,
        page: &mut Page,
    ) -> Result<(), DeskError> {
        let (list, wanted) = (&published.meta.id, InLines::new(search));
        let mut last = None;
        let mut take = |bucket: u32, line: &str| {
            if !wanted.meets(line) || from.is_some_and(|(b, rule)| b == bucket && rule_of(line) <= rule) {
                return true;
            }
            let attributes = Entry::trusted(line).attributes();
            if self.has_case(list, line, &attributes) {
                return true;
            }
            if page.found.len() == limit {
                page.next = last.take().or_else(|| Some(Cursor::entry(list, 0, "")));
                return false;
            }
            let rule = rule_of(line).to_owned();
            last = Some(Cursor::entry(list, bucket, &rule));
            page.found.push(Found { list: list.clone(), rule, state: CaseState::Published, attributes, case: None });
            true
        };
        if search.rule.is_empty() {
            published.content.scan_all(from.map_or(0, |(bucket, _)| bucket), &search.needles(), &mut take)?;
        } else {
            // At most two: never a page of their own.
            for rule in rules {
                if let Some(entry) = published.content.get(rule)? {
                    take(0, entry.line());
                }
            }
        }
        if page.next.is_none() && page.found.len() == limit {
            // Full to the brim; what follows, in this list or the next, begins behind it.
            page.next = last;
        }
        Ok(())
    }

    /// Whether an entry line is that of a case that is on the list. Anybody who stages may write any reference into a line: one of
    /// another rule's case, or of one that is on no list, hides nothing.
    fn has_case(&self, list: &ListId, line: &str, attributes: &Attributes) -> bool {
        let Some(reference) = &attributes.reference else { return false };
        let is_its = |case: &Case| case.list == *list && case.state == CaseState::Published && case.words.rule == rule_of(line);
        self.read(|cases| cases.all.get(reference).is_some_and(|kept| is_its(&kept.case)))
    }
}

fn search_cases(cases: &Cases, search: &Search, rules: &[Rule], after: Option<&str>, limit: usize, page: &mut Page) {
    let place = |reference: &str| cases.all.get(reference).map(|kept| kept.at);
    let from = match after.map(place) {
        None => 0,
        Some(Some(at)) => at + 1,
        // No such case, so none behind it either.
        Some(None) => return,
    };
    let range: Range<usize> = match (search.reference.is_empty(), place(&search.reference)) {
        (true, _) => from..usize::MAX,
        (false, Some(at)) if at >= from => at..at + 1,
        (false, _) => return,
    };
    let texts: Vec<String> = rules.iter().map(|rule| rule.as_str().to_lowercase()).collect();
    cases.register.walk(range, search, &texts, &mut |case| {
        if search.meets_case(case, rules) {
            page.found.push(Found {
                list: case.list.clone(),
                rule: case.words.rule.clone(),
                state: case.state,
                attributes: Attributes { reference: Some(case.reference.clone()), ..case.words.attributes.clone() },
                case: Some(Case::clone(case)),
            });
        }
        page.found.len() < limit
    });
}
