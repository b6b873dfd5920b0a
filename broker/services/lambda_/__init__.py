"""Lambda: AWS's meaning of functions and event source mappings, run as processes of this machine.

One module per operation or small family; `SERVICE` knows them all once this package is imported. `attach` gives a runtime the
state that they work on.
"""

from broker.services.lambda_ import (
    aliases,
    concurrency,
    event_invoke,
    functions,
    invoke,
    layers,
    mappings,
    permissions,
    tags,
    versions,
)
from broker.services.lambda_.events import Events
from broker.services.lambda_.layer_state import Layers
from broker.services.lambda_.mapping_state import Mappings
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions
from broker.services.lambda_.workers import Workers
from broker.services.runtime import Runtime

__all__ = [
    "SERVICE",
    "aliases",
    "attach",
    "concurrency",
    "event_invoke",
    "functions",
    "invoke",
    "layers",
    "mappings",
    "permissions",
    "tags",
    "versions",
]


def attach(runtime: Runtime, directory: str, endpoint_url: str) -> Workers:
    """Add Lambda's state to a runtime, before it starts. `directory`: where code is kept. `endpoint_url`: the broker's.

    What is returned has processes, and is the caller's to close.
    """
    runtime.add(Functions(runtime))
    runtime.add(Layers(runtime))
    workers = Workers(runtime, directory, endpoint_url)
    runtime.add(workers)
    runtime.add(Events(runtime))
    runtime.add(Mappings(runtime))
    return workers
