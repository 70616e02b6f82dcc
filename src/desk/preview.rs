//! What a publication would do: its exact delta, what of it stands on a list of the other colour, and what questions would be
//! answered before and after it.
//!
//! A question is put to the matching core with just those rules that can answer it, each read from the lists, so that the cost is
//! by the question and not by the list.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Colour, Kind, ListId, Rule, Timestamp, rule_of};
use crate::matcher::{About, IndexBuilder, Layers, ListState, Lists, Question, Seed, Verdict};
use crate::publisher::{PublishError, PublishRequest, Refusal, StagedReview, StagedView};
use crate::store::PublishedList;

use super::{Desk, DeskError};

/// Most questions.
const MOST: usize = 100;
/// Longest question, in octets.
const LONGEST: usize = 1_024;

/// What to ask before and after.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewRequest {
    /// Hosts, URLs and addresses; none: some that follow from what is staged.
    pub questions: Vec<String>,
}

/// A question and how it is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Effect {
    /// The question.
    pub question: String,
    /// Before: block, allow or none, with list and rule.
    pub before: String,
    /// After.
    pub after: String,
}

/// What the publication of what is staged would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The delta, and the guards that stand against it.
    pub changes: StagedView,
    /// Who stands behind it.
    pub review: StagedReview,
    /// Targets that stand on a list of the other colour as well.
    pub both: Vec<Refusal>,
    /// The questions.
    pub effects: Vec<Effect>,
}

impl Desk {
    /// What publishing what is staged for a list would do.
    ///
    /// # Errors
    /// [`DeskError::Refused`] if a question is none; of reading.
    pub fn preview(&self, list: &ListId, request: &PreviewRequest) -> Result<Preview, DeskError> {
        let dry = PublishRequest { dry_run: true, ..PublishRequest::default() };
        let changes = self.publisher.publish(list, &dry, "preview")?.changes;
        let review = self.publisher.staged_review(list)?;
        let puts: Vec<Rule> =
            changes.lines.iter().filter(|line| !line.starts_with('-')).map(|line| Rule::trusted(rule_of(&line[1..]))).collect();
        let both = self.both_colours(list, &puts)?;
        let questions = if request.questions.is_empty() {
            changes.lines.iter().take(20).map(|line| sample(rule_of(&line[1..]))).collect()
        } else {
            request.questions.clone()
        };
        if questions.len() > MOST || questions.iter().any(|question| question.len() > LONGEST) {
            return Err(bad("questions", String::new(), format!("more than {MOST} questions, or one longer than {LONGEST} octets")));
        }
        let mut effects = Vec::new();
        for question in questions {
            let parsed = Question::parse(&question).map_err(|e| bad("questions", question.clone(), e.to_string()))?;
            let rules = candidates(&parsed);
            let (before, after) = (self.answer(&question, &rules, None)?, self.answer(&question, &rules, Some(list))?);
            effects.push(Effect { question, before, after });
        }
        Ok(Preview { changes, review, both, effects })
    }

    /// Those of these rules whose target a list of the other colour has as well.
    ///
    /// # Errors
    /// Of reading.
    pub fn both_colours(&self, list: &ListId, rules: &[Rule]) -> Result<Vec<Refusal>, DeskError> {
        let colour = self.publisher.view(list)?.meta.colour;
        let mut found = Vec::new();
        for other in self.catalog.all().into_iter().filter(|other| other.meta.colour != colour) {
            for rule in rules {
                for same in same_target(rule) {
                    if other.content.get(&same)?.is_some() {
                        found.push(Refusal {
                            place: "both-colours".into(),
                            text: rule.as_str().chars().take(80).collect(),
                            reason: format!("{same} is on list {}, which is {}", other.meta.id, other.meta.colour),
                            hint: "white wins with most filters; take it off one of the two if that is not meant".into(),
                        });
                    }
                }
            }
        }
        Ok(found)
    }

    /// How all lists answer; with `staged` as if that list's changes were published.
    fn answer(&self, question: &str, rules: &[Rule], staged: Option<&ListId>) -> Result<String, DeskError> {
        let now = self.clock.now();
        let failed = |e: String| DeskError::Publish(PublishError::System(e));
        let mut lists = Lists::new();
        let mut unpublished = staged.filter(|id| self.catalog.get(id).is_none());
        for published in self.catalog.all() {
            let id = &published.meta.id;
            let changes = if staged == Some(id) { self.publisher.staged_for(id, rules)? } else { BTreeMap::new() };
            let lines = lines(Some(&published), rules, &changes)?;
            lists = with(lists, &published.head.origin.clone(), id, published.meta.colour, &lines).map_err(failed)?;
        }
        if let Some(id) = unpublished.take() {
            let lines = lines(None, rules, &self.publisher.staged_for(id, rules)?)?;
            let colour = self.publisher.view(id)?.meta.colour;
            lists = with(lists, &self.publisher.options().origin, id, colour, &lines).map_err(failed)?;
        }
        verdict(&lists, question, now).map_err(failed)
    }
}

