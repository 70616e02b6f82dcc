//! The operator's token. Only its digest is kept, so that neither memory dumps nor a careless `{:?}` show it.

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq as _;

use crate::list::Digest;

/// What the operator's token must hash to.
#[derive(Clone)]
pub struct OperatorToken(Digest);

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

impl OperatorToken {
    /// The token with this text; white space around it is no part of it.
    pub fn new(text: &str) -> Self {
        OperatorToken(Digest::of(text.trim()))
    }

    /// Whether a request carries it, as `Authorization: Bearer TOKEN`, once. How long the answer takes does not depend on
    /// how much of a wrong token is right: digests are compared, and to the end.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|token| Digest::of(token).0.ct_eq(&self.0.0).into())
    }
}

/// The token of a request, as `Authorization: Bearer TOKEN`, once.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_itself_as_bearer_is_taken() {
        let token = OperatorToken::new("bwld-secret\n");
        let carries = |fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(field));
            }
            token.is_in(&headers)
        };
        assert!(carries(&["Bearer bwld-secret"]) && carries(&["bearer  bwld-secret"]));
        for wrong in ["", "Bearer", "Bearer ", "Bearer bwld-secre", "Bearer bwld-secret2", "Basic bwld-secret", "bwld-secret"] {
            assert!(!carries(&[wrong]), "{wrong:?}");
        }
        assert!(!carries(&[]) && !carries(&["Bearer bwld-secret", "Bearer bwld-secret"]));
        assert_eq!(format!("{token:?}"), "OperatorToken(…)");
    }
}
