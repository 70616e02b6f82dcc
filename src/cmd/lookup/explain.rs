//! Why an answer is what it is: every rule that the question meets, and what became of it.

use serde::Serialize;

use crate::list::{Colour, Timestamp};
use crate::matcher::{Ignored, Lists, Match, Outcome, Precedence, Question, Verdict};

use super::answer::{Form, Record, painted};

/// A rule that was considered.
#[derive(Debug, Serialize)]
pub struct Considered<'a> {
    pub outcome: &'static str,
    pub rule: String,
    pub colour: Colour,
    pub list: &'a str,
    pub origin: &'a str,
    pub serial: Option<u64>,
    pub entry: String,
    pub why: &'static str,
}

/// Answers a question with all that was considered.
///
/// # Errors
/// If an index is damaged where a rule stands.
pub fn write(lists: &Lists, shown: &str, question: &Question<'_>, now: Timestamp, form: &Form, text: &mut String) -> anyhow::Result<()> {
    let explained = lists.explain(question, now)?;
    let white_won = matches!(explained.verdict, Verdict::Allow(_));
    let mut record = Record::new(shown, &explained.verdict)?;
    let considered = explained.considered.iter().map(|(by, outcome)| considered(by, *outcome, lists.policy().precedence, white_won));
    let considered = considered.collect::<anyhow::Result<Vec<_>>>()?;
    record.missing = explained.missing.iter().map(|missing| missing.list.list.as_str()).collect();
    if form.json {
        record.considered = Some(considered);
        return record.write(form, text);
    }
    record.write(form, text)?;
    for rule in considered {
        let word = if rule.colour == Colour::Black { "block" } else { "allow" };
        let serial = rule.serial.map_or_else(String::new, |serial| format!(" {serial}"));
        text.push_str(&format!(
            "\t{}\t{}\t{}{serial}\t{}: {}\n",
            painted(word, form.colour),
            rule.entry.replace('\t', " "),
            rule.list,
            rule.outcome,
            rule.why
        ));
    }
    for missing in &explained.missing {
        let how = if missing.damaged { "is damaged" } else { "never arrived" };
        text.push_str(&format!(
            "\t{}\t-\t{}\tmissing: it {how}, and could have decided otherwise\n",
            painted("no-data", form.colour),
            missing.list.list
        ));
    }
    Ok(())
}

fn considered<'a>(by: &Match<'a>, outcome: Outcome, precedence: Precedence, white_won: bool) -> anyhow::Result<Considered<'a>> {
    let state = by.list();
    Ok(Considered {
        outcome: outcome.word(),
        rule: by.rule()?.to_string(),
        colour: state.colour,
        list: state.list.as_str(),
        origin: state.origin.as_str(),
        serial: state.serial.map(crate::list::Serial::get),
        entry: by.entry()?.line().to_owned(),
        why: why(outcome, precedence, state.local, white_won),
    })
}

fn why(outcome: Outcome, precedence: Precedence, local: bool, white_won: bool) -> &'static str {
    match outcome {
        Outcome::Decided if local => "it is the most specific of the filter's own rules, which stand over every list",
        Outcome::Decided => "it decided",
        Outcome::Ignored(Ignored::Category) => "none of its categories is switched on",
        Outcome::Ignored(Ignored::Age) => "those who ask are old enough",
        Outcome::LessSpecific => "a more specific rule of its colour won, or the same rule in a list before",
        Outcome::LocalWon => "the filter's own rules stand over it",
        Outcome::Overruled if local => "another of the filter's own rules is more specific, or as specific and allows",
        Outcome::Overruled => match precedence {
            Precedence::WhiteOverBlack => "white wins over black",
            Precedence::BlackOverWhite => "black wins over white",
            Precedence::MoreSpecific if white_won => "a white rule is as specific or more",
            Precedence::MoreSpecific => "a black rule is more specific",
        },
    }
}
