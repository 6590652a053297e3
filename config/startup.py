"""What a server process makes sure of before it serves."""

from __future__ import annotations

from django.conf import settings
from django.db import OperationalError, connection
from django.utils.module_loading import import_string

_POWER = """
SELECT rolsuper, pg_has_role(current_user, datdba, 'MEMBER')
FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
"""


def power_of_role() -> str | None:
    """Why this process's database role is too powerful for a server, or None. Raises OperationalError."""
    with connection.cursor() as cursor:
        cursor.execute(_POWER)
        superuser, owner = cursor.fetchone()
    if superuser:
        return "is a superuser"
    return "owns the database, or is a member of the role that does" if owner else None


def refuse_powerful_role() -> None:
    """End the process when its database role could change the schema or disable a trigger.

    A database that cannot be reached now says nothing: the process serves when it is back, and the role is
    one that the doctor checks too.
    """
    try:
        power = power_of_role()
    except OperationalError:
        return
    finally:
        connection.close()
    if power:
        raise SystemExit(
            f"Assay does not serve: the database role of DATABASE_URL {power}. "
            "It must name the runtime role (see manage.py doctor)."
        )


def refuse_unreadable_allowlist() -> None:
    """End the process when ASSAY_WEBHOOK_HOSTS cannot be read, naming the entry that means nothing."""
    try:
        # By name: it needs models, which are not loaded yet when this module is.
        import_string("registry.journal.egress.Allowlist").parse(settings.WEBHOOK_HOSTS)
    except ValueError as wrong:
        raise SystemExit(f"Assay does not serve: {wrong}.") from wrong
