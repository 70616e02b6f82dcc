//! What a publication would do, of what is staged or of the cases that are approved: its exact delta, what of it stands on a list of the
//! other colour, and what questions would be answered before and after it.
//!
//! A question is put to the matching core with just those rules that can answer it, each read from the lists, so that the cost is
//! by the question and not by the list.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Colour, Kind, ListId, Rule, Timestamp, rule_of};
use crate::matcher::{About, IndexBuilder, Layers, ListState, Lists, Question, Seed, Verdict};
use crate::publisher::{Beside, By, PublishError, PublishRequest, Refusal, StagedReview, StagedView};
use crate::store::PublishedList;

use super::states::Action;
use super::{Desk, DeskError};

/// Most questions.
const MOST: usize = 100;
/// Longest question, in octets.
const LONGEST: usize = 1_024;

/// What to ask before and after.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewRequest {
    /// Hosts, URLs and addresses; none: some that follow from what would be published.
    pub questions: Vec<String>,
    /// The entries that are approved, instead of what is staged.
    pub cases: bool,
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

/// What the publication of what is staged, or of what is approved, would do.
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
    /// Of a preview of what is staged: entries that are approved and wait beside it.
    #[serde(default)]
    pub approved: u64,
}

/// Change lines by rule, of these rules.
type After<'a> = &'a dyn Fn(&[Rule]) -> Result<BTreeMap<Box<str>, Box<str>>, DeskError>;

impl Desk {
    /// What publishing what is staged for a list would do, or publishing its cases.
    ///
    /// # Errors
    /// [`DeskError::Refused`] if a question is none; those of [`Desk::publish`] if cases are asked for; of reading.
    pub fn preview(&self, list: &ListId, request: &PreviewRequest) -> Result<Preview, DeskError> {
        let mut entries = BTreeMap::new();
        let (mut changes, approved) = if request.cases {
            let _writing = self.lock(list);
            let cases = self.all_ready(list, "")?;
            for case in &cases {
                let entry = case.entry().map_err(|_| DeskError::Form("an entry"))?;
                entries.insert(case.words.rule.clone(), format!("+{}", entry.line()));
            }
            let dry = Beside { cleared: true, dry_run: true, ..Beside::default() };
            (self.onto(list, cases, Action::Publish, &dry, &By::new("preview", "local"))?.changes, 0)
        } else {
            let dry = PublishRequest { dry_run: true, ..PublishRequest::default() };
            (self.publisher.publish(list, &dry, "preview")?.changes, self.ready(list, "")?.0.len() as u64)
        };
        let of_cases = |rules: &[Rule]| {
            let lines = rules.iter().filter_map(|rule| Some((rule.as_str().into(), entries.get(rule.as_str())?.as_str().into())));
            Ok(lines.collect())
        };
        let of_staged = |rules: &[Rule]| Ok(self.publisher.staged_for(list, rules)?);
        let after: After<'_> = if request.cases { &of_cases } else { &of_staged };
        let review = self.publisher.staged_review(list)?;
        let both = std::mem::take(&mut changes.notices);
        let questions = if request.questions.is_empty() {
            let samples = changes.lines.iter().take(20).map(|line| sample(rule_of(&line[1..])));
            // Of a name that fills what a name may have, none of those below it can be asked about.
            samples.filter(|sample| sample.len() <= LONGEST && Question::parse(sample).is_ok()).collect()
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
            let (before, after) = (self.answer(&question, &rules, None)?, self.answer(&question, &rules, Some((list, after)))?);
            effects.push(Effect { question, before, after });
        }
        Ok(Preview { changes, review, both, effects, approved })
    }

    /// How all lists answer; with `after` as if these changes of that list were published.
    fn answer(&self, question: &str, rules: &[Rule], after: Option<(&ListId, After<'_>)>) -> Result<String, DeskError> {
        let now = self.clock.now();
        let failed = |e: String| DeskError::Publish(PublishError::System(e));
        let mut lists = Lists::new();
        let mut unpublished = after.filter(|(id, _)| self.catalog.get(id).is_none());
        for published in self.catalog.all() {
            let id = &published.meta.id;
            let changes = match after {
                Some((list, after)) if list == id => after(rules)?,
                _ => BTreeMap::new(),
            };
            let lines = lines(Some(&published), rules, &changes)?;
            lists = with(lists, &published.head.origin.clone(), id, published.meta.colour, &lines).map_err(failed)?;
        }
        if let Some((id, after)) = unpublished.take() {
            let lines = lines(None, rules, &after(rules)?)?;
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
