//! The naive model: every rule in a map, every rule that could meet a question asked for by its text.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bwld::list::{Attributes, Change, ChangeSet, Entry};

/// Rules with their attributes.
#[derive(Clone, Default)]
pub struct Model(pub BTreeMap<String, Attributes>);

fn boundary(prefix: &str, url: &str) -> bool {
    let edge = |c: Option<char>| matches!(c, Some('/' | '?' | '&' | '='));
    url == prefix || edge(prefix.chars().last()) || edge(url[prefix.len()..].chars().next())
}

impl Model {
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Model {
        let mut model = Model::default();
        for line in lines {
            let entry: Entry = line.parse().expect(line);
            model.0.insert(entry.rule_str().to_owned(), entry.attributes());
        }
        model
    }

    /// The entries.
    pub fn lines(&self) -> Vec<String> {
        let line = |(rule, attributes): (&String, &Attributes)| {
            Entry::new(&rule.parse().expect("a rule"), attributes).expect("an entry").line().to_owned()
        };
        self.0.iter().map(line).collect()
    }

    pub fn apply(&mut self, changes: &ChangeSet) {
        for change in changes.iter() {
            match change {
                Change::Add(entry) | Change::Replace(entry) => self.0.insert(entry.rule_str().to_owned(), entry.attributes()),
                Change::Remove(rule) => self.0.remove(rule.as_str()),
            };
        }
    }

    /// Every rule that a canonical question meets, most specific first. `rest` is `[:PORT]PATH[?QUERY]`.
    pub fn all(&self, name: &str, rest: Option<&str>) -> Vec<String> {
        let mut asked = Vec::new();
        if let Some(rest) = rest {
            let url = format!("{name}{rest}");
            asked.push(format!("url:{url}"));
            for end in (name.len() + 1..=url.len()).rev().filter(|end| url.is_char_boundary(*end)) {
                if boundary(&url[..end], &url) {
                    asked.push(format!("prefix:{}", &url[..end]));
                }
            }
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => {
                for length in (0..=32_u32).rev() {
                    let network = u32::from(address) & u32::MAX.checked_shl(32 - length).unwrap_or(0);
                    asked.push(format!("cidr:{}/{length}", std::net::Ipv4Addr::from(network)));
                }
            }
            Ok(IpAddr::V6(address)) => {
                for length in (0..=128_u32).rev() {
                    let network = u128::from(address) & u128::MAX.checked_shl(128 - length).unwrap_or(0);
                    asked.push(format!("cidr:{}/{length}", std::net::Ipv6Addr::from(network)));
                }
            }
            Err(_) => {
                asked.push(format!("domain:{name}"));
                let mut suffix = Some(name);
                while let Some(host) = suffix {
                    asked.push(format!("subtree:{host}"));
                    suffix = host.split_once('.').map(|(_, parent)| parent);
                }
            }
        }
        asked.retain(|rule| self.0.contains_key(rule));
        asked
    }
}

/// More is more specific, between the rules that one question meets.
pub fn specificity(rule: &str) -> (u8, usize) {
    let (kind, target) = rule.split_once(':').expect("a kind");
    match kind {
        "cidr" => (1, target.split_once('/').expect("a length").1.parse().expect("a number")),
        "subtree" => (2, target.len()),
        "domain" => (3, target.len()),
        "prefix" => (4, target.len()),
        "url" => (5, target.len()),
        other => panic!("{other}"),
    }
}
