//! What each rule makes of each door. No cell is empty; the matches name every rule, door and grant.

use portcullis_core::oauth::token::GrantType;

use super::Rule;
use super::doors::{Door, Seen};

/// What a door must answer while a rule is in force.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    /// Status and error.
    Refused(u16, &'static str),
    /// RFC 7662 §2.2: `{"active":false}` and nothing else.
    Inactive,
    /// A page with this status, and no code.
    Page(u16),
    /// The rule does not concern the door; why.
    Passes(&'static str),
}

use Cell::{Inactive, Page, Passes, Refused};

impl Cell {
    /// Whether it is what was seen.
    pub(super) fn is(self, seen: &Seen) -> bool {
        match self {
            Refused(status, error) => *seen == Seen::Refused(status, error.to_owned()),
            Inactive => *seen == Seen::Inactive,
            Page(status) => *seen == Seen::Page(status),
            Passes(why) => !why.is_empty() && *seen == Seen::Open,
        }
    }
}

const GRANT: Cell = Refused(400, "invalid_grant");
const SUBJECT: Cell = Refused(400, "invalid_request");
const TOKEN: Cell = Refused(401, "invalid_token");
const CLIENT: Cell = Refused(401, "invalid_client");
const CREDENTIALS: Cell = Refused(401, "invalid_grant");
const ADMIN: Cell = Refused(401, "HTTP 401 Unauthorized");
const OVER: Cell = Refused(200, "invalid_token");
const CLOSED: Cell = Refused(403, "access_denied");

const NOBODY: Cell = Passes("no person stands behind a client's own token");
const LEAVES: Cell = Passes("whoever may not come in may go out: a logout only ends");
const GIVES_BACK: Cell = Passes("RFC 7009 §2: a client may give back what it holds");
const NEW_LOGIN: Cell = Passes("a login that begins now is younger than what was cut off");
const GUESSES: Cell = Passes("a lock-out keeps guesses of the password out, and nothing that was proven before it");
const ONE_TOKEN: Cell = Passes("RFC 7009 §2.1: one token was revoked, not the login");

/// The cell of a rule and a door.
pub(super) fn cell(rule: Rule, door: Door) -> Cell {
    if door == Door::Grant(GrantType::Implicit) {
        // Tokens by the browser come through the authorization endpoint.
        return cell(rule, Door::SingleSignOn);
    }
    match rule {
        Rule::DisabledUser => disabled_user(door),
        Rule::DisabledClient => disabled_client(door),
        Rule::DisabledRealm => disabled_realm(door),
        Rule::RealmNotBefore | Rule::UserNotBefore => login_cut_off(door),
        Rule::ClientNotBefore => tokens_cut_off(door),
        Rule::LockedUser => locked_user(door),
        Rule::Revoked => revoked(door),
        Rule::EndedSession => ended_session(door),
        Rule::Expired => expired(door),
        Rule::DeletedUser => deleted_user(door),
    }
}

fn disabled_user(door: Door) -> Cell {
    match door {
        Door::Grant(
            GrantType::AuthorizationCode
            | GrantType::RefreshToken
            | GrantType::Password
            | GrantType::DeviceCode
            | GrantType::Implicit,
        ) => GRANT,
        Door::Grant(GrantType::ClientCredentials) => NOBODY,
        Door::Grant(GrantType::TokenExchange) => SUBJECT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::Revocation => GIVES_BACK,
        Door::SingleSignOn | Door::LoginPage => Page(200),
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

fn disabled_client(door: Door) -> Cell {
    match door {
        Door::Grant(
            GrantType::AuthorizationCode
            | GrantType::RefreshToken
            | GrantType::Password
            | GrantType::ClientCredentials
            | GrantType::TokenExchange
            | GrantType::DeviceCode
            | GrantType::Implicit,
        )
        | Door::Revocation
        | Door::TokenLogout => CLIENT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::SingleSignOn | Door::LoginPage | Door::BrowserLogout => Page(400),
    }
}

fn disabled_realm(door: Door) -> Cell {
    match door {
        Door::Grant(
            GrantType::AuthorizationCode
            | GrantType::RefreshToken
            | GrantType::Password
            | GrantType::ClientCredentials
            | GrantType::TokenExchange
            | GrantType::DeviceCode
            | GrantType::Implicit,
        )
        | Door::Introspection
        | Door::Revocation => CLOSED,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::SingleSignOn | Door::LoginPage => Page(400),
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

/// The realm's not-before and the user's: no login from before it counts.
fn login_cut_off(door: Door) -> Cell {
    match door {
        Door::Grant(
            GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::DeviceCode | GrantType::Implicit,
        ) => GRANT,
        Door::Grant(GrantType::Password) | Door::LoginPage => NEW_LOGIN,
        Door::Grant(GrantType::ClientCredentials) => NEW_LOGIN,
        Door::Grant(GrantType::TokenExchange) => SUBJECT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::Revocation => GIVES_BACK,
        Door::SingleSignOn => Page(200),
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

/// A client's not-before: its tokens, codes and device requests from before it do not count; the login of the browser is not its own.
fn tokens_cut_off(door: Door) -> Cell {
    match door {
        Door::Grant(GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::DeviceCode) => GRANT,
        Door::Grant(GrantType::Password | GrantType::ClientCredentials | GrantType::Implicit)
        | Door::SingleSignOn
        | Door::LoginPage => Passes("a client's not-before speaks of its tokens, and what this door gives is younger"),
        Door::Grant(GrantType::TokenExchange) => SUBJECT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::Revocation => GIVES_BACK,
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

fn locked_user(door: Door) -> Cell {
    match door {
        Door::Grant(GrantType::Password) => CREDENTIALS,
        Door::LoginPage => Page(200),
        Door::Grant(GrantType::ClientCredentials) => NOBODY,
        Door::Grant(
            GrantType::AuthorizationCode
            | GrantType::RefreshToken
            | GrantType::TokenExchange
            | GrantType::DeviceCode
            | GrantType::Implicit,
        )
        | Door::Introspection
        | Door::Userinfo
        | Door::AdminApi
        | Door::Revocation
        | Door::SingleSignOn => GUESSES,
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

/// The access token was revoked; at the refresh grant and the logouts the refresh token, and its login with it.
fn revoked(door: Door) -> Cell {
    match door {
        Door::Grant(GrantType::RefreshToken) => GRANT,
        Door::Grant(GrantType::TokenExchange) => SUBJECT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::Grant(
            GrantType::AuthorizationCode
            | GrantType::Password
            | GrantType::ClientCredentials
            | GrantType::DeviceCode
            | GrantType::Implicit,
        )
        | Door::SingleSignOn
        | Door::LoginPage => ONE_TOKEN,
        Door::Revocation => Passes("RFC 7009 §2.2: what was revoked before is revoked again with the same answer"),
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

fn ended_session(door: Door) -> Cell {
    match door {
        Door::Grant(
            GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::DeviceCode | GrantType::Implicit,
        ) => GRANT,
        Door::Grant(GrantType::Password) | Door::LoginPage => NEW_LOGIN,
        Door::Grant(GrantType::ClientCredentials) => NOBODY,
        Door::Grant(GrantType::TokenExchange) => SUBJECT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::Revocation => OVER,
        Door::SingleSignOn => Page(200),
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

/// Codes, tokens, sessions and cookies, all past their end. P-16: a hint may be.
fn expired(door: Door) -> Cell {
    match door {
        Door::Grant(GrantType::DeviceCode) => Refused(400, "expired_token"),
        Door::Grant(GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::Implicit) => GRANT,
        Door::Grant(GrantType::Password) | Door::LoginPage => NEW_LOGIN,
        Door::Grant(GrantType::ClientCredentials) => NOBODY,
        Door::Grant(GrantType::TokenExchange) => SUBJECT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::Revocation => OVER,
        Door::SingleSignOn => Page(200),
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}

fn deleted_user(door: Door) -> Cell {
    match door {
        Door::Grant(
            GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::DeviceCode | GrantType::Implicit,
        ) => GRANT,
        Door::Grant(GrantType::Password) => CREDENTIALS,
        Door::Grant(GrantType::ClientCredentials) => NOBODY,
        Door::Grant(GrantType::TokenExchange) => SUBJECT,
        Door::Introspection => Inactive,
        Door::Userinfo => TOKEN,
        Door::AdminApi => ADMIN,
        Door::Revocation => OVER,
        Door::SingleSignOn | Door::LoginPage => Page(200),
        Door::BrowserLogout | Door::TokenLogout => LEAVES,
    }
}
