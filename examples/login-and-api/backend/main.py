"""The backend of "login and API": checks access tokens by the realm's public keys, and serves the page.

Owns: /api/*. Does not own: logging in (the page and the identity provider do that).
Environment: ISSUER (default http://localhost:8080/realms/example), AUDIENCE (default api).
"""

import os
from pathlib import Path
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

ISSUER = os.environ.get("ISSUER", "http://localhost:8080/realms/example")
AUDIENCE = os.environ.get("AUDIENCE", "api")
# Only signatures with a public key: a list that held HS256 would let the public key be used as a secret.
ALGORITHMS = ["RS256", "ES256"]
HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "page"
SDK = HERE.parents[2] / "sdk" / "src"

# Fetches the key set when an unknown `kid` comes, so the realm may rotate its keys at any time.
keys = jwt.PyJWKClient(f"{ISSUER}/protocol/openid-connect/certs", cache_keys=True, timeout=5)
app = FastAPI(title="Login and API", docs_url=None, redoc_url=None, openapi_url=None)


def refuse(status: int, error: str, description: str) -> HTTPException:
    """RFC 6750 §3: a refusal says what was wrong with the token, never what is in it."""
    challenge = f'Bearer error="{error}", error_description="{description}"'
    return HTTPException(status, description, {"WWW-Authenticate": challenge})


def claims_of(token: str) -> dict[str, Any]:
    """The claims of an access token of our issuer for our API; anything else is refused."""
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.PyJWKClientConnectionError as error:
        # Not the caller's fault: without keys nothing can be said about the token.
        raise HTTPException(503, "The keys of the identity provider cannot be fetched") from error
    except jwt.ExpiredSignatureError as error:
        raise refuse(401, "invalid_token", "The token has expired") from error
    except (jwt.PyJWTError, ValueError) as error:
        raise refuse(401, "invalid_token", "The token is not valid") from error
    # An ID token or a refresh token is signed by the same server and must not open the API.
    if claims.get("typ") != "Bearer":
        raise refuse(401, "invalid_token", "The token is not an access token")
    return claims


def user(request: Request) -> dict[str, Any]:
    """The caller, who must have sent exactly one bearer token."""
    values = request.headers.getlist("authorization")
    if not values:
        raise HTTPException(401, "A token is needed", {"WWW-Authenticate": "Bearer"})
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token:
        raise refuse(401, "invalid_token", "The token is not valid")
    return claims_of(token.strip())


User = Annotated[dict[str, Any], Depends(user)]


def admin(caller: User) -> dict[str, Any]:
    """The caller, who must have the realm role `admin`."""
    if "admin" not in caller.get("realm_access", {}).get("roles", []):
        raise HTTPException(403, "The role admin is needed")
    return caller


@app.get("/api/public")
def public() -> dict[str, str]:
    """For everybody."""
    return {"message": "Everybody may read this."}


@app.get("/api/me")
def me(caller: User) -> dict[str, Any]:
    """For everybody who is logged in."""
    roles = caller.get("realm_access", {}).get("roles", [])
    return {"subject": caller["sub"], "username": caller.get("preferred_username"), "roles": roles}


@app.get("/api/admin")
def admin_only(caller: Annotated[dict[str, Any], Depends(admin)]) -> dict[str, str]:
    """For administrators."""
    return {"message": f"Hello {caller.get('preferred_username')}, you are an administrator."}


@app.get("/config.json")
def config() -> dict[str, str]:
    """What the page needs to know."""
    return {"issuer": ISSUER, "clientId": "app"}


@app.get("/callback")
def callback() -> FileResponse:
    """Where the identity provider sends the browser back to: the same page."""
    return FileResponse(PAGE / "index.html")


app.mount("/sdk", StaticFiles(directory=SDK))
app.mount("/", StaticFiles(directory=PAGE, html=True))
