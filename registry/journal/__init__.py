"""The journal: what is recorded of every change, and what is done for it afterwards."""

from registry.journal.record import record

__all__ = ["record"]
