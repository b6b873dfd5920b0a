"""An invocation's event and result, the failures that the runtime itself reports, and AWS's lines around it in the log.

Source: Lambda Developer Guide, "Troubleshoot invocation issues in Lambda" and "Sending Lambda function logs to CloudWatch Logs".
"""

import json
import math
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

PAYLOAD_BYTES_MAX: Final = (
    6 * 1024 * 1024 + 100
)  # of a synchronous invocation's result; the events are the API's to check
LOG_TAIL_BYTES_MAX: Final = 4096
UNHANDLED: Final = "Unhandled"


@dataclass(frozen=True)
class Event:
    """What a function is invoked with. `function_arn`: as the caller named it, with version or alias; empty: the function's."""

    payload: bytes
    request_id: str
    function_arn: str = ""
    trace_id: str = ""
    client_context: str = ""  # JSON
    cognito_identity: str = ""  # JSON


@dataclass(frozen=True)
class Answer:
    """What the runtime made of an event: a result, or the function's error (`error_type` is not None, though perhaps empty)."""

    payload: bytes
    error_type: str | None = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Failure:
    """A function that could not be initialised or did not answer. `text` comes after `RequestId: … Error: `."""

    error_type: str
    text: str
    timed_out: bool = False
    payload: bytes | None = None  # as the runtime reported it

    def answer(self, request_id: str) -> Answer:
        """What the caller gets."""
        payload = self.payload
        if payload is None:
            payload = error_payload(self.error_type, f"RequestId: {request_id} Error: {self.text}")
        return Answer(payload, self.error_type)


@dataclass(frozen=True)
class Invocation:
    """What became of an event. `function_error` is the value of X-Amz-Function-Error, `error_type` the one of the log."""

    request_id: str
    payload: bytes
    function_error: str | None
    error_type: str | None
    content_type: str
    log_tail: bytes  # the last 4 KB, for LogResult
    duration_ms: float
    billed_ms: int
    memory_used_mb: int
    init_ms: float | None  # of a cold start
    timed_out: bool = False


def error_payload(error_type: str | None, message: str) -> bytes:
    """An error as AWS words those that no runtime reported."""
    payload = {"errorMessage": message}
    if error_type is not None:
        payload = {"errorType": error_type} | payload
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def too_large() -> Answer:
    """The function's result is over the limit. Observed: https://github.com/DataBiosphere/azul/issues/7466."""
    message = f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes)."
    return Answer(error_payload("Function.ResponseSizeTooLarge", message), "Function.ResponseSizeTooLarge")


def timed_out(request_id: str, after_s: float, at_s: float) -> tuple[Answer, str]:
    """The answer, and the line in the log, of a function that ran for `after_s` seconds without answering, until `at_s`.

    Observed: https://github.com/build-on-aws/amazon-bedrock-agents-quickstart/issues/1.
    """
    line = f"{iso_time(at_s)} {request_id} Task timed out after {after_s:.2f} seconds"
    return Answer(error_payload(None, line), "Sandbox.Timedout"), line


def exited(code: int) -> Failure:
    """The function's process ended by itself."""
    if code == 0:
        return Failure("Runtime.ExitError", "Runtime exited without providing a reason")
    return Failure("Runtime.ExitError", f"Runtime exited with error: exit status {code}")


def killed(number: int, core_dumped: bool = False) -> Failure:
    """The function's process was ended by a signal."""
    name = (signal.strsignal(number) or f"signal {number}").lower()
    core = " (core dumped)" if core_dumped else ""
    return Failure("Runtime.ExitError", f"Runtime exited with error: signal: {name}{core}")


def iso_time(at_s: float) -> str:
    """Seconds since the epoch in the form of log lines."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def start_line(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def end_line(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report_line(invocation: Invocation, memory_mb: int) -> str:
    """The REPORT line, its fields apart by tabs."""
    fields = [
        f"REPORT RequestId: {invocation.request_id}",
        f"Duration: {invocation.duration_ms:.2f} ms",
        f"Billed Duration: {invocation.billed_ms} ms",
        f"Memory Size: {memory_mb} MB",
        f"Max Memory Used: {invocation.memory_used_mb} MB",
    ]
    if invocation.init_ms is not None:
        fields.append(f"Init Duration: {invocation.init_ms:.2f} ms")
    if invocation.timed_out:
        fields.append("Status: timeout")
    elif invocation.error_type is not None and not _is_the_functions_own(invocation.error_type):
        fields.append(f"Status: error\tError Type: {invocation.error_type}")
    return "\t".join(fields) + "\t"


def init_report_line(init_ms: float, phase: str, failure: Failure) -> str:
    """The line about an initialisation that failed, `phase` being init or, where it was tried again, invoke."""
    line = f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\t"
    return line + ("Status: timeout" if failure.timed_out else f"Status: error\tError Type: {failure.error_type}")


def billed_ms(duration_ms: float, init_ms: float | None) -> int:
    """Whole milliseconds begun, the initialisation's among them."""
    return math.ceil(duration_ms + (init_ms or 0.0))


def _is_the_functions_own(error_type: str) -> bool:
    """An exception that the handler raised; the REPORT line names only failures of the runtime."""
    return not error_type.startswith(("Runtime.", "Function.", "Sandbox."))
