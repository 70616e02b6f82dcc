//! Parameters of a query.

use std::borrow::Cow;

use super::problem::Problem;

/// The parameters of a query, decoded. Names that a route does not know are passed over by it.
#[derive(Debug)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads `a=1&b=2`.
    pub(super) fn read(raw: Option<&'a str>) -> Self {
        Query(url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).collect())
    }

    /// The value of `name`; it may stand there once.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_ref());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Problem::bad_request("bad-parameter", format!("{name}: given more than once; give it once"))),
        }
    }

    /// The value of `name`, read by its `FromStr`.
    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |value: &str| value.parse().map_err(|e| Problem::bad_request("bad-parameter", format!("{name}: {e}")));
        self.get(name)?.map(parse).transpose()
    }

    /// A number from `least` to `most`.
    pub(super) fn within(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Problem> {
        match self.parsed::<usize>(name)? {
            Some(number) if !(least..=most).contains(&number) => {
                Err(Problem::bad_request("bad-parameter", format!("{name}: is a number from {least} to {most}")))
            }
            number => Ok(number),
        }
    }

    /// A flag: `name`, `name=true` or `name=1` sets it.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name)? {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(Problem::bad_request("bad-parameter", format!("{name}: is true or false"))),
        }
    }

    /// Refuses names that are none of `known`, so that a misspelt one is not silently without effect.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_ref())) {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(40).collect();
                Err(Problem::bad_request(
                    "unknown-parameter",
                    format!("{}: no such parameter; known are {}", name.escape_debug(), known.join(", ")),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(raw in "\\PC{0,80}") {
            let query = Query::read(Some(&raw));
            let _ = (query.get("lists"), query.parsed::<u64>("wait"), query.flag("strict"), query.only(&["lists"]));
        }
    }

    #[test]
    fn parameters_are_read_once_and_by_their_form() {
        let query = Query::read(Some("a=1&b=x%20y&c&d=2&d=3&e=true"));
        assert_eq!(query.get("b").expect("once"), Some("x y"));
        assert_eq!(query.parsed::<u32>("a").expect("a number"), Some(1));
        assert!(query.parsed::<u32>("b").is_err());
        assert!(query.get("d").is_err());
        assert_eq!(query.get("z").expect("absent"), None);
        assert!(query.flag("c").expect("a flag") && query.flag("e").expect("a flag") && !query.flag("z").expect("a flag"));
        assert!(query.flag("b").is_err());
        assert!(query.only(&["a", "b", "c", "d"]).is_err());
        assert!(query.only(&["a", "b", "c", "d", "e"]).is_ok());
    }
}
