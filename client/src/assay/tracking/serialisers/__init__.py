"""How a model in memory becomes files. Each adapter says what it takes; nothing is pickled unless that is asked for."""

from assay.tracking.serialisers.choose import GROUP, NotSerialisable, Serialiser, Written, serialise

__all__ = ["GROUP", "NotSerialisable", "Serialiser", "Written", "serialise"]
