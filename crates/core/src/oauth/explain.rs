//! The rows of [`super::error::Reason`] in words for an operator: which check, what it wants, what it met, what to do.

use super::error::Reason;
use crate::refusal::Class::{self, Account, Client, Credentials, Grant, Request, Rights, Server, Session, Token};
use crate::refusal::{Explained, Shown};

macro_rules! explained {
    ($($name:ident $(($field:ident $($silent:ident)?))? => $class:ident [$check:literal, $expected:literal, $got:literal, $advice:literal];)+) => {
        impl Reason {
            /// The check behind this reason. What the request brought, where it is no secret, is [`Reason::detail`].
            #[must_use]
            pub const fn explain(&self) -> Explained {
                let (class, row): (Class, [&'static str; 4]) = match self {
                    $(Self::$name $((explained!(@any $field)))? => ($class, [$check, $expected, $got, $advice]),)+
                };
                Explained::row(class, row)
            }

            /// The reason's own value: a scope, a parameter's name, a word of the protocol. Never a secret.
            #[must_use]
            pub fn detail(&self) -> Option<Shown> {
                match self {
                    $(Self::$name $(($field))? => explained!(@detail $($field $($silent)?)?),)+
                }
            }
        }
    };
    (@any $field:ident) => { _ };
    (@detail) => { None };
    (@detail $field:ident) => { Some(Shown::identifier($field)) };
    // A place where a secret may stand by mistake.
    (@detail $field:ident silent) => {{ let _ = $field; None }};
}

explained! {
    // --- token endpoint, shared phases
    MissingGrantType => Request ["grant_type", "a grant_type in the form", "none", "Send a form (application/x-www-form-urlencoded) with grant_type."];
    UnsupportedGrantType => Request ["grant_type", "a grant this server gives", "another word", "Look at grant_types_supported of the discovery document."];
    DuplicatedParameter => Request ["repeated parameters", "each parameter once", "one of them twice", "Send each parameter once."];
    UnknownClient => Client ["client authentication", "the client_id of an enabled client of this realm", "another one, or none", "Compare client_id and realm with the client's settings."];
    BadClientCredentials => Client ["client authentication", "the client's secret, in one way (header or form)", "none, or a client that may not authenticate", "Send the secret; look at whether the client is bearer-only."];
    WrongClientSecret => Client ["client authentication", "the client's secret", "another one", "Compare the client's secret on both sides, or set it anew."];
    TooManyWrongSecrets => Client ["rate of wrong secrets", "few wrong secrets for one client from one address", "too many", "Correct the secret and wait a minute; if it is right, somebody at this address guesses."];
    UndecodableClientAuthentication => Client ["client authentication", "Authorization: Basic with form-encoded id and secret", "a header that cannot be decoded", "Encode id and secret as RFC 6749 section 2.3.1 says; send the header once."];
    AssertionMissing => Client ["client authentication", "a client_assertion", "none", "The client is set to signed assertions: send one, or change its authenticator."];
    WrongClientProtocol => Client ["client protocol", "a client of openid-connect", "a client of another protocol", "Use a client made for OpenID Connect."];
    InvalidScopes(text) => Request ["scope", "scopes that the client has", "other words", "Give the client the scope (default or optional), or ask for less."];
    InvalidTarget => Client ["resource", "resources that the client may ask for", "another one", "Add the resource to the client, or ask for one of its own (RFC 8707)."];
    ConsentWithdrawn => Rights ["consent", "the user's consent for this client", "none any more", "Begin a login anew: the user is asked again."];
    DuplicatedDeviceParameter => Request ["repeated parameters", "each parameter once", "one of them twice", "Send each parameter once."];
    RealmClosed => Account ["realm enabled", "an enabled realm", "a realm that is switched off", "Enable the realm."];
    RealmDisabled => Account ["realm enabled", "an enabled realm", "a realm that is switched off", "Enable the realm."];
    HttpsRequired => Request ["HTTPS", "https (realm setting sslRequired)", "plain http from outside", "Use https; behind a proxy name it in server.trusted_proxies."];
    Unavailable => Server ["storage and keys", "an answer of the store in time", "none", "Look at the server's log and load; the caller may try again."];

    // --- authorization endpoint
    InvalidRequest => Request ["parameters", "readable parameters, each once, and a client_id", "something else", "Look at how the application builds the address."];
    ClientNotFound => Client ["client_id", "a client of this realm", "an unknown client_id", "Compare client_id and realm with the client's settings."];
    ClientDisabled => Client ["client enabled", "an enabled client", "a client that is switched off", "Enable the client."];
    BearerOnlyLogin => Client ["client kind", "a client that logs users in", "a bearer-only client", "Use another client for logins."];
    InvalidRedirectUri => Client ["redirect_uri", "one of the client's registered redirect URIs, character by character", "another address, or none", "Register exactly the address that the application sends."];
    MissingResponseType => Request ["response_type", "a response_type", "none", "Send response_type=code."];
    UnsupportedResponseType => Request ["response_type", "a response_type that server and realm give", "another one", "Send response_type=code; strict realms have no implicit flow."];
    InvalidResponseMode => Request ["response_mode", "query, fragment or form_post", "another word", "Send a response_mode of the discovery document, or none."];
    QueryModeForTokens => Request ["response_mode", "fragment or form_post where tokens travel", "query", "Leave response_mode out."];
    StandardFlowOff => Client ["standard flow", "a client with the standard flow", "a client without it", "Enable the client's standard flow."];
    PushedStandardFlowOff => Client ["standard flow", "a client with the standard flow", "a client without it", "Enable the client's standard flow."];
    ImplicitFlowOff => Client ["implicit flow", "a client with the implicit flow", "a client without it", "Use response_type=code with PKCE; the implicit flow is outdated."];
    PushedImplicitFlowOff => Client ["implicit flow", "a client with the implicit flow", "a client without it", "Use response_type=code with PKCE; the implicit flow is outdated."];
    MissingNonce => Request ["nonce", "a nonce", "none", "Send a nonce: the ID token travels through the browser."];
    PushedRequestRequired => Client ["pushed request", "a pushed authorization request", "a plain one", "Push the request first, or change the client's setting."];
    MissingCodeChallengeMethod => Request ["PKCE", "code_challenge_method", "none", "Send code_challenge_method=S256."];
    MissingCodeChallenge => Request ["PKCE", "code_challenge", "none", "Send code_challenge and code_challenge_method=S256."];
    InvalidCodeChallenge => Request ["PKCE", "a code_challenge of 43 to 128 unreserved characters", "another text", "Send base64url(SHA-256(code_verifier)) without padding."];
    InvalidCodeChallengeMethod => Request ["PKCE", "S256, or plain where the realm allows it", "another method", "Send code_challenge_method=S256."];
    CodeChallengeMethodMismatch => Client ["PKCE", "the method that the client is bound to", "another method", "Send the client's method, or change its setting."];
    PromptNoneCombined => Request ["prompt", "none alone", "none with other words", "Send prompt=none alone."];
    ParameterTooLong(text) => Request ["parameter length", "values within the limit", "a longer value", "Shorten this parameter."];
    InvalidClaims => Request ["claims", "a claims parameter that can be read", "another text", "Send JSON as OIDC Core section 5.5 says."];
    UnmetAuthenticationRequirements => Session ["acr", "a login of a level that was asked for as essential", "a level that this user or server cannot reach", "Give the user the factor, or ask for a level that the realm has."];
    InvalidIdTokenHint => Token ["id_token_hint", "an ID token of this realm for this client, and its user", "another text or another user", "Send the ID token of this login, whole, or leave it out."];
    LoginRequired => Session ["prompt=none", "a user who is logged in", "nobody", "Ask again without prompt=none: the user must log in."];
    InteractionRequired => Session ["prompt=none", "a login that needs nothing more", "a step that the user must take", "Ask again without prompt=none."];
    AccessDenied => Rights ["consent", "the user's or the realm's yes", "no", "The user refused, or the client was switched off meanwhile."];
    AuthenticationExpired => Session ["login flow", "a login that is still open", "one that ended in another tab", "Begin the login anew; a user who is logged in needs no page."];

    // --- authorization code grant
    MissingCode => Request ["code", "a code", "none", "Send the code of the redirect."];
    CodeNotValid => Grant ["code", "an unused code of this realm", "an unknown or used one", "Exchange each code once and at once; look for two exchanges or a reloaded callback page."];
    CodeExpired => Grant ["code lifetime", "a code within the realm's accessCodeLifespan", "an older one", "Exchange the code at once; look at the clocks."];
    UserSessionNotFound => Session ["user session", "the session behind the grant", "none", "The user was logged out: begin a login anew."];
    UserNotFound => Account ["user", "the user behind the grant", "none", "The user was removed."];
    UserDisabled => Account ["user enabled", "an enabled user", "one that is switched off", "Enable the user, or log it out for good."];
    SessionNotActive => Session ["session limits", "a session within its idle and maximal time", "one that is over", "Begin a login anew; compare ssoSessionIdleTimeout and ssoSessionMaxLifespan."];
    IncorrectRedirectUri => Grant ["redirect_uri", "the redirect_uri of the authorization request", "another one, or none", "Send the same redirect_uri in both requests."];
    CodeOfAnotherClient => Grant ["code's client", "the client that the code was given to", "another client", "Exchange the code as the client that asked for it."];
    CodeFlowOff => Client ["standard flow", "a client with the standard flow", "a client without it", "Enable the client's standard flow."];
    PkceVerifierMissing => Grant ["PKCE", "code_verifier, because there was a code_challenge", "none", "Keep the verifier across the redirect and send it."];
    PkceVerifierUnexpected => Grant ["PKCE", "no code_verifier, because there was no code_challenge", "one", "Send code_challenge with the authorization request (it may have been stripped)."];
    PkceVerifierMalformed => Grant ["PKCE", "a code_verifier of 43 to 128 unreserved characters", "another text", "Make the verifier as RFC 7636 section 4.1 says."];
    PkceMismatch => Grant ["PKCE", "the code_verifier of this login's code_challenge", "another one", "Keep one verifier per login: two tabs must not share its place."];

    // --- password grant
    DirectGrantOff => Client ["direct access grants", "a client with direct access grants, and a profile that lets it", "a client without", "Use the code flow; a strict realm needs the client attribute portcullis.password.grant."];
    ConsentRequired => Client ["consent", "a client that asks for no consent", "one that does", "This grant cannot ask the user: use the code flow."];
    MissingUsername => Request ["username", "a username", "none", "Send username and password."];
    InvalidUserCredentials => Credentials ["user credentials", "name and password of an account that may log in", "something else", "Look at the realm's LOGIN_ERROR events: unknown name, wrong password, or an account that rests after failures."];
    AccountDisabled => Account ["account enabled", "an enabled account", "one that is switched off", "Enable the user."];
    AccountNotSetUp => Account ["required actions", "an account that owes nothing", "one with required actions or an incomplete profile", "Let the user log in with a browser once, or remove the required actions."];

    // --- device grant
    DeviceFlowOff => Client ["device flow", "a client with the device flow", "a client without it", "Enable the client's device authorization grant."];
    DeviceGrantOff => Client ["device flow", "a client with the device flow", "a client without it", "Enable the client's device authorization grant."];
    MissingDeviceCode => Request ["device_code", "a device_code", "none", "Send the device_code of the answer to the device's first request."];
    DeviceCodeNotValid => Grant ["device_code", "a device code that is open", "an unknown or used one", "Begin anew at the device authorization endpoint."];
    DeviceCodeOfAnotherClient => Grant ["device code's client", "the client that the code was given to", "another client", "Poll as the client that began."];
    DeviceCodeExpired => Grant ["device code lifetime", "a device code that is not over", "one that is", "Begin anew; the person was too slow."];
    SlowDown => Request ["polling interval", "polls no faster than interval", "faster ones", "Wait interval seconds between polls, five more after each slow_down."];
    AuthorizationPending => Session ["user's answer", "a person who answered", "nobody yet", "Nothing: the device polls until the person answered."];
    DeviceDenied => Rights ["consent", "the person's yes", "no", "The person refused."];
    TooManyRequests => Request ["rate", "device and pushed requests within the rate of one address or client", "more", "Wait a minute."];

    // --- pushed authorization requests
    PushUnauthenticated => Client ["client authentication", "a client that proves who it is", "none, or a wrong proof", "Compare the client's secret or key on both sides; push with the same credentials as at the token endpoint."];
    RequestUriPushed => Request ["request_uri", "the request itself", "a request_uri", "Push the parameters; the answer has the request_uri."];
    InvalidPushedScopes(text) => Request ["scope", "scopes that the client has", "other words", "Give the client the scope (default or optional), or ask for less."];
    UnsupportedPushedResponseType => Request ["response_type", "a response_type that server and realm give", "another one", "Send response_type=code; strict realms have no implicit flow."];

    // --- introspection
    IntrospectionUnauthenticated => Client ["client authentication", "a client that proves who it is", "no proof, or a wrong one", "Send the client's id and secret."];
    IntrospectionByPublicClient => Client ["client kind", "a confidential client", "a public one", "Use a confidential client for introspection."];
    TokenNotProvided => Request ["token", "a token", "none", "Send the token in the form."];
    UnsupportedTokenType(text) => Request ["token_type_hint", "access_token, refresh_token or nothing", "another word", "Leave token_type_hint out."];

    // --- revocation
    RevocationWithoutToken => Request ["token", "a token", "none", "Send the token in the form."];
    RevocationTokenInvalid => Token ["token", "a token of this realm", "another text", "A token that is no token any more needs no revocation."];
    RevocationTokenUnsupported => Request ["token", "a refresh or access token", "a token of another kind", "Revoke the refresh token."];
    RevocationOfAnotherClient => Client ["token's client", "the client that the token was given to", "another client", "Revoke as the client that got the token."];

    // --- client credentials grant
    PublicServiceAccount => Client ["client kind", "a confidential client", "a public one", "Give the client a secret (publicClient off)."];
    ServiceAccountOff => Client ["service account", "a client with a service account", "one without", "Enable the client's service account."];
    ServiceAccountDisabled(text) => Account ["service account enabled", "an enabled service account", "one that is switched off", "Enable the service account's user."];

    // --- client assertions
    AssertionTypeUnknown(given silent) => Client ["client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "another text", "Send this client_assertion_type."];
    AssertionAbsent => Client ["client_assertion", "a client_assertion", "none", "Send the signed assertion."];
    AssertionOfAnotherClient => Client ["client_assertion's sub", "the client that client_id names", "another one", "Sign with sub (and iss) equal to client_id."];
    AssertionAlgorithm => Client ["client_assertion's algorithm", "the algorithm that the client is registered for", "another one", "Compare the client's token.endpoint.auth.signing.alg with what it signs with."];
    AssertionKeyUnknown => Client ["client's keys", "a key of the client with this kid and algorithm", "none, or its key set cannot be had", "Look at the client's JWKS URL or certificate."];
    AssertionSignature => Client ["client_assertion's signature", "a whole assertion signed by the client's key", "another one", "Compare the client's key with the one it signs with."];
    SecretAssertionSignature => Client ["client_assertion's signature", "a whole assertion signed with the client's secret", "another one", "Compare the client's secret on both sides."];
    SecretAssertionAsymmetric => Client ["client_assertion's algorithm", "HS256, HS384 or HS512", "an asymmetric algorithm", "Sign with the secret, or set the client to signed JWT."];
    AssertionAudience => Client ["client_assertion's aud", "this realm's issuer or token endpoint", "others only", "Put the issuer into aud."];
    AssertionAudiences => Client ["client_assertion's aud", "this realm alone", "others too", "Put the issuer alone into aud."];
    AssertionWithoutExpiry => Client ["client_assertion's exp", "an exp", "none", "Add exp, a minute ahead."];
    AssertionNotActive => Client ["client_assertion's time", "exp ahead and nbf not ahead", "one that is over or not begun", "Make a new assertion for each request; look at the clocks."];
    AssertionFromFuture => Client ["client_assertion's iat", "an iat that is not ahead", "one that is", "Look at the clocks."];
    AssertionTooOld => Client ["client_assertion's iat", "a young assertion", "an old one", "Make a new assertion for each request."];
    AssertionTooLong => Client ["client_assertion's exp", "an exp close ahead, or an iat", "an exp far ahead", "Let assertions live for a minute."];
    AssertionWithoutId => Client ["client_assertion's jti", "a jti", "none", "Add a random jti."];
    AssertionReused => Client ["client_assertion's jti", "a jti that was not used", "one that was", "Make a new assertion for each request; somebody may replay old ones."];

    // --- token exchange
    ExchangeUnsupported(name) => Request ["exchange parameters", "parameters of the standard exchange", "one of another kind of exchange", "Leave this parameter out."];
    ExchangeWithoutSubjectType => Request ["subject_token_type", "a subject_token_type", "none", "Send subject_token_type=urn:ietf:params:oauth:token-type:access_token."];
    ExchangeSubjectType => Request ["subject_token_type", "the type of access tokens", "another one", "Exchange an access token."];
    ExchangeOff => Client ["token exchange", "a client that may exchange tokens", "one that may not", "Enable the client's standard token exchange."];
    ExchangePublicClient => Client ["token exchange", "a client that proves who it is", "a public one", "Give the client a secret or a key."];
    ExchangeInvalidSubject => Token ["subject_token", "a live access token of this realm", "another text, or none", "Send the caller's access token, whole and before its end."];
    ExchangeRequestedType => Request ["requested_token_type", "a type that this client gets", "another one", "Leave requested_token_type out, or change the client's setting."];
    ExchangeAudience(names) => Client ["audience", "audiences that the user's token for this client can name", "others", "Give the client a scope whose mapper or roles name the audience."];
    ExchangeAudienceUnknown => Client ["audience", "a client's id", "another name", "Name a client of this realm."];
    ExchangeAudienceDisabled => Account ["audience", "a client that is switched on", "one that is not", "Enable the client, or name another."];
    ExchangeNotInAudience => Client ["subject token's audience", "a token given to this client or meant for it", "another one", "Let the first client's tokens name this client as audience."];
    ExchangeMissingConsent(client) => Rights ["consent", "the user's consent for this client", "none", "Let the user log in to the client with a browser once."];

    // --- refresh
    MissingRefreshToken => Request ["refresh_token", "a refresh token", "none", "Send refresh_token."];
    InvalidRefreshToken => Grant ["refresh token", "a refresh token that this realm signed", "another text", "Compare issuer and realm; keys that were removed make old tokens worthless."];
    RefreshTokenExpired => Grant ["refresh token lifetime", "a token before its exp", "one after", "Begin a login anew; compare the session's idle time with how often the application refreshes."];
    StaleToken => Grant ["refresh token generation", "the live token of its family, younger than every not-before", "an older one", "Keep the newest refresh token; look for two places that refresh with the same one."];
    RefreshTokenOfAnotherClient => Grant ["refresh token's client", "the client that the token was given to", "another client", "Refresh as the client that got the token."];
    SessionWithoutClient => Session ["client session", "a session that this client takes part in", "one without it", "The client was logged out of the session: begin a login anew."];
    RefreshTokenReused => Grant ["refresh token reuse", "a token within the realm's refreshTokenMaxReuse", "one used too often", "Keep the newest refresh token; somebody may hold a stolen one."];
    RefreshTokenBeforeClientSession => Grant ["refresh token age", "a token younger than the client's part of the session", "an older one", "Begin a login anew."];
    OfflineNotAllowed => Rights ["offline access", "a user with the role offline_access where the client lets it through", "one without", "Give the user the role offline_access, or ask without that scope."];
    OfflineSessionNotFound => Session ["offline session", "the offline session behind the token", "none", "It was revoked or ended: begin a login anew."];
    OfflineSessionNotActive => Session ["offline session limits", "an offline session within its idle and maximal time", "one that is over", "Begin a login anew; compare offlineSessionIdleTimeout with how often the application refreshes."];
    RefreshTokenBeforeSession => Grant ["refresh token age", "a token younger than the session", "an older one", "Begin a login anew."];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_check_and_class_and_only_its_own_value() {
        let reason = Reason::InvalidScopes("x\ny".to_owned());
        let explained = reason.explain();
        assert_eq!((explained.class, explained.check), (Class::Request, "scope"));
        assert_eq!(reason.detail().unwrap().as_str(), "x?y");
        assert_eq!(Reason::PkceMismatch.explain().class, Class::Grant);
        assert_eq!(Reason::PkceMismatch.detail(), None);
    }
}
