"""The operator's role takes two: asked by an admin, confirmed by somebody else, and by no other way."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from registry.actions.grants import GrantIsOver, OwnGrant, decide_grant
from registry.actions.people import create_user
from registry.actions.roles import GrantOpen, Outcome, create_group, grant_role, revoke_role, role_group
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.http.problems import constraint_name
from registry.models import (
    SYSTEM,
    Event,
    Membership,
    Namespace,
    NamespaceGroupPermission,
    Principal,
    RoleGrant,
    RoleGroup,
    User,
)
from registry.models.visibility import permission_id
from registry.roles import Permission, Role
from tests.cast import Cast

pytestmark = pytest.mark.django_db
OPERATOR = Role.PRODUCTION_OPERATOR.value


def asked(cast: Cast, who: str = "vera", by: str = "ada", reason: str = "on call") -> RoleGrant:
    """by asks that who be operator."""
    grant_role(
        namespace=cast.namespace, user=cast.user(who), role=OPERATOR, by=cast.principal(by), reason=reason
    )
    return RoleGrant.objects.filter(namespace=cast.namespace, user=cast.user(who)).latest("asked_at")


def decided(cast: Cast, grant: RoleGrant, by: str = "cora", verdict: str = "confirm") -> RoleGrant:
    return decide_grant(grant=grant, verdict=verdict, reason="I know them.", by=cast.principal(by))


def operators(cast: Cast) -> set[str]:
    group = role_group(namespace=cast.namespace, role=Role.PRODUCTION_OPERATOR)
    return {name.partition("-")[0] for name in group.user_set.values_list("username", flat=True)}


def told(cast: Cast) -> list[tuple[str, str]]:
    rows = Event.objects.filter(namespace=cast.namespace, type__startswith="member.", after__role=OPERATOR)
    return [(event.type, event.actor_label.partition("-")[0]) for event in rows.order_by("pk")]


def refused(constraint: str, act: Any) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        act()
    assert constraint_name(caught.value) == constraint


# ---- asking and confirming


def test_it_works(cast: Cast) -> None:
    before = told(cast)
    given: dict[str, Any] = {"namespace": cast.namespace, "user": cast.user("vera"), "role": OPERATOR}
    assert grant_role(**given, by=cast.principal("ada"), reason="on call") == Outcome.ASKED
    assert "vera" not in operators(cast)
    (grant,) = RoleGrant.objects.filter(namespace=cast.namespace, user=cast.user("vera"))
    decided(cast, grant)
    assert "vera" in operators(cast)
    assert told(cast)[len(before) :] == [("member.grant_asked", "ada"), ("member.granted", "cora")]
    event = Event.objects.filter(namespace=cast.namespace, type="member.granted").latest("pk")
    assert (event.after or {})["asked_by"] == cast.user("ada").username
    assert grant_role(**given, by=cast.principal("ada")) == Outcome.HELD
    # Taking it away needs one; giving it again needs two again.
    revoke_role(namespace=cast.namespace, user=cast.user("vera"), role=OPERATOR, by=cast.principal("ada"))
    assert "vera" not in operators(cast)
    assert grant_role(**given, by=cast.principal("ada")) == Outcome.ASKED
    assert "vera" not in operators(cast)


def test_refused_nothing_is_given(cast: Cast) -> None:
    grant = asked(cast)
    with pytest.raises(InvalidInput, match="needs a reason"):
        decide_grant(grant=grant, verdict="refuse", by=cast.principal("cora"))
    with pytest.raises(InvalidInput, match="confirmed or refused"):
        decided(cast, grant, verdict="approve")
    decided(cast, grant, verdict="refuse")
    with pytest.raises(GrantIsOver, match="refused"):
        decided(cast, grant)
    assert "vera" not in operators(cast)
    assert told(cast)[-1] == ("member.grant_refused", "cora")
    # Whoever asked may take it back.
    decided(cast, asked(cast), by="ada", verdict="refuse")


def test_it_is_asked_once_and_ends_with_its_term(cast: Cast) -> None:
    grant = asked(cast)
    with pytest.raises(GrantOpen):
        asked(cast)
    now = timezone.now()
    old = RoleGrant.objects.create(
        namespace=cast.namespace,
        user=cast.user("otto"),
        role=OPERATOR,
        asked_by=cast.user("ada"),
        asked_at=now - timedelta(days=31),
        expires_at=now - timedelta(days=1),
    )
    with pytest.raises(GrantIsOver, match="ask again"):
        decided(cast, old)
    confirm = {"state": "granted", "decided_by": cast.user("cora"), "decided_at": now}
    refused("grant_expired", lambda: RoleGrant.objects.filter(pk=old.pk).update(**confirm))
    there = f"/api/v1/namespaces/{cast.namespace.name}/grants"
    listed = cast.client("vera").get(f"{there}?state=asked").json()["results"]
    assert [row["id"] for row in listed] == [str(grant.pk)]
    assert [r["id"] for r in cast.client("vera").get(f"{there}?state=expired").json()["results"]] == [
        str(old.pk)
    ]
    asked(cast, "otto")


def test_who_asked_who_receives_and_their_accounts_are_not_the_second_person(cast: Cast) -> None:
    dora = create_user(username=f"dora-{cast.namespace.name}", by=SYSTEM)
    cast.people["dora"] = dora
    for who in ("dora", "vera"):
        grant_role(namespace=cast.namespace, user=cast.user(who), role="namespace_admin", by=SYSTEM)
    grant = asked(cast)
    for who, refusal in (("ada", OwnGrant), ("vera", OwnGrant), ("ben", Forbidden), ("mallory", NotVisible)):
        with pytest.raises(refusal):
            decided(cast, grant, by=who)
    decided(cast, grant, by="dora")
    # For herself or her service account, an admin needs somebody else too.
    own, robots = asked(cast, "ada"), asked(cast, "ci")
    for each in (own, robots):
        with pytest.raises(OwnGrant):
            decided(cast, each, by="ada")
    asked_by_account = asked(cast, "otto", by="dora")
    assert asked_by_account.asked_by == dora
    grant_role(namespace=cast.namespace, user=cast.user("ci"), role="namespace_admin", by=SYSTEM)
    by_robot = asked(cast, "ben", by="ci")
    with pytest.raises(OwnGrant):
        decided(cast, by_robot, by="ada")
    with pytest.raises(Forbidden, match="by a person"):
        decided(cast, asked_by_account, by="ci")
    decided(cast, robots)


def test_an_administrator_of_the_platform_gives_it_alone_in_person_and_to_others(cast: Cast) -> None:
    root = create_user(username=f"root-{cast.namespace.name}", by=SYSTEM)
    root.is_superuser = True
    root.save(update_fields=["is_superuser"])
    given: dict[str, Any] = {"namespace": cast.namespace, "role": OPERATOR, "by": Principal(user=root)}
    assert grant_role(**given, user=cast.user("vera")) == Outcome.GRANTED
    assert "vera" in operators(cast)
    assert grant_role(**given, user=root) == Outcome.ASKED
    assert "root" not in operators(cast)


# ---- no other way


def test_the_database_lets_nobody_in_by_another_way(cast: Cast) -> None:
    """As the role that the server is: without a grant by two, in its transaction, nobody gets in."""
    ada, vera, cora, now = cast.user("ada"), cast.user("vera"), cast.user("cora"), timezone.now()
    group = role_group(namespace=cast.namespace, role=Role.PRODUCTION_OPERATOR)
    refused("operator_by_two", lambda: group.user_set.add(vera))
    refused("operator_by_two", lambda: vera.groups.set([group]))
    refused(
        "operator_by_two", lambda: grant_role(namespace=cast.namespace, user=vera, role=OPERATOR, by=SYSTEM)
    )
    viewer = Membership.objects.filter(user=vera, group__rolegroup__role="viewer")
    assert viewer.exists()
    refused("operator_by_two", lambda: viewer.update(group=group))
    refused("operator_by_two", lambda: Membership.objects.filter(user=cora, group=group).update(user=vera))
    # A group that becomes the operators', or gets their rights, brings its people along: neither can be.
    own = create_group(namespace=cast.namespace, name="risk", by=cast.principal("ada"))
    own.group.user_set.add(vera)
    refused("sealed", lambda: RoleGroup.objects.filter(pk=own.pk).update(role="x"))
    loose, bare = (
        Group.objects.create(name="loose"),
        Namespace.objects.create(name=f"{cast.namespace.name}-2"),
    )
    loose.user_set.add(vera)
    refused(
        "role_group_not_empty", lambda: RoleGroup.objects.create(group=loose, namespace=bare, role=OPERATOR)
    )
    for right in (Permission.PROMOTION_DECIDE, Permission.VERSION_ROLL_BACK, Permission.VERSION_SUSPEND):
        refused(
            "operator_by_two",
            lambda right=right: NamespaceGroupPermission.objects.create(
                group=own.group, content_object=cast.namespace, permission_id=permission_id(right)
            ),
        )
    refused(
        "operator_by_two",
        lambda: NamespaceGroupPermission.objects.create(
            group=role_group(namespace=cast.elsewhere, role=Role.PRODUCTION_OPERATOR),
            content_object=cast.namespace,
            permission_id=permission_id(Permission.PROMOTION_DECIDE),
        ),
    )
    # The grant itself: not born confirmed, not by who asked or receives it, nor by somebody without the right.
    row = RoleGrant.objects.filter(pk=asked(cast).pk)

    def confirmed(by: User) -> None:
        row.update(state="granted", decided_by=by, decided_at=now)

    for by, constraint in ((ada, "own_grant"), (cast.user("eve"), "not_a_decider")):
        refused(constraint, lambda by=by: confirmed(by))
    refused("not_granted", lambda: row.update(granted_xid=1))
    fields = {"namespace": cast.namespace, "user": vera, "role": OPERATOR, "asked_by": ada, "asked_at": now}
    born = {**fields, "expires_at": now, "state": "granted", "decided_by": cora, "decided_at": now}
    refused("legal_edges", lambda: RoleGrant.objects.create(**born))
    refused("never_deleted", lambda: row._raw_delete("default"))
    refused("sealed", lambda: row.update(user=ada))


@pytest.mark.django_db(transaction=True)
def test_a_grant_lets_in_once(cast: Cast) -> None:
    """What was granted in one transaction lets nobody in in the next."""
    decided(cast, asked(cast))
    revoke_role(namespace=cast.namespace, user=cast.user("vera"), role=OPERATOR, by=cast.principal("ada"))
    group = role_group(namespace=cast.namespace, role=Role.PRODUCTION_OPERATOR)
    refused("operator_by_two", lambda: group.user_set.add(cast.user("vera")))
    assert "vera" not in operators(cast)


def test_no_setting_and_no_other_role_makes_the_server_the_host(cast: Cast) -> None:
    group = role_group(namespace=cast.namespace, role=Role.PRODUCTION_OPERATOR)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('pgtrigger.ignore', %s, true)", ["{registry_user_groups:operator_by_two}"]
        )
    refused("operator_by_two", lambda: group.user_set.add(cast.user("vera")))


@pytest.mark.django_db(transaction=True)
def test_at_the_host_it_is_given_by_the_owner_of_the_database(cast: Cast, settings: Any) -> None:
    given = {"namespace": cast.namespace.name, "role": OPERATOR, "user": cast.user("vera").username}
    owner, settings.DATABASE_OWNER = settings.DATABASE_OWNER, None
    with pytest.raises(CommandError, match="DATABASE_OWNER_URL"):
        call_command("issue_token", **given, stdout=io.StringIO())
    assert "vera" not in operators(cast)
    settings.DATABASE_OWNER = {**owner, "NAME": connection.settings_dict["NAME"]}
    login = dict(connection.settings_dict)
    try:
        call_command("issue_token", **given, stdout=io.StringIO())
    finally:
        connection.close()
        connection.settings_dict.update(login)
    assert "vera" in operators(cast)
    event = Event.objects.filter(namespace=cast.namespace, type="member.granted").latest("pk")
    assert (event.actor_label, event.reason) == ("assay", "Given at the server's command line.")


# ---- where it is seen


def signed_in(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast.user(name))
    return client


def shown(client: Client, path: str) -> str:
    return str(client.get(path, follow=True).content.decode())


def test_over_rest(cast: Cast) -> None:
    members = f"/api/v1/namespaces/{cast.namespace.name}/members"
    ada, cora = cast.client("ada"), cast.client("cora")
    vera = cast.user("vera").username
    made = ada.post(members, {"user": vera, "role": OPERATOR, "reason": "on call"})
    assert (made.status_code, made.json()["outcome"]) == (202, "asked")
    again = ada.post(members, {"user": vera, "role": OPERATOR})
    assert (again.status_code, again.json()["code"]) == (409, "grant-open")
    (row,) = cora.get(f"/api/v1/namespaces/{cast.namespace.name}/grants?state=asked").json()["results"]
    own = ada.post(f"/api/v1/grants/{row['id']}/confirm", {})
    assert (own.status_code, own.json()["code"]) == (403, "own-grant")
    done = cora.post(f"/api/v1/grants/{row['id']}/confirm", {"reason": "Known."}).json()
    assert (done["state"], done["decided_by"]) == ("granted", cast.user("cora").username)
    assert ada.get(f"/api/v1/namespaces/{cast.namespace.name}/grants?state=x").status_code == 422


def test_in_the_admin(cast: Cast) -> None:
    ada, cora = signed_in(cast, "ada"), signed_in(cast, "cora")
    page = f"/admin/registry/namespace/{cast.namespace.pk}"
    assert "takes two" in shown(ada, f"{page}/grant/")
    vera = cast.user("vera").username
    sent = ada.post(f"{page}/grant/", {"user": vera, "role": OPERATOR, "reason": "on call"}, follow=True)
    assert "Asked: somebody else confirms that" in sent.content.decode()
    grant = RoleGrant.objects.get(namespace=cast.namespace, user=cast.user("vera"))
    assert "Waits for a second person" in shown(ada, f"{page}/change/")
    there = f"/admin/registry/rolegrant/{grant.pk}"
    for client, offered in ((ada, False), (cora, True)):
        assert (f"{there}/confirm/" in shown(client, f"{there}/change/")) == offered
        assert ("Waits for others" in shown(client, "/admin/desk/")) != offered
    assert "somebody else confirms it" in ada.post(f"{there}/confirm/", {}).content.decode()
    assert "asks that" in shown(cora, f"{there}/confirm/")
    assert cora.post(f"{there}/confirm/", {"reason": ""}).status_code == 302
    assert "vera" in operators(cast)
    assert vera in shown(ada, "/admin/registry/rolegrant/?became=granted")
    assert vera not in shown(ada, "/admin/registry/rolegrant/?became=asked")
