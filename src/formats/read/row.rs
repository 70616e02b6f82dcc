//! One entry in columns or members: what they are called, and what is made of them.
//!
//! Guarantees: a cell that does not fit its column makes the whole row an issue; nothing is guessed.

use crate::list::{Attributes, Code, EntryError, Kind, TargetError, quoted};

use super::{
    Item,
    out::{Out, Place},
};

/// What a column is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    Target(Target),
    Scope,
    Categories,
    Reference,
    Age,
    Action,
    Reason,
    Expires,
    /// What people write beside an entry, and no entry has: left aside without a word.
    Note,
}

/// What the column of the target holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// `kind:target`, or what people write.
    Rule,
    Host,
    Url,
    Address,
}

impl Column {
    pub(super) fn of(name: &str) -> Option<Column> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "rule" | "target" => Column::Target(Target::Rule),
            "domain" | "host" | "hostname" => Column::Target(Target::Host),
            "url" => Column::Target(Target::Url),
            "address" | "ip" | "cidr" => Column::Target(Target::Address),
            "scope" | "kind" => Column::Scope,
            "category" | "categories" | "cat" | "category_code" => Column::Categories,
            "reference" | "ref" => Column::Reference,
            "age" => Column::Age,
            "action" | "act" => Column::Action,
            "reason" | "rsn" => Column::Reason,
            "expires" | "exp" => Column::Expires,
            // Of Citizen Lab's lists.
            "category_description" | "date_added" | "source" | "notes" => Column::Note,
            _ => return None,
        })
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Column::Target(_) => "target",
            Column::Scope => "scope",
            Column::Categories => "categories",
            Column::Reference => "reference",
            Column::Age => "age",
            Column::Action => "action",
            Column::Reason => "reason",
            Column::Expires => "expiry",
            Column::Note => "note",
        }
    }
}

/// The cells of one record that are not empty.
#[derive(Default)]
pub(super) struct Row<'a> {
    target: Option<(Target, &'a str)>,
    scope: &'a str,
    attributes: Attributes,
}

impl Row<'_> {
    /// Hands the entry on, or says why there is none.
    pub(super) fn give<E, F>(self, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let place = |text| Place { text, ..place };
        let row = self;
        let Some((target, text)) = row.target else {
            out.refuse(place(""), &TargetError::Empty);
            return Ok(());
        };
        if let Err(error) = rule(target, row.scope, text, out) {
            match error {
                Refused::Target(error) => out.refuse(place(text), &error),
                Refused::Scope => out.say(
                    place(row.scope),
                    "the scope does not fit the target",
                    "write exact or subtree for a host, exact or prefix for a URL, or leave it empty",
                ),
            }
            return Ok(());
        }
        if row.attributes.is_empty() {
            return out.put(None);
        }
        if let Err(error) = out.put_with(&row.attributes)? {
            out.issue(place(text), || error.reason_and_hint());
        }
        Ok(())
    }
}

/// Why the rule of a record was refused.
enum Refused {
    Target(TargetError),
    Scope,
}

impl From<TargetError> for Refused {
    fn from(error: TargetError) -> Self {
        Refused::Target(error)
    }
}

/// Makes the rule of a record.
fn rule<F>(target: Target, scope: &str, text: &str, out: &mut Out<F>) -> Result<(), Refused> {
    let scope = scope.to_ascii_lowercase();
    // What the column of the target leaves open, the text itself decides, as for a person's `kind:target`.
    let (kind, text, told) = match (Kind::split(text), target) {
        (Some((kind, rest)), Target::Rule) => (kind, rest, true),
        (_, Target::Rule) => (crate::list::Rule::interpret_kind(text), text, false),
        (_, Target::Host) => (Kind::Domain, text, false),
        (_, Target::Url) => (Kind::Url, text, false),
        (_, Target::Address) => (Kind::Cidr, text, false),
    };
    let kind = match (kind, scope.as_str()) {
        (Kind::Domain, "") if !told => return Ok(out.host(text)?),
        (kind, "") => kind,
        (kind, word) if kind.word() == word => kind,
        (Kind::Domain | Kind::Url | Kind::Cidr, "exact") => kind,
        (Kind::Domain, "subtree") if !told => Kind::Subtree,
        (Kind::Url, "prefix") if !told => Kind::Prefix,
        (Kind::Cidr, "address" | "ip" | "range") => Kind::Cidr,
        _ => return Err(Refused::Scope),
    };
    Ok(out.rule(kind, text)?)
}

impl<'a> Row<'a> {
    /// Whether nothing was taken for this column yet.
    pub(super) fn is_free(&self, column: Column) -> bool {
        let a = &self.attributes;
        match column {
            Column::Target(_) => self.target.is_none(),
            Column::Scope => self.scope.is_empty(),
            Column::Categories => a.categories.is_empty(),
            Column::Reference => a.reference.is_none(),
            Column::Age => a.age.is_none(),
            Column::Action => a.action.is_none(),
            Column::Reason => a.reason.is_none(),
            Column::Expires => a.expires.is_none(),
            Column::Note => true,
        }
    }

    /// Takes a cell that is not empty.
    pub(super) fn set(&mut self, column: Column, cell: &'a str) -> Result<(), EntryError> {
        let value = |key, expected| EntryError::Value { key, value: quoted(cell), expected };
        let code = |key| cell.parse::<Code>().map_err(|_| value(key, "a code of a-z, 0-9, . _ and -, at most 32"));
        match column {
            Column::Target(target) => self.target = Some((target, cell)),
            Column::Scope => self.scope = cell,
            Column::Note => {}
            Column::Categories => {
                for part in cell.split([',', ';', '|', ' ']).filter(|part| !part.is_empty()) {
                    let code =
                        part.to_ascii_lowercase().parse().map_err(|_| value("cat", "codes of a-z, 0-9, . _ and -, joined by commas"))?;
                    self.attributes.categories.push(code);
                }
            }
            Column::Reference => self.attributes.reference = Some(cell.to_owned()),
            Column::Age => {
                self.attributes.age = Some(cell.parse().map_err(|_| value("age", "a whole number of years from 1 to 21"))?);
            }
            Column::Action => self.attributes.action = Some(cell.to_ascii_lowercase().parse()?),
            Column::Reason => self.attributes.reason = Some(code("rsn")?),
            Column::Expires => {
                self.attributes.expires = Some(cell.parse().map_err(|_| value("exp", "a date, YYYY-MM-DD"))?);
            }
        }
        Ok(())
    }
}
