//! The one error table of the OAuth endpoints: inner reason -> status, `error`, `error_description` (texts: Keycloak 26.4).
//!
//! A [`Reason`] names the fact; what the client sees is decided here and nowhere else.

use std::borrow::Cow;

/// What the client sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wire {
    /// HTTP status.
    pub status: u16,
    /// RFC 6749 §5.2 `error`.
    pub error: &'static str,
    /// `error_description`; `None` leaves the member out.
    pub description: Option<Cow<'static, str>>,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $(($field:ident))? => $status:literal $error:literal $($text:expr)?;)+) => {
        /// Why an OAuth endpoint refused. One row of the table each.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Reason {
            $($(#[$doc])* $name $((reasons!(@string $field)))?,)+
        }

        impl Reason {
            /// The table.
            #[must_use]
            pub fn wire(&self) -> Wire {
                match self {
                    $(Self::$name $(($field))? => Wire {
                        status: $status,
                        error: $error,
                        description: reasons!(@text $($text)?),
                    },)+
                }
            }

            /// The row's name, for logs, metrics and `why`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name $((reasons!(@any $field)))? => stringify!($name),)+
                }
            }
        }
    };
    (@string $field:ident) => { String };
    (@any $field:ident) => { _ };
    (@text) => { None };
    (@text $text:expr) => { Some(Cow::from($text)) };
}

