//! The table of routes: the one place where a route comes into being, with its method, its path, who may call it, and what the
//! description served at `/v1/openapi.json` says of it.
//!
//! Guarantees: the router is built from the table and from nothing else, so a call cannot exist without its line, and no line
//! without the word of who may call it; that is asked before the handler runs.

mod need;
mod parameters;
mod router;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::app::Shared;
use super::condition::Condition;
use super::{admin, events, export, health, public, spans};

pub(super) use need::{AUDITORS, Need, OWNERS, READERS, WRITERS};
pub(super) use parameters::{In, MAX_SERIAL, Parameter, flag, number, parameter, text};
pub(super) use router::build;

/// A schema with the name under which others refer to it, and all that it refers to.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) schema: RefOr<Schema>,
    pub(super) named: Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    /// Of one value.
    pub(super) fn of<T: ToSchema>() -> Shape {
        let mut named = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut named);
        Shape { schema: utoipa::openapi::Ref::from_schema_name(T::name()).into(), named }
    }

    /// Of an array of them.
    pub(super) fn list_of<T: ToSchema>() -> Shape {
        let one = Shape::of::<T>();
        let array = utoipa::openapi::schema::ArrayBuilder::new().items(one.schema).build();
        Shape { schema: Schema::Array(array).into(), named: one.named }
    }
}

/// What a request's body is.
#[derive(Clone)]
pub(super) enum Content {
    /// JSON of this shape.
    Json(Box<Shape>),
    /// Anything of this media type.
    Raw(&'static str),
    /// Nothing.
    Empty,
}

/// One line of the table.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) method: Method,
    /// The whole path, parameters in braces.
    pub(super) path: &'static str,
    /// The name of the call for programs; unique, and never changed.
    pub(super) id: &'static str,
    /// Who may call it.
    pub(super) need: Need,
    /// What it does, in one sentence.
    pub(super) about: &'static str,
    /// Parameters of the query and header fields; those of the path are read from it.
    pub(super) parameters: Vec<Parameter>,
    /// The body it takes, and whether there must be one.
    pub(super) body: Option<(Content, bool)>,
    /// What it answers when all is well: status, what that means, content.
    pub(super) answers: Vec<(u16, &'static str, Content)>,
    /// Whether its body is taken piece by piece; no idempotency key then.
    pub(super) streams: bool,
    /// Whether request or answer hold a secret; no idempotency key then, for what is sent under one is kept.
    pub(super) secret: bool,
    /// Whether doing it again changes nothing; no idempotency key then, for keeping it would be all that it costs.
    pub(super) repeatable: bool,
    /// Statuses of the problems it answers with beside those of every call like it.
    pub(super) problems: Vec<u16>,
    /// What it does about `If-Match`.
    pub(super) condition: Condition,
    /// Whether its answer has a tag.
    pub(super) tagged: bool,
    handler: MethodRouter<Shared>,
}

/// Begins a line: a call `id` that is made by `method` on `path` and answered by `handler`, for those who fulfil `need`.
pub(super) fn route<H, T>(method: Method, path: &'static str, id: &'static str, need: Need, handler: H) -> Route
where
    H: Handler<T, Shared>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("the methods of the table are those of RFC 9110");
    Route {
        method,
        path,
        id,
        need,
        about: "",
        parameters: Vec::new(),
        body: None,
        answers: Vec::new(),
        streams: false,
        secret: false,
        repeatable: false,
        problems: Vec::new(),
        condition: Condition::Unknown,
        tagged: false,
        handler: on(filter, handler),
    }
}

impl Route {
    /// With the sentence of what it does.
    pub(super) fn about(mut self, about: &'static str) -> Route {
        self.about = about;
        self
    }

