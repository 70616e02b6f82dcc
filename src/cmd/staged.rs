//! How staged changes are shown, by every command that makes or publishes some.

use crate::publisher::{Refusal, StagedView};

use super::{client::refusal_text, out};

/// The view as text: counts, change lines, refusals with their hints, guards.
pub fn text(view: &StagedView, colour: bool) -> String {
    let mut text = String::new();
    for line in &view.lines {
        text.push_str(&out::change_line(line, colour));
        text.push('\n');
    }
    let total = view.added + view.removed + view.replaced;
    let shown = view.lines.len() as u64;
    if shown > 0 && shown < total {
        text.push_str(&format!("... and {} more\n", out::count(total - shown)));
    }
    section(&mut text, "refused", &view.refused);
    if view.refused_total > view.refused.len() as u64 {
        text.push_str(&format!("  ... {} refused in all\n", out::count(view.refused_total)));
    }
    section(&mut text, "a guard stops this", &view.guards);
    section(&mut text, "notice", &view.notices);
    text
}

/// What should be known of what was published, as text.
pub fn notices(view: &StagedView) -> String {
    let mut text = String::new();
    section(&mut text, "notice", &view.notices);
    text
}

/// The counts in one line.
pub fn counts(view: &StagedView) -> String {
    let mut text =
        format!("{} to add, {} to remove, {} to replace", out::count(view.added), out::count(view.removed), out::count(view.replaced));
    if view.unchanged > 0 {
        text.push_str(&format!(", {} already so", out::count(view.unchanged)));
    }
    if view.refused_total > 0 {
        text.push_str(&format!(", {} refused", out::count(view.refused_total)));
    }
    text
}

/// Sums several views of one request that was sent in parts.
pub fn sum(into: &mut StagedView, part: StagedView) {
    into.added += part.added;
    into.removed += part.removed;
    into.replaced += part.replaced;
    into.unchanged += part.unchanged;
    into.lines.extend(part.lines);
    into.refused.extend(part.refused);
    into.refused.truncate(100);
    into.refused_total += part.refused_total;
    into.guards = part.guards;
}

fn section(text: &mut String, title: &str, refusals: &[Refusal]) {
    if !refusals.is_empty() {
        text.push_str(&format!("{title}:\n"));
    }
    for refusal in refusals {
        text.push_str(&format!("  {}\n", refusal_text(refusal)));
    }
}
