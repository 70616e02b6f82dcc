//! The router, from the table.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};

use super::super::app::Shared;
use super::super::{caller, condition, once};
use super::{Need, routes};

/// A router of all routes; without an operator's API only those that anybody may call.
pub(in crate::http) fn build(shared: &Shared) -> Router<Shared> {
    let offered = |need: Need| need == Need::Nobody || shared.app.admin.is_some();
    let mut router = Router::new();
    for route in routes().into_iter().filter(|route| offered(route.need)) {
        let (keyed, writes, tagged, condition) = (route.takes_key(), route.writes(), route.tagged, route.condition);
        let mut handler = route.handler;
        if tagged {
            handler = handler.route_layer(from_fn(condition::tagged));
        }
        if keyed {
            handler = handler.route_layer(from_fn_with_state(shared.clone(), once::once));
        }
        if writes {
            handler = handler.route_layer(from_fn_with_state(condition, condition::expect));
        }
        // The last layer is the first that is asked.
        if route.need != Need::Nobody {
            handler = handler.route_layer(from_fn_with_state((shared.clone(), route.need), caller::admit));
        }
        router = router.route(route.path, handler);
    }
    // Each route bounds its body itself.
    router.layer(DefaultBodyLimit::disable())
}
