//! `GET /v1/openapi.json`: what is offered here, described from the table of routes (OpenAPI 3.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;

use crate::list::{ListId, Serial};
use crate::publisher::Refusal;

use super::app::Shared;
use super::condition::Condition;
use super::problem::{CODES, Problem};
use super::spans;
use super::table::{Content, In, Need, Route, Shape, route, routes as all_routes};

pub(super) fn routes() -> Vec<Route> {
    vec![route(Method::GET, "/v1/openapi.json", "openapi", Need::Nobody, openapi).about("This description.").gives_raw(
        200,
        "OpenAPI 3.1",
        "application/json",
    )]
}

/// `GET /v1/openapi.json`
async fn openapi(State(shared): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| description().to_string().into()).clone();
    let later = super::public::header_value(&shared.poll_later())?;
    spans::small(&headers, text, HeaderValue::from_static("application/json"), later)
}

/// The description of all routes.
pub fn description() -> Value {
    let mut schemas = BTreeMap::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    name(&mut schemas, &Shape::of::<Refusal>());
    for route in all_routes() {
        let operation = operation(&route, &mut schemas);
        paths.entry(route.path).or_default().insert(route.method.as_str().to_ascii_lowercase(), operation);
    }
    schemas.insert("Problem".into(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "bwld",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Distributes black and white lists, and lets their operators keep them.",
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "tags": [
            {"name": "feed", "description": "What anybody may ask."},
            {"name": "admin", "description": "For those who have an account."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token, as `bwld token` makes them."},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-bwld", "description": "A session. What is not GET also needs its `csrf` in the header `bwld-csrf`."},
            },
        },
    })
}

fn name(schemas: &mut BTreeMap<String, Value>, shape: &Shape) {
    for (name, schema) in &shape.named {
        schemas.insert(name.clone(), json(schema));
    }
}

fn json(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).expect("a schema has only text keys and values that JSON can hold")
}

/// The content object of a body; none: there is no body.
fn content(content: &Content, schemas: &mut BTreeMap<String, Value>) -> Option<Value> {
    match content {
        Content::Json(shape) => {
            name(schemas, shape);
            Some(json!({"application/json": {"schema": json(&shape.schema)}}))
        }
        Content::Raw(kind) => Some(json!({*kind: {}})),
        Content::Empty => None,
    }
}

fn operation(route: &Route, schemas: &mut BTreeMap<String, Value>) -> Value {
    let path = route.path_parameters().map(|name| json!({"name": name, "in": "path", "required": true, "schema": in_path(name)}));
    let asked = route.parameters.iter().map(|p| {
        let place = if p.place == In::Query { "query" } else { "header" };
        json!({"name": p.name, "in": place, "description": p.about, "schema": p.schema})
    });
    let key = route.takes_key().then(|| {
        let about = "a text of your own; the same request under the same key is done once within 24 hours";
        json!({"name": "Idempotency-Key", "in": "header", "description": about, "schema": {"type": "string", "minLength": 1, "maxLength": 255}})
    });
    let parameters: Vec<Value> = path.chain(asked).chain(key).chain(conditions(route)).collect();
    let mut answers = Map::new();
    for (status, about, body) in &route.answers {
        let mut answer = json!({"description": about});
        if let Some(body) = content(body, schemas) {
            answer["content"] = body;
        }
        if route.tagged {
            answer["headers"] = json!({"ETag": etag()});
        }
        answers.insert(status.to_string(), answer);
    }
    if route.tagged && route.method == Method::GET {
        answers.insert("304".into(), json!({"description": "it still has the tag of If-None-Match", "headers": {"ETag": etag()}}));
    }
    for status in problems(route) {
        let problem = json!({
            "description": "A problem; its code says which.",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        answers.entry(status.to_string()).or_insert(problem);
    }
    let open = route.need == Need::Nobody;
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.about,
        "tags": [if route.path.starts_with("/v1/admin") { "admin" } else { "feed" }],
        "parameters": parameters,
        "responses": answers,
        "security": if open { json!([]) } else { json!([{"token": []}, {"session": []}]) },
        "x-needs": need(route.need),
    });
    if let Some((body, required)) = &route.body {
        operation["requestBody"] = json!({"content": content(body, schemas), "required": required});
    }
    operation
}

