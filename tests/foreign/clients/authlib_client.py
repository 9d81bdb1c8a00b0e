"""Python's Authlib against the hub: another language, another author, another HTTP client."""

import json
import os
import sys
import time

# The test's hub speaks plain HTTP on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib import __version__ as release
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

settings = json.load(open(sys.argv[1], encoding="utf-8"))
issuer = settings["issuer"]
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "flows:read replay offline_access"


class Assertion(PrivateKeyJWT):
    """An assertion for the next minute: by itself the library makes one for an hour, which is more than the hub takes."""

    alg = "ES256"

    def sign(self, auth, token_endpoint):
        claims = {"exp": int(time.time()) + 60}
        return private_key_jwt_sign(auth.client_secret, auth.client_id, token_endpoint, self.alg, claims)


def done(step):
    print(step, flush=True)


def post(url, data, expected=200, **more):
    answer = requests.post(url, data=data, timeout=30, **more)
    assert answer.status_code == expected, (url, answer.status_code, answer.text)
    return answer


found = requests.get(get_well_known_url(issuer, external=True), timeout=30).json()
server = AuthorizationServerMetadata(found)
server.validate()
assert server["issuer"] == issuer
done("discovery")

key = JsonWebKey.generate_key("EC", "P-256", is_private=True)
public = dict(key.as_dict(is_private=False), kid="k1", use="sig", alg="ES256")
own_key = dict(key.as_dict(is_private=True), kid="k1")

for method in ["client_secret_basic", "client_secret_post", "private_key_jwt"]:
    metadata = {
        "client_name": f"authlib {method}",
        "grant_types": ["client_credentials", DEVICE_CODE, "refresh_token"],
        "token_endpoint_auth_method": method,
        "scope": SCOPE,
    }
    if method == "private_key_jwt":
        metadata["jwks"] = {"keys": [public]}
    answer = requests.post(server["registration_endpoint"], json=metadata, timeout=30)
    assert answer.status_code == 201, answer.text
    client = answer.json()
    secret = own_key if method == "private_key_jwt" else client["client_secret"]

    def session(scope=None):
        made = OAuth2Session(
            client["client_id"],
            secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            scope=scope,
        )
        if method == "private_key_jwt":
            made.register_client_auth_method(Assertion(server["token_endpoint"]))
        return made

    done(f"{method}: registered")

    token = session().fetch_token(server["token_endpoint"], grant_type="client_credentials")
    assert token["token_type"] == "Bearer" and "refresh_token" not in token, token
    # The signature by the published keys, with the library's own verifier.
    keys = JsonWebKey.import_key_set(requests.get(server["jwks_uri"], timeout=30).json())
    claims = jwt.decode(token["access_token"], keys)
    claims.validate()
    assert (claims["iss"], claims["sub"], claims["aud"]) == (issuer, client["client_id"], issuer), claims
    assert claims.header["typ"] == "at+jwt", claims.header
    done(f"{method}: client credentials")

    def sign_in():
        made = session(SCOPE)
        asked = made.post(
            server["device_authorization_endpoint"], data={"scope": SCOPE}, auth=made.client_auth(method)
        ).json()
        try:
            made.fetch_token(server["token_endpoint"], grant_type=DEVICE_CODE, device_code=asked["device_code"])
            raise AssertionError("nobody has approved it")
        except OAuthError as error:
            assert error.error == "authorization_pending", error
        decided = requests.post(
            f"{issuer}/api/device",
            json={"user_code": asked["user_code"], "decision": "approve"},
            headers={"Authorization": f"Bearer {settings['personal_token']}"},
            timeout=30,
        )
        assert decided.status_code == 204, decided.text
        time.sleep(asked["interval"])
        made.fetch_token(server["token_endpoint"], grant_type=DEVICE_CODE, device_code=asked["device_code"])
        assert made.token["refresh_token"] and made.token["token_type"] == "Bearer", made.token
        return made

    person = sign_in()
    first = person.token
    done(f"{method}: device flow")

    second = person.refresh_token(server["token_endpoint"], refresh_token=first["refresh_token"])
    third = person.refresh_token(server["token_endpoint"], refresh_token=second["refresh_token"])
    assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
    done(f"{method}: refresh")

    said = person.introspect_token(server["introspection_endpoint"], token=third["access_token"]).json()
    assert said["active"] is True and said["client_id"] == client["client_id"], said
    done(f"{method}: introspection")

    assert person.revoke_token(server["revocation_endpoint"], token=third["access_token"]).status_code == 200
    said = person.introspect_token(server["introspection_endpoint"], token=third["access_token"]).json()
    assert said == {"active": False}, said
    done(f"{method}: revocation")

    for old in [first["refresh_token"], third["refresh_token"]]:
        try:
            person.refresh_token(server["token_endpoint"], refresh_token=old)
            raise AssertionError("it was used before, or its family has ended")
        except OAuthError as error:
            assert error.error == "invalid_grant", error
    done(f"{method}: reuse")

print(f"authlib {release}", file=sys.stderr)
