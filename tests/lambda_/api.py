"""Functions as a specification sees them: code in a zip, and the boto3 calls around it."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

Lambda = Any  # a boto3 client: its methods are made at run time
ROLE = "arn:aws:iam::000000000000:role/runs-functions"
ECHO = "def handler(event, context):\n    return event\n"


def zipped(files: Mapping[str, str]) -> bytes:
    """An archive of texts."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return archive.getvalue()


def create(client: Lambda, name: str = "echo", code: str = ECHO, **parameters: Any) -> dict[str, Any]:
    """Create a Python function whose handler is in app.py."""
    given = {
        "FunctionName": name,
        "Runtime": "python3.11",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped({"app.py": code})},
    }
    return dict(client.create_function(**(given | parameters)))


def invoke(client: Lambda, name: str = "echo", event: Any = None, **parameters: Any) -> tuple[Any, dict[str, Any]]:
    """The answer's JSON, and the reply."""
    reply = client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **parameters)
    body = reply["Payload"].read()
    return (json.loads(body) if body else None), reply
