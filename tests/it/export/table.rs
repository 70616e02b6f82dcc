//! The table of formats in docs/FILTERS.md is the one the code gives.

use std::fmt::Write as _;

use bwld::formats::write::{ExportFormat, Says, White};
use bwld::list::Kind;

const BEGIN: &str = "<!-- formats: generated, see tests/it/export/table.rs -->\n";
const END: &str = "<!-- end of formats -->\n";

fn table() -> String {
    let mut text = String::from(
        "| format | for | domain | subtree | url | prefix | cidr | white list | remarks |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for &format in ExportFormat::ALL {
        let says = Kind::ALL.map(|kind| match format.says(kind) {
            Says::All => "yes".to_owned(),
            Says::Some(which) => format!("some: {which}"),
            Says::None => "–".to_owned(),
        });
        let white = match format.white() {
            White::Allows => "allows".to_owned(),
            White::Some(which) => format!("allows, {which}"),
            White::Plain => "bare".to_owned(),
        };
        let mut remarks = Vec::new();
        if format.has_attributes() {
            remarks.push("all attributes".to_owned());
        }
        if format.folds() {
            remarks.push("overlaps folded".to_owned());
        }
        if let Some(most) = format.most() {
            remarks.push(format!("at most {most}, else refused"));
        }
        if format.comment().is_none() {
            remarks.push("no comments".to_owned());
        }
        let row = format!("| `{format}` | {} | {} | {white} | {} |", format.about(), says.join(" | "), remarks.join("; "));
        writeln!(text, "{row}").expect("written to memory");
    }
    text
}

#[test]
fn the_table_in_the_documentation_is_the_one_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FILTERS.md");
    let text = std::fs::read_to_string(&path).expect("docs/FILTERS.md");
    let (before, rest) = text.split_once(BEGIN).expect("the mark where the table begins");
    let (found, after) = rest.split_once(END).expect("the mark where the table ends");
    let table = table();
    if found != table && std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("docs/FILTERS.md can be written");
        return;
    }
    assert!(found == table, "docs/FILTERS.md has another table; run UPDATE=1 cargo test --test it export::table");
}
