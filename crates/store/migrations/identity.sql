-- Identity schema. Each step is one statement; a released step never changes (its SHA-256 is stored), a new one is appended.
-- Keys and foreign keys start with realm_id. What moves stands in narrow tables without a document and without an index on the moving column.

-- step 1 meta
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID

-- step 2 realms
CREATE TABLE realms (
    realm_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    state BIGINT NOT NULL,
    default_role TEXT,
    default_groups TEXT NOT NULL,
    duplicate_emails BIGINT NOT NULL,
    doc TEXT NOT NULL
)

-- step 3 realm_keys
CREATE TABLE realm_keys (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    kid TEXT NOT NULL,
    provider TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_use TEXT NOT NULL,
    status BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    private_key TEXT NOT NULL,
    certificate TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (realm_id, kid)
)

-- step 4 client_scopes
CREATE TABLE client_scopes (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    realm_default BIGINT,
    doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, id),
    UNIQUE (realm_id, name)
)

-- step 5 scope_mappers
CREATE TABLE scope_mappers (
    realm_id TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, scope_id, ordinal),
    FOREIGN KEY (realm_id, scope_id) REFERENCES client_scopes (realm_id, id) ON DELETE CASCADE
)

-- step 6 clients
CREATE TABLE clients (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    secret TEXT,
    doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, id),
    UNIQUE (realm_id, client_id)
)

