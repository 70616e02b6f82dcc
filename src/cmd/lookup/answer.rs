//! Answers: for people a line, for programs a JSON object a line; and how many there were of each verdict.

use serde::Serialize;

use crate::list::Timestamp;
use crate::list::{Attributes, Code, derived_reference, read_derived_reference};
use crate::matcher::{Lists, MAX_QUESTION, Match, Missing, Question, QuestionError, Verdict};

use super::explain;
use crate::cmd::out;

/// Every word that stands for a verdict here.
pub const WORDS: [&str; 5] = ["block", "allow", "unlisted", "no-data", "invalid"];
/// Questions that are looked up together.
const TOGETHER: usize = 256;
/// Octets of a question that cannot be valid which are shown.
const SHOWN: usize = 200;

/// How to print.
#[derive(Clone, Debug)]
pub struct Form {
    pub json: bool,
    pub explain: bool,
    pub colour: bool,
    /// Only count.
    pub silent: bool,
    /// Verdicts to print; empty: all.
    pub only: Vec<String>,
}

/// How many answers there were of each verdict, in the order of [`WORDS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; WORDS.len()]);

impl Counts {
    fn add(&mut self, word: &str) {
        if let Some(at) = WORDS.iter().position(|w| *w == word) {
            self.0[at] += 1;
        }
    }

    /// Takes those of another part.
    pub fn take(&mut self, other: &Counts) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum += n);
    }

    pub fn of(&self, word: &str) -> u64 {
        WORDS.iter().position(|w| *w == word).map_or(0, |at| self.0[at])
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// As it is printed.
    pub fn text(&self, json: bool) -> String {
        let pairs = || WORDS.iter().zip(self.0);
        if json {
            let all: Vec<String> = pairs().map(|(word, n)| format!("\"{word}\":{n}")).collect();
            format!("{{{}}}\n", all.join(","))
        } else {
            pairs().map(|(word, n)| format!("{word}\t{n}\n")).collect()
        }
    }
}

/// An answer as JSON has it.
#[derive(Debug, Default, Serialize)]
pub struct Record<'a> {
    pub question: &'a str,
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
    /// The reason code of the rule, or why the question is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub stale: bool,
    pub incomplete: bool,
    /// Of a list that gave no answer: whether it is here but damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub considered: Option<Vec<explain::Considered<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<&'a str>,
}

impl<'a> Record<'a> {
    pub fn invalid(question: &'a str, error: &QuestionError) -> Record<'a> {
        Record { question, verdict: "invalid", reason: Some(error.to_string()), ..Record::default() }
    }

    /// # Errors
    /// If the index is damaged where the rule stands.
    pub fn new(question: &'a str, verdict: &Verdict<'a>) -> anyhow::Result<Record<'a>> {
        let mut record = Record { question, verdict: verdict.word(), stale: verdict.stale(), ..Record::default() };
        if let Some(by) = verdict.decided_by() {
            record.decided(by)?;
        }
        if let Verdict::NoData(Missing { list, damaged }) = verdict {
            record.list = Some(list.list.as_str());
            record.origin = Some(list.origin.as_str());
            record.serial = list.serial.map(crate::list::Serial::get);
            record.damaged = Some(*damaged);
        }
        Ok(record)
    }

    fn decided(&mut self, by: &Match<'a>) -> anyhow::Result<()> {
        let (state, attributes) = (by.list(), by.attributes()?);
        self.rule = Some(by.rule()?.to_string());
        self.kind = Some(by.kind().word());
        self.list = Some(state.list.as_str());
        self.origin = Some(state.origin.as_str());
        self.serial = state.serial.map(crate::list::Serial::get);
        self.incomplete = by.incomplete;
        let Attributes { categories, reference, age, action, reason, .. } = attributes;
        self.categories = categories;
        // A list that arrived has a publisher who can be asked about each of its entries.
        self.reference = reference.or_else(|| (!state.local).then(|| derived_reference(self.rule.as_deref().unwrap_or_default())));
        self.age = age;
        self.action = action.map(crate::list::Action::word);
        self.reason = reason.map(|code| code.to_string());
        Ok(())
    }

