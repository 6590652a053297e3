"""Lineage's pages in the admin: to read, as they are facts."""

from lineage.admin import datasets, runs

__all__ = ["datasets", "runs"]
