"""Crafted addresses and forms: no filter but the declared ones, and never an error of the server's own."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from registry.models import Delivery, Event, Namespace, User, Webhook
from tests.console.scene import Scene
from tests.registry.admin.furnished import LABELS, admin_of, administrator, page
from tests.registry.admin.test_site import scene, signed_in, told

__all__ = ["scene"]

NUL = "\x00"
ODD = [NUL, "x", "9" * 5000, "-1", "2026-13-45", "ü", "'\"%s", "[1]"]
ODD_IDS = ["%00", "x", "9" * 400, "9" * 5000, "_3F", "_00", "-1", "1e9", "%ff", "a" * 3000]
BY_NAMESPACE = [
    "registry.Event", "registry.Webhook", "registry.RegisteredModel", "lineage.Run", "lineage.Dataset",
    "lifecycle.Policy",
]  # fmt: skip


def client_of(scene: Scene, who: str) -> Client:
    """Whoever it is; what breaks is an answer of 500, as for a browser."""
    client = signed_in(administrator() if who == "root" else scene.people[who])
    client.raise_request_exception = False
    return client


def rows_shown(client: Client, label: str, asked: dict[str, str]) -> str:
    """The list as it is shown for these parameters; nothing when they are refused."""
    answer = client.get(page(label, "changelist"), asked)
    if answer.status_code == 302:
        assert answer["Location"].endswith("?e=1")
    return told(answer) if answer.status_code == 200 else ""


@pytest.mark.parametrize("who", ["root", "ada"])
@pytest.mark.parametrize("lookup", ["{}__startswith", "{}__regex", "{}__isnull", "{}__in", "{}"])
def test_no_list_is_filtered_by_what_it_does_not_offer(scene: Scene, who: str, lookup: str) -> None:
    """A filter that is not offered answers alike, whatever is asked: nothing is learnt of what is not shown."""
    client = client_of(scene, who)
    for label in LABELS:
        for field in admin_of(label).model._meta.fields:
            key = lookup.format(field.name)
            if key in {"namespace", "type"} or field.name in admin_of(label).list_filter:
                continue
            answer = client.get(page(label, "changelist"), {key: "1"})
            refused = (answer.status_code, answer.get("Location"))
            assert refused == (302, f"{page(label, 'changelist')}?e=1"), (label, key)


def test_a_secret_is_not_guessed_letter_by_letter(scene: Scene) -> None:
    hook = Webhook.objects.get(namespace=scene.namespace)
    ada = scene.people["ada"]
    for who in ("vera", "ada"):
        client = client_of(scene, who)
        assert hook.url not in rows_shown(client, "registry.Webhook", {"secret__startswith": hook.secret})
        assert ada.username not in rows_shown(
            client, "registry.User", {"password__startswith": ada.password[:9]}
        )


def test_the_offered_filters_filter(scene: Scene) -> None:
    client = client_of(scene, "ada")
    User.objects.filter(pk=scene.people["ben"].pk).update(is_active=False)
    shown = rows_shown(client, "registry.User", {"is_active__exact": "0"})
    assert scene.people["ben"].username in shown
    assert scene.people["eve"].username not in shown
    here = {"namespace": str(scene.namespace.pk)}
    assert "http://127.0.0.1:9/" in rows_shown(client, "registry.Webhook", {**here, "active__exact": "1"})
    assert "http://127.0.0.1:9/" not in rows_shown(client, "registry.Webhook", {"active__exact": "0"})


def test_who_administers_the_platform_is_not_told_to_members(scene: Scene) -> None:
    User.objects.filter(pk=scene.people["ben"].pk).update(is_superuser=True)
    name = scene.people["ben"].username
    vera = client_of(scene, "vera")
    assert name not in rows_shown(vera, "registry.User", {"is_superuser__exact": "1"})
    assert "is_superuser" not in rows_shown(vera, "registry.User", {})
    assert name in rows_shown(client_of(scene, "root"), "registry.User", {"is_superuser__exact": "1"})


@pytest.mark.parametrize("who", ["vera", "cora", "ben"])
def test_webhooks_are_shown_to_who_may_edit_them(scene: Scene, who: str) -> None:
    hook = Webhook.objects.get(namespace=scene.namespace)
    delivery = Delivery.objects.get(webhook=hook)
    pages = {"registry.Webhook": hook.pk, "registry.Delivery": delivery.pk}
    for label, key in pages.items():
        assert client_of(scene, who).get(page(label, "change", key)).status_code == 404
        assert str(key) not in rows_shown(client_of(scene, who), label, {})
        assert client_of(scene, "ada").get(page(label, "change", key)).status_code == 200
        assert str(key) in rows_shown(client_of(scene, "ada"), label, {})


@pytest.mark.parametrize("label", BY_NAMESPACE)
@pytest.mark.parametrize("value", ["x", "9" * 400, "-1"])
def test_a_namespace_that_is_none_is_refused(scene: Scene, label: str, value: str) -> None:
    answer = client_of(scene, "ada").get(page(label, "changelist"), {"namespace": value})
    assert (answer.status_code, answer["Location"]) == (302, f"{page(label, 'changelist')}?e=1")


def test_odd_values_break_no_list(scene: Scene) -> None:
    """Each key with two of the values, on a list of each in turn: all of each with all takes minutes."""
    broken: dict[Any, int] = {}
    own = ["q", "o", "p", "all", "e", "_facets", "_popup", "_to_field", "_changelist_filters"]
    for begin, who in enumerate(("root", "vera")):
        client = client_of(scene, who)
        for place, label in list(enumerate(LABELS))[begin::2]:
            offered = [f"{f}__exact" for f in admin_of(label).list_filter if isinstance(f, str)]
            keys = [*own, *offered, "namespace", "type", "revoked_at__gte", "id__in"]
            for turn, key in enumerate(keys, start=place):
                for value in (ODD[turn % len(ODD)], ODD[(turn + len(ODD) // 2) % len(ODD)]):
                    status = client.get(page(label, "changelist"), {key: value}).status_code
                    if status >= 500:
                        broken[who, label, key, value[:9]] = status
    assert broken == {}


def test_odd_ids_break_no_page(scene: Scene) -> None:
    broken: dict[Any, int] = {}
    client = client_of(scene, "root")
    for label in LABELS:
        for odd in ODD_IDS:
            rows = f"{page(label, 'changelist')}{odd}/"
            acts = [f"{name.replace('_', '-')}/" for name in admin_of(label).actions_detail]  # type: ignore[attr-defined]
            for end in ("change/", "history/", "delete/", "", *acts):
                status = client.get(rows + end).status_code
                if status >= 400 and status not in (400, 403, 404):
                    broken[label, odd[:9], end] = status
    for odd in ODD_IDS:
        for path in (f"/admin/desk/{odd}/", f"/admin/r/{odd}/1/", f"/admin/r/1/{odd}/"):
            if client.get(path).status_code >= 500:
                broken[path[:20]] = 500
    assert broken == {}


def test_the_shortcut_to_a_row_leads_nowhere(scene: Scene) -> None:
    """Django's `/admin/r/` finds a row of any model whatever one may see: here nobody is told that it is there."""
    kind = ContentType.objects.get_for_model(Namespace).pk
    for who in ("root", "vera"):
        for key in (scene.namespace.pk, "x"):
            answer = client_of(scene, who).get(f"/admin/r/{kind}/{key}/")
            assert answer.status_code == 404
            assert "get_absolute_url" not in told(answer)


