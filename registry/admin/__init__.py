"""The registry's pages in the admin. Those that show what the lifecycle knows (models, versions) are there."""

from registry.admin import journal, namespaces, people, webhooks

__all__ = ["journal", "namespaces", "people", "webhooks"]