    /// Takes these parameters.
    pub(super) fn takes(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Route {
        self.parameters.extend(parameters);
        self
    }

    /// Takes a JSON body.
    pub(super) fn body<T: ToSchema>(mut self) -> Route {
        self.body = Some((Content::Json(Box::new(Shape::of::<T>())), true));
        self
    }

    /// Takes a JSON body, or none.
    pub(super) fn optional_body<T: ToSchema>(mut self) -> Route {
        self.body = Some((Content::Json(Box::new(Shape::of::<T>())), false));
        self
    }

    /// Takes a body of this media type.
    pub(super) fn raw_body(mut self, kind: &'static str) -> Route {
        self.body = Some((Content::Raw(kind), true));
        self
    }

    /// Takes its body piece by piece.
    pub(super) fn streamed(mut self) -> Route {
        self.streams = true;
        self
    }

    /// Takes a secret, or gives one.
    pub(super) fn secret(mut self) -> Route {
        self.secret = true;
        self
    }

    /// Changes nothing when it is done again.
    pub(super) fn repeatable(mut self) -> Route {
        self.repeatable = true;
        self
    }

    /// Its answer has a tag: the digest of its JSON.
    pub(super) fn tagged(mut self) -> Route {
        self.tagged = true;
        self
    }

    /// Is done only if what the call `shown` shows still has the tag of `If-Match`, if that is sent.
    pub(super) fn on_tag_of(mut self, shown: &'static str) -> Route {
        self.condition = Condition::Offered(shown);
        self
    }

    /// Is done only if what the call `shown` shows still has the tag of `If-Match`, which must be sent.
    pub(super) fn only_on_tag_of(mut self, shown: &'static str) -> Route {
        self.condition = Condition::Demanded(shown);
        self
    }

    /// Whether it writes, so that somebody may send a condition along.
    pub(super) fn writes(&self) -> bool {
        self.method != Method::GET && self.need != Need::Nobody
    }

    /// Whether it is a write that is done once for each idempotency key.
    pub(super) fn takes_key(&self) -> bool {
        self.writes() && !self.streams && !self.secret && !self.repeatable
    }

    /// Answers JSON with this status.
    pub(super) fn gives<T: ToSchema>(mut self, status: u16, about: &'static str) -> Route {
        self.answers.push((status, about, Content::Json(Box::new(Shape::of::<T>()))));
        self
    }

    /// Answers a JSON array with 200.
    pub(super) fn gives_list<T: ToSchema>(mut self, about: &'static str) -> Route {
        self.answers.push((200, about, Content::Json(Box::new(Shape::list_of::<T>()))));
        self
    }

    /// Answers with a body of this media type.
    pub(super) fn gives_raw(mut self, status: u16, about: &'static str, kind: &'static str) -> Route {
        self.answers.push((status, about, Content::Raw(kind)));
        self
    }

    /// Answers without a body.
    pub(super) fn gives_nothing(mut self, status: u16, about: &'static str) -> Route {
        self.answers.push((status, about, Content::Empty));
        self
    }

    /// May also answer with problems of these statuses.
    pub(super) fn problems(mut self, statuses: &[u16]) -> Route {
        self.problems.extend(statuses);
        self
    }

    /// Names of the parameters in its path.
    pub(super) fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// All lines. Each module names its own.
pub(super) fn routes() -> Vec<Route> {
    [public::routes(), spans::routes(), export::routes(), events::routes(), health::routes(), super::openapi::routes(), admin::routes()]
        .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_says_what_it_is_and_none_is_there_twice() {
        let (mut ids, mut calls) = (BTreeSet::new(), BTreeSet::new());
        for route in routes() {
            let call = format!("{} {}", route.method, route.path);
            assert!(ids.insert(route.id), "{call}: {} names another call too", route.id);
            assert!(calls.insert(call.clone()), "{call} is there twice");
            assert!(!route.about.is_empty() && !route.answers.is_empty(), "{call} does not say what it does and answers");
            // Who may call is a matter of the list only where the path names one.
            let names_list = route.path_parameters().any(|name| name == "list");
            assert!(!matches!(route.need, Need::List(_)) || names_list, "{call} needs a list in its path");
        }
    }
}
