"""Who one is, one's tokens, namespaces and their members, the journal, over REST."""

from __future__ import annotations

import pytest

from registry import __version__
from registry.actions.people import create_user
from registry.errors import InvalidInput
from registry.models import SYSTEM, Event, User
from tests.architecture.tree import pyproject
from tests.cast import Cast
from tests.factories import ready_version


def test_whoami(cast: Cast) -> None:
    told = cast.client("ci").get("/api/v1/whoami").json()
    assert (told["user"], told["service"]) == (cast.user("ci").username, True)
    assert told["token"]["prefix"] == cast.tokens["ci"].prefix
    (namespace,) = told["namespaces"]
    assert (namespace["name"], namespace["roles"]) == (cast.namespace.name, ["data_scientist"])
    assert "version.create" in namespace["permissions"]
    assert "role.grant" not in namespace["permissions"]


def test_whoami_counts_the_tokens_scopes(cast: Cast) -> None:
    client = cast.client("ada")
    cast.tokens["ada"].scopes = ["namespace.read", "model.create"]
    cast.tokens["ada"].save()
    (namespace,) = client.get("/api/v1/whoami").json()["namespaces"]
    assert namespace["permissions"] == ["model.create", "namespace.read"]


def test_the_version_is_the_projects() -> None:
    assert pyproject()["project"]["version"] == __version__


def test_a_token_is_shown_once_and_ends_at_once(cast: Cast) -> None:
    ben = cast.client("ben")
    made = ben.post(
        "/api/v1/tokens", {"name": "laptop", "namespace": cast.namespace.name, "expires_in_days": 7}
    )
    assert made.status_code == 201, made.content
    secret = made.json()["token"]
    listed = ben.get("/api/v1/tokens")
    assert secret not in listed.content.decode()
    assert made.json()["id"] in {token["id"] for token in listed.json()["results"]}
    laptop = cast.client(None)
    laptop.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert laptop.get("/api/v1/whoami").status_code == 200
    assert ben.delete(f"/api/v1/tokens/{made.json()['id']}").status_code == 204
    assert laptop.get("/api/v1/whoami").status_code == 401
    types = Event.objects.filter(subject_id=made.json()["id"]).order_by("pk").values_list("type", flat=True)
    assert list(types) == ["token.issued", "token.revoked"]


def test_others_tokens_are_not_there(cast: Cast) -> None:
    cast.token("eve")
    url = f"/api/v1/tokens/{cast.tokens['eve'].pk}"
    assert cast.client("ada").delete(url).status_code == 404
    assert cast.client("eve").get("/api/v1/whoami").status_code == 200


def test_the_owner_ends_the_tokens_of_a_service_account(cast: Cast) -> None:
    cast.token("ci")
    assert cast.client("ada").delete(f"/api/v1/tokens/{cast.tokens['ci'].pk}").status_code == 204
    assert cast.client("ci").get("/api/v1/whoami").status_code == 401


def test_a_token_for_a_namespace_one_is_not_in_is_refused(cast: Cast) -> None:
    answer = cast.client("ben").post("/api/v1/tokens", {"name": "x", "namespace": cast.elsewhere.name})
    assert answer.status_code == 404


def test_namespaces_are_made_by_administrators_and_seen_by_members(cast: Cast) -> None:
    User.objects.filter(pk=cast.user("otto").pk).update(is_superuser=True)
    made = cast.client("otto").post(
        "/api/v1/namespaces", {"name": f"new-{cast.namespace.name}", "description": "d"}
    )
    assert made.status_code == 201, made.content
    mine = [n["name"] for n in cast.client("ben").get("/api/v1/namespaces").json()["results"]]
    assert mine == [cast.namespace.name]
    again = cast.client("otto").post("/api/v1/namespaces", {"name": f"new-{cast.namespace.name}"})
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")


def test_members_are_granted_and_revoked(cast: Cast) -> None:
    ada, url = cast.client("ada"), f"/api/v1/namespaces/{cast.namespace.name}/members"
    ben = cast.user("ben").username
    assert ada.post(url, {"user": ben, "role": "auditor"}).status_code == 201
    assert ada.post(url, {"user": ben, "role": "auditor"}).status_code == 200
    held = [m["role"] for m in ada.get(url).json()["results"] if m["user"] == ben]
    assert sorted(held) == ["auditor", "data_scientist"]
    assert ada.delete(f"{url}/{ben}/auditor").status_code == 204
    assert ada.delete(f"{url}/{ben}/auditor").status_code == 422
    assert ada.post(url, {"user": "nobody-at-all", "role": "auditor"}).json()["field"] == "user"
    assert ada.post(url, {"user": ben, "role": "king"}).json()["field"] == "role"


def test_the_journal_is_filtered_and_paged(cast: Cast) -> None:
    version = ready_version(cast)
    ben, url = cast.client("ben"), f"/api/v1/namespaces/{cast.namespace.name}/events"
    ben.patch(f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1", {"description": "tuned"})
    (edited,) = ben.get(url, {"type": "version.*"}).json()["results"]
    assert edited["type"] == "version.edited"
    assert edited["subject"] == {
        "kind": "modelversion",
        "id": str(version.pk),
        "reference": version.reference,
    }
    assert edited["actor"] == cast.user("ben").username
    assert edited["token_prefix"] == cast.tokens["ben"].prefix
    assert edited["after"] == {"description": "tuned"}
    assert ben.get(url, {"subject": version.reference}).json()["results"] == [edited]
    assert ben.get(url, {"type": "version"}).json()["results"] == []
    seen, following = [], f"{url}?limit=3"
    while following:
        answer = ben.get(following).json()
        seen += [event["id"] for event in answer["results"]]
        following = answer["next"]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == Event.objects.filter(namespace=cast.namespace).count()


def test_a_person_answers_for_a_service_account(cast: Cast) -> None:
    """Whoever answers for an account does not decide on what it asks for: that must not end at another account."""
    with pytest.raises(InvalidInput, match="the owner of one is a person"):
        create_user(username="bot-of-a-bot", owner=cast.user("ci"), by=SYSTEM)
