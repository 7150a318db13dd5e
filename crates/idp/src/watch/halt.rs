//! Reasons that are no row of the OAuth error table: paths, forms, pages of the login, tokens shown to this server, the Admin API.

use portcullis_core::refusal::Class::{
    self, Absent, Account, Client, Credentials, Request, Rights, Server, Session, Token,
};
use portcullis_core::refusal::Explained;

macro_rules! halts {
    ($($name:ident => $class:ident [$check:literal, $expected:literal, $got:literal, $advice:literal];)+) => {
        /// Why a request came no further.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Halt {
            $(
                #[doc = $expected]
                $name,
            )+
        }

        impl Halt {
            /// Its name.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The check behind it.
            pub(super) const fn explain(self) -> Explained {
                let (class, row): (Class, [&'static str; 4]) = match self {
                    $(Self::$name => ($class, [$check, $expected, $got, $advice]),)+
                };
                Explained::row(class, row)
            }
        }
    };
}

halts! {
    // --- any door
    UnknownRealm => Absent ["realm", "the name of a realm", "no realm of that name", "Look at the spelling; capital letters count."];
    OtherListener => Absent ["listener", "the listener that serves this realm", "the other one", "The master realm answers on the admin listener only, other realms on the public one."];
    UnknownPath => Absent ["path", "a path that this server serves", "another one", "Look at the discovery document for the addresses."];
    Method => Request ["method", "a method of this endpoint", "another one", "Look at the endpoint's methods."];
    NoAnswer => Request ["code", "code or error of an authorization answer of this server", "another text", "Begin again from the application; nobody else's link shows a code."];
    MediaType => Request ["Content-Type", "application/json", "another type", "Send JSON and say so."];
    BodyTooLarge => Request ["body size", "a body within the limit", "a larger one", "Send less."];
    BodyTooSlow => Request ["body time", "the whole body in time", "a part of it", "Look at the network between caller and server."];
    Unreadable => Request ["parameters", "readable query and form", "broken encoding or too many parameters", "Look at how the address and the form are encoded."];

    // --- login pages
    CookieNotFound => Session ["login cookies", "the cookies of a login that began in this browser", "none", "The browser blocks cookies, or the link is of another browser; use https so that cookies may be Secure."];
    InvalidCode => Session ["login flow", "an address of a login that is open in this browser", "another one", "Begin the login anew from the application."];
    ForeignForm => Session ["origin of the form", "a form of this server's own page", "one of another page", "If a proxy changes Host or Origin, set server.public_url."];
    DifferentUser => Session ["user of the session", "the user who is logged in", "another one", "Log out first."];
    StepNotShown => Server ["next step", "a step that this server can show", "one it cannot", "Remove the required action or the second factor from the account."];
    PasswordsBusy => Server ["password threads", "a free thread within two seconds", "none", "More logins than the machine can hash: look at the password metrics."];
    ResetNotAvailable => Absent ["password reset", "mail for password resets", "none", "An administrator sets the new password."];
    NoUsername => Credentials ["username", "a name", "none", "Fill the form."];
    WrongPassword => Credentials ["user credentials", "name and password of one account", "an unknown name, a wrong password or an account that is switched off", "Look at the realm's LOGIN_ERROR events for which."];
    AccountRests => Credentials ["brute force protection", "an account that does not rest", "one with too many failures", "Wait, or clear the user's failures."];
    AddressRests => Credentials ["guessing over many accounts", "an address with few wrong passwords", "one with too many in ten minutes", "Wait; the realm's LOGIN_ERROR events say who tried what from there."];
    WrongOneTimeCode => Credentials ["one-time code", "the current, unused code of the account's device", "another one, or none", "Look at the clocks of server and device; the password grant sends the code as otp."];
    AccountOff => Account ["account enabled", "an enabled account", "one that is switched off", "Enable the user."];
    Profile => Account ["profile", "values that the realm's user profile takes, and a name and e-mail that nobody else has", "others", "The page says at each field what is wrong."];
    NewPassword => Credentials ["new password", "a password that the realm's policy takes, twice the same", "another one", "The page says which rule it broke."];

    // --- device codes
    WrongUserCode => Credentials ["user code", "the code that the device shows", "another one", "Look at the device's screen again."];
    UserCodeOver => Session ["user code lifetime", "a code that is not over", "one that is", "Let the device begin anew."];
    TooManyGuesses => Credentials ["rate of user codes", "a few wrong codes", "too many from one address or session", "Wait; somebody may be guessing."];

    // --- logout
    LogoutHintMissing => Request ["id_token_hint", "id_token_hint or client_id beside the address", "neither", "Send id_token_hint with the logout."];
    LogoutHintInvalid => Token ["id_token_hint", "an ID token of this realm for this client", "another text", "Send the ID token of this login, whole."];
    LogoutRedirect => Client ["post_logout_redirect_uri", "one of the client's addresses after logout", "another one", "Register exactly the address that the application sends."];
    LogoutRepeated => Request ["repeated parameters", "each parameter once", "one of them twice", "Send each parameter once."];
    LogoutNotWritten => Server ["end of the session", "an answer of the store in time", "none", "The page asks again; look at the server's log and load."];
    LogoutNotConfirmed => Session ["logout page", "the form of an open logout of this browser", "another one", "Begin the logout anew."];

    // --- tokens shown to this server
    NoToken => Token ["access token", "one access token in Authorization: Bearer", "none", "Send the access token."];
    SeveralTokens => Request ["access token", "one access token in one place", "more than one", "Send the token once."];
    DpopToken => Token ["token scheme", "Authorization: Bearer", "DPoP", "This server does not bind tokens yet: use Bearer."];
    NotBearer => Token ["typ claim", "an access token (typ Bearer)", "a token of another kind", "Send the access token, not the ID or refresh token."];
    BoundToken => Token ["cnf claim", "a token that is not bound to a key", "one that is", "A bound token needs a proof."];
    IncompleteToken => Token ["token claims", "iat, exp and azp", "a token without one of them", "Use a token of this server's token endpoint."];
    TokenOfNoClient => Token ["azp claim", "a client of this realm", "none of that name", "The client was removed or renamed."];
    TokenTooOld => Token ["not-before", "a token younger than every not-before", "an older one", "Get a new token."];
    TokenRevoked => Token ["revocation", "a token that was not revoked", "one that was", "Get a new token."];
    TokenOfAnotherUser => Token ["sub claim", "the user of the session", "another one", "Get a new token."];
    NoServiceAccount => Token ["service account", "the client's service account", "none, or the client may not have one", "Enable the client's service account and get a new token."];
    ClientOff => Client ["client enabled", "an enabled client", "one that is switched off", "Enable the client."];
    UserOff => Account ["user enabled", "an enabled user", "one that is switched off", "Enable the user."];
    SessionGone => Session ["user session", "a live session that the token's client takes part in", "none", "The user was logged out or was idle too long: log in again."];
    NotForThisCaller => Client ["audience", "a caller that the token is meant for", "another client", "Introspect as the client or as a resource server in the token's audience."];
    RefreshTokenNotLive => Session ["refresh token", "the live token of a live session", "one that is over", "Begin a login anew."];
    NoOpenidScope => Rights ["scope", "openid among the token's scopes", "a token without it", "Ask for scope openid."];

    // --- Admin API
    ForeignIssuer => Token ["iss claim", "a token of an enabled realm of this server", "another issuer, or no readable token", "Compare the token's iss with the address that the call goes to."];
    MissingRight => Rights ["administrative role", "a role that gives this right, in the store and let through by the token's client", "none", "Give the user the role (realm-management); a client without full scope needs it in its scope mappings."];
    OtherRealm => Rights ["realm of the administrator", "a token of master or of this realm", "one of another realm", "Use an administrator of this realm or of master."];
    Outranked => Rights ["rights of the account to change", "an administrator with every right that the account has", "one with fewer rights", "Ask an administrator with more rights, or take the roles from the account first."];
    BadDocument => Request ["document", "a document that this endpoint takes", "another one", "The answer's text names the place."];
    Conflict => Request ["name", "a name that is free", "one that is taken", "Choose another name, or change the existing one."];

    // --- revocation feed
    NotFeedReader => Rights ["role read-revocations", "a service account with the role read-revocations", "another caller", "Give the service account's user the role."];
    Cursor => Request ["after", "EPOCH.SEQ", "another text", "Send the cursor of the last event, or none."];

    // --- what nobody named
    Unnamed => Request ["request", "a request that this endpoint takes", "another one", "Look at the answer's status and text."];
    Panicked => Server ["handler", "an answer", "a panic; the request was answered 500 and nothing else was harmed", "Please report it with the log line of the panic (same trace id)."];
    Failed => Server ["server", "an answer", "a failure", "Look at the server's log."];
}
