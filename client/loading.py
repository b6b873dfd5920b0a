"""The developer's handler: a name such as `app:handler` made into what it names.

It knows how a handler is named and imported, and nothing of what it is called with. The errors here are what the developer must
mend, said with the name as it was given and what was expected.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

_IMPORTING: Final = (
    __file__,
    importlib.__file__,
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
)


class HandlerNotFound(Exception):
    """The name leads to nothing that can be called."""


@dataclass(frozen=True)
class HandlerName:
    """MODULE:ATTRIBUTE, each of them dotted where it lies deeper."""

    module: str
    attribute: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises HandlerNotFound if the text has another form."""
        module, colon, attribute = text.partition(":")
        if colon and _dotted(module) and _dotted(attribute):
            return cls(module, attribute)
        expected = "expected MODULE:HANDLER, such as app:handler"
        front, dot, last = text.removesuffix(".py").rpartition(".")
        if dot and _dotted(front) and _dotted(last):
            expected = f"expected MODULE:HANDLER, here {front}:{last}"
        raise HandlerNotFound(f"handler is {text!r}; {expected}")

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"

    def load(self, directory: Path) -> Callable[..., Any]:
        """Import the module, looking in `directory` first, and return what the attribute names.

        Raises HandlerNotFound; whatever the module itself raises goes to the caller.
        """
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise  # the module is there, and imports another that is not
            raise HandlerNotFound(
                f"handler is '{self}'; expected a module {self.module} that can be imported from {directory}: "
                f"there is no {error.name}"
            ) from None
        where = getattr(module, "__file__", None) or "built in"
        try:
            found = attrgetter(self.attribute)(module)
        except AttributeError:
            raise HandlerNotFound(
                f"handler is '{self}'; expected a function {self.attribute} in {self.module} ({where}): there is none"
            ) from None
        if not callable(found):
            raise HandlerNotFound(
                f"handler is '{self}'; expected a function: {self.attribute} in {self.module} ({where}) is "
                f"of type {type(found).__name__}"
            )
        return found  # type: ignore[no-any-return]


def below_the_import(trace: TracebackType | None) -> TracebackType | None:
    """The traceback, from the caller of `load` on, of what a module raised: without the frames above the module's own."""
    trace = trace and trace.tb_next
    while trace is not None and trace.tb_frame.f_code.co_filename in _IMPORTING:
        trace = trace.tb_next
    return trace


def _dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
