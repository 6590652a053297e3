"""Namespaces, the people and programs that act in them, and what they have been granted."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from registry.models.grant_guards import DecidesByItsRole, RoleGroupBornEmpty
from registry.models.triggers import Fixed
from registry.roles import Permission

# The namespace ends at the first `/` of a reference; `@`, `:` and `/` separate its parts.
NAME = r"^[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?$"
name_is_valid = RegexValidator(
    NAME,
    "Use 1 to 100 lower-case letters, digits, `.`, `_` or `-`, beginning and ending with a letter or digit.",
)


class User(AbstractUser):
    """A person, or a service account that a person answers for (`owner`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    is_service = models.BooleanField(default=False)
    owner = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="service_accounts"
    )

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                name="only_services_have_owners", condition=models.Q(owner=None) | models.Q(is_service=True)
            )
        ]


class Namespace(models.Model):
    """A team's room: names are unique within it, rights are granted on it, nothing is seen from outside."""

    redactable: ClassVar[tuple[str, ...]] = ("description",)
    redactable_within: ClassVar[str] = "pk"
    stays: ClassVar[dict[str, str]] = {"name": "It is what people call the namespace: use another."}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True, validators=[name_is_valid])
    description = models.TextField(blank=True, default="")
    # Whether bytes that a scan has not found clean are kept from everybody.
    clean_downloads_only = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        permissions: ClassVar = [(p.value, p.value) for p in Permission]

    def __str__(self) -> str:
        return self.name


class NamespaceGroupPermission(GroupObjectPermissionBase):
    """One permission of one role in one namespace. A direct foreign key: it dies with the namespace."""

    content_object = models.ForeignKey(Namespace, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = False
        triggers: ClassVar = [DecidesByItsRole()]


class NamespaceUserPermission(UserObjectPermissionBase):
    """Required by guardian beside the group table. Never granted: rights come from roles."""

    content_object = models.ForeignKey(Namespace, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False


class RoleGroup(models.Model):
    """Ties a Django group to the namespace, and to the role it stands for or the name that the namespace gave it.

    A namespace's own group (`risk`) holds the viewer's rights; policies ask for approvals by its people.
    """

    group = models.OneToOneField("auth.Group", on_delete=models.CASCADE, primary_key=True)
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="role_groups")
    role = models.CharField(max_length=40)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "role"], name="one_group_per_role")
        ]
        triggers: ClassVar = [Fixed(["group_id", "namespace_id", "role"]), RoleGroupBornEmpty()]


class ServiceToken(models.Model):
    """A bearer secret, stored as sha256 and shown once. Its rights are its own and its user's together."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    namespace = models.ForeignKey(Namespace, null=True, blank=True, on_delete=models.CASCADE)
    # None: everything its user may do. Otherwise permission codenames.
    scopes = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} (assay_{self.prefix}_…)"

    @staticmethod
    def digest_of(secret: str) -> str:
        """How a token is stored: sha256, hex. It holds 256 random bits: no salt or stretching is needed."""
        return hashlib.sha256(secret.encode()).hexdigest()


class IdempotencyKey(models.Model):
    """What an unsafe call answered: the same key with the same request gets the same answer."""

    redactable: ClassVar[tuple[str, ...]] = ("body",)
    redactable_within: ClassVar[str] = "user__groups__rolegroup__namespace_id"

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_key")]


@dataclass(frozen=True)
class Principal:
    """Who acts: a user, and the token they act through. Without a user it is Assay itself."""

    user: User | None
    token: ServiceToken | None = None

    @property
    def is_system(self) -> bool:
        return self.user is None

    @property
    def label(self) -> str:
        """The name to write in the journal."""
        return "assay" if self.user is None else self.user.get_username()

    @property
    def account(self) -> User:
        """The user, where Assay itself cannot be meant. Raises ValueError for the system."""
        if self.user is None:
            raise ValueError("this act needs a person or a service account")
        return self.user


SYSTEM = Principal(user=None)
