"""Pombo: a durable message broker that speaks the wire APIs of AWS SNS and SQS."""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec

__version__ = "0.1.0"


def build() -> str:
    """The version, and whether what is on a request's path is compiled (setup.py) or left to the interpreter."""
    engine = find_spec("broker.core.engine")
    compiled = engine is not None and str(engine.origin).endswith(tuple(EXTENSION_SUFFIXES))
    return f"{__version__} ({'compiled' if compiled else 'interpreted'})"
