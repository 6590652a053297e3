"""What exists: namespaces, people, roles, models, versions, evaluations, aliases, their bytes and their journal."""

__version__ = "0.1.0"
