#!/usr/bin/env bash
# Every grant and every logout with curl. Needs bash, curl and openssl, and a server with this folder's realm:
#   portcullis idp --in-memory --import examples/curl/realm.json
#   examples/curl/walk.sh                      (BASE=http://localhost:8080 unless told)
set -euo pipefail

BASE=${BASE:-http://localhost:8080}
REALM=$BASE/realms/curl
OIDC=$REALM/protocol/openid-connect
BACK=http://localhost:3000/callback
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- small change ---------------------------------------------------------------------------------------------------------
fail() { printf 'FAILED %s\n  got: %s\n' "$1" "$2" >&2; exit 1; }
ok() { printf 'ok  %s\n' "$1"; }
# member NAME JSON: a text, number or flag of a flat JSON object.
member() { sed -nE 's/.*"'"$1"'":("([^"]*)"|([^,}]*)).*/\2\3/p' <<<"$2"; }
# want NAME TEXT WHAT: NAME (a regular expression) stands in TEXT.
want() { grep -qE -- "$1" <<<"$2" || fail "$3" "$2"; ok "$3"; }
b64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
claims() { local p; p=$(cut -d. -f2 <<<"$1" | tr -- '-_' '+/'); while [ $((${#p} % 4)) -ne 0 ]; do p="$p="; done; openssl base64 -d -A <<<"$p"; }
post() { local url=$1; shift; curl -sS "$url" "$@"; }
# The form of a page: its action with the HTML undone, as an address.
action() { local a; a=$(grep -oE 'action="[^"]*"' <<<"$1" | head -n 1 | sed -E 's/^action="//; s/"$//; s/&amp;/\&/g'); [[ $a == /* ]] && a=$BASE$a; printf '%s' "$a"; }
# The value of a hidden field.
hidden() { grep -oE '<input[^>]*name="'"$1"'"[^>]*>' <<<"$2" | head -n 1 | sed -nE 's/.*value="([^"]*)".*/\1/p'; }
location() { grep -iE '^location:' | tr -d '\r' | sed -E 's/^[^ ]* //'; }
query() { sed -nE 's/.*[?&]'"$1"'=([^&#]*).*/\1/p' <<<"$2"; }

# log_in JAR URL: opens an authorization request, types the password when asked, prints where the browser is sent.
log_in() {
  local where=$2 page
  while [[ $where == "$BASE"/* ]]; do
    where=$(curl -sS -D - -o "$work/page" -b "$1" -c "$1" "$where" | location || true)
    page=$(cat "$work/page")
    if [ -z "$where" ] && grep -q 'name="password"' <<<"$page"; then
      where=$(curl -sS -D - -o "$work/page" -b "$1" -c "$1" "$(action "$page")" \
        --data-urlencode username=carol --data-urlencode password=carol-password | location || true)
    fi
  done
  printf '%s' "$where"
}

# --- authorization code with PKCE (RFC 6749, RFC 7636) -----------------------------------------------------------------------
verifier=$(openssl rand 32 | b64url)
challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | b64url)
request="client_id=page&redirect_uri=$BACK&response_type=code&scope=openid&state=s1&nonce=n1&code_challenge=$challenge&code_challenge_method=S256"
target=$(log_in "$work/jar" "$OIDC/auth?$request")
code=$(query code "$target")
[ -n "$code" ] || fail 'a code by the browser' "$target"
ok 'authorization code: login page, password, redirect with a code'
tokens=$(post "$OIDC/token" -d grant_type=authorization_code -d client_id=page -d "redirect_uri=$BACK" -d "code=$code" -d "code_verifier=$verifier")
access=$(member access_token "$tokens"); refresh=$(member refresh_token "$tokens"); id=$(member id_token "$tokens")
want '"nonce":"n1"' "$(claims "$id")" 'authorization code: tokens, the ID token has our nonce'
want '"preferred_username":"carol"' "$(curl -sS -H "Authorization: Bearer $access" "$OIDC/userinfo")" 'userinfo'
want 'Code not valid' "$(post "$OIDC/token" -d grant_type=authorization_code -d client_id=page -d "redirect_uri=$BACK" -d "code=$code" -d "code_verifier=$verifier")" \
  'authorization code: a second use is refused'
want 'invalid_grant' "$(post "$OIDC/token" -d grant_type=refresh_token -d client_id=page -d "refresh_token=$refresh")" \
  'and ends what the first one gave'
target=$(log_in "$work/jar" "$OIDC/auth?$request&prompt=none")
code=$(query code "$target")
tokens=$(post "$OIDC/token" -d grant_type=authorization_code -d client_id=page -d "redirect_uri=$BACK" -d "code=$code" -d "code_verifier=$verifier")
want '"access_token"' "$tokens" 'single sign-on: prompt=none gives a code without a page'
refresh=$(member refresh_token "$tokens"); id=$(member id_token "$tokens")

# --- refresh (RFC 6749 section 6) --------------------------------------------------------------------------------------------
tokens=$(post "$OIDC/token" -d grant_type=refresh_token -d client_id=page -d "refresh_token=$refresh")
want '"access_token"' "$tokens" 'refresh'
refresh=$(member refresh_token "$tokens")

# --- password (RFC 6749 section 4.3; realms of Keycloak's profile) --------------------------------------------------------------
SECRET=(-u backend:backend-secret)
tokens=$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=password -d username=carol -d password=carol-password -d scope=openid)
want '"id_token"' "$tokens" 'password'
access=$(member access_token "$tokens")

# --- client credentials (RFC 6749 section 4.4) ----------------------------------------------------------------------------------
own=$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=client_credentials)
want '"access_token"' "$own" 'client credentials'
want 'service-account-backend' "$(claims "$(member access_token "$own")")" 'client credentials: the service account'

# --- client_secret_jwt (RFC 7523) -----------------------------------------------------------------------------------------------
now=$(date +%s)
assertion=$(printf %s '{"alg":"HS256","typ":"JWT"}' | b64url).$(printf %s \
  "{\"iss\":\"signer\",\"sub\":\"signer\",\"aud\":\"$REALM\",\"jti\":\"$(openssl rand -hex 16)\",\"iat\":$now,\"exp\":$((now + 30))}" | b64url)
assertion=$assertion.$(printf %s "$assertion" | openssl dgst -sha256 -hmac a-secret-of-at-least-thirty-two-bytes -binary | b64url)
SIGNED=(-d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer -d "client_assertion=$assertion")
want '"access_token"' "$(post "$OIDC/token" -d grant_type=client_credentials "${SIGNED[@]}")" 'client_secret_jwt'
want '"error"' "$(post "$OIDC/token" -d grant_type=client_credentials "${SIGNED[@]}")" 'client_secret_jwt: the same assertion again is refused'

# --- token exchange (RFC 8693) ----------------------------------------------------------------------------------------------------
exchanged=$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange -d "subject_token=$access" \
  -d subject_token_type=urn:ietf:params:oauth:token-type:access_token)
want '"issued_token_type"' "$exchanged" 'token exchange'

# --- introspection (RFC 7662) and revocation (RFC 7009) ----------------------------------------------------------------------------
want '"active":true' "$(post "$OIDC/token/introspect" "${SECRET[@]}" -d "token=$access")" 'introspection: active'
post "$OIDC/revoke" "${SECRET[@]}" -d "token=$access" >/dev/null
want '"active":false' "$(post "$OIDC/token/introspect" "${SECRET[@]}" -d "token=$access")" 'revocation: inactive at once'

# --- offline access (OIDC Core section 11) -------------------------------------------------------------------------------------------
offline=$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=password -d username=carol -d password=carol-password -d 'scope=openid offline_access')
want '"typ":"Offline"' "$(claims "$(member refresh_token "$offline")")" 'offline access: an offline token'
post "$OIDC/revoke" "${SECRET[@]}" -d "token=$(member refresh_token "$offline")" >/dev/null
want 'Offline user session not found' "$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=refresh_token -d "refresh_token=$(member refresh_token "$offline")")" \
  'offline access: revoked'

# --- an administrator sees it and takes it back --------------------------------------------------------------------------------------
offline=$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=password -d username=carol -d password=carol-password -d 'scope=openid offline_access')
admin=$(member access_token "$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=password -d username=ada -d password=ada-password)")
ask() { curl -sS -H "Authorization: Bearer $admin" "$@"; }
ADMIN=$BASE/admin/realms/curl
user=$(member id "$(ask "$ADMIN/users?username=carol&exact=true")")
client=$(member id "$(ask "$ADMIN/clients?clientId=backend")")
want '"username":"carol"' "$(ask "$ADMIN/users/$user/offline-sessions/$client")" 'administration: the offline sessions of a user'
want '"count":1' "$(ask "$ADMIN/clients/$client/offline-session-count")" 'administration: the offline sessions of a client, counted'
want 'Offline Token' "$(ask "$ADMIN/users/$user/consents")" 'administration: what a user gave away'
ask -X DELETE "$ADMIN/users/$user/consents/backend"
want 'Offline user session not found' "$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=refresh_token -d "refresh_token=$(member refresh_token "$offline")")" \
  'administration: taken back'

# --- pushed authorization request (RFC 9126) ------------------------------------------------------------------------------------------
pushed=$(post "$OIDC/ext/par/request" -d "$request")
uri=$(member request_uri "$pushed")
[ -n "$uri" ] || fail 'pushed request' "$pushed"
target=$(log_in "$work/jar" "$OIDC/auth?client_id=page&request_uri=$uri")
want "^$BACK[?].*code=" "$target" 'pushed authorization request'

# --- device grant (RFC 8628) -----------------------------------------------------------------------------------------------------------
device=$(post "$OIDC/auth/device" -d client_id=tv -d scope=openid)
device_code=$(member device_code "$device")
POLL=(-d grant_type=urn:ietf:params:oauth:grant-type:device_code -d client_id=tv -d "device_code=$device_code")
want 'authorization_pending' "$(post "$OIDC/token" "${POLL[@]}")" 'device grant: pending'
page=$(curl -sS -L -b "$work/jar" -c "$work/jar" "$(member verification_uri_complete "$device")")
for _ in 1 2 3; do
  form=$(action "$page"); [ -n "$form" ] || break
  fields=()
  for name in $(grep -oE '<input[^>]*type="hidden"[^>]*>' <<<"$page" | sed -nE 's/.*name="([^"]*)".*/\1/p'); do
    fields+=(--data-urlencode "$name=$(hidden "$name" "$page")")
  done
  grep -q 'name="accept"' <<<"$page" && fields+=(-d accept=yes)
  grep -q 'name="device_user_code"' <<<"$page" && fields+=(-d "device_user_code=$(member user_code "$device")")
  page=$(curl -sS -L -b "$work/jar" -c "$work/jar" "$form" "${fields[@]}")
done
sleep "$(($(member interval "$device") + 1))"
want '"access_token"' "$(post "$OIDC/token" "${POLL[@]}")" 'device grant: approved in the browser, tokens for the device'

# --- logout: by the browser, with and without a hint -----------------------------------------------------------------------------------
page=$(curl -sS -b "$work/jar" -c "$work/jar" "$OIDC/logout")
want 'action="[^"]*logout-confirm' "$page" 'logout without a hint: asks first'
where=$(curl -sS -o /dev/null -D - -b "$work/jar" -c "$work/jar" \
  "$OIDC/logout?id_token_hint=$id&post_logout_redirect_uri=http://localhost:3000/bye&state=s9" | location)
want '^http://localhost:3000/bye[?]state=s9' "$where" 'logout with a hint: sent back with our state'
want 'invalid_grant' "$(post "$OIDC/token" -d grant_type=refresh_token -d client_id=page -d "refresh_token=$refresh")" 'and the refresh token is dead'
want 'error=login_required' "$(log_in "$work/jar" "$OIDC/auth?$request&prompt=none")" 'and so is single sign-on'

# --- logout: the confirmation ------------------------------------------------------------------------------------------------------------
log_in "$work/jar" "$OIDC/auth?$request" >/dev/null
page=$(curl -sS -b "$work/jar" -c "$work/jar" "$OIDC/logout?client_id=page")
page=$(curl -sS -b "$work/jar" -c "$work/jar" "$(action "$page")" -d "session_code=$(hidden session_code "$page")" -d confirmLogout=yes)
want 'error=login_required' "$(log_in "$work/jar" "$OIDC/auth?$request&prompt=none")" 'logout by the confirmation page'

# --- logout: by refresh token, as Keycloak's adapters do -----------------------------------------------------------------------------------
tokens=$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=password -d username=carol -d password=carol-password)
status=$(curl -sS -o /dev/null -w '%{http_code}' "$OIDC/logout" "${SECRET[@]}" -d "refresh_token=$(member refresh_token "$tokens")")
want '^204$' "$status" 'logout by refresh token'
want 'Session not active' "$(post "$OIDC/token" "${SECRET[@]}" -d grant_type=refresh_token -d "refresh_token=$(member refresh_token "$tokens")")" 'and the session is over'

printf 'all of it\n'
