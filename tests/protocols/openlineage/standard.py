"""Whether an event is one of the standard's, by the classes of its own client, which are generated from its schema."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from typing import Any

from openlineage.client import generated
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent
from openlineage.client.generated.base import BaseFacet, EventType


@cache
def facets() -> dict[str, type[BaseFacet]]:
    """The standard's facets, by the address of their schema."""
    found: dict[str, type[BaseFacet]] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        loaded = importlib.import_module(f"{generated.__name__}.{module.name}")
        for _, kind in inspect.getmembers(loaded, inspect.isclass):
            if issubclass(kind, BaseFacet) and "/facets/" in kind._get_schema():
                found[kind._get_schema()] = kind
    return found


def check(event: dict[str, Any]) -> RunEvent:
    """The event, made by the standard's classes: what they do not know, or miss, raises."""
    told = dict(event)
    assert told.pop("schemaURL") == RunEvent._get_schema()
    run, job = dict(told.pop("run")), dict(told.pop("job"))
    return RunEvent(
        run=Run(**_with_facets(run)),
        job=Job(**_with_facets(job)),
        eventType=EventType(told.pop("eventType")),
        inputs=[InputDataset(**_with_facets(each)) for each in told.pop("inputs")],
        outputs=[OutputDataset(**_with_facets(each)) for each in told.pop("outputs")],
        **told,
    )


def _with_facets(row: dict[str, Any]) -> dict[str, Any]:
    made = dict(row)
    for name in ("facets", "inputFacets", "outputFacets"):
        if name in made:
            made[name] = {key: _facet(key, value) for key, value in made[name].items()}
    return made


def _facet(name: str, given: dict[str, Any]) -> BaseFacet:
    facet = dict(given)
    schema, producer = facet.pop("_schemaURL"), facet.pop("_producer")
    assert producer.startswith("http"), producer
    if name.startswith("assay_"):
        return BaseFacet(producer=producer).with_additional_properties(**facet)
    return facets()[schema](producer=producer, **facet)
