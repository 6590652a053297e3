"""`manage.py make_buckets`: create the buckets that are missing, on any S3."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.buckets import client_for, make_buckets


class Command(BaseCommand):
    help = (
        "Create the buckets for artifacts (hot and cold) and attachments, and prove that they can be written."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for the store (60)")

    def handle(self, *args: Any, **options: Any) -> None:
        client = client_for(
            settings.S3_ENDPOINT_URL,
            settings.S3_ACCESS_KEY_ID,
            settings.S3_SECRET_ACCESS_KEY,
            settings.S3_REGION,
        )
        try:
            created = make_buckets(client, settings.S3_BUCKETS.values(), options["wait"])
        except (BotoCoreError, ClientError) as error:
            raise CommandError(f"The store at {settings.S3_ENDPOINT_URL} refused: {error}") from error
        finally:
            client.close()
        for name in settings.S3_BUCKETS.values():
            self.stdout.write(f"{name}: {'created' if name in created else 'there'}")