    /// The line for people, without its end.
    fn line(&self, colour: bool, out: &mut String) {
        out.push_str(&column(self.question));
        out.push('\t');
        out.push_str(&painted(self.verdict, colour));
        let list = match (self.list, self.serial) {
            (Some(list), Some(serial)) => format!("{list} {serial}"),
            (Some(list), None) => list.to_owned(),
            (None, _) => "-".to_owned(),
        };
        match (&self.rule, self.damaged) {
            (None, _) if self.verdict == "invalid" => out.push_str(&format!("\t{}", self.reason.as_deref().unwrap_or_default())),
            (None, Some(true)) => out.push_str(&format!("\t-\t{list}\tdamaged")),
            (None, Some(false)) => out.push_str(&format!("\t-\t{list}\tnever arrived")),
            (rule, _) => out.push_str(&format!("\t{}\t{list}", rule.as_deref().unwrap_or("-"))),
        }
        if !self.categories.is_empty() {
            let codes: Vec<&str> = self.categories.iter().map(Code::as_str).collect();
            out.push_str(&format!("\tcat={}", codes.join(",")));
        }
        let attributes = [
            // The derived one stands in no list; programs get it.
            ("ref", self.reference.clone().filter(|text| read_derived_reference(text).is_none())),
            ("age", self.age.map(|age| age.to_string())),
            ("act", self.action.map(str::to_owned)),
            ("rsn", self.reason.clone().filter(|_| self.rule.is_some())),
        ];
        for (key, value) in attributes {
            if let Some(value) = value {
                out.push_str(&format!("\t{key}={value}"));
            }
        }
        for (word, holds) in [("stale", self.stale), ("incomplete", self.incomplete)] {
            if holds {
                out.push('\t');
                out.push_str(word);
            }
        }
    }

    pub fn write(&self, form: &Form, out: &mut String) -> anyhow::Result<()> {
        if form.json {
            out.push_str(&serde_json::to_string(self)?);
        } else {
            self.line(form.colour, out);
        }
        out.push('\n');
        Ok(())
    }
}

/// A word in the colour of its verdict.
pub fn painted(word: &str, colour: bool) -> String {
    let code = match word {
        "block" => "31",
        "allow" => "32",
        "no-data" | "invalid" => "33",
        _ => return word.to_owned(),
    };
    if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// Text of a question as one column.
pub fn column(text: &str) -> String {
    out::visible(text).replace('\t', "\u{fffd}")
}

/// As much of a question as is shown; octets that are no text are replaced.
pub fn shown(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) if octets.len() <= MAX_QUESTION => text.to_owned(),
        _ if octets.len() <= MAX_QUESTION => String::from_utf8_lossy(octets).into_owned(),
        _ => format!("{}…", String::from_utf8_lossy(&octets[..SHOWN])),
    }
}

/// Answers questions in their order, and prints.
///
/// # Errors
/// Of the standard output, or if an index is damaged where a rule stands.
pub fn answer_all<'q>(lists: &Lists, questions: impl Iterator<Item = &'q [u8]>, now: Timestamp, form: &Form) -> anyhow::Result<Counts> {
    let asked: Vec<Asked<'_>> = questions.map(|octets| Asked { octets, length: octets.len() }).collect();
    let mut text = String::new();
    let counts = answer(lists, &asked, now, form, &mut text)?;
    out::print(&text)?;
    Ok(counts)
}

/// A question as it came, and how long it was before it was cut.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub octets: &'a [u8],
    pub length: usize,
}

impl<'a> Asked<'a> {
    fn parse(&self) -> Result<Question<'a>, QuestionError> {
        if self.length > self.octets.len() {
            return Err(QuestionError::TooLong(self.length));
        }
        Question::parse_octets(self.octets.trim_ascii())
    }
}

