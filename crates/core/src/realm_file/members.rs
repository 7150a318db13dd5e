//! The member names of Keycloak 26.4's representations. A member that is not here is refused.

/// `RealmRepresentation`, in the order in which Keycloak writes them.
#[rustfmt::skip]
pub(super) const REALM: &[&str] = &[
    "id", "realm", "displayName", "displayNameHtml", "notBefore", "defaultSignatureAlgorithm", "revokeRefreshToken",
    "refreshTokenMaxReuse", "accessTokenLifespan", "accessTokenLifespanForImplicitFlow", "ssoSessionIdleTimeout",
    "ssoSessionMaxLifespan", "ssoSessionIdleTimeoutRememberMe", "ssoSessionMaxLifespanRememberMe",
    "offlineSessionIdleTimeout", "offlineSessionMaxLifespanEnabled", "offlineSessionMaxLifespan",
    "clientSessionIdleTimeout", "clientSessionMaxLifespan", "clientOfflineSessionIdleTimeout",
    "clientOfflineSessionMaxLifespan", "accessCodeLifespan", "accessCodeLifespanUserAction", "accessCodeLifespanLogin",
    "actionTokenGeneratedByAdminLifespan", "actionTokenGeneratedByUserLifespan", "oauth2DeviceCodeLifespan",
    "oauth2DevicePollingInterval", "enabled", "sslRequired", "passwordCredentialGrantAllowed", "registrationAllowed",
    "registrationEmailAsUsername", "rememberMe", "verifyEmail", "loginWithEmailAllowed", "duplicateEmailsAllowed",
    "resetPasswordAllowed", "editUsernameAllowed", "userCacheEnabled", "realmCacheEnabled", "bruteForceProtected",
    "permanentLockout", "maxTemporaryLockouts", "bruteForceStrategy", "maxFailureWaitSeconds",
    "minimumQuickLoginWaitSeconds", "waitIncrementSeconds", "quickLoginCheckMilliSeconds", "maxDeltaTimeSeconds",
    "failureFactor", "privateKey", "publicKey", "certificate", "codeSecret", "roles", "groups", "defaultRoles",
    "defaultRole", "adminPermissionsClient", "defaultGroups", "requiredCredentials", "passwordPolicy", "otpPolicyType",
    "otpPolicyAlgorithm", "otpPolicyInitialCounter", "otpPolicyDigits", "otpPolicyLookAheadWindow", "otpPolicyPeriod",
    "otpPolicyCodeReusable", "otpSupportedApplications", "localizationTexts", "webAuthnPolicyRpEntityName",
    "webAuthnPolicySignatureAlgorithms", "webAuthnPolicyRpId", "webAuthnPolicyAttestationConveyancePreference",
    "webAuthnPolicyAuthenticatorAttachment", "webAuthnPolicyRequireResidentKey",
    "webAuthnPolicyUserVerificationRequirement", "webAuthnPolicyCreateTimeout",
    "webAuthnPolicyAvoidSameAuthenticatorRegister", "webAuthnPolicyAcceptableAaguids", "webAuthnPolicyExtraOrigins",
    "webAuthnPolicyPasswordlessRpEntityName", "webAuthnPolicyPasswordlessSignatureAlgorithms",
    "webAuthnPolicyPasswordlessRpId", "webAuthnPolicyPasswordlessAttestationConveyancePreference",
    "webAuthnPolicyPasswordlessAuthenticatorAttachment", "webAuthnPolicyPasswordlessRequireResidentKey",
    "webAuthnPolicyPasswordlessUserVerificationRequirement", "webAuthnPolicyPasswordlessCreateTimeout",
    "webAuthnPolicyPasswordlessAvoidSameAuthenticatorRegister", "webAuthnPolicyPasswordlessAcceptableAaguids",
    "webAuthnPolicyPasswordlessExtraOrigins", "webAuthnPolicyPasswordlessPasskeysEnabled", "users", "federatedUsers",
    "scopeMappings", "clientScopeMappings", "clients", "clientScopes", "defaultDefaultClientScopes",
    "defaultOptionalClientScopes", "browserSecurityHeaders", "smtpServer", "userFederationProviders",
    "userFederationMappers", "loginTheme", "accountTheme", "adminTheme", "emailTheme", "eventsEnabled",
    "eventsExpiration", "eventsListeners", "enabledEventTypes", "adminEventsEnabled", "adminEventsDetailsEnabled",
    "identityProviders", "identityProviderMappers", "protocolMappers", "components", "internationalizationEnabled",
    "supportedLocales", "defaultLocale", "authenticationFlows", "authenticatorConfig", "requiredActions", "browserFlow",
    "registrationFlow", "directGrantFlow", "resetCredentialsFlow", "clientAuthenticationFlow",
    "dockerAuthenticationFlow", "firstBrokerLoginFlow", "attributes", "keycloakVersion", "userManagedAccessAllowed",
    "organizationsEnabled", "organizations", "verifiableCredentialsEnabled", "adminPermissionsEnabled", "workflows",
    "clientProfiles", "clientPolicies", "social", "updateProfileOnInitialSocialLogin", "socialProviders",
    "applicationScopeMappings", "applications", "oauthClients", "clientTemplates",
];

