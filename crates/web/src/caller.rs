//! Who asks, and what they may. A door (the Unix socket, later a port) says who it is, and every route says what it takes.

use crate::api::problem::Problem;
use access::{Action, Role, Roles};
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use control::rollout::Principal;
use std::sync::{Arc, OnceLock};

/// Whoever made a request, as the door that it came by knows them.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The canonical principal, with the roles of its name as the configuration has them.
    pub principal: Principal,
    /// What they may: the roles of the name, and what the door itself gives.
    pub roles: Roles,
    /// What a form of theirs must send back as `csrf`, if a cookie says who they are; nothing where no form needs it.
    pub csrf: Option<Arc<str>>,
    /// What they were asked for, so that a route which asks for nothing is found.
    asked: Arc<OnceLock<Action>>,
}

/// What was refused, and to whom: an answer carries it to whoever records it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Who asked.
    pub by: Principal,
    /// What for.
    pub action: Action,
}

impl Caller {
    /// Somebody who may what the roles of their name say.
    pub fn named(principal: Principal) -> Caller {
        let roles = Roles::named(principal.roles.iter().map(String::as_str));
        Caller { principal, roles, csrf: None, asked: Arc::default() }
    }

    /// With more roles, which the door gives.
    #[must_use]
    pub fn also(self, roles: impl IntoIterator<Item = Role>) -> Caller {
        Caller { roles: self.roles.with(roles.into_iter().collect()), ..self }
    }

    /// Whose forms must send this back.
    #[must_use]
    pub fn with_csrf(self, csrf: Arc<str>) -> Caller {
        Caller { csrf: Some(csrf), ..self }
    }

    /// What they were asked for in this request, by whoever has another copy of this.
    pub(crate) fn asked(&self) -> Option<Action> {
        self.asked.get().copied()
    }

    /// Whether they may.
    pub fn may(&self, action: Action) -> bool {
        access::may(self.roles, action)
    }

    /// Who acts, if they may.
    pub fn to(self, action: Action) -> Result<Principal, Problem> {
        // The first question is the route's own; whatever else it asks is within that.
        let _ = self.asked.set(action);
        if self.may(action) {
            return Ok(self.principal);
        }
        Err(Problem::not_allowed(Refusal { by: self.principal, action }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| {
            Problem::new(
                "unauthenticated",
                StatusCode::UNAUTHORIZED,
                "nobody is known to ask: sign in, or show a token",
            )
        })
    }
}
