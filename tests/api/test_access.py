"""Who may what: every route and method, tried by everybody. A route without a rule is red here."""

from __future__ import annotations

import itertools
import types
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import get_resolver, path, reverse
from rest_framework.test import APIClient
from rest_framework.views import APIView

from config import urls as config_urls
from config.rules import ADMIN_RULES, RULES
from registry.http.access import Anybody, Holds, SignedInOnly, Staff, Superuser
from registry.models import User
from registry.roles import ROLES, Role
from tests.api.routes import problems, walk
from tests.api.scene import Scene, scene
from tests.cast import ROLES as CAST_ROLES
from tests.cast import Cast

__all__ = ["scene"]

MEMBERS = tuple(CAST_ROLES)
ROUTES = {route.name: route for route in walk(get_resolver().url_patterns) if route.name}
API = sorted(
    (route.name, method)
    for route in ROUTES.values()
    if route.of_api or route.name in {"healthz", "readyz"}
    for method in route.methods or ()
)
UNSAFE = [(name, method) for name, method in API if method != "GET"]
IN_A_NAMESPACE = [(name, method) for name, method in API if isinstance(RULES.get((name, method)), Holds)]
# Uploads are their maker's, and what is written to a run is its own account's: others make their own.
OWN = {
    (name, method): "ben"
    for name, method in API
    if name == "upload"
    or name.startswith("upload-")
    or (name == "version-attachments" and method == "POST")
    or (name.startswith("run") and name != "runs" and method != "GET")
}
# What ada asked is confirmed by somebody else.
OWN["grant-confirm", "POST"] = "cora"

# Routes for any known caller, and what they find of another's namespace: the query, and a stranger's answer.
SIGNED_IN: dict[tuple[str, str], tuple[str, int]] = {
    ("schema", "GET"): ("", 200),
    ("docs", "GET"): ("", 200),
    ("whoami", "GET"): ("", 200),
    ("whoami", "PATCH"): ("", 422),
    ("tokens", "GET"): ("", 200),
    ("tokens", "POST"): ("", 422),
    ("token", "DELETE"): ("", 404),
    ("namespaces", "GET"): ("", 200),
    ("resolve", "GET"): ("ref={ref}", 404),
    ("search", "GET"): ("namespace={namespace}", 404),
    ("journal-checkpoint", "GET"): ("", 200),
    ("compare", "GET"): ("ref={ref}&ref={other}", 404),
    ("lineage-graph", "GET"): ("node={ref}", 404),
    ("lineage-path", "GET"): ("from={ref}&to={other}", 404),
    ("impact", "GET"): ("base={ref}", 404),
    ("impact", "POST"): ("", 422),
    ("why", "GET"): ("a={ref}&b={other}", 404),
    ("lineage-events", "POST"): ("namespace={namespace}", 404),
    ("incidents", "GET"): ("namespace={namespace}", 404),
    ("freezes", "GET"): ("", 200),
    ("broken-glass", "GET"): ("", 200),
    ("promotion-withdraw", "POST"): ("", 404),
    ("freeze-end", "POST"): ("", 404),
    ("quarantines", "GET"): ("namespace={namespace}", 404),
    ("quarantines", "POST"): ("", 422),
    ("quarantine-lift", "POST"): ("", 422),
    ("promotions", "GET"): ("namespace={namespace}", 200),
    ("waivers", "GET"): ("namespace={namespace}", 404),
    ("holds", "GET"): ("namespace={namespace}", 404),
}


# ---- the table


def test_every_route_and_method_has_its_rule_and_every_rule_its_route() -> None:
    assert problems(walk(get_resolver().url_patterns), RULES, ADMIN_RULES) == []


def test_the_walk_sees_the_routes() -> None:
    assert len(API) > 60
    assert {"whoami", "version", "home", "admin:index", "admin:desk-promotion"} <= set(ROUTES)


def test_every_signed_in_route_says_what_a_stranger_finds() -> None:
    open_routes = {key for key in API if isinstance(RULES[key], SignedInOnly)}
    assert open_routes == set(SIGNED_IN)


class Unlisted(APIView):
    """A view that somebody added and forgot to rule."""

    permission_classes = ()

    def get(self, request: Any) -> HttpResponse:
        return HttpResponse("open")


class ListedForGetOnly(Unlisted):
    def delete(self, request: Any) -> HttpResponse:
        return HttpResponse("gone")


def test_an_added_route_without_a_rule_is_found() -> None:
    added = [*config_urls.urlpatterns, path("api/v1/unlisted", Unlisted.as_view(), name="unlisted")]
    assert problems(walk(added), RULES, ADMIN_RULES) == ["GET unlisted (api/v1/unlisted) has no rule"]


def test_an_added_method_without_a_rule_is_found() -> None:
    rules = {**RULES, ("half", "GET"): Anybody("a test")}
    added = [*config_urls.urlpatterns, path("api/v1/half", ListedForGetOnly.as_view(), name="half")]
    assert problems(walk(added), rules, ADMIN_RULES) == ["DELETE half (api/v1/half) has no rule"]