/// Members that a realm document (`GET /admin/realms/{realm}`) never shows: collections with endpoints of their own.
#[rustfmt::skip]
pub(super) const NOT_IN_DOCUMENT: &[&str] = &[
    "roles", "groups", "users", "federatedUsers", "scopeMappings", "clientScopeMappings", "clients", "clientScopes",
    "defaultDefaultClientScopes", "defaultOptionalClientScopes", "protocolMappers", "components",
    "authenticationFlows", "authenticatorConfig", "requiredActions", "keycloakVersion", "organizations",
    "localizationTexts", "identityProviders", "identityProviderMappers", "adminPermissionsClient", "workflows",
    "defaultRoles", "userFederationProviders", "userFederationMappers", "applicationScopeMappings", "applications",
    "oauthClients", "clientTemplates", "privateKey", "codeSecret",
];

/// Members that an update of a realm does not look at.
#[rustfmt::skip]
pub(super) const NOT_UPDATED: &[&str] = &[
    "id", "roles", "groups", "users", "federatedUsers", "scopeMappings", "clientScopeMappings", "clients", "clientScopes",
    "defaultDefaultClientScopes", "defaultOptionalClientScopes", "protocolMappers", "components", "requiredActions",
    "authenticationFlows", "authenticatorConfig", "defaultRole", "defaultRoles", "defaultGroups", "identityProviders",
    "identityProviderMappers", "organizations", "keycloakVersion", "privateKey", "publicKey", "certificate", "codeSecret",
];

/// Optional texts of a realm (no default tells their type).
#[rustfmt::skip]
pub(super) const REALM_TEXTS: &[&str] = &[
    "id", "realm", "displayName", "displayNameHtml", "passwordPolicy", "loginTheme", "accountTheme", "adminTheme",
    "emailTheme", "defaultLocale", "keycloakVersion",
];

/// `UserRepresentation`.
#[rustfmt::skip]
pub(super) const USER: &[&str] = &[
    "self", "origin", "id", "username", "firstName", "lastName", "email", "emailVerified", "attributes",
    "userProfileMetadata", "enabled", "createdTimestamp", "totp", "federationLink", "serviceAccountClientId",
    "credentials", "disableableCredentialTypes", "requiredActions", "federatedIdentities", "realmRoles", "clientRoles",
    "clientConsents", "notBefore", "applicationRoles", "socialLinks", "groups", "access",
];

/// Members of a user that the server computes.
#[rustfmt::skip]
pub(super) const USER_COMPUTED: &[&str] = &[
    "self", "origin", "userProfileMetadata", "totp", "disableableCredentialTypes", "access",
];

/// `UserConsentRepresentation`.
#[rustfmt::skip]
pub(super) const CONSENT: &[&str] = &[
    "clientId", "grantedClientScopes", "createdDate", "lastUpdatedDate", "grantedRealmRoles",
];

/// `CredentialRepresentation`.
#[rustfmt::skip]
pub(super) const CREDENTIAL: &[&str] = &[
    "id", "type", "userLabel", "createdDate", "secretData", "credentialData", "priority", "value", "temporary",
    "device", "hashedSaltedValue", "salt", "hashIterations", "counter", "algorithm", "digits", "period", "config",
    "federationLink",
];

/// `ClientRepresentation`.
#[rustfmt::skip]
pub(super) const CLIENT: &[&str] = &[
    "id", "clientId", "name", "description", "type", "rootUrl", "adminUrl", "baseUrl", "surrogateAuthRequired",
    "enabled", "alwaysDisplayInConsole", "clientAuthenticatorType", "secret", "registrationAccessToken", "defaultRoles",
    "redirectUris", "webOrigins", "notBefore", "bearerOnly", "consentRequired", "standardFlowEnabled",
    "implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled", "authorizationServicesEnabled",
    "directGrantsOnly", "publicClient", "frontchannelLogout", "protocol", "attributes",
    "authenticationFlowBindingOverrides", "fullScopeAllowed", "nodeReRegistrationTimeout", "registeredNodes",
    "protocolMappers", "clientTemplate", "useTemplateConfig", "useTemplateScope", "useTemplateMappers",
    "defaultClientScopes", "optionalClientScopes", "authorizationSettings", "access", "origin",
];

/// Members of a client that are dropped: computed, or a secret whose hash lives elsewhere.
#[rustfmt::skip]
pub(super) const CLIENT_DROPPED: &[&str] = &["access", "origin", "registrationAccessToken"];

/// `ProtocolMapperRepresentation`.
#[rustfmt::skip]
pub(super) const MAPPER: &[&str] = &[
    "id", "name", "protocol", "protocolMapper", "consentRequired", "consentText", "config",
];

/// `ClientScopeRepresentation`.
#[rustfmt::skip]
pub(super) const SCOPE: &[&str] = &["id", "name", "description", "protocol", "attributes", "protocolMappers"];

/// `RoleRepresentation`.
#[rustfmt::skip]
pub(super) const ROLE: &[&str] = &[
    "id", "name", "description", "scopeParamRequired", "composite", "composites", "clientRole", "containerId",
    "attributes",
];

/// `GroupRepresentation`.
#[rustfmt::skip]
pub(super) const GROUP: &[&str] = &[
    "id", "name", "description", "path", "parentId", "subGroupCount", "subGroups", "attributes", "realmRoles",
    "clientRoles", "access",
];
