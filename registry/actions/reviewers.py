"""Who is designated to review one model: their approval counts for it, and for no other."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction

from registry.errors import InvalidInput
from registry.journal import record
from registry.models import Principal, RegisteredModel, RegisteredModelGroupPermission, RoleGroup, User
from registry.permissions import check_can
from registry.roles import Permission

REVIEW = "model.review"


@transaction.atomic
def designate_reviewer(*, model: RegisteredModel, user: User, by: Principal) -> bool:
    """Let a person of the namespace decide on this model's promotions, where its policy does not say that reviewers
    do not count. Whoever asked or made the version still cannot. False: they were designated already, and nothing is
    recorded. Raises Forbidden, InvalidInput."""
    check_can(by, Permission.ROLE_GRANT, model.namespace)
    if user.is_service or not user.is_active:
        raise InvalidInput(
            f"{user.get_username()} is no active person: reviewers answer for what they approve.",
            field="user",
        )
    if not RoleGroup.objects.filter(namespace=model.namespace_id, group__user=user).exists():
        raise InvalidInput(
            f"{user.get_username()} holds no role in {model.namespace.name} and would not see what to review: "
            "grant one first, such as viewer.",
            field="user",
        )
    group = _group(model)
    if group.user_set.filter(pk=user.pk).exists():
        return False
    group.user_set.add(user)
    _note("reviewer.designated", model, user, by=by, after=True)
    return True


@transaction.atomic
def dismiss_reviewer(*, model: RegisteredModel, user: User, by: Principal) -> None:
    """End a designation. What they approved of promotions that are open counts no more, unless they hold the right
    otherwise. Raises Forbidden, InvalidInput when they were not designated."""
    check_can(by, Permission.ROLE_GRANT, model.namespace)
    group = _group(model)
    if not group.user_set.filter(pk=user.pk).exists():
        raise InvalidInput(f"{user.get_username()} is no designated reviewer of {model}.", field="user")
    group.user_set.remove(user)
    _note("reviewer.dismissed", model, user, by=by, after=False)


def _group(model: RegisteredModel) -> Group:
    """The group of this model's reviewers, made when it is missing; the model's row orders who makes it."""
    RegisteredModel.objects.select_for_update(no_key=True).get(pk=model.pk)
    tied = RegisteredModelGroupPermission.objects.filter(content_object=model, permission__codename=REVIEW)
    found = tied.select_related("group").order_by("pk").first()
    if found is not None:
        made: Group = found.group
        return made
    made = Group.objects.create(name=f"reviewers of {model.pk}")
    RegisteredModelGroupPermission.objects.create(
        group=made, content_object=model, permission=DjangoPermission.objects.get(codename=REVIEW)
    )
    return made


def _note(type_: str, model: RegisteredModel, user: User, *, by: Principal, after: bool) -> None:
    told = {"reviewer": user.get_username()}
    record(
        type_,
        subject=model,
        by=by,
        namespace=model.namespace,
        before=None if after else told,
        after=told if after else None,
    )
