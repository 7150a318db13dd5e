#!/usr/bin/env python3
"""Logs in on a device without a browser (OAuth 2.0 Device Authorization Grant, RFC 8628) and says who is there.

    python3 device_login.py http://localhost:8080/realms/example

Nothing but Python's standard library. The program never sees a password: it shows a short code, a person enters it on
a phone or laptop, logs in there and says yes.
"""

import argparse
import base64
import hashlib
import json
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TIMEOUT = 20  # seconds for one request


class Refused(Exception):
    """The server said no, in its own words."""


def get(url, token=None):
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return json.load(answer)


def post(url, fields):
    """The status and the JSON of an answer, good or not."""
    body = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, data=body, headers={"Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            return error.code, json.load(error)
        except ValueError:
            raise Refused(f"{url} answered {error.code}") from error


def discover(issuer):
    issuer = issuer.rstrip("/")
    document = get(f"{issuer}/.well-known/openid-configuration")
    if document["issuer"] != issuer:
        raise Refused(f"{issuer} calls itself {document['issuer']}: use that address")
    if "device_authorization_endpoint" not in document:
        raise Refused(f"{issuer} has no device login")
    return document


def begin(server, client_id, scope):
    """Asks for a code. PKCE ties the tokens to this very process, even if somebody reads the device code."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    fields = {"client_id": client_id, "scope": scope, "code_challenge": challenge, "code_challenge_method": "S256"}
    status, device = post(server["device_authorization_endpoint"], fields)
    if status != 200:
        raise Refused(device.get("error_description") or device.get("error"))
    return device, verifier


def show(device):
    lines = [
        "To log in, open this page on a phone or laptop:",
        "",
        f"    {device['verification_uri']}",
        "",
        "and enter this code:",
        "",
        f"    {device['user_code']}",
        "",
        f"It holds for {device['expires_in'] // 60} minutes.",
    ]
    width = max(map(len, lines)) + 4
    print("+" + "-" * width + "+")
    for line in lines:
        print("|  " + line.ljust(width - 2) + "|")
    print("+" + "-" * width + "+")
    print("Waiting ...", flush=True)


def wait_for_tokens(server, client_id, device, verifier):
    """Polls as RFC 8628 section 3.5 says: not faster than told, slower when told, and not for ever."""
    fields = {
        "grant_type": GRANT,
        "client_id": client_id,
        "device_code": device["device_code"],
        "code_verifier": verifier,
    }
    interval = device.get("interval", 5)
    end = time.monotonic() + device["expires_in"]
    while time.monotonic() < end:
        time.sleep(interval)
        try:
            status, answer = post(server["token_endpoint"], fields)
        except (urllib.error.URLError, TimeoutError):
            interval = min(interval * 2, 60)  # the network is away: come back, less often
            continue
        if status == 200:
            return answer
        match answer.get("error"):
            case "authorization_pending":
                pass
            case "slow_down":
                interval += 5
            case "access_denied":
                raise Refused("the login was refused")
            case "expired_token":
                raise Refused("nobody entered the code in time")
            case error:
                raise Refused(answer.get("error_description") or error)
    raise Refused("nobody entered the code in time")


def main():
    arguments = argparse.ArgumentParser(description="Log in on a device without a browser.")
    arguments.add_argument("issuer", help="for example http://localhost:8080/realms/example")
    arguments.add_argument("--client-id", default="tv")
    arguments.add_argument("--scope", default="openid profile email")
    asked = arguments.parse_args()
    server = discover(asked.issuer)
    device, verifier = begin(server, asked.client_id, asked.scope)
    show(device)
    tokens = wait_for_tokens(server, asked.client_id, device, verifier)
    person = get(server["userinfo_endpoint"], tokens["access_token"])
    name = person.get("name") or person.get("preferred_username") or person["sub"]
    print(f"Hello, {name}!")
    for claim in ("preferred_username", "email", "sub"):
        if claim in person:
            print(f"    {claim}: {person[claim]}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refusal:
        sys.exit(f"Not logged in: {refusal}")
    except (urllib.error.URLError, TimeoutError) as error:
        sys.exit(f"The server cannot be reached: {error}")
    except KeyboardInterrupt:
        sys.exit("\nGiven up.")
