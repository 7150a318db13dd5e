"""Walks the example: `python test.py http://localhost:8080`, with realm.json imported in the server at that address.

Starts the backend on a free port, logs in as a browser would (PKCE, the login form), and calls every route with good and bad
tokens. Needs the packages of backend/requirements.txt and nothing else. Ends with 0 when all is right.
"""

import base64
import hashlib
import hmac
import html
import http.cookiejar
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HERE = Path(__file__).resolve().parent
BASE = (sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BASE", "http://localhost:8080")).rstrip("/")
ISSUER = f"{BASE}/realms/example"
CALLBACK = "http://localhost:3000/callback"
failures: list[str] = []
passed = 0


class Stay(urllib.request.HTTPRedirectHandler):
    """Gives a redirect back instead of following it: the application behind it does not run here."""

    def redirect_request(self, *_args, **_kwargs):
        return None


def send(opener, url, form=None, headers=None):
    """Status, headers and text of one request; a refusal is an answer too."""
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    try:
        with opener.open(urllib.request.Request(url, data, headers or {}), timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read().decode()


def check(name, got, expected):
    global passed
    if got == expected:
        passed += 1
        print(f"ok    {name}")
    else:
        failures.append(name)
        print(f"WRONG {name}: expected {expected!r}, got {got!r}")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class AnyHostCookies(http.cookiejar.DefaultCookiePolicy):
    """Browsers send Secure cookies to localhost over http; this library does so only when told."""

    def return_ok_secure(self, cookie, request):
        return True


def browser():
    jar = http.cookiejar.CookieJar(AnyHostCookies())
    return urllib.request.build_opener(Stay, urllib.request.HTTPCookieProcessor(jar))


def form_action(page):
    found = re.search(r'<form[^>]*id="kc-form-login"[^>]*action="([^"]*)"', page, re.S)
    if not found:
        raise SystemExit(f"the answer holds no login form:\n{page[:1500]}")
    return urllib.parse.urljoin(BASE, html.unescape(found.group(1)))


def log_in(client, username, password, wrong_first=False):
    """Steps 2 to 9 of the drawing; gives the token response and what is needed to try the code again."""
    person, verifier, state, nonce = browser(), b64(secrets.token_bytes(32)), b64(secrets.token_bytes(16)), b64(secrets.token_bytes(16))
    query = {
        "client_id": client,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile",
        "state": state,
        "nonce": nonce,
        "code_challenge": b64(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    status, _, page = send(person, f"{ISSUER}/protocol/openid-connect/auth?{urllib.parse.urlencode(query)}")
    check(f"{client}: the login page is shown", status, 200)
    if wrong_first:
        status, _, page = send(person, form_action(page), {"username": username, "password": "wrong", "credentialId": ""})
        check("a wrong password shows the page again", (status, "Invalid username or password." in page), (200, True))
    status, headers, _ = send(person, form_action(page), {"username": username, "password": password, "credentialId": ""})
    back = urllib.parse.urlparse(headers.get("Location", ""))
    answer = dict(urllib.parse.parse_qsl(back.query))
    check(f"{client}: redirect back with a code", (status, back.path, answer.get("state"), answer.get("iss"), "code" in answer), (302, "/callback", state, ISSUER, True))
    form = {"grant_type": "authorization_code", "client_id": client, "redirect_uri": CALLBACK, "code": answer.get("code", ""), "code_verifier": verifier}
    status, _, text = send(person, f"{ISSUER}/protocol/openid-connect/token", form)
    tokens = json.loads(text)
    check(f"{client}: the code is exchanged", (status, tokens.get("token_type")), (200, "Bearer"))
    return tokens, form, nonce


def peek(token):
    return jwt.decode(token, options={"verify_signature": False})


def start_backend():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    backend = subprocess.Popen(command, cwd=HERE / "backend", env={**os.environ, "ISSUER": ISSUER, "AUDIENCE": "api"})
    url = f"http://127.0.0.1:{port}"
    for _ in range(150):
        if backend.poll() is not None:
            raise SystemExit("the backend did not start")
        try:
            urllib.request.urlopen(f"{url}/api/public", timeout=2).close()
            return backend, url
        except OSError:
            time.sleep(0.1)
    backend.terminate()
    raise SystemExit("the backend did not answer within 15 s")


def walk(api):
    plain = urllib.request.build_opener(Stay)

    def call(path, *authorization):
        headers = {"Authorization": authorization[0]} if authorization else {}
        status, headers, text = send(plain, api + path, headers=headers)
        return status, headers.get("WWW-Authenticate"), json.loads(text)

    def bearer(path, token):
        return call(path, f"Bearer {token}")

    tokens, form, nonce = log_in("app", "alice", "alice-password", wrong_first=True)
    good = tokens["access_token"]
    claims, identity = peek(good), peek(tokens["id_token"])
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    check("the access token's claims", (claims["iss"], claims["typ"], claims["azp"], "api" in audience), (ISSUER, "Bearer", "app", True))
    check("the ID token's claims", (identity["iss"], identity["aud"], identity["nonce"], identity["typ"]), (ISSUER, "app", nonce, "ID"))

    check("public without a token", call("/api/public")[0], 200)
    check("no token", call("/api/me")[:2], (401, "Bearer"))
    check("a good token", bearer("/api/me", good)[0], 200)
    check("it says who", bearer("/api/me", good)[2].get("username"), "alice")
    check("the role admin opens the admin route", bearer("/api/admin", good)[0], 200)

    check("garbage", bearer("/api/me", "garbage")[0], 401)
    check("another scheme", call("/api/me", f"Basic {good}")[0], 401)
    head, body, signature = good.split(".")
    changed = b64(json.dumps({**claims, "preferred_username": "root"}).encode())
    check("changed claims", bearer("/api/me", f"{head}.{changed}.{signature}")[0], 401)
    unsigned = b64(json.dumps({"alg": "none", "kid": jwt.get_unverified_header(good)["kid"]}).encode())
    check("no signature (alg none)", bearer("/api/me", f"{unsigned}.{body}.")[0], 401)
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kid = {"kid": jwt.get_unverified_header(good)["kid"]}
    check("signed with a foreign key", bearer("/api/me", jwt.encode(claims, foreign, "RS256", headers=kid))[0], 401)
    check("signed with a foreign key of unknown id", bearer("/api/me", jwt.encode(claims, foreign, "RS256", headers={"kid": "unknown"}))[0], 401)
    keys = jwt.PyJWKClient(f"{ISSUER}/protocol/openid-connect/certs")
    public = keys.get_signing_key_from_jwt(good).key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    # By hand, because PyJWT refuses to make such a token.
    signed = f"{b64(json.dumps({'alg': 'HS256', 'typ': 'JWT', **kid}).encode())}.{body}"
    confused = f"{signed}.{b64(hmac.digest(public, signed.encode(), 'sha256'))}"
    check("HS256 with the public key as secret", bearer("/api/me", confused)[0], 401)
    check("the ID token is no access token", bearer("/api/me", tokens["id_token"])[0], 401)
    check("the refresh token is no access token", bearer("/api/me", tokens["refresh_token"])[0], 401)

    bob = log_in("app", "bob", "bob-password")[0]["access_token"]
    check("bob is known", bearer("/api/me", bob)[0], 200)
    check("the admin route refuses bob", bearer("/api/admin", bob)[0], 403)
    other = log_in("app-other", "alice", "alice-password")[0]["access_token"]
    check("a token for another audience", bearer("/api/me", other)[0], 401)

    short = log_in("app-short", "alice", "alice-password")[0]["access_token"]
    lives = peek(short)["exp"] - peek(short)["iat"]
    check("the short client's tokens live for a second", lives, 1)
    while lives < 5 and time.time() <= peek(short)["exp"] + 1:
        time.sleep(0.2)
    refused = bearer("/api/me", short)
    check("an expired token", (refused[0], "expired" in (refused[1] or "")), (401, True))

    # Last, because a second use ends what the first one gave (RFC 6749 §4.1.2).
    status, _, text = send(plain, f"{ISSUER}/protocol/openid-connect/token", form)
    check("the code works once", (status, json.loads(text).get("error")), (400, "invalid_grant"))


def main():
    backend, api = start_backend()
    try:
        walk(api)
    finally:
        backend.terminate()
        backend.wait(10)
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
