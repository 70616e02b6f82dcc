//! An explanation as JSON, for people and their tools.

use bwld::list::Timestamp;
use bwld::matcher::{IndexError, Lists, Match, Question, QuestionError};
use serde_json::{Map, Value, json};

/// Says why a question gets its answer.
///
/// # Errors
/// [`IndexError`] if the index is damaged where a rule's texts stand.
pub fn explain(lists: &Lists, octets: &[u8], now: Timestamp) -> Result<String, IndexError> {
    let shown = String::from_utf8_lossy(octets);
    let question = match Question::parse_octets(octets) {
        Ok(question) => question,
        Err(error) => return Ok(invalid(&shown, &error)),
    };
    let explanation = lists.explain(&question, now)?;
    let considered = explanation.considered.iter().map(|(by, outcome)| {
        let mut rule = rule(by)?;
        rule.insert("outcome".into(), outcome.word().into());
        Ok(Value::Object(rule))
    });
    let missing = explanation
        .missing
        .iter()
        .map(|missing| json!({"origin": missing.list.origin.as_str(), "list": missing.list.list.as_str(), "damaged": missing.damaged}));
    let incomplete = explanation.verdict.decided_by().is_some_and(|by| by.incomplete);
    let decided = explanation.verdict.decided_by().map(rule).transpose()?;
    let said = json!({
        "question": shown,
        "asked": question.to_string(),
        "verdict": explanation.verdict.word(),
        "stale": explanation.verdict.stale(),
        "incomplete": incomplete,
        "by": decided,
        "considered": considered.collect::<Result<Vec<Value>, IndexError>>()?,
        "missing": missing.collect::<Vec<Value>>(),
    });
    Ok(said.to_string())
}

fn invalid(shown: &str, error: &QuestionError) -> String {
    let shown: String = shown.chars().take(256).collect();
    json!({"question": shown, "verdict": "invalid", "reason": error.to_string()}).to_string()
}

fn rule(by: &Match<'_>) -> Result<Map<String, Value>, IndexError> {
    let (rule, attributes) = (by.rule()?, by.attributes()?);
    let state = by.list();
    let mut said = Map::new();
    let mut put = |name: &str, value: Value| said.insert(name.to_owned(), value);
    put("rule", rule.to_string().into());
    put("origin", state.origin.as_str().into());
    put("list", state.list.as_str().into());
    put("colour", state.colour.to_string().into());
    put("serial", state.serial.map(|serial| serial.get()).into());
    put("local", state.local.into());
    put("stale", by.stale.into());
    put("categories", attributes.categories.iter().map(|code| code.as_str()).collect::<Vec<_>>().into());
    put("reference", attributes.reference.into());
    put("age", attributes.age.into());
    put("action", attributes.action.map(|action| action.word()).into());
    put("reason", attributes.reason.map(|code| code.to_string()).into());
    put("expires", attributes.expires.map(|date| date.to_string()).into());
    Ok(said)
}