fn bad(place: &str, text: String, reason: String) -> DeskError {
    let text = text.chars().take(80).collect();
    DeskError::Refused(vec![Refusal { place: place.into(), text, reason, hint: "ask for hosts, URLs or addresses".into() }])
}

/// The entry lines of these rules on a list, with changes over them.
fn lines(published: Option<&PublishedList>, rules: &[Rule], changes: &BTreeMap<Box<str>, Box<str>>) -> Result<Vec<String>, DeskError> {
    let mut lines = Vec::new();
    for rule in rules {
        match (changes.get(rule.as_str()), published) {
            (Some(change), _) if change.starts_with('-') => {}
            (Some(change), _) => lines.push(change[1..].to_owned()),
            (None, Some(published)) => lines.extend(published.content.get(rule)?.map(|entry| entry.line().to_owned())),
            (None, None) => {}
        }
    }
    lines.sort_unstable();
    Ok(lines)
}

fn with(lists: Lists, origin: &crate::list::Origin, list: &ListId, colour: Colour, lines: &[String]) -> Result<Lists, String> {
    let serial = crate::list::Serial::FIRST;
    let about = About { origin: origin.clone(), list: list.clone(), colour, serial, root: crate::list::Digest([0; 32]) };
    let mut builder = IndexBuilder::new(about, Seed::new([7; 16]));
    for line in lines {
        builder.push(line).map_err(|e| e.to_string())?;
    }
    let layers = Layers::new(builder.finish().map_err(|e| e.to_string())?.into());
    let state = ListState { origin: origin.clone(), list: list.clone(), colour, serial: Some(serial), expires: None, local: false };
    lists.with_list(state, Some(layers)).map_err(|e| e.to_string())
}

fn verdict(lists: &Lists, question: &str, now: Timestamp) -> Result<String, String> {
    Ok(match lists.ask(question, now).map_err(|e| e.to_string())? {
        Verdict::Block(by) => format!("block: {} {}", by.list().list, by.rule().map_err(|e| e.to_string())?),
        Verdict::Allow(by) => format!("allow: {} {}", by.list().list, by.rule().map_err(|e| e.to_string())?),
        _ => "none".to_owned(),
    })
}

/// A question that follows from a rule.
fn sample(rule: &str) -> String {
    match Kind::split(rule) {
        Some((Kind::Subtree, target)) => format!("www.{target}"),
        Some((Kind::Cidr, target)) => target.split('/').next().unwrap_or(target).to_owned(),
        Some((_, target)) => target.to_owned(),
        None => rule.to_owned(),
    }
}

/// The same target under each kind that has it.
fn same_target(rule: &Rule) -> Vec<Rule> {
    let kinds: &[Kind] = match rule.kind() {
        Kind::Domain | Kind::Subtree => &[Kind::Domain, Kind::Subtree],
        Kind::Url | Kind::Prefix => &[Kind::Url, Kind::Prefix],
        Kind::Cidr => &[Kind::Cidr],
    };
    kinds.iter().map(|kind| Rule::trusted(&format!("{}:{}", kind.word(), rule.target()))).collect()
}

/// Every rule that can answer a question.
fn candidates(question: &Question<'_>) -> Vec<Rule> {
    let (name, mut texts) = (question.name(), Vec::new());
    match question.as_address() {
        Some(address) => {
            let most = if address.is_ipv4() { 32 } else { 128 };
            texts.extend((0..=most).filter_map(|length| range(address, length)));
        }
        None => {
            texts.push(format!("domain:{name}"));
            let mut rest = Some(name);
            while let Some(above) = rest.filter(|above| !above.is_empty()) {
                texts.push(format!("subtree:{above}"));
                rest = above.split_once('.').map(|(_, above)| above);
            }
        }
    }
    // A host alone is asked about as its first page.
    let rest = question.rest().unwrap_or("/");
    let whole = format!("{name}{rest}");
    texts.push(format!("url:{whole}"));
    texts.extend((name.len() + 1..=whole.len()).filter_map(|end| Some(format!("prefix:{}", whole.get(..end)?))));
    texts.iter().map(|text| Rule::trusted(text)).collect()
}

fn range(address: IpAddr, length: u8) -> Option<String> {
    Some(format!("cidr:{}", ipnet::IpNet::new(address, length).ok()?.trunc()))
}
