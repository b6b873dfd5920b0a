"""Runs a Python function: the process that a Python runtime's environment consists of.

It is run as a script, by whichever interpreter (3.9 or newer) runs functions, and imports nothing of ours. AWS's own runtime
interface client, `awslambdaric`, takes over where that interpreter has it; what follows is for where it has not, and says and
does the same. Source: Lambda Developer Guide, "Building Lambda functions with Python".
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
import runpy
import socket
import sys
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace, TracebackType
from typing import Any, NoReturn

_API = "/2018-06-01/runtime"
_CLIENT = "awslambdaric"
_OWN = "--own"
_request_id = ""


class Fault(Exception):
    """What is wrong with the function rather than in it."""

    def __init__(self, error_type: str, message: str, stack: list[str] | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.stack = [] if stack is None else stack


class Api:
    """The Runtime API on a connection of its own, which is opened again where it was closed."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._socket: socket.socket | None = None
        self._received = b""

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Answers status, headers with names in lower case, and body."""
        lines = [f"{method} {_API}{path} HTTP/1.1", f"Host: {self._address[0]}:{self._address[1]}"]
        lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        if self._socket is None:
            self._socket = socket.create_connection(self._address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        head = self._read_until(b"\r\n\r\n").decode()
        first, *rest = head.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        answer = self._read(int(fields.get("content-length", "0")))
        if fields.get("connection", "").lower() == "close":
            self._socket.close()
            self._socket = None
        return int(first.split(" ")[1]), fields, answer

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(mark)
        return head

    def _read(self, size: int) -> bytes:
        parts = [self._received]
        missing = size - len(self._received)
        while missing > 0:
            self._received = b""
            self._receive()
            parts.append(self._received)
            missing -= len(self._received)
        received = b"".join(parts)
        self._received = received[size:]
        return received[:size]

    def _receive(self) -> None:
        assert self._socket is not None
        part = self._socket.recv(1 << 20)
        if not part:
            sys.exit(1)  # the environment is gone
        self._received += part


class Context:
    """The context object. Source: Lambda Developer Guide, "Using the Lambda context object"."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])
        client = _parse(headers.get("lambda-runtime-client-context"), "Client Context")
        identity = _parse(headers.get("lambda-runtime-cognito-identity"), "Cognito Identity") or {}
        self.client_context = None
        if client is not None:
            self.client_context = SimpleNamespace(
                client=SimpleNamespace(**client.get("client", {})), custom=client.get("custom"), env=client.get("env")
            )
        self.identity = SimpleNamespace(
            cognito_identity_id=identity.get("cognitoIdentityId"),
            cognito_identity_pool_id=identity.get("cognitoIdentityPoolId"),
        )

    def get_remaining_time_in_millis(self) -> int:
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    def log(self, message: object) -> None:
        sys.stdout.write(str(message))


class _LogHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        record.aws_request_id = _request_id
        sys.stdout.write(self.format(record) + "\n")


def _parse(text: str | None, name: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {name} JSON: {error}") from error
    return parsed if isinstance(parsed, dict) else {}


def load(handler: str) -> Callable[[Any, Context], Any]:
    """The function that `handler` (MODULE.NAME) names. Raises Fault, and whatever the module raises."""
    module_name, dot, name = handler.rpartition(".")
    if not dot:
        problem = "not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': {problem}")
    if module_name.split(".")[0] in sys.builtin_module_names:
        problem = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", problem)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        stack = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        problem = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", problem, stack) from error
    found: Callable[[Any, Context], Any] | None = getattr(module, name, None)
    if found is None:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'")
    return found


def run(handler: str, api: Api) -> NoReturn:
    """Initialise the function and let it work on events for as long as there are any."""
    global _request_id  # noqa: PLW0603 - the log handler has no other way to know
    _set_up_output()
    try:
        function = load(handler)
    except Exception as error:  # whatever a module does at its top level
        failure = _describe(error, "")
        body = json.dumps(failure).encode()
        api.request("POST", "/init/error", body, {"Lambda-Runtime-Function-Error-Type": failure["errorType"]})
        sys.exit(1)
    while True:
        status, headers, payload = api.request("GET", "/invocation/next")
        if status != 200:
            sys.exit(1)
        _request_id = headers["lambda-runtime-aws-request-id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
        where = f"/invocation/{_request_id}"
        try:
            result = _work(function, payload, headers)
        except Exception as error:  # whatever a handler raises
            failure = _describe(error, _request_id)
            body = json.dumps(failure).encode()
            api.request("POST", f"{where}/error", body, {"Lambda-Runtime-Function-Error-Type": failure["errorType"]})
        else:
            status, _, answer = api.request("POST", f"{where}/response", result, {"Content-Type": "application/json"})
            if status != 202:
                print(f"[ERROR] The response was not taken: {answer.decode()}")
                sys.exit(1)


def _work(function: Callable[[Any, Context], Any], payload: bytes, headers: dict[str, str]) -> bytes:
    try:
        event = json.loads(payload)
    except ValueError as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error
    result = function(event, Context(headers))
    try:
        return json.dumps(result, default=_decimal).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _decimal(value: object) -> object:
    """Numbers as DynamoDB's library gives them."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _describe(error: Exception, request_id: str) -> dict[str, Any]:
    """The error as callers get it; it is printed too."""
    if isinstance(error, Fault):
        error_type, stack = error.error_type, error.stack
    else:
        error_type, stack = type(error).__name__, _stack(error.__traceback__)
    print(f"[ERROR] {error_type}: {error}")
    if stack:
        print(
            "\r".join(
                ["Traceback (most recent call last):", *(part.rstrip("\n").replace("\n", "\r") for part in stack)]
            )
        )
    return {"errorMessage": str(error), "errorType": error_type, "requestId": request_id, "stackTrace": stack}


def _stack(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)
    theirs = [i for i, frame in enumerate(frames) if frame.filename != __file__ and "importlib" not in frame.filename]
    return traceback.format_list(frames[theirs[0] :] if theirs else frames)


def _set_up_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True)  # type: ignore[union-attr]
    log_handler = _LogHandler()
    log_handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
        )
    )
    logging.Formatter.converter = time.gmtime
    logging.getLogger().addHandler(log_handler)


def main() -> None:
    """`[--own] HANDLER`: `--own` leaves awslambdaric alone."""
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    own = sys.argv[1] == _OWN
    handler = sys.argv[-1]
    if not own and importlib.util.find_spec(_CLIENT) is not None:
        sys.argv = [sys.argv[0], handler]
        runpy.run_module(_CLIENT, run_name="__main__", alter_sys=True)
    else:
        run(handler, Api(os.environ["AWS_LAMBDA_RUNTIME_API"]))


if __name__ == "__main__":
    main()