def test_a_nameless_route_a_dead_rule_and_an_unruled_admin_are_found() -> None:
    added = [*config_urls.urlpatterns, path("api/v1/nameless", Unlisted.as_view())]
    rules = {**RULES, ("never", "GET"): Anybody("a test")}
    admin_rules = {label: rule for label, rule in ADMIN_RULES.items() if label != "registry.Webhook"}
    found = problems(walk(added), rules, admin_rules)
    assert "api/v1/nameless has no name, so no rule can be found for it" in found
    assert "the rule of GET never is of no route" in found
    assert "the admin of registry.Webhook has no rule" in found


class NoClasses(APIView):
    """A view that says nothing of who may."""

    def get(self, request: Any) -> HttpResponse:
        return HttpResponse("open")


@pytest.mark.django_db
def test_and_is_refused_when_it_is_called(cast: Cast) -> None:
    module = types.ModuleType("added_urls")
    added = path("api/v1/forgotten", NoClasses.as_view(), name="forgotten")
    module.urlpatterns = [*config_urls.urlpatterns, added]  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=module):
        assert cast.client("ada").get("/api/v1/forgotten").status_code == 403
        assert cast.client(None).get("/api/v1/forgotten").status_code == 401


# ---- the REST interface, by everybody


def call(client: Client, scene: Scene, name: str, method: str, query: str = "") -> Any:
    """The answer to a request with an empty body, undone afterwards."""
    route = ROUTES[name]
    url = reverse(name, kwargs=scene.arguments(route))
    told = {"ref": scene.reference(1), "other": scene.reference(2), "namespace": scene.cast.namespace.name}
    with transaction.atomic():
        answer = client.generic(
            method, f"{url}?{query.format(**told)}", b"{}" if method != "GET" else b"", "application/json"
        )
        transaction.set_rollback(True)
    return answer


def test_nobody_gets_in_without_a_token(scene: Scene) -> None:
    wrong = {}
    for name, method in API:
        status = call(scene.cast.client(None), scene, name, method).status_code
        if status != (200 if isinstance(RULES[name, method], Anybody) else 401):
            wrong[name, method] = status
    assert wrong == {}


def test_the_stranger_gets_404_for_everything_of_the_namespace(scene: Scene) -> None:
    client = scene.cast.client("mallory")
    answers = {
        (name, method): call(client, scene, name, method).status_code for name, method in IN_A_NAMESPACE
    }
    assert len(answers) > 50
    assert {key: status for key, status in answers.items() if status != 404} == {}


def test_the_stranger_cannot_tell_it_from_nothing(scene: Scene) -> None:
    """The same answer for what is another's and for what is not there, names aside."""
    client = scene.cast.client("mallory")
    for name in ("namespace", "models", "model", "version", "events", "webhooks"):
        url = reverse(name, kwargs=scene.arguments(ROUTES[name]))
        real = client.get(url)
        never = client.get(url.replace(scene.cast.namespace.name, "never-was"))
        assert real.json()["detail"].replace(scene.cast.namespace.name, "never-was") == never.json()["detail"]
        assert real.status_code == never.status_code == 404


def test_members_may_what_their_role_says(scene: Scene) -> None:
    wrong = {}
    for who, (name, method) in itertools.product(MEMBERS, IN_A_NAMESPACE):
        client, held = scene.cast.client(who), ROLES[CAST_ROLES[who]]
        rule = RULES[name, method]
        assert isinstance(rule, Holds)
        status = call(client, scene, name, method).status_code
        if rule.permission not in held:
            right = status == 403
        elif OWN.get((name, method), who) != who:
            right = status < 500 and status != 401
        else:
            right = status < 500 and status not in {401, 403, 404, 405}
        if not right:
            wrong[name, method] = status
    assert wrong == {}


def test_what_anybody_signed_in_may_call_tells_strangers_nothing(scene: Scene) -> None:
    for (name, method), (query, expected) in SIGNED_IN.items():
        answer = call(scene.cast.client("mallory"), scene, name, method, query)
        assert answer.status_code == expected, (name, method, answer.content)
        told = answer.content.decode()
        if answer.status_code == 200:
            assert scene.cast.namespace.name not in told, name
            assert str(scene.token.pk) not in told, name
        owner = call(scene.cast.client("ben"), scene, name, method, query)
        # Of what he sees ben, who asks for no promotions, may not take one back.
        refused = {403} if name == "promotion-withdraw" else set()
        assert owner.status_code in {200, 204, 422} | refused, (name, method, owner.content)