-- step 7 client_redirect_uris
CREATE TABLE client_redirect_uris (
    realm_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (realm_id, client_id, ordinal),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 8 client_web_origins
CREATE TABLE client_web_origins (
    realm_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (realm_id, client_id, ordinal),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 9 client_mappers
CREATE TABLE client_mappers (
    realm_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, client_id, ordinal),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
)

-- step 10 client_scope_links
CREATE TABLE client_scope_links (
    realm_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    is_default BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (realm_id, client_id, scope_id),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, scope_id) REFERENCES client_scopes (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 11 client_scope_links_by_scope
CREATE INDEX client_scope_links_by_scope ON client_scope_links (realm_id, scope_id)

-- step 12 roles
CREATE TABLE roles (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    client_id TEXT,
    container TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, id),
    UNIQUE (realm_id, container, name),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
)

-- step 13 roles_by_client
CREATE INDEX roles_by_client ON roles (realm_id, client_id)

-- step 14 role_composites
CREATE TABLE role_composites (
    realm_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    child_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (realm_id, role_id, child_id),
    FOREIGN KEY (realm_id, role_id) REFERENCES roles (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, child_id) REFERENCES roles (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 15 role_composites_by_child
CREATE INDEX role_composites_by_child ON role_composites (realm_id, child_id)

-- step 16 client_scope_mappings
CREATE TABLE client_scope_mappings (
    realm_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (realm_id, client_id, role_id),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, role_id) REFERENCES roles (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 17 client_scope_mappings_by_role
CREATE INDEX client_scope_mappings_by_role ON client_scope_mappings (realm_id, role_id)

-- step 18 scope_scope_mappings
CREATE TABLE scope_scope_mappings (
    realm_id TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (realm_id, scope_id, role_id),
    FOREIGN KEY (realm_id, scope_id) REFERENCES client_scopes (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, role_id) REFERENCES roles (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 19 scope_scope_mappings_by_role
CREATE INDEX scope_scope_mappings_by_role ON scope_scope_mappings (realm_id, role_id)

-- step 20 groups_tree
CREATE TABLE groups_tree (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    parent_id TEXT,
    container TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, id),
    UNIQUE (realm_id, container, name),
    FOREIGN KEY (realm_id, parent_id) REFERENCES groups_tree (realm_id, id) ON DELETE CASCADE
)

-- step 21 groups_by_parent
CREATE INDEX groups_by_parent ON groups_tree (realm_id, parent_id)

-- step 22 group_roles
CREATE TABLE group_roles (
    realm_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (realm_id, group_id, role_id),
    FOREIGN KEY (realm_id, group_id) REFERENCES groups_tree (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, role_id) REFERENCES roles (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 23 group_roles_by_role
CREATE INDEX group_roles_by_role ON group_roles (realm_id, role_id)

-- step 24 users
CREATE TABLE users (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    id TEXT NOT NULL,
    username TEXT NOT NULL,
    email TEXT,
    email_key TEXT,
    version BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    service_account_client TEXT,
    search TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, id),
    UNIQUE (realm_id, username),
    UNIQUE (realm_id, email_key),
    FOREIGN KEY (realm_id, service_account_client) REFERENCES clients (realm_id, id) ON DELETE CASCADE
)

-- step 25 users_by_search
CREATE INDEX users_by_search ON users (realm_id, username, search, id)

-- step 26 users_by_email
CREATE INDEX users_by_email ON users (realm_id, email)

-- step 27 users_by_service_account_client
CREATE INDEX users_by_service_account_client ON users (realm_id, service_account_client)

-- step 28 user_attributes
CREATE TABLE user_attributes (
    realm_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (realm_id, user_id, name, ordinal),
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 29 user_attributes_by_value
CREATE INDEX user_attributes_by_value ON user_attributes (realm_id, name, value)

-- step 30 user_roles
CREATE TABLE user_roles (
    realm_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (realm_id, user_id, role_id),
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, role_id) REFERENCES roles (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 31 user_roles_by_role
CREATE INDEX user_roles_by_role ON user_roles (realm_id, role_id)

-- step 32 user_groups
CREATE TABLE user_groups (
    realm_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (realm_id, user_id, group_id),
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, group_id) REFERENCES groups_tree (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 33 user_groups_by_group
CREATE INDEX user_groups_by_group ON user_groups (realm_id, group_id)

-- step 34 credentials
CREATE TABLE credentials (
    realm_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    user_label TEXT,
    created_date BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    secret_data TEXT NOT NULL,
    secret_mark TEXT NOT NULL,
    credential_data TEXT NOT NULL,
    PRIMARY KEY (realm_id, user_id, id),
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE
)

-- step 35 user_sessions
CREATE TABLE user_sessions (
    realm_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    started BIGINT NOT NULL,
    auth_time BIGINT NOT NULL,
    remember_me BIGINT NOT NULL,
    offline BIGINT NOT NULL,
    ip_address TEXT NOT NULL,
    notes TEXT NOT NULL,
    PRIMARY KEY (realm_id, id),
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 36 user_sessions_by_user
CREATE INDEX user_sessions_by_user ON user_sessions (realm_id, user_id)

-- step 37 user_sessions_by_start
CREATE INDEX user_sessions_by_start ON user_sessions (realm_id, started)

-- step 38 user_session_activity
CREATE TABLE user_session_activity (
    realm_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (realm_id, session_id),
    FOREIGN KEY (realm_id, session_id) REFERENCES user_sessions (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 39 client_sessions
CREATE TABLE client_sessions (
    realm_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    started BIGINT NOT NULL,
    grant_doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, session_id, client_id),
    FOREIGN KEY (realm_id, session_id) REFERENCES user_sessions (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 40 client_sessions_by_client
CREATE INDEX client_sessions_by_client ON client_sessions (realm_id, client_id)

-- step 41 client_session_activity
CREATE TABLE client_session_activity (
    realm_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    last_refresh BIGINT NOT NULL,
    PRIMARY KEY (realm_id, session_id, client_id),
    FOREIGN KEY (realm_id, session_id, client_id) REFERENCES client_sessions (realm_id, session_id, client_id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 42 lineages
CREATE TABLE lineages (
    realm_id TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    reuses BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    PRIMARY KEY (realm_id, id),
    FOREIGN KEY (realm_id, session_id, client_id) REFERENCES client_sessions (realm_id, session_id, client_id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 43 lineages_by_session
CREATE INDEX lineages_by_session ON lineages (realm_id, session_id, client_id)

-- step 44 lineage_grants
CREATE TABLE lineage_grants (
    realm_id TEXT NOT NULL,
    lineage_id TEXT NOT NULL,
    grant_doc TEXT NOT NULL,
    PRIMARY KEY (realm_id, lineage_id),
    FOREIGN KEY (realm_id, lineage_id) REFERENCES lineages (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 45 used_codes
CREATE TABLE used_codes (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    code_hash TEXT NOT NULL,
    session_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm_id, code_hash)
) WITHOUT ROWID

-- step 46 used_codes_by_expiry
CREATE INDEX used_codes_by_expiry ON used_codes (realm_id, expires_at)

-- step 47 login_failures
CREATE TABLE login_failures (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    login_key TEXT NOT NULL,
    user_id TEXT,
    failures BIGINT NOT NULL,
    temporary_lockouts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    last_failure BIGINT NOT NULL,
    last_ip TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (realm_id, login_key),
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 48 login_failures_by_user
CREATE INDEX login_failures_by_user ON login_failures (realm_id, user_id)

-- step 49 known_devices
CREATE TABLE known_devices (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    login_key TEXT NOT NULL,
    device_hash TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (realm_id, login_key, device_hash)
) WITHOUT ROWID

-- step 50 events
CREATE TABLE events (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    id TEXT NOT NULL,
    time BIGINT NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT,
    client_id TEXT,
    session_id TEXT,
    ip_address TEXT NOT NULL,
    error TEXT,
    details TEXT NOT NULL,
    PRIMARY KEY (realm_id, id)
)

-- step 51 events_by_time
CREATE INDEX events_by_time ON events (realm_id, time)

-- step 52 cutoff_counters
CREATE TABLE cutoff_counters (
    realm_id TEXT NOT NULL PRIMARY KEY REFERENCES realms ON DELETE CASCADE,
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL
) WITHOUT ROWID

-- step 53 cutoffs
CREATE TABLE cutoffs (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    cut_before BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm_id, sequence)
) WITHOUT ROWID

-- step 54 cutoffs_by_value
CREATE INDEX cutoffs_by_value ON cutoffs (realm_id, kind, value)

-- step 55 cutoffs_by_expiry
CREATE INDEX cutoffs_by_expiry ON cutoffs (realm_id, expires_at)

-- step 56 spent
CREATE TABLE spent (
    realm_id TEXT NOT NULL REFERENCES realms ON DELETE CASCADE,
    kind BIGINT NOT NULL,
    hash TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm_id, kind, hash)
) WITHOUT ROWID

-- step 57 spent_by_expiry
CREATE INDEX spent_by_expiry ON spent (realm_id, expires_at)

-- step 58 pushed_requests
CREATE TABLE pushed_requests (
    realm_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    client_id TEXT NOT NULL,
    parameters TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm_id, hash),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 59 pushed_requests_by_client
CREATE INDEX pushed_requests_by_client ON pushed_requests (realm_id, client_id)

-- step 60 pushed_requests_by_expiry
CREATE INDEX pushed_requests_by_expiry ON pushed_requests (realm_id, expires_at)

-- step 61 device_grants
CREATE TABLE device_grants (
    realm_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    user_code TEXT NOT NULL,
    client_id TEXT NOT NULL,
    request TEXT NOT NULL,
    state BIGINT NOT NULL,
    user_id TEXT,
    session_id TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm_id, hash),
    UNIQUE (realm_id, user_code),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 62 device_grants_by_client
CREATE INDEX device_grants_by_client ON device_grants (realm_id, client_id)

-- step 63 device_grants_by_user
CREATE INDEX device_grants_by_user ON device_grants (realm_id, user_id)

-- step 64 device_grants_by_expiry
CREATE INDEX device_grants_by_expiry ON device_grants (realm_id, expires_at)

-- step 65 device_polls
CREATE TABLE device_polls (
    realm_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    last_poll BIGINT NOT NULL,
    wait BIGINT NOT NULL,
    PRIMARY KEY (realm_id, hash),
    FOREIGN KEY (realm_id, hash) REFERENCES device_grants (realm_id, hash) ON DELETE CASCADE
) WITHOUT ROWID

-- step 66 logout_deliveries
CREATE TABLE logout_deliveries (
    realm_id TEXT NOT NULL,
    id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (realm_id, id),
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 67 logout_deliveries_by_client
CREATE INDEX logout_deliveries_by_client ON logout_deliveries (realm_id, client_id)

-- step 68 logout_deliveries_by_time
CREATE INDEX logout_deliveries_by_time ON logout_deliveries (realm_id, due_at)

-- step 69 consents
CREATE TABLE consents (
    realm_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (realm_id, user_id, client_id),
    FOREIGN KEY (realm_id, user_id) REFERENCES users (realm_id, id) ON DELETE CASCADE,
    FOREIGN KEY (realm_id, client_id) REFERENCES clients (realm_id, id) ON DELETE CASCADE
) WITHOUT ROWID

-- step 70 consents_by_client
CREATE INDEX consents_by_client ON consents (realm_id, client_id)