@pytest.mark.parametrize(
    "form",
    [
        {"username": "x" * 5000, "password": "y"},
        {"username": "x" * 151, "password": "y"},
        {"username": f"a{NUL}", "password": "y"},
        {"username": "a", "password": NUL},
        {"username": "a", "password": "y" * 5001},
    ],
)
def test_a_log_in_nobody_could_have_is_refused(db: None, form: dict[str, str]) -> None:
    answer = Client(raise_request_exception=False).post("/admin/login/", form)
    assert answer.status_code == 200
    assert set(answer.context["form"].errors) in ({"username"}, {"password"})


@pytest.mark.parametrize("name", ["a b/c", "x" * 151, "-\u202e", NUL, "!"])
def test_a_person_who_cannot_be_named_so_is_refused_on_the_form(scene: Scene, name: str) -> None:
    root = client_of(scene, "root")
    people = User.objects.count()
    path = f"{page('registry.User', 'changelist')}new-person/"
    answer = root.post(path, {"username": name})
    assert answer.status_code == 200
    assert set(answer.context["form"].errors) == {"username"}
    assert User.objects.count() == people


@pytest.mark.parametrize("name", ["A B", "../x", "x" * 101, "ü"])
def test_a_namespace_that_cannot_be_named_so_is_refused_on_the_form(scene: Scene, name: str) -> None:
    root = client_of(scene, "root")
    events = Event.objects.count()
    path = f"{page('registry.Namespace', 'changelist')}new-namespace/"
    answer = root.post(path, {"name": name})
    assert answer.status_code == 200
    assert set(answer.context["form"].errors) == {"name"}
    assert Event.objects.count() == events


@pytest.mark.parametrize(
    "path",
    [
        "/?q=name~%22%00%22", "/?q=%00", "/?q=x&order_by=metric.%00", "/?q=x&order_by=%00", "/m/%00/x",
        "/admin/registry/modelversion/?state__exact=%00", "/admin/lifecycle/promotion/?state__exact=%00",
        "/admin/search/?s=%00", "/admin/login/?next=%00", "/admin/desk/?%00=1",
    ],
)  # fmt: skip
def test_no_address_holds_a_nul(scene: Scene, path: str) -> None:
    answer = client_of(scene, "root").get(path)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/plain")
    assert "NUL" in told(answer)


@pytest.mark.parametrize("path", ["/api/v1/schema/?version=%00", "/api/v1/docs/?x=%00"])
def test_no_address_of_the_interface_holds_one_either(scene: Scene, path: str) -> None:
    assert client_of(scene, "root").get(path).status_code == 400


def test_no_cookie_holds_a_nul(db: None) -> None:
    """A quoted cookie may write one that no web server sees."""
    client = Client(raise_request_exception=False)
    answer = client.get("/", headers={"Cookie": r'sessionid="aaaaaaaaaa\000"'})
    assert answer.status_code == 400


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_a_reason_with_a_nul_decides_nothing(scene: Scene, verdict: str) -> None:
    path = f"/admin/desk/{scene.waiting.pk}/"
    answer = client_of(scene, "cora").post(path, {"verdict": verdict, "reason": f"a{NUL}b"})
    assert (answer.status_code, answer["Location"]) == (302, path)
    scene.waiting.refresh_from_db()
    assert scene.waiting.state == "awaiting_approval"