def test_what_is_the_platforms_is_refused_to_all_but_its_administrators(scene: Scene) -> None:
    platform = [key for key in API if isinstance(RULES[key], Superuser)]
    assert platform == [
        ("freezes", "POST"),
        ("garbage", "GET"),
        ("garbage-run", "POST"),
        ("namespaces", "POST"),
    ]
    for who, (name, method) in itertools.product((*MEMBERS, "mallory"), platform):
        assert call(scene.cast.client(who), scene, name, method).status_code == 403
    User.objects.filter(pk=scene.cast.user("ada").pk).update(is_superuser=True)
    assert call(scene.cast.client("ada"), scene, "namespaces", "POST").status_code == 422


def test_a_bound_token_of_an_administrator_is_not_the_administrator(scene: Scene) -> None:
    ada = scene.cast.user("ada")
    User.objects.filter(pk=ada.pk).update(is_superuser=True)
    client = scene.cast.client("ada")
    token = scene.cast.tokens["ada"]
    token.namespace = scene.cast.namespace
    token.save()
    assert call(client, scene, "namespaces", "POST").status_code == 403


def test_methods_that_are_not_there_answer_405(scene: Scene) -> None:
    client = scene.cast.client("ada")
    for route in ROUTES.values():
        if route.of_api and route.methods and route.name not in {"schema", "docs"}:
            absent = next(m for m in ("DELETE", "PUT", "PATCH") if m not in route.methods)
            assert call(client, scene, route.name, absent).status_code == 405, route


# ---- sessions, tokens


def test_a_session_without_a_csrf_token_changes_nothing(scene: Scene) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(scene.cast.user("ada"), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/api/v1/whoami").status_code == 200
    for name, method in UNSAFE:
        answer = call(client, scene, name, method)
        assert answer.status_code == 403, (name, method)
        assert "CSRF" in answer.json()["detail"], (name, method, answer.content)


def test_a_session_with_one_does(scene: Scene) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(scene.cast.user("ada"), backend="django.contrib.auth.backends.ModelBackend")
    client.cookies["csrftoken"] = "a" * 32
    url = f"/api/v1/namespaces/{scene.cast.namespace.name}/models"
    answer = client.post(url, {"name": "by-session"}, headers={"X-CSRFToken": "a" * 32})
    assert answer.status_code == 201, answer.content


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_other_kinds_of_bodies_are_refused(cast: Cast, kind: str) -> None:
    url = f"/api/v1/namespaces/{cast.namespace.name}/models"
    answer = cast.client("ben").generic("POST", url, '{"name": "x"}', kind)
    assert answer.status_code == 415


def test_a_disabled_persons_token_is_dead_at_once(cast: Cast) -> None:
    client = cast.client("ben")
    assert client.get("/api/v1/whoami").status_code == 200
    User.objects.filter(pk=cast.user("ben").pk).update(is_active=False)
    assert client.get("/api/v1/whoami").status_code == 401


def test_a_role_taken_away_is_gone_at_once(cast: Cast) -> None:
    url = f"/api/v1/namespaces/{cast.namespace.name}"
    client = cast.client("vera")
    assert client.get(url).status_code == 200
    gone = cast.client("ada").delete(f"{url}/members/{cast.user('vera').username}/viewer")
    assert gone.status_code == 204
    assert client.get(url).status_code == 404


def test_a_token_holds_no_more_than_its_scopes(cast: Cast) -> None:
    url = f"/api/v1/namespaces/{cast.namespace.name}/models"
    client = cast.client("ada")
    token = cast.tokens["ada"]
    token.scopes = ["namespace.read"]
    token.save()
    assert client.get(url).status_code == 200
    assert client.post(url, {"name": "x"}).status_code == 403
    assert client.post("/api/v1/tokens", {"name": "more"}).status_code == 403


# ---- the admin and the console


def session(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_pages_of_the_namespace_are_not_there_for_strangers(scene: Scene) -> None:
    pages = [
        (name, method)
        for (name, method), rule in RULES.items()
        if isinstance(rule, Holds) and not ROUTES[name].of_api
    ]
    assert ("version-page", "GET") in pages
    for name, method in pages:
        assert call(session(scene.cast.user("mallory")), scene, name, method).status_code == 404, name
        assert call(Client(), scene, name, method).status_code == 302, name
        if method == "GET":
            assert call(session(scene.cast.user("vera")), scene, name, method).status_code == 200, name


def test_the_admin_is_entered_by_those_with_a_role(scene: Scene) -> None:
    outsider = User.objects.create(username="out", is_staff=True)
    for name, rule in ((n, r) for (n, m), r in RULES.items() if isinstance(r, Staff) and m == "GET"):
        if ROUTES[name].arguments or name == "admin:autocomplete":
            continue
        url = reverse(name)
        assert Client().get(url).status_code == 302, (name, rule)
        assert session(outsider).get(url).status_code == 302, name
        assert session(scene.cast.user("vera")).get(url, follow=True).status_code == 200, name


def test_roles_of_the_cast_are_those_of_the_product() -> None:
    assert set(CAST_ROLES.values()) == set(Role)
