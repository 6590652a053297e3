"""The description of the interface, and its page, which needs no exception in the content policy."""

from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import get_resolver

from tests.api.routes import walk
from tests.cast import Cast


def session(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.user("vera"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_route_of_the_interface_is_described(cast: Cast) -> None:
    answer = cast.client("vera").get("/api/v1/schema/", headers={"Accept": "application/json"})
    described = {
        (path, method.upper()) for path, methods in answer.json()["paths"].items() for method in methods
    }
    from_routes = {
        ("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path), method)
        for route in walk(get_resolver().url_patterns)
        if route.of_api and route.name not in {"schema", "docs"}
        for method in route.methods or ()
    }
    assert from_routes <= described
    assert answer.json()["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    ids = [m["operationId"] for methods in answer.json()["paths"].values() for m in methods.values()]
    assert len(ids) == len(set(ids))


def test_the_page_holds_nothing_inline(cast: Cast) -> None:
    client = session(cast)
    page = client.get("/api/v1/docs/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "<style" not in text
    assert " style=" not in text
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 3
    for attributes, body in scripts:
        source = re.search(r'src="(/[^"/][^"]*)"', attributes)
        assert source
        assert body.strip() == ""
        static = source[1].removeprefix("/static/")
        assert finders.find(static) if static != source[1] else client.get(source[1]).status_code == 200
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_it_is_for_those_who_are_signed_in() -> None:
    for path in ("/api/v1/docs/", "/api/v1/schema/"):
        assert Client().get(path).status_code == 401