/// Answers questions in their order into `text`.
///
/// # Errors
/// If an index is damaged where a rule stands.
pub fn answer(lists: &Lists, asked: &[Asked<'_>], now: Timestamp, form: &Form, text: &mut String) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    for some in asked.chunks(TOGETHER) {
        let parsed: Vec<Result<Question<'_>, QuestionError>> = some.iter().map(Asked::parse).collect();
        let mut questions = Vec::with_capacity(some.len());
        let mut errors = Vec::new();
        for (n, parsed) in parsed.into_iter().enumerate() {
            match parsed {
                Ok(question) => questions.push(question),
                Err(error) => errors.push((n, error)),
            }
        }
        let mut verdicts = Vec::with_capacity(questions.len());
        lists.look_up_batch(&questions, now, |_, verdict| verdicts.push(verdict));
        let mut errors = errors.into_iter().peekable();
        let mut found = questions.iter().zip(&verdicts);
        for (n, asked) in some.iter().enumerate() {
            if let Some((_, error)) = errors.next_if(|(at, _)| *at == n) {
                counts.add("invalid");
                if form.prints("invalid") {
                    Record::invalid(&shown(asked.octets), &error).write(form, text)?;
                }
            } else if let Some((question, verdict)) = found.next() {
                counts.add(verdict.word());
                if form.prints(verdict.word()) {
                    one(lists, &shown(asked.octets.trim_ascii()), question, verdict, now, form, text)?;
                }
            }
        }
    }
    Ok(counts)
}

fn one(
    lists: &Lists,
    shown: &str,
    question: &Question<'_>,
    verdict: &Verdict<'_>,
    now: Timestamp,
    form: &Form,
    text: &mut String,
) -> anyhow::Result<()> {
    if form.explain { explain::write(lists, shown, question, now, form, text) } else { Record::new(shown, verdict)?.write(form, text) }
}

impl Form {
    fn prints(&self, word: &str) -> bool {
        !self.silent && (self.only.is_empty() || self.only.iter().any(|only| only == word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Form = Form { json: false, explain: false, colour: false, silent: false, only: Vec::new() };

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn answered(questions: &[&[u8]], form: &Form) -> (String, Counts) {
        let asked: Vec<Asked<'_>> = questions.iter().map(|octets| Asked { octets, length: octets.len() }).collect();
        let mut text = String::new();
        let counts = answer(&Lists::new(), &asked, now(), form, &mut text).unwrap();
        (text, counts)
    }

    #[test]
    fn every_question_has_its_line_in_order_and_the_bad_ones_a_reason() {
        let long = vec![b'a'; 9_000];
        let (text, counts) = answered(&[b"a.example", b"exa mple", b"\xff.example", b" b.example\r", b"", &long], &PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[3]), ("a.example\tunlisted\t-\t-", "b.example\tunlisted\t-\t-"));
        for n in [1, 2, 4, 5] {
            assert_eq!(lines[n].split('\t').nth(1), Some("invalid"), "{}", lines[n]);
            assert!(lines[n].len() < 500);
        }
        assert_eq!((counts.of("invalid"), counts.of("unlisted"), counts.total(), lines.len()), (4, 2, 6, 6));
        let json = Form { json: true, only: vec!["invalid".into()], ..PLAIN };
        let (text, again) = answered(&[b"a.example", b"exa mple"], &json);
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(record["verdict"] == "invalid" && record["reason"].as_str().is_some_and(|r| !r.is_empty()), "{text}");
        assert_eq!(again.text(true), "{\"block\":0,\"allow\":0,\"unlisted\":1,\"no-data\":0,\"invalid\":1}\n");
    }

    #[test]
    fn a_question_cannot_play_with_the_terminal_or_with_columns() {
        let (text, _) = answered(&["a\u{1b}[31m\tb".as_bytes()], &PLAIN);
        assert!(!text.contains('\u{1b}') && text.starts_with("a\u{fffd}[31m\u{fffd}b\tinvalid\t"), "{text:?}");
    }
}
