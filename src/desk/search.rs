//! Search over everything on the desk and on the lists: cases in memory, entries without a case by a scan of what is published.
//!
//! Guarantees: cost is bounded by one pass over the lists that are asked about, and a page that is full ends it; what a cursor leaves
//! out and what it goes on with do not overlap as long as nothing is published in between.

use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Attributes, Code, Date, Entry, Kind, ListId, Rule, rule_of};
use crate::publisher::Refusal;
use crate::store::PublishedList;

use super::case::Case;
use super::states::CaseState;
use super::{Cases, Desk, DeskError};

/// Most results of a page.
pub(super) const MOST: usize = 1_000;

/// What to look for; everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Only these lists; none: all.
    pub lists: Option<Vec<ListId>>,
    /// A text in the rule, the attributes or any word of the case.
    pub text: String,
    /// A rule, or a target of a rule of any kind.
    pub rule: String,
    /// A category.
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

    /// The text as it is looked for in entry lines, which have hosts in small letters.
    fn in_lines(&self) -> String {
        if self.text.contains('/') { self.text.clone() } else { self.text.to_lowercase() }
    }

    /// What stands in every line that can be meant: the rarer the better.
    fn needle(&self) -> String {
        let code = |key: &str, code: &Option<Code>| code.as_ref().map(|code| format!("{key}{code}"));
        let reference = (!self.reference.is_empty()).then(|| format!("\tref={}", self.reference));
        let text = (!self.text.is_empty()).then(|| self.in_lines());
        let expires = (self.expires.0.is_some() || self.expires.1.is_some()).then(|| "\texp=".to_owned());
        reference.or(text).or(code("\trsn=", &self.reason)).or(code("", &self.category)).or(expires).unwrap_or_default()
    }

    fn on_list(&self, list: &ListId) -> bool {
        self.lists.as_ref().is_none_or(|lists| lists.contains(list))
    }

    fn has_state(&self, state: CaseState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// What the attributes say.
    fn meets(&self, attributes: &Attributes) -> bool {
        self.category.as_ref().is_none_or(|code| attributes.categories.contains(code))
            && (self.reason.is_none() || self.reason == attributes.reason)
            && within(attributes.expires, self.expires)
    }

    fn meets_case(&self, case: &Case, rules: &[Rule]) -> bool {
        self.on_list(&case.list)
            && self.has_state(case.state)
            && (self.rule.is_empty() || rules.iter().any(|rule| rule.as_str() == case.words.rule))
            && (self.reference.is_empty() || case.reference == self.reference)
            && (self.proposer.is_empty() || case.proposer == self.proposer)
            && within(Some(case.created.date()), self.created)
            && self.meets(&case.words.attributes)
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

fn within(day: Option<Date>, (from, to): (Option<Date>, Option<Date>)) -> bool {
    match day {
        Some(day) => from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to),
        None => from.is_none() && to.is_none(),
    }
}

/// All words of a case in small letters.
pub(super) fn words_of(case: &Case) -> String {
    let basis = case.words.basis.iter().flat_map(|basis| [&basis.jurisdiction, &basis.instrument, &basis.authority, &basis.number]);
    let attributes = &case.words.attributes;
    let codes = attributes.categories.iter().chain(&attributes.reason).map(Code::as_str);
    let texts =
        [&case.words.rule, &case.reference, &case.proposer, &case.decision].into_iter().chain(basis).chain(case.words.reasons.values());
    let texts = texts.chain(case.notes.iter().map(|note| &note.text)).map(String::as_str).chain(codes);
    texts.collect::<Vec<_>>().join("\n").to_lowercase()
}

impl Desk {
    /// A page of what is meant: cases by reference, then entries without a case, list by list.
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
            let after = if let Some(Cursor::Case(reference)) = &cursor { Bound::Excluded(reference.as_str()) } else { Bound::Unbounded };
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
        let (list, text) = (&published.meta.id, search.in_lines());
        let mut last = None;
        let mut take = |bucket: u32, line: &str| {
            let attributes = Entry::trusted(line).attributes();
            let meant = line.contains(&text)
                && (search.reference.is_empty() || attributes.reference.as_deref() == Some(&search.reference))
                && search.meets(&attributes);
            if !meant || from.is_some_and(|(b, rule)| b == bucket && rule_of(line) <= rule) || self.has_case(list, &attributes) {
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
            published.content.scan(from.map_or(0, |(bucket, _)| bucket), &Finder::new(&search.needle()), &mut take)?;
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

    fn has_case(&self, list: &ListId, attributes: &Attributes) -> bool {
        let Some(reference) = &attributes.reference else { return false };
        self.read(|cases| cases.all.get(reference).is_some_and(|kept| kept.case.list == *list))
    }
}

fn search_cases(cases: &Cases, search: &Search, rules: &[Rule], after: Bound<&str>, limit: usize, page: &mut Page) {
    let text = search.text.to_lowercase();
    let finder = Finder::new(&text);
    for kept in cases.all.range::<str, _>((after, Bound::Unbounded)).map(|(_, kept)| kept) {
        let case = &kept.case;
        if search.meets_case(case, rules) && (text.is_empty() || finder.find(kept.text.as_bytes()).is_some()) {
            page.found.push(Found {
                list: case.list.clone(),
                rule: case.words.rule.clone(),
                state: case.state,
                attributes: Attributes { reference: Some(case.reference.clone()), ..case.words.attributes.clone() },
                case: Some(Case::clone(case)),
            });
            if page.found.len() == limit {
                return;
            }
        }
    }
}