reasons! {
    // --- token endpoint, shared phases -----------------------------------------------------------------------------
    /// No `grant_type`.
    MissingGrantType => 400 "invalid_request" "Missing form parameter: grant_type";
    /// A `grant_type` nobody knows.
    UnsupportedGrantType => 400 "unsupported_grant_type" "Unsupported grant_type";
    /// A parameter stands there twice (RFC 6749 §3.2).
    DuplicatedParameter => 400 "invalid_request" "duplicated parameter";
    /// Client unknown, disabled or absent.
    UnknownClient => 401 "invalid_client" "Invalid client or Invalid client credentials";
    /// No secret, or the client may not authenticate at all (bearer-only).
    BadClientCredentials => 401 "unauthorized_client" "Invalid client or Invalid client credentials";
    /// A secret, and not the client's.
    WrongClientSecret => 401 "unauthorized_client" "Invalid client or Invalid client credentials";
    /// Too many wrong secrets for this client from this place: nothing is compared for a while (TE-33).
    TooManyWrongSecrets => 429 "temporarily_unavailable" "Too many requests. Try again later.";
    /// `Authorization: Basic` that cannot be decoded.
    UndecodableClientAuthentication => 400 "unauthorized_client" "Unexpected error when authenticating client";
    /// The client authenticates with signed assertions and sent none (RFC 7523 §2.2).
    AssertionMissing => 400 "invalid_client" "Parameter client_assertion_type is missing";
    /// Another `client_assertion_type` than the one of RFC 7523 §2.2.
    AssertionTypeUnknown(given) => 400 "invalid_client" format!("Parameter client_assertion_type has value '{given}' but expected is 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'");
    /// No `client_assertion`.
    AssertionAbsent => 400 "invalid_client" "client_assertion parameter missing";
    /// The assertion is about another client than the request names.
    AssertionOfAnotherClient => 400 "invalid_client" "client_id parameter does not match sub claim";
    /// Not the algorithm the client is registered for.
    AssertionAlgorithm => 400 "invalid_client" "Invalid signature algorithm";
    /// The client has no key of this `kid` and algorithm, or its keys cannot be had.
    AssertionKeyUnknown => 400 "invalid_client" "Unable to load public key";
    /// `private_key_jwt` whose signature, algorithm or shape does not hold.
    AssertionSignature => 400 "invalid_client" "Client authentication with signed JWT failed: Signature on JWT token failed validation";
    /// `client_secret_jwt` whose signature or shape does not hold. Two blanks (Keycloak 26.4).
    SecretAssertionSignature => 400 "unauthorized_client" "Client authentication with client secret signed JWT failed: Signature on JWT token by client secret  failed validation";
    /// `client_secret_jwt` by an asymmetric algorithm. One blank (Keycloak 26.4).
    SecretAssertionAsymmetric => 400 "unauthorized_client" "Client authentication with client secret signed JWT failed: Signature on JWT token by client secret failed validation";
    /// `aud` names others only.
    AssertionAudience => 400 "invalid_client" "Invalid token audience";
    /// `aud` names others too.
    AssertionAudiences => 400 "invalid_client" "Multiple audiences not allowed";
    /// No `exp`.
    AssertionWithoutExpiry => 400 "invalid_client" "Token exp claim is required";
    /// `exp` has passed, or `nbf` is ahead.
    AssertionNotActive => 400 "invalid_client" "Token is not active";
    /// `iat` is ahead.
    AssertionFromFuture => 400 "invalid_client" "Token was issued in the future";
    /// `iat` lies too far back.
    AssertionTooOld => 400 "invalid_client" "Token was issued too far in the past to be used now";
    /// `exp` lies too far ahead, and no `iat` bounds it.
    AssertionTooLong => 400 "invalid_client" "Token expiration is too far in the future and iat claim not present in token";
    /// No `jti`.
    AssertionWithoutId => 400 "invalid_client" "Token jti claim is required";
    /// The `jti` was used before (TE-07).
    AssertionReused => 400 "invalid_client" "Token reuse detected";
    /// A client of another protocol.
    WrongClientProtocol => 400 "invalid_client" "Wrong client protocol.";
    /// Scope words that the client does not have (RFC 6749 §3.3).
    InvalidScopes(scopes) => 400 "invalid_scope" format!("Invalid scopes: {scopes}");
    /// The realm is switched off.
    RealmDisabled => 403 "access_denied" "Realm not enabled";
    /// The realm is switched off, said on a page.
    RealmClosed => 400 "access_denied" "Realm not enabled";
    /// Plain http from outside.
    HttpsRequired => 403 "invalid_request" "HTTPS required";
    /// The store could not answer in time.
    Unavailable => 503 "temporarily_unavailable" "The server is busy. Try again.";

    // --- authorization endpoint: shown as a page, nothing may be sent to the client ----------------------------------
    /// No or repeated `client_id`, unreadable parameters, a request object this server does not take.
    InvalidRequest => 400 "invalid_request" "Invalid Request";
    /// No such client.
    ClientNotFound => 400 "unauthorized_client" "Client not found.";
    /// The client is switched off.
    ClientDisabled => 400 "unauthorized_client" "Client disabled.";
    /// A bearer-only client has no login.
    BearerOnlyLogin => 403 "unauthorized_client" "Bearer-only applications are not allowed to initiate browser login";
    /// `redirect_uri` is absent or not registered.
    InvalidRedirectUri => 400 "invalid_request" "Invalid parameter: redirect_uri";

    // --- authorization endpoint: sent to the matched redirect URI -----------------------------------------------------
    /// No `response_type`.
    MissingResponseType => 400 "invalid_request" "Missing parameter: response_type";
    /// A `response_type` that this server or realm does not give.
    UnsupportedResponseType => 400 "unsupported_response_type";
    /// A `response_mode` nobody knows.
    InvalidResponseMode => 400 "invalid_request" "Invalid parameter: response_mode";
    /// Tokens do not travel in a query.
    QueryModeForTokens => 400 "invalid_request" "Response_mode 'query' not allowed for implicit or hybrid flow";
    /// The client has no code flow.
    StandardFlowOff => 400 "unauthorized_client" "Client is not allowed to initiate browser login with given response_type. Standard flow is disabled for the client.";
    /// The client has no implicit flow.
    ImplicitFlowOff => 400 "unauthorized_client" "Client is not allowed to initiate browser login with given response_type. Implicit flow is disabled for the client.";
    /// OIDC Core §3.2.2.1: an ID token in the front channel needs a nonce.
    MissingNonce => 400 "invalid_request" "Missing parameter: nonce";
    /// RFC 9126 §5: this client must push its requests.
    PushedRequestRequired => 400 "invalid_request" "Pushed Authorization Request is only allowed.";
    /// RFC 7636 §4.4.1.
    MissingCodeChallengeMethod => 400 "invalid_request" "Missing parameter: code_challenge_method";
    /// RFC 7636 §4.4.1.
    MissingCodeChallenge => 400 "invalid_request" "Missing parameter: code_challenge";
    /// A challenge of wrong form.
    InvalidCodeChallenge => 400 "invalid_request" "Invalid parameter: code_challenge";
    /// Neither `S256` nor (where allowed) `plain`.
    InvalidCodeChallengeMethod => 400 "invalid_request" "Invalid parameter: code_challenge_method";
    /// Not the method the client is bound to.
    CodeChallengeMethodMismatch => 400 "invalid_request" "Invalid parameter: code challenge method is not matching the configured one";
    /// OIDC Core §3.1.2.1: `none` stands alone.
    PromptNoneCombined => 400 "invalid_request" "Invalid parameter: prompt";
    /// `claims` is no request for claims, or asks for an essential `acr` that is no level here (OIDC Core §5.5).
    InvalidClaims => 400 "invalid_request" "Invalid parameter: claims";
    /// The essential `acr` was not reached (OIDC Core §5.5.1.1; OpenID Connect Core Error Code unmet_authentication_requirements).
    UnmetAuthenticationRequirements => 400 "unmet_authentication_requirements" "Authentication requirements not fulfilled";
    /// RFC 8707 §2: a `resource` that this client may not name, or that was not granted. At the token endpoint too.
    InvalidTarget => 400 "invalid_target" "Invalid parameter: resource";
    /// `id_token_hint` is no ID token of this realm for this client.
    InvalidIdTokenHint => 400 "invalid_request" "Invalid parameter: id_token_hint";
    /// A value over the limit (SE-21).
    ParameterTooLong(name) => 400 "invalid_request" format!("Invalid parameter: {name}");
    /// `prompt=none` and nobody is logged in (OIDC Core §3.1.2.6).
    LoginRequired => 400 "login_required";
    /// `prompt=none` and the user would have to act.
    InteractionRequired => 400 "interaction_required";
    /// The user said no.
    AccessDenied => 400 "access_denied";
    /// A page of a flow that ended in another tab (Keycloak 26.4).
    AuthenticationExpired => 400 "temporarily_unavailable" "authentication_expired";

    // --- authorization code grant ----------------------------------------------------------------------------------
    /// No `code`.
    MissingCode => 400 "invalid_request" "Missing parameter: code";
    /// Unknown, malformed, used or foreign code.
    CodeNotValid => 400 "invalid_grant" "Code not valid";
    /// Older than the realm's `accessCodeLifespan`.
    CodeExpired => 400 "invalid_grant" "Code is expired";
    /// The session behind the code is gone.
    UserSessionNotFound => 400 "invalid_grant" "User session not found";
    /// The user is gone.
    UserNotFound => 400 "invalid_grant" "User not found";
    /// The user is switched off.
    UserDisabled => 400 "invalid_grant" "User disabled";
    /// The session ended: logged out, idle, too old.
    SessionNotActive => 400 "invalid_grant" "Session not active";
    /// `redirect_uri` differs from the authorization request's.
    IncorrectRedirectUri => 400 "invalid_grant" "Incorrect redirect_uri";
    /// The code was given to another client.
    CodeOfAnotherClient => 400 "invalid_grant" "Auth error: Found different client_id in clientSession";
    /// The client may not use the code flow.
    CodeFlowOff => 400 "invalid_grant" "Client not allowed to exchange code";
    /// RFC 7636 §4.6: no verifier although there was a challenge.
    PkceVerifierMissing => 400 "invalid_grant" "PKCE code verifier not specified";
    /// A verifier although there was no challenge (PC-09).
    PkceVerifierUnexpected => 400 "invalid_grant" "PKCE code verifier specified but challenge not present in authorization";
    /// RFC 7636 §4.1: a verifier of wrong form.
    PkceVerifierMalformed => 400 "invalid_grant" "PKCE verification failed: Invalid code verifier";
    /// The verifier does not fit the challenge.
    PkceMismatch => 400 "invalid_grant" "PKCE verification failed: Code mismatch";

    // --- password grant --------------------------------------------------------------------------------------------
    /// The client may not use direct grants.
    DirectGrantOff => 400 "unauthorized_client" "Client not allowed for direct access grants";
    /// The client asks users for consent, which this grant cannot show.
    ConsentRequired => 400 "invalid_client" "Client requires user consent";
    /// No `username`.
    MissingUsername => 401 "invalid_request" "Missing parameter: username";
    /// Unknown user, wrong password, locked out: one answer for all.
    InvalidUserCredentials => 401 "invalid_grant" "Invalid user credentials";
    /// The account is switched off.
    AccountDisabled => 400 "invalid_grant" "Account disabled";
    /// A required action is owed.
    AccountNotSetUp => 400 "invalid_grant" "Account is not fully set up";

    // --- device authorization (RFC 8628) ---------------------------------------------------------------------------
    /// The client may not ask for a user code.
    DeviceFlowOff => 400 "unauthorized_client" "Client is not allowed to initiate OAuth 2.0 Device Authorization Grant. The flow is disabled for the client.";
    /// A device request with a parameter twice.
    DuplicatedDeviceParameter => 400 "invalid_grant" "duplicated parameter";
    /// The client may not use the grant.
    DeviceGrantOff => 400 "invalid_grant" "Client not allowed OAuth 2.0 Device Authorization Grant";
    /// No `device_code`.
    MissingDeviceCode => 400 "invalid_request" "Missing parameter: device_code";
    /// Unknown or used device code.
    DeviceCodeNotValid => 400 "invalid_grant" "Device code not valid";
    /// The device code was given to another client.
    DeviceCodeOfAnotherClient => 400 "invalid_grant" "unauthorized client";
    /// RFC 8628 §3.5: past its end.
    DeviceCodeExpired => 400 "expired_token" "Device code is expired";
    /// RFC 8628 §3.5: polled before the interval was over.
    SlowDown => 400 "slow_down" "Slow down";
    /// RFC 8628 §3.5: nobody decided yet.
    AuthorizationPending => 400 "authorization_pending" "The authorization request is still pending";
    /// RFC 8628 §3.5: the user said no.
    DeviceDenied => 400 "access_denied" "The end user denied the authorization request";
    /// Too many requests or wrong codes from one place (RFC 8628 §5.1).
    TooManyRequests => 429 "temporarily_unavailable" "Too many requests. Try again later.";

    // --- pushed authorization requests (RFC 9126) --------------------------------------------------------------------
    /// The client did not prove who it is.
    PushUnauthenticated => 401 "invalid_request" "Authentication failed.";
    /// RFC 9126 §2.1: a pushed request refers to no other.
    RequestUriPushed => 400 "invalid_request" "It is not allowed to include request_uri to PAR.";
    /// As `InvalidScopes`, in the words of this endpoint.
    InvalidPushedScopes(scopes) => 400 "invalid_request" format!("Invalid scopes: {scopes}");
    /// As `StandardFlowOff`, with the status of this endpoint.
    PushedStandardFlowOff => 401 "unauthorized_client" "Client is not allowed to initiate browser login with given response_type. Standard flow is disabled for the client.";
    /// As `ImplicitFlowOff`, with the status of this endpoint.
    PushedImplicitFlowOff => 401 "unauthorized_client" "Client is not allowed to initiate browser login with given response_type. Implicit flow is disabled for the client.";
    /// As `UnsupportedResponseType`, in the words of this endpoint.
    UnsupportedPushedResponseType => 400 "invalid_request" "Unsupported response type";

    // --- introspection ---------------------------------------------------------------------------------------------
    /// The caller did not prove that it is a client.
    IntrospectionUnauthenticated => 401 "invalid_request" "Authentication failed.";
    /// A public client: anybody could ask in its name (RFC 7662 §2.1).
    IntrospectionByPublicClient => 403 "invalid_request" "Client not allowed.";
    /// No `token`.
    TokenNotProvided => 400 "invalid_request" "Token not provided.";
    /// A `token_type_hint` nobody knows.
    UnsupportedTokenType(hint) => 400 "invalid_request" format!("Unsupported token type [{hint}].");

    // --- revocation ------------------------------------------------------------------------------------------------
    /// No `token`.
    RevocationWithoutToken => 400 "invalid_request" "Token not provided";
    /// Unknown, over or broken: RFC 7009 §2.2 answers 200, and Keycloak 26.4 says so.
    RevocationTokenInvalid => 200 "invalid_token" "Invalid token";
    /// RFC 7009 §2.2.1: neither access nor refresh token.
    RevocationTokenUnsupported => 400 "unsupported_token_type" "Unsupported token type";
    /// Given to another client (TE-23).
    RevocationOfAnotherClient => 400 "invalid_request" "Unmatching clients";

    // --- client credentials grant ----------------------------------------------------------------------------------
    /// RFC 6749 §4.4: the client has no secret to prove.
    PublicServiceAccount => 401 "unauthorized_client" "Public client not allowed to retrieve service account";
    /// The client has no service account.
    ServiceAccountOff => 401 "unauthorized_client" "Client not enabled to retrieve service account";
    /// The service account's user is switched off.
    ServiceAccountDisabled(username) => 401 "invalid_request" format!("User '{username}' disabled");

    // --- token exchange --------------------------------------------------------------------------------------------
    /// A parameter of another kind of exchange.
    ExchangeUnsupported(name) => 400 "invalid_request" format!("Parameter '{name}' is not supported for standard token exchange");
    /// RFC 8693 §2.1: no `subject_token_type`.
    ExchangeWithoutSubjectType => 400 "invalid_request" "Parameter 'subject_token_type' required for standard token exchange";
    /// The subject is no access token.
    ExchangeSubjectType => 400 "invalid_request" "Parameter 'subject_token' supports access tokens only";
    /// The client may not exchange tokens.
    ExchangeOff => 400 "invalid_request" "Standard token exchange is not enabled for the requested client";
    /// The exchange is switched on for a client that proves nothing.
    ExchangePublicClient => 400 "invalid_client" "Public client is not allowed to exchange token";
    /// An `audience` that is no client.
    ExchangeAudienceUnknown => 400 "invalid_client" "Audience not found";
    /// An `audience` that is switched off.
    ExchangeAudienceDisabled => 400 "invalid_client" "Client disabled";
    /// The subject token is absent or does not hold.
    ExchangeInvalidSubject => 400 "invalid_request" "Invalid token";
    /// A `requested_token_type` that this client does not get.
    ExchangeRequestedType => 400 "invalid_request" "requested_token_type unsupported";
    /// Audiences that the user's token for this client cannot name.
    ExchangeAudience(names) => 400 "invalid_request" format!("Requested audience not available: {names}");
    /// The subject token was given to another client and is not meant for this one.
    ExchangeNotInAudience => 403 "access_denied" "Client is not within the token audience";
    /// The client asks users for consent, and this user gave none.
    ExchangeMissingConsent(client) => 400 "invalid_scope" format!("Missing consents for Token Exchange in client {client}");

    // --- refresh ---------------------------------------------------------------------------------------------------
    /// No `refresh_token`.
    MissingRefreshToken => 400 "invalid_request" "No refresh token";
    /// Undecodable, badly signed, of another kind or realm.
    InvalidRefreshToken => 400 "invalid_grant" "Invalid refresh token";
    /// Past its `exp`.
    RefreshTokenExpired => 400 "invalid_grant" "Token is not active";
    /// Older than a not-before, or than the live token of its family.
    StaleToken => 400 "invalid_grant" "Stale token";
    /// Given to another client.
    RefreshTokenOfAnotherClient => 400 "invalid_grant" "Invalid refresh token. Token client and authorized client don't match";
    /// The client was detached from the session.
    SessionWithoutClient => 400 "invalid_grant" "Session doesn't have required client";
    /// The user took its consent back, or never gave it for all of the scopes (Keycloak 26.4).
    ConsentWithdrawn => 400 "invalid_scope" "Client no longer has requested consent from user";
    /// `offline_access` without the role for it, or without the client being let to carry it (OIDC Core §11).
    OfflineNotAllowed => 400 "not_allowed" "Offline tokens not allowed for the user or client";
    /// The offline session is gone.
    OfflineSessionNotFound => 400 "invalid_grant" "Offline user session not found";
    /// The offline session ended: idle, too old.
    OfflineSessionNotActive => 400 "invalid_grant" "Offline session not active";
    /// Keycloak's `refreshTokenMaxReuse` is used up.
    RefreshTokenReused => 400 "invalid_grant" "Maximum allowed refresh token reuse exceeded";
    /// The token is older than the client's part of the session.
    RefreshTokenBeforeClientSession => 400 "invalid_grant" "refresh token issued before the client session started";
    /// The token is older than the session.
    RefreshTokenBeforeSession => 400 "invalid_grant" "Refresh token issued before the user session started";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_a_value_prints_it() {
        let wire = Reason::InvalidScopes("x y".to_owned()).wire();
        assert_eq!(
            (wire.status, wire.error, wire.description.as_deref()),
            (400, "invalid_scope", Some("Invalid scopes: x y"))
        );
        assert_eq!(Reason::InvalidScopes(String::new()).name(), "InvalidScopes");
    }
}