/// The header fields with conditions.
fn conditions(route: &Route) -> Vec<Value> {
    let field = |name: &str, about: String, form: &str| json!({"name": name, "in": "header", "description": about, "schema": {"type": "string", "pattern": form}});
    let tags = "^(\\*|(W/)?\"[!#-~]*\"(, (W/)?\"[!#-~]*\")*)$";
    match route.condition {
        Condition::Unknown if route.tagged && route.method == Method::GET => {
            vec![field("If-None-Match", "the ETag of what one has already; answered with 304 if it is still that".into(), tags)]
        }
        Condition::Unknown => Vec::new(),
        Condition::Offered(of) => {
            vec![field("If-Match", format!("the ETag of {of}; nothing is done if it has another by now"), tags)]
        }
        Condition::Demanded(of) => {
            vec![field("If-Match", format!("the ETag of {of}, or *; without it nothing is done"), tags)]
        }
    }
}

fn etag() -> Value {
    json!({"description": "its tag (RFC 9110 section 8.8.3), strong", "schema": {"type": "string", "pattern": "^\"sha256:[0-9a-f]{64}\"$"}})
}

/// The schema of a parameter of the path, by its name.
fn in_path(name: &str) -> Value {
    match name {
        "list" => json(&ListId::schema()),
        "from" | "to" | "serial" | "n" => json(&Serial::schema()),
        "b" => json!({"type": "integer", "minimum": 0}),
        "digest" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        _ => json!({"type": "string"}),
    }
}

/// Statuses of the problems that a call may answer with.
fn problems(route: &Route) -> BTreeSet<u16> {
    let mut all: BTreeSet<u16> = route.problems.iter().copied().chain([400, 500]).collect();
    if route.need != Need::Nobody {
        all.extend([401, 403, 404, 429, 503]);
    }
    if route.need == Need::Nobody && route.path_parameters().next().is_some() {
        all.insert(404);
    }
    if route.writes() {
        all.insert(412);
    }
    if let Condition::Demanded(_) = route.condition {
        all.insert(428);
    }
    if route.method != Method::GET {
        all.extend([408, 409, 413, 415, 422]);
    }
    all
}

/// Who may call, for people and programs.
fn need(need: Need) -> Value {
    let words = |roles: &[crate::people::Role]| roles.iter().map(|role| role.word()).collect::<Vec<_>>();
    match need {
        Need::Nobody => json!({"who": "anybody"}),
        Need::Account => json!({"who": "any account"}),
        Need::Some(roles) => json!({"who": "one of these roles on any list", "roles": words(roles)}),
        Need::List(roles) => json!({"who": "one of these roles on the list", "roles": words(roles)}),
        Need::All(roles) => json!({"who": "one of these roles for all lists", "roles": words(roles)}),
    }
}

/// The schema of a problem (RFC 9457).
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "description": "The code as a URI."},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What it was and what to do, for people."},
            "code": {"type": "string", "enum": CODES.iter().map(|(code, _)| *code).collect::<Vec<_>>(), "description": "For programs; its meaning never changes."},
            "etag": {"type": "string", "description": "The tag of what is there now, if it no longer has that of If-Match."},
            "refusals": {"type": "array", "items": {"$ref": "#/components/schemas/Refusal"}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, into));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }

    #[test]
    fn whatever_it_refers_to_is_in_it() {
        let description = description();
        let mut all = BTreeSet::new();
        references(&description, &mut all);
        assert!(all.len() > 10);
        for reference in all {
            let pointer = reference.strip_prefix('#').expect("a place in the same document");
            assert!(description.pointer(pointer).is_some(), "{reference} is not there");
        }
    }
}
