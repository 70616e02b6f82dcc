//! Parameters of a call, as the table holds them.

/// The largest serial.
pub(in crate::http) const MAX_SERIAL: u64 = i64::MAX as u64;

/// Where a parameter stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::http) enum In {
    /// In the query.
    Query,
    /// In a header field.
    Header,
}

/// A parameter.
#[derive(Clone, Debug)]
pub(in crate::http) struct Parameter {
    pub(in crate::http) name: &'static str,
    pub(in crate::http) place: In,
    /// What it means.
    pub(in crate::http) about: &'static str,
    /// JSON Schema of its value.
    pub(in crate::http) schema: serde_json::Value,
}

/// A parameter of the query with this schema.
pub(in crate::http) fn parameter(name: &'static str, about: &'static str, schema: serde_json::Value) -> Parameter {
    Parameter { name, place: In::Query, about, schema }
}

/// A text in the query.
pub(in crate::http) fn text(name: &'static str, about: &'static str) -> Parameter {
    parameter(name, about, serde_json::json!({"type": "string"}))
}

/// A whole number in the query, within these bounds.
pub(in crate::http) fn number(name: &'static str, about: &'static str, least: u64, most: u64) -> Parameter {
    parameter(name, about, serde_json::json!({"type": "integer", "minimum": least, "maximum": most}))
}

/// A flag in the query.
pub(in crate::http) fn flag(name: &'static str, about: &'static str) -> Parameter {
    // The name alone sets it, too.
    parameter(name, about, serde_json::json!({"type": "string", "enum": ["true", "false", "1", "0", ""]}))
}
