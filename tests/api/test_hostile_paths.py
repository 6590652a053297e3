"""Hundreds of paths that are none, in every field and address that takes a path: never stored, never served."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from registry.models import Alias, Attachment, RegisteredModel, UploadFile
from registry.models.people import Namespace
from tests.cast import Cast, make_cast
from tests.conftest import Live
from tests.hostile_paths import corpus, escapes
from tests.registry.artifacts.sending import publish_all, sha256, staged

FORMS = corpus()
SECRET = b"of another version"


def spelled(text: str) -> str:
    """A form as a JSON string carries it, lone surrogates included."""
    return json.dumps(text)


def test_the_corpus_is_large_and_hostile() -> None:
    assert len(FORMS) >= 400
    assert sum(escapes(form) is not None for form in FORMS) >= 400
    assert escapes("a/b.txt") is None


def test_none_is_announced(cast: Cast) -> None:
    client = cast.client("ben")
    client.raise_request_exception = False
    path = f"/api/v1/namespaces/{cast.namespace.name}/uploads"
    content = b"x"
    answers: dict[int, int] = {}
    for form in FORMS:
        body = f'{{"files": [{{"path": {spelled(form)}, "size": 1, "sha256": "{sha256(content)}"}}]}}'
        answer = client.generic("POST", path, body, "application/json")
        assert answer.status_code in (201, 422), (form, answer.content)
        answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
        if answer.status_code == 422:
            assert answer.json()["code"] in ("path-refused", "invalid-input"), form
    stored = UploadFile.objects.filter(upload__namespace=cast.namespace).values_list("path", flat=True)
    assert {path: escapes(path) for path in stored if escapes(path)} == {}
    assert answers[422] >= 600


def test_none_is_an_attachments_name(cast: Cast) -> None:
    version = publish_all(cast, staged(cast, {"model.bin": b"x"}))
    client = cast.client("ben")
    client.raise_request_exception = False
    base = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{version.number}/attachments"
    for form in FORMS[::6]:
        name = quote(form.encode("utf-8", "surrogatepass"), safe="")
        path = f"{base}?kind=supplier_report&name={name}"
        answer = client.generic("POST", path, ascii(form), "application/pdf")
        assert answer.status_code in (201, 422), (form, answer.content)
    names = set(Attachment.objects.filter(version=version).values_list("name", flat=True))
    assert {name: escapes(name) for name in names if escapes(name) or "/" in name} == {}
    assert len(names) < 20


def test_none_is_where_addresses_begin(cast: Cast) -> None:
    version = publish_all(cast, staged(cast, {"model.bin": b"x"}))
    client = cast.client("ben")
    client.raise_request_exception = False
    base = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{version.number}/artifacts"
    for form in FORMS[::6]:
        name = quote(form.encode("utf-8", "surrogatepass"), safe="")
        answer = client.get(f"{base}?with=url&from={name}")
        assert answer.status_code in (200, 404, 422), (form, answer.content)
        if answer.status_code == 200:
            assert {file["path"] for file in answer.json()["files"]} <= {"model.bin"}, form


@pytest.mark.parametrize("field", ["model", "namespace", "alias"])
def test_none_is_a_name(cast: Cast, field: str) -> None:
    """Names have a grammar of their own, which no such form satisfies but by being harmless."""
    published = publish_all(cast, staged(cast, {"model.bin": b"x"}))
    ada = cast.user("ada")
    ada.is_superuser = field == "namespace"
    ada.save()
    client = cast.client("ada")
    client.raise_request_exception = False
    models = f"/api/v1/namespaces/{cast.namespace.name}/models"
    for form in FORMS[::5]:
        body = f'{{"name": {spelled(form)}}}'
        if field == "alias":
            path = f"{models}/scorer/aliases/{quote(form, safe='', errors='replace')}"
            answer = client.generic("PUT", path, '{"version": 1}', "application/json")
        else:
            path = models if field == "model" else "/api/v1/namespaces"
            answer = client.generic("POST", path, body, "application/json")
        assert answer.status_code < 500, (form, answer.status_code)
    names = {
        "model": RegisteredModel.objects.filter(namespace=cast.namespace).values_list("name", flat=True),
        "namespace": Namespace.objects.values_list("name", flat=True),
        "alias": Alias.objects.filter(model=published.model).values_list("name", flat=True),
    }[field]
    assert {name for name in names if "/" in name or ".." in name or not name.isascii()} == set()


@pytest.mark.django_db(transaction=True)
def test_none_is_served(live: Live) -> None:
    """As bytes on the wire, on which nothing normalises anything before the server does."""
    cast = make_cast()
    files = {
        "model.bin": os.urandom(64),
        "a;b": b"semicolon",
        "a?b": b"question",
        "a#b": b"hash",
        "b c/d%": b"rest",
    }
    publish_all(cast, staged(cast, files))
    publish_all(cast, staged(cast, {"other.bin": SECRET}))
    base = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/artifacts/"
    with Wire(live.url, cast.token("ben")) as wire:
        for name, content in files.items():
            assert wire.get(base + quote(name, safe="/")) == (200, content), name
        own = set(files.values())
        tried = 0
        for form in FORMS:
            raw = form.encode("utf-8", "surrogatepass")
            for target in {raw, quote(raw, safe="/").encode()}:
                if b"\r" in target or b"\n" in target or b" " in target:
                    continue  # another request line; that is for the server's own parser to refuse
                status, body = wire.get(base.encode() + target)
                tried += 1
                assert status < 500, (form, status)
                assert status not in (301, 302, 303, 307, 308), (form, status)
                assert status != 200 or body in own, (form, body[:100])
                assert SECRET not in body
    assert tried > 900


class Wire:
    """One connection on which requests are sent as they are, and made anew when the server has ended it."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 80)
        self.rest = (f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n").encode()
        self.link: socket.socket | None = None

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        if self.link:
            self.link.close()

    def get(self, target: str | bytes) -> tuple[int, bytes]:
        """Status and body; `as=stream` unless the target has a query of its own."""
        path = target.encode() if isinstance(target, str) else target
        if self.link is None:
            self.link = socket.create_connection(self.address, timeout=20)
        self.link.sendall(b"GET " + path + (b"&" if b"?" in path else b"?") + b"as=stream" + self.rest)
        received = self.link.makefile("rb")
        status = int(received.readline().split()[1])
        headers = dict(_headers(received))
        length = headers.get("content-length")
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(_chunks(received))
        else:
            body = received.read(int(length)) if length is not None else received.read()
        received.close()
        kept = length is not None or "transfer-encoding" in headers
        if not kept or headers.get("connection") == "close":
            self.link.close()
            self.link = None
        return status, body


def _headers(received: Any) -> Iterator[tuple[str, str]]:
    while (line := received.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        yield name.strip().lower(), value.strip().lower()


def _chunks(received: Any) -> Iterator[bytes]:
    while size := int(received.readline(), 16):
        yield received.read(size)
        received.readline()
    received.readline()
