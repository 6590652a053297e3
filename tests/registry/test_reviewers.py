"""Designating reviewers of one model: by whom, whom, and that it is told."""

from __future__ import annotations

import pytest
from django.test import Client

from registry.actions.models import create_model
from registry.actions.reviewers import designate_reviewer, dismiss_reviewer
from registry.errors import Forbidden, InvalidInput
from registry.models import Event, RegisteredModel
from registry.permissions import designated_reviewers, is_designated_reviewer
from tests.cast import Cast


@pytest.fixture
def model(cast: Cast) -> RegisteredModel:
    return create_model(namespace=cast.namespace, name="scorer", by=cast.principal("ben"))


def told(cast: Cast) -> list[tuple[str, object, object]]:
    rows = Event.objects.filter(namespace=cast.namespace, type__startswith="reviewer.").order_by("pk")
    return [(row.type, row.before, row.after) for row in rows]


def test_it_works(cast: Cast, model: RegisteredModel) -> None:
    other = create_model(namespace=cast.namespace, name="other", by=cast.principal("ben"))
    otto, ada = cast.user("otto"), cast.principal("ada")
    assert designate_reviewer(model=model, user=otto, by=ada)
    assert not designate_reviewer(model=model, user=otto, by=ada), "again changes nothing"
    assert designated_reviewers(model) == [otto]
    assert not is_designated_reviewer(cast.principal("otto"), other)
    dismiss_reviewer(model=model, user=otto, by=ada)
    assert designated_reviewers(model) == []
    with pytest.raises(InvalidInput, match="is no designated reviewer"):
        dismiss_reviewer(model=model, user=otto, by=ada)
    reviewer = {"reviewer": otto.username}
    assert told(cast) == [("reviewer.designated", None, reviewer), ("reviewer.dismissed", reviewer, None)]


def test_only_who_gives_roles_designates_and_only_people_of_the_namespace(
    cast: Cast, model: RegisteredModel
) -> None:
    for who in ("eve", "cora", "ben"):
        with pytest.raises(Forbidden, match="namespace_admin"):
            designate_reviewer(model=model, user=cast.user("otto"), by=cast.principal(who))
        with pytest.raises(Forbidden):
            dismiss_reviewer(model=model, user=cast.user("otto"), by=cast.principal(who))
    with pytest.raises(InvalidInput, match="grant one first"):
        designate_reviewer(model=model, user=cast.user("mallory"), by=cast.principal("ada"))
    with pytest.raises(InvalidInput, match="no active person"):
        designate_reviewer(model=model, user=cast.user("ci"), by=cast.principal("ada"))
    assert told(cast) == []


def test_over_rest_and_on_the_page(cast: Cast, model: RegisteredModel) -> None:
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/reviewers"
    otto, client = cast.user("otto").username, cast.client("ada")
    assert client.post(path, {"user": otto}, format="json").status_code == 201
    assert client.post(path, {"user": otto}, format="json").status_code == 200
    assert cast.client("vera").get(path).json()["results"] == [{"user": otto}]
    assert client.delete(f"{path}/{otto}").status_code == 204
    assert client.post(path, {"user": "nobody-at-all"}, format="json").status_code == 422

    admin = Client()
    admin.force_login(cast.user("ada"), backend="django.contrib.auth.backends.ModelBackend")
    page = f"/admin/registry/registeredmodel/{model.pk}"
    sent = {"what": "designate", "user": otto}
    assert admin.post(f"{page}/reviewers/", sent).status_code == 302
    assert f"Designated now: {otto}." in admin.get(f"{page}/reviewers/").content.decode()
    shown = " ".join(admin.get(f"{page}/change/").content.decode().split())
    assert f"<td>Designated for this model</td><td>{otto}</td>" in shown
    assert f"<td>May decide in the namespace</td><td>{cast.user('cora').username}" in shown
    refused = admin.post(f"{page}/reviewers/", {**sent, "user": cast.user("mallory").username})
    assert "grant one first" in refused.content.decode()
