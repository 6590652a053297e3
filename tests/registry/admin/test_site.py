"""The admin's pages of models: who gets in, what they see, and that nothing can be changed past the actions."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from lifecycle.actions.holds import ask_lift, decide_lift, place_hold
from lifecycle.actions.promotions import move_version
from lifecycle.models import TierMove
from registry.actions.people import create_user, issue_token
from registry.admin.scoped import EstimatingPaginator, ScopedAdmin
from registry.http.access import Holds, SignedInOnly, admin_rules
from registry.models import (
    SYSTEM,
    Event,
    User,
    Webhook,
)
from registry.roles import Permission
from tests.console.scene import Scene, make_scene
from tests.registry.admin.furnished import (
    EDITORS_ONLY,
    LABELS,
    OF_THE_JOURNAL,
    act_page,
    admin_of,
    administrator,
    furnish,
    page,
    row_of,
)


@pytest.fixture
def scene(db: None) -> Scene:
    """The scene, with a row of every kind."""
    return furnish(make_scene(f"-{secrets.token_hex(3)}"))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def told(response: Any) -> str:
    return str(response.content.decode())


def test_every_model_has_a_rule_and_every_rule_a_model() -> None:
    assert set(LABELS) == set(admin_rules())
    assert all(isinstance(each, ScopedAdmin) for each in site._registry.values())


@pytest.mark.parametrize("label", LABELS)
def test_every_action_has_a_rule_and_every_rule_an_action(label: str) -> None:
    pages: Any = admin_of(label)
    offered = {*pages.actions_list, *pages.actions_detail, *pages.actions_row, *pages.actions_submit_line}
    assert offered == set(admin_rules()[label].actions)
    assert pages.actions is None


def test_a_model_without_a_rule_has_no_pages(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(administrator())
    assert client.get(page("registry.Event", "changelist")).status_code == 200
    monkeypatch.delitem(admin_rules(), "registry.Event")
    assert client.get(page("registry.Event", "changelist")).status_code == 403


def test_the_pages_open(scene: Scene) -> None:
    for label in LABELS:
        # Webhooks are their editors'; tokens are one's own.
        client = signed_in(scene.people["ada" if label in EDITORS_ONLY | OF_THE_JOURNAL else "cora"])
        paths = [page(label, "changelist"), page(label, "change", row_of(scene, label).pk)]
        for path in [*paths, f"{paths[0]}?q=card"]:
            assert client.get(path).status_code == 200, path


def test_every_page_of_an_action_opens(scene: Scene) -> None:
    root = signed_in(administrator())
    for label in LABELS:
        for action in admin_rules()[label].actions:
            path = act_page(scene, label, action)
            assert root.get(path).status_code in (200, 302), path


@pytest.mark.parametrize("who", ["the administrator of the platform", "ada"])
def test_nobody_adds_changes_or_deletes(scene: Scene, who: str) -> None:
    """What is done is done by actions, by everybody."""
    client = signed_in(scene.people["ada"] if who == "ada" else administrator())
    for label in LABELS:
        row = row_of(scene, label)
        rows = type(row)._default_manager.filter(pk=row.pk)
        before = list(rows.values())
        everything = {**{field.attname: "1" for field in row._meta.fields}, "post": "yes"}
        for path in (page(label, "add"), page(label, "change", row.pk), page(label, "delete", row.pk)):
            assert client.post(path, everything).status_code == 403, path
        assert client.get(page(label, "add")).status_code == 403
        bulk = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        client.post(page(label, "changelist"), bulk)
        assert list(rows.values()) == before, label


def test_what_is_not_ones_own_is_not_there(scene: Scene) -> None:
    outsider = signed_in(make_scene(f"-{secrets.token_hex(3)}").people["ada"])
    for label in set(LABELS) - OF_THE_JOURNAL:
        row = row_of(scene, label)
        assert outsider.get(page(label, "change", row.pk)).status_code == 404, label
        assert f"/{row.pk}/" not in told(outsider.get(page(label, "changelist"))), label
        for action in admin_rules()[label].actions:
            if action not in admin_of(label).actions_list:  # type: ignore[attr-defined]
                path = act_page(scene, label, action)
                assert outsider.get(path).status_code == 404, path
                assert outsider.post(path, {"reason": "mine"}).status_code == 404, path


def test_a_viewer_may_do_nothing(scene: Scene) -> None:
    viewer = signed_in(scene.people["vera"])
    events = Event.objects.count()
    tried = 0
    for label, rule in admin_rules().items():
        for action, holds in rule.actions.items():
            if isinstance(holds, SignedInOnly) or holds == Holds(Permission.NAMESPACE_READ):
                continue
            path = act_page(scene, label, action)
            for answer in (viewer.get(path), viewer.post(path, {"reason": "because"})):
                assert answer.status_code in (403, 404), path
            kind = "changelist" if action in admin_of(label).actions_list else "change"  # type: ignore[attr-defined]
            row = () if kind == "changelist" else (row_of(scene, label).pk,)
            assert path not in told(viewer.get(page(label, kind, *row)))
            tried += 1
    assert tried > 15
    assert Event.objects.count() == events


def test_people_without_a_role_stay_outside(db: None) -> None:
    client = signed_in(create_user(username=f"new-{secrets.token_hex(3)}", by=SYSTEM))
    assert client.get(page("registry.Event", "changelist")).status_code == 302
    assert Client().get(page("registry.Event", "changelist")).status_code == 302


def test_no_page_tells_a_secret(scene: Scene) -> None:
    token, secret = issue_token(user=scene.people["ada"], name="secretly", by=SYSTEM)
    hook = Webhook.objects.get(namespace=scene.namespace)
    Webhook.objects.filter(pk=hook.pk).update(secret="whsec_not_to_be_told")
    client = signed_in(scene.people["ada"])
    for path in (
        page("registry.ServiceToken", "change", token.pk),
        page("registry.Webhook", "change", hook.pk),
    ):
        shown = told(client.get(path))
        assert secret not in shown
        assert token.digest not in shown
        assert "whsec_" not in shown


def test_roles_are_granted_and_taken_by_the_namespaces_admin(scene: Scene) -> None:
    client = signed_in(scene.people["ada"])
    path = page("registry.Namespace", "change", scene.namespace.pk).removesuffix("change/")
    name = scene.people["mallory"].username
    assert client.post(f"{path}grant/", {"user": name, "role": "viewer"}).status_code == 302
    assert name in told(client.get(f"{path}change/"))
    assert client.post(f"{path}revoke/", {"user": name, "role": "viewer"}).status_code == 302
    client.get(f"{path}change/")  # the message of the change names them once more
    assert name not in told(client.get(f"{path}change/"))
    refused = client.post(f"{path}revoke/", {"user": name, "role": "viewer"})
    assert "does not hold viewer" in told(refused)
    assert "There is no user" in told(client.post(f"{path}grant/", {"user": "nobody", "role": "viewer"}))
    types = list(
        Event.objects.filter(namespace=scene.namespace).order_by("-pk").values_list("type", flat=True)[:2]
    )
    assert types == ["member.revoked", "member.granted"]


def test_members_see_each_others_names_and_no_more(scene: Scene) -> None:
    ben = scene.people["ben"]
    User.objects.filter(pk=ben.pk).update(email="ben@private.example", last_login=timezone.now())
    shown = told(signed_in(scene.people["vera"]).get(page("registry.User", "change", ben.pk)))
    assert ben.username in shown
    assert "ben@private.example" not in shown
    assert "Last login" not in shown
    assert "ben@private.example" in told(
        signed_in(administrator()).get(page("registry.User", "change", ben.pk))
    )


def test_a_token_is_revoked(scene: Scene) -> None:
    token = row_of(scene, "registry.ServiceToken")
    client = signed_in(scene.people["cora"])
    path = page("registry.ServiceToken", "change", token.pk).removesuffix("change/")
    assert "It cannot be brought back" in told(client.get(f"{path}revoke/"))
    assert client.post(f"{path}revoke/").status_code == 302
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_an_account_is_made_and_kept_out_again(scene: Scene) -> None:
    root = signed_in(administrator())
    name = f"nina-{secrets.token_hex(3)}"
    shown = told(root.post(f"{page('registry.User', 'changelist')}new-person/", {"username": name}))
    assert "shown once" in shown
    nina = User.objects.get(username=name)
    path = page("registry.User", "change", nina.pk).removesuffix("change/")
    assert root.post(f"{path}deactivate/").status_code == 302
    nina.refresh_from_db()
    assert not nina.is_active
    assert Event.objects.filter(type="user.deactivated", subject_id=str(nina.pk)).exists()


def test_an_operator_suspends_production(scene: Scene) -> None:
    version = scene.versions[1]
    client = signed_in(scene.people["cora"])
    path = page("registry.RegisteredModel", "change", version.model_id).removesuffix("change/")
    shown = told(client.get(f"{path}suspend/"))
    assert "can never be rolled back to again" in shown
    assert "This field is required" in told(client.post(f"{path}suspend/", {"reason": " "}))
    assert client.post(f"{path}suspend/", {"reason": "scores everything as fraud"}).status_code == 302
    assert type(version).objects.get(pk=version.pk).stage == "deprecated"
    assert f"{path}suspend/" not in told(client.get(f"{path}change/"))


def test_a_version_is_deleted_and_read_as_a_tombstone(scene: Scene) -> None:
    version = scene.versions[0]
    eve = signed_in(scene.people["eve"])
    path = page("registry.ModelVersion", "change", version.pk).removesuffix("change/")
    assert signed_in(scene.people["vera"]).get(f"{path}delete-for-good/").status_code == 403
    shown = told(eve.get(f"{path}delete-for-good/"))
    assert "It can never be downloaded, promoted or restored again" in shown
    assert "nothing else needs will be removed after 7 days" in shown
    hold = place_hold(version=version, reason="Case 12.", by=scene.principal("ada"))
    refused = told(eve.post(f"{path}delete-for-good/", {"reason": "obsolete"}))
    assert "cannot be deleted: this stands against it." in refused
    assert "Case 12." in refused
    ask_lift(hold=hold, reason="settled", by=scene.principal("ada"))
    decide_lift(hold=hold, verdict="grant", reason="seen", by=scene.principal("cora"))
    assert eve.post(f"{path}delete-for-good/", {"reason": "obsolete since May"}).status_code == 302
    assert type(version).objects.get(pk=version.pk).status == "deleted"
    changed = told(eve.get(f"{path}change/"))
    assert "obsolete since May" in changed
    assert f"{path}delete-for-good/" not in changed
    model = version.model
    console = told(eve.get(reverse("version-page", args=[model.namespace.name, model.name, version.number])))
    assert "Obsolete since May. It cannot be fetched or used any more" in console
    assert "assay pull" not in console


def test_retention_is_set_and_run(scene: Scene) -> None:
    client = signed_in(scene.people["ada"])
    policy = row_of(scene, "lifecycle.RetentionPolicy")
    path = page("lifecycle.RetentionPolicy", "change", policy.pk).removesuffix("change/")
    assert client.post(f"{path}edit/", {"after_days": 0, "keep_former": 0}).status_code == 302
    policy.refresh_from_db()
    assert (policy.after_days, policy.keep_former, policy.enabled) == (0, 0, False)
    assert scene.versions[0].reference in told(client.get(f"{path}run-now/"))
    assert client.post(f"{path}run-now/").status_code == 302
    assert TierMove.objects.filter(version=scene.versions[0]).exists()


def test_an_operator_rolls_back(scene: Scene) -> None:
    first = scene.versions[0]
    client = signed_in(scene.people["cora"])
    path = page("registry.RegisteredModel", "change", first.model_id).removesuffix("change/")
    assert "version 1, in production until" in told(client.get(f"{path}roll-back/"))
    assert client.post(f"{path}roll-back/", {"to": 1, "reason": "recall fell in Portugal"}).status_code == 302
    assert first.promotions.filter(kind="rollback", reason="recall fell in Portugal").exists()
    # Version 3 was never in production, so the page does not know it.
    assert "Select a valid choice" in told(client.post(f"{path}roll-back/", {"to": 3, "reason": "x"}))


def test_a_refusal_is_told_on_the_page_it_was_asked_on(scene: Scene) -> None:
    first = scene.versions[0]
    client = signed_in(scene.people["cora"])
    path = page("registry.RegisteredModel", "change", first.model_id).removesuffix("change/")
    client.post(f"{path}roll-back/", {"to": 1, "reason": "once"})
    again = client.post(f"{path}roll-back/", {"to": 1, "reason": "twice"})
    assert again.status_code == 200
    assert "is under way already" in told(again)


def test_lists_cost_the_same_however_long_they_are(scene: Scene) -> None:
    client = signed_in(administrator())

    def queries() -> dict[str, int]:
        found = {}
        for label in LABELS:
            client.get(page(label, "changelist"))
            with CaptureQueriesContext(connection) as seen:
                client.get(page(label, "changelist"))
            found[label] = len(seen)
        return found

    before = queries()
    make_scene(f"-{secrets.token_hex(3)}")
    assert {label: count for label, count in queries().items() if count > before[label]} == {}


def test_a_large_table_is_not_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.admin.scoped.COUNTED_EXACTLY_BELOW", 0)
    with CaptureQueriesContext(connection) as seen:
        assert EstimatingPaginator(Event.objects.order_by("pk"), 50).count > 0
    assert [q["sql"].split("(")[0] for q in seen] == ["EXPLAIN "]
    assert EstimatingPaginator(Event.objects.none(), 50).count == 0


def test_the_journal_filters(scene: Scene) -> None:
    move_version(version=scene.versions[2], move="demote", reason="no", by=scene.principal("eve"))
    client = signed_in(scene.people["vera"])
    shown = told(client.get(page("registry.Event", "changelist"), {"type": "version.demoted"}))
    assert "version.demoted" in shown
    assert "member.granted</a>" not in shown
    assert str(Event.objects.get(type="version.demoted", namespace=scene.namespace).pk) in shown
    assert shown.count("field-about") == 1
