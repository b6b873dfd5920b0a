"""Writes docs/compatibility.md from the operations' own declarations: `python -m tests.compatibility`."""

from pathlib import Path

import msgspec

from broker.app import SERVICES

PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"

_HEAD = """# Compatibility

Generated from the code (`python -m tests.compatibility`); a test keeps it true. What an operation does not list, AWS does not have
either: the shapes are checked against AWS's service models.
"""


def table() -> str:
    """The whole page."""
    parts = [_HEAD]
    for service in SERVICES:
        protocols = "AWS JSON 1.0 and Query" if service.json_target else "Query"
        parts.append(f"\n## {service.name}\n\n{len(service.operations)} operations over {protocols}.\n\n")
        parts.append("| operation | parameters |\n|---|---|\n")
        for name, operation in sorted(service.operations.items()):
            fields = ", ".join(f"`{f.encode_name}`" for f in msgspec.structs.fields(operation.request))
            parts.append(f"| {name} | {fields} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(table())
