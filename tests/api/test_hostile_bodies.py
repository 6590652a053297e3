"""Whatever a client sends ends as a clear 4xx: wrong types, depth, NUL, endless numbers, broken text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse

from config.rules import RULES
from registry.http.access import Holds
from tests.api.scene import Scene, scene
from tests.api.test_access import API, ROUTES
from tests.cast import Cast

__all__ = ["scene"]

# Content that is no JSON at all for these: bytes as they are.
STREAMED = {("upload-content", "PUT")}
# Calls that read no body: one that is JSON does not matter.
SAYS_NOTHING = {
    "delivery-redeliver",
    "grant-confirm",
    "upload-abort",
    "version-verify",
    "version-restore",
    "retention-run",
    "webhook-test",
}
BODIES = [
    (name, method)
    for name, method in API
    if method in {"POST", "PUT", "PATCH"} and (name, method) not in STREAMED
]

NOT_JSON: list[bytes] = [
    b"{", b"", b"\xff\xfe", b'{"name": "\xc3\x28"}', b"{'name': 1}", b'{"a": 1,}', b'{"a": NaN}', b'{"a": Infinity}',
    b'{"a": 1e999}', b'{"a": ' + b"9" * 5000 + b"}", b'{"a": -9223372036854775809}', b'{"name": "a\\u0000b"}',
    b'{"a\\u0000": 1}', b'{"name": "\\ud800"}', b'{"name": "\\udc00\\ud800"}', b'{"a": 1, "a": 2}', b"[" * 100_000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 40 + b"]" * 40, b'"text"', b"1", b"null", b"true", b"[]", b"[{}]",
]  # fmt: skip
ON_EVERY_ROUTE = [b"{", b"", b'{"a": "\\u0000"}', b"[" * 100_000, b"null", b'[{"name": []}]']
# Put in the place of each field in turn.
VALUES: list[Any] = [
    None, True, 2**63 - 1, "x" * 20_001, "\r\n'%s{0}../", [None], {"a": {"b": []}}, "9" * 400
]  # fmt: skip

# A body that each route accepts, or nearly: each of its fields is then put to the test.
USUAL: dict[str, dict[str, Any]] = {
    "version-revalidations": {
        "verdict": "valid",
        "report": {
            "summary": "s",
            "findings": [{"severity": "low", "text": "t"}],
            "conditions": ["c"],
            "attachments": ["i"],
        },
    },
    "tokens": {"name": "x", "namespace": None, "expires_in_days": 3, "scopes": None},
    "members": {"user": "x", "role": "viewer", "reason": ""},
    "reviewers": {"user": "x"},
    "models": {"name": "new", "task": "", "description": "", "card": "", "tags": {"a": "b"}},
    "model": {"task": "", "description": "", "card": "", "tags": {"a": "b"}},
    "version": {"description": "", "tags": {"a": "b"}},
    "alias": {"version": 1},
    "deployment": {
        "version": 1,
        "digest": "sha256:" + "a" * 64,
        "serves": "staging",
        "interval_seconds": 60,
    },
    "evaluations": {
        "dataset": {"name": "d", "digest": "sha256:" + "a" * 64},
        "split": "",
        "slice": "",
        "evaluator": "",
        "run": None,
        "metrics": [
            {
                "name": "m",
                "value": 1.0,
                "low": 1.0,
                "high": 1.0,
                "examples": {"digest": "sha256:" + "a" * 64, "count": 1},
            }
        ],
    },
    "webhooks": {"name": "w", "url": "http://127.0.0.1:9/", "events": ["*"]},
    "webhook": {"name": "w", "url": "http://127.0.0.1:9/", "events": ["*"], "active": True},
    "runs": {
        "experiment": "default",
        "started_at": "2026-01-01T00:00:00Z",
        "entry_point": "",
        "command": ["x"],
        "code": {"commit": "a", "untracked": []},
        "environment": {"packages": {}, "hardware": {}},
        "config": {"path": "x", "digest": "sha256:" + "a" * 64, "values": {}},
    },
    "run": {
        "status": "finished",
        "ended_at": "2026-01-01T00:00:00Z",
        "capture": {"state": "complete", "notes": []},
    },
    "run-log": {
        "parameters": {"a": "b"},
        "metrics": [{"key": "k", "value": 1.0, "step": 0, "timestamp": 1}],
        "tags": {"a": "b"},
    },
    "run-datasets": {
        "datasets": [
            {
                "name": "d",
                "digest": "sha256:" + "a" * 64,
                "role": "input",
                "context": "",
                "size": 1,
                "rows": 1,
                "columns": 1,
                "schema": {},
                "source": "",
            }
        ]
    },
    "versions": {
        "upload": "x",
        "run": None,
        "description": "",
        "tags": {},
        "format": "",
        "schema": {},
        "base": [],
    },
    "uploads": {"files": [{"path": "a", "size": 1, "sha256": "a" * 64}]},
    "upload-parts": {"files": [{"index": 0, "parts": [{"number": 1, "size": 1, "sha256": "a" * 64}]}]},
    "upload-complete": {"files": [{"index": 0, "parts": [{"number": 1, "etag": "x", "sha256": "a" * 64}]}]},
    "version-checks": {"name": "integration", "verdict": "pass", "sentence": "", "url": "http://x.example/"},
    "version-promotions": {"target": "production", "reason": ""},
    "model-rollback": {"to": 1, "reason": "x"},
    "policies": {
        "target": "staging",
        "gates": [{"gate": "metric_at_least", "parameters": {"metric": "a", "bound": 0.5}}],
        "approvals": {"count": 1},
    },
    "namespaces": {"name": "x", "description": ""},
    "namespace": {"description": "", "clean_downloads_only": True},
    "redactions": {
        "reason": "x",
        "places": [{"kind": "run", "id": "x", "field": "command", "path": ["a", 0]}],
        "find": None,
    },
    "redactions-find": {"find": "nowhere"},
    "redaction-decide": {"verdict": "reject", "reason": "x"},
    "retention": {"after_days": 90, "keep_former": 2, "enabled": True},
}


def allowed(scene: Scene, name: str, method: str) -> Any:
    """A client that may make this call."""
    rule = RULES[name, method]
    if name.startswith("upload"):
        return scene.cast.client("ben")
    if isinstance(rule, Holds) and rule.permission.value in {
        "promotion.decide", "version.roll_back", "version.suspend"
    }:  # fmt: skip
        return scene.cast.client("cora")
    return scene.cast.client("ada")


def send(scene: Scene, name: str, method: str, body: bytes) -> Any:
    """The answer, undone afterwards."""
    url = reverse(name, kwargs=scene.arguments(ROUTES[name]))
    client = allowed(scene, name, method)
    with transaction.atomic():
        answer = client.generic(method, url, body, "application/json")
        transaction.set_rollback(True)
    return answer


def replaced(body: Any, value: Any) -> list[Any]:
    """The body with each of its parts, however deep, replaced in turn."""
    made = [value]
    if isinstance(body, dict):
        made += [{**body, key: inner} for key in body for inner in replaced(body[key], value)]
    elif isinstance(body, list) and body:
        made += [[inner, *body[1:]] for inner in replaced(body[0], value)]
    return made


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:20]))
def test_what_is_not_an_object_of_json(cast: Cast, body: bytes) -> None:
    url = f"/api/v1/namespaces/{cast.namespace.name}/models"
    answer = cast.client("ben").generic("POST", url, body, "application/json")  # type: ignore[arg-type]
    assert answer.status_code in {400, 422}, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_it_is_the_same_on_every_route(scene: Scene) -> None:
    broken = {}
    for name, method in BODIES:
        for body in ON_EVERY_ROUTE:
            status = send(scene, name, method, body).status_code
            # An empty body is an empty object: enough for what needs nothing said.
            fine = body == b"" or name == "upload-abort"
            fine = fine or (name in SAYS_NOTHING and body.startswith((b"null", b"[{")))
            if not (400 <= status < 500 or (fine and status < 300)):
                broken[name, method, body[:30]] = status
    assert broken == {}


def test_every_field_of_every_route(scene: Scene) -> None:
    broken = {}
    for name, method in BODIES:
        for value in VALUES:
            for body in replaced(USUAL.get(name, {"reason": "x"}), value):
                answer = send(scene, name, method, json.dumps(body).encode())
                if answer.status_code >= 500:
                    broken[name, method, json.dumps(body)[:120]] = answer.status_code
    assert broken == {}


PATHS = ["%00", "%ff%2e%2e", "a" * 3000, "%0a%F0%9F%92%A9'--{}%25"]


def test_every_part_of_every_path(scene: Scene) -> None:
    broken = {}
    for name, method in API:
        route = ROUTES[name]
        for argument in route.arguments:
            if argument in {"id", "number", "index"}:
                continue
            usual = scene.arguments(route)
            url = reverse(name, kwargs={**usual, argument: "HERE"})
            for part in PATHS:
                client = allowed(scene, name, method)
                with transaction.atomic():
                    answer = client.generic(method, url.replace("HERE", part), "{}", "application/json")
                    transaction.set_rollback(True)
                if answer.status_code >= 500:
                    broken[name, method, argument, part[:20]] = answer.status_code
    assert broken == {}


QUERIES = ["\x00", "9" * 500, "", "x" * 3000, "2026-01-01T00:00"]
PAGED = ("limit", "cursor", "\x00")
PARAMETERS: dict[str, tuple[str, ...]] = {
    "search": ("q", "order_by", "namespace", *PAGED),
    "resolve": ("ref",),
    "compare": ("ref",),
    "why": ("a", "b"),
    "events": ("type", "subject", *PAGED),
    "versions": ("stage", *PAGED),
    "promotions": ("namespace", "state", *PAGED),
    "runs": ("experiment", *PAGED),
    "model-production": ("at",),
    "version-lineage": ("direction", "depth"),
    "version-artifact": ("as",),
}


def test_every_query(scene: Scene) -> None:
    broken = {}
    for name, method in API:
        if method != "GET" or name in {"readyz", "schema", "docs"}:
            continue
        url = reverse(name, kwargs=scene.arguments(ROUTES[name]))
        for parameter in PARAMETERS.get(name, PAGED):
            for value in QUERIES:
                with transaction.atomic():
                    answer = allowed(scene, name, method).get(url, {parameter: value})
                    transaction.set_rollback(True)
                if answer.status_code >= 500:
                    broken[name, parameter, value[:20]] = answer.status_code
    assert broken == {}


def test_a_huge_body_is_413(cast: Cast, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    url = f"/api/v1/namespaces/{cast.namespace.name}/models"
    answer = cast.client("ben").post(url, {"name": "x", "card": "y" * 20_000})
    assert answer.status_code == 413
