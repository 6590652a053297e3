"""What all the admin's pages have in common: rows of one's own namespaces, rights by our roles, no editing
past the actions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.core.paginator import Paginator
from django.db import connection, models
from django.http import Http404, HttpRequest
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin, TabularInline
from unfold.dataclasses import UnfoldAction
from unfold.views import ChangeList

from registry.http.access import AdminRule, Holds, SignedInOnly, admin_rules
from registry.http.authentication import principal_of
from registry.models import Namespace, Principal
from registry.models.visibility import ScopedQuerySet, namespaces_where
from registry.permissions import can

NO_PAGES = AdminRule("not in the table of rules")
COUNTED_EXACTLY_BELOW = 10_000


def is_administrator(request: HttpRequest) -> bool:
    """Whether the pages of the platform's administrators are for this person."""
    return bool(request.user.is_active and request.user.is_superuser)


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]
    """Counts a small table; of a large one it takes the planner's estimate, which costs nothing."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, models.QuerySet):
            estimate = self._estimate(rows)
            if estimate > COUNTED_EXACTLY_BELOW:
                return estimate
            return rows.count()
        return len(rows)

    @staticmethod
    def _estimate(rows: models.QuerySet[Any]) -> int:
        try:
            sql, parameters = rows.order_by().query.sql_with_params()
        except EmptyResultSet:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
            return int(cursor.fetchone()[0][0]["Plan"]["Plan Rows"])


class WholeList(ChangeList):
    """A list that, unfiltered, does not offer to show all, and that is filtered by what it offers only."""

    def get_filters(self, request: HttpRequest) -> Any:
        """The filters of `list_filter`. Raises IncorrectLookupParameters for whatever none of them took: Django
        would filter by any column, so that one not shown could be guessed letter by letter."""
        found = super().get_filters(request)
        if found[2]:
            raise IncorrectLookupParameters(f"This list has no filter {', '.join(sorted(found[2]))}.")
        return found

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ScopedAdmin(ModelAdmin):
    """Pages of one model, to look at. What may be done is in `config.rules.ADMIN_RULES`, each by an action.

    `to_namespace` is the way from a row to its namespace, as attributes.
    """

    show_full_result_count = False
    paginator = EstimatingPaginator
    list_per_page = 50
    actions = None
    to_namespace: ClassVar[str] = "namespace"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WholeList

    @property
    def rule(self) -> AdminRule:
        return admin_rules().get(self.model._meta.label, NO_PAGES)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.rule is not NO_PAGES and self.admin_site.has_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows if is_administrator(request) else self.scope(rows, principal_of(request))

    def scope(self, rows: models.QuerySet[Any], principal: Principal) -> models.QuerySet[Any]:
        """The rows that this person sees. A model whose rows do not know their namespace has to say."""
        if isinstance(rows, ScopedQuerySet):
            return rows.visible_to(principal)
        raise TypeError(f"{type(self).__name__} must say whose rows of {self.model._meta.label} are seen")

    def namespace_of(self, row: Any) -> Namespace | None:
        """The namespace a row belongs to; None for rows of the platform."""
        found = row
        for step in self.to_namespace.split("."):
            found = getattr(found, step) if step else found
        return found if isinstance(found, Namespace) else None

    def may(self, request: HttpRequest, action: str, row: Any = None) -> bool:
        """Whether the rule gives this action, on this row, to the caller."""
        if not self.has_view_permission(request):
            return False
        match self.rule.actions.get(action):
            case Holds(permission) if row is None:
                return namespaces_where(principal_of(request), permission).exists()
            case Holds(permission):
                namespace = self.namespace_of(row)
                return namespace is not None and can(principal_of(request), permission, namespace.pk)
            case SignedInOnly():
                return True
            case None:
                return False
            case _:
                return is_administrator(request)

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row, as this caller sees it. Raises Http404."""
        row = self.get_object(request, object_id) if self.has_view_permission(request) else None
        if row is None:
            raise Http404
        return row

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        # Django sends people to the index with a message; what is not theirs to see is not there.
        raise Http404

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        row = self.get_object(request, str(object_id))
        return [
            action
            for action in self._get_base_actions_detail()
            if row is not None and self.offers(request, _method_name(action), row)
        ]

    def get_actions_list(self, request: HttpRequest) -> list[UnfoldAction]:
        return [a for a in self._get_base_actions_list() if self.may(request, _method_name(a))]

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        """Whether the button is shown: the caller may, and (in subclasses) the row is where it makes sense."""
        return self.may(request, action, row)

    def check_may(self, request: HttpRequest, action: str, row: Any = None) -> None:
        """Raises PermissionDenied when the rule does not give the action to the caller."""
        if not self.may(request, action, row):
            raise PermissionDenied

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The page of a row, to look at: nothing that is sent to it is even read."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        return super().changeform_view(request, object_id, form_url, extra_context)

    # The journal is the record of who did what, written in the change's transaction: not Django's log.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing."""


def _method_name(action: UnfoldAction) -> str:
    return str(action.method.original_function_name)


class ReadOnlyInline(TabularInline):
    """Rows shown on another row's page; nothing on them can be edited."""

    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = False
    tab = True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
