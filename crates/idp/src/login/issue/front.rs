//! Tokens in the authorization answer: decided with the login's plan, signed after it was applied.

use std::sync::Arc;

use portcullis_core::claims::tokens::bearer_type;
use portcullis_core::oauth::front::{self, Parties};
use portcullis_core::oauth::response_mode::FrontAccess;
use portcullis_core::oauth::token;
use portcullis_core::plan::Write;
use portcullis_core::session::{ClientSession, UserSession};

use crate::login::Cx;
use crate::state::Unavailable;
use crate::token::{Beside, FrontTokens, after_cuts, prepare, sign_front};

use super::{Issue, Party, grant};

/// The facts of the tokens, where the request asks for any; what has to be written goes to `writes`.
pub(super) fn decide<'a>(
    cx: &'a Cx<'_>,
    party: &Party<'a>,
    what: &Issue<'_>,
    (session, below): (&UserSession, Option<&ClientSession>),
    writes: &mut Vec<Write>,
) -> Result<Option<token::Issue<'a>>, Unavailable> {
    let kind = what.request.response_type;
    if !kind.is_front() {
        return Ok(None);
    }
    let user = party.user.ok_or(Unavailable)?;
    let context = cx.context(party.issuer);
    let to = Parties { client: party.client, user };
    let (issue, more) = front::decide(
        &context,
        to,
        session,
        below,
        (kind, grant(cx, party.client, session, (what.request, &what.proof))),
    )
    .map_err(|_| Unavailable)?;
    writes.extend(more);
    Ok(Some(issue))
}

/// Signs. A key that the realm lacked is made first.
pub(super) async fn sign(
    cx: &Cx<'_>,
    issue: &mut token::Issue<'_>,
    beside: Beside<'_>,
) -> Result<FrontTokens, Unavailable> {
    after_cuts(cx.app, cx.view, issue).await.map_err(|_| Unavailable)?;
    let mut view = Arc::clone(cx.view);
    if prepare(cx.app, &view, issue.client).await.map_err(|_| Unavailable)? {
        view = cx.app.realm(cx.realm_name()).await?.ok_or(Unavailable)?;
    }
    sign_front(cx.app, &view, issue, beside).await.map_err(|_| Unavailable)
}

/// The members of the answer that describe an access token.
pub(super) fn access<'a>(issue: &token::Issue<'_>, token: &'a str) -> FrontAccess<'a> {
    let expires_in = issue.access_expires_at.saturating_sub(issue.issued_at);
    FrontAccess { token, kind: bearer_type(issue.client), expires_in }
}
