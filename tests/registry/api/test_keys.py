"""The keys whose signatures a namespace believes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.test import Client

from registry.models import SigningKey
from tests.cast import Cast
from tests.registry.artifacts.sending import events
from tests.registry.artifacts.signing import a_key, pem_of

pytestmark = pytest.mark.django_db
KEY = a_key()


def add(cast: Cast, pem: str, name: str = "release", who: str = "ada") -> Any:
    return cast.client(who).post(f"/api/v1/namespaces/{cast.namespace.name}/keys", {"name": name, "pem": pem})


def revoke(cast: Cast, key: str, who: str = "ada", **body: str) -> Any:
    return cast.client(who).delete(f"/api/v1/keys/{key}", body)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_it_works(cast: Cast, curve: ec.EllipticCurve) -> None:
    pem = pem_of(a_key(curve))
    answer = add(cast, "\n " + pem.replace("\n", "\r\n"))
    assert answer.status_code == 201, answer.json()
    told = answer.json()
    assert (told["name"], told["pem"], told["revoked_at"]) == ("release", pem, None)
    # As model_signing names the key in what it writes.
    assert told["fingerprint"] == hashlib.sha256(pem.encode()).hexdigest()
    listed = cast.client("vera").get(f"/api/v1/namespaces/{cast.namespace.name}/keys").json()["results"]
    assert listed == [told]
    (event,) = events(cast, "key.added")
    assert event.after == {"name": "release", "fingerprint": told["fingerprint"]}


def test_revoked_is_for_good(cast: Cast) -> None:
    key = add(cast, pem_of(KEY)).json()["id"]
    assert revoke(cast, key).status_code == 422
    gone = revoke(cast, key, reason="It was on a laptop that was stolen.")
    assert (gone.status_code, gone.json()["revoked_by"]) == (200, cast.user("ada").username)
    (event,) = events(cast, "key.revoked")
    assert event.reason == "It was on a laptop that was stolen."
    assert revoke(cast, key, reason="again").json()["code"] == "key-revoked"
    again = add(cast, pem_of(KEY), "other")
    assert (again.status_code, again.json()["code"]) == (409, "key-known")
    assert "revoked it: sign with another key" in again.json()["detail"]
    assert add(cast, pem_of(a_key())).json()["code"] == "name-taken"


def test_a_key_is_there_once(cast: Cast) -> None:
    add(cast, pem_of(KEY))
    assert add(cast, pem_of(KEY), "other").json()["code"] == "key-known"


@pytest.mark.parametrize("who", ["ben", "eve", "cora", "otto", "vera", "ci"])
def test_only_administrators_say_whom_to_believe(cast: Cast, who: str) -> None:
    assert add(cast, pem_of(KEY), who=who).status_code == 403
    key = add(cast, pem_of(KEY)).json()["id"]
    assert revoke(cast, key, who, reason="r").status_code == 403
    assert revoke(cast, key, "mallory", reason="r").status_code == 404


def pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


REFUSED = {
    "nothing": "",
    "text": "not a key",
    "cut": pem_of(KEY)[:60],
    "another curve": pem_of(a_key(ec.SECP256K1())),
    "rsa": pem(rsa.generate_private_key(65537, 2048)),
    "ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "long": pem_of(KEY) + "\n" * 9000,
    "private": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    "certificate": pem_of(KEY).replace("PUBLIC KEY", "CERTIFICATE"),
}


def test_what_is_no_such_key_is_refused(cast: Cast) -> None:
    for kind, given in REFUSED.items():
        answer = add(cast, given)
        assert (answer.status_code, answer.json()["field"]) == (422, "pem"), kind
        assert ("Send it to nobody" in answer.json()["detail"]) == ("PRIVATE" in given), kind
    assert not SigningKey.objects.filter(namespace=cast.namespace).exists()


def test_the_page_in_the_admin(cast: Cast) -> None:
    page = Client()
    page.force_login(cast.user("ada"), backend="django.contrib.auth.backends.ModelBackend")
    form = {"namespace": cast.namespace.name, "name": "release", "pem": "x"}
    assert b"this is none" in page.post("/admin/registry/signingkey/new-key/", form).content
    assert page.post("/admin/registry/signingkey/new-key/", {**form, "pem": pem_of(KEY)}).status_code == 302
    key = SigningKey.objects.get(namespace=cast.namespace)
    assert b"believed" in page.get("/admin/registry/signingkey/").content
    assert b"Revoke" in page.get(f"/admin/registry/signingkey/{key.pk}/change/").content
    assert page.post(f"/admin/registry/signingkey/{key.pk}/revoke/", {"reason": "lost"}).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert b"revoked" in page.get("/admin/registry/signingkey/").content
