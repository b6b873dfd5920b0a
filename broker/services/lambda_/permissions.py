"""AddPermission, RemovePermission and GetPolicy: a function's resource policy, kept and returned. Nothing here enforces it."""

import re
from typing import Annotated, Any, Final

import msgspec
import orjson

from broker.services.context import Call
from broker.services.lambda_.errors import ResourceConflict, ResourceNotFound, ValidationException
from broker.services.lambda_.function import FunctionRecord
from broker.services.lambda_.functions import Name, Qualifier
from broker.services.lambda_.names import Target, read_target
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions, check_revision
from broker.services.operation import At, Http

_PATH: Final = "/2015-03-31/functions/{FunctionName}/policy"
_STATEMENT: Final = re.compile(r"[a-zA-Z0-9_-]{1,100}")
_ACTION: Final = re.compile(r"lambda:\*|lambda:[a-zA-Z]+|\*")
_SERVICE_PRINCIPAL: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com")


class AddPermissionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    qualifier: Qualifier = None
    statement_id: str
    action: str
    principal: str
    source_arn: str | None = None
    source_account: str | None = None
    event_source_token: str | None = None
    principal_org_id: str | None = msgspec.field(default=None, name="PrincipalOrgID")
    revision_id: str | None = None


class AddPermissionResult(msgspec.Struct, rename="pascal"):
    statement: str


@SERVICE.operation("AddPermission", AddPermissionRequest, AddPermissionResult, http=Http("POST", _PATH, 201))
async def add_permission(call: Call, request: AddPermissionRequest) -> AddPermissionResult:
    """Add a statement that allows an action to a service or an account."""
    target = read_target(call, request.function_name, request.qualifier)
    _check("statementId", request.statement_id, _STATEMENT)
    _check("action", request.action, _ACTION)
    return AddPermissionResult(orjson.dumps(await call.runtime.call(_add, call, target, request)).decode())


class RemovePermissionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    statement_id: Annotated[str, At("uri", "StatementId")]
    qualifier: Qualifier = None
    revision_id: Annotated[str | None, At("query", "RevisionId")] = None


@SERVICE.operation("RemovePermission", RemovePermissionRequest, http=Http("DELETE", f"{_PATH}/{{StatementId}}", 204))
async def remove_permission(call: Call, request: RemovePermissionRequest) -> None:
    """Remove the statement of this id."""
    target = read_target(call, request.function_name, request.qualifier)
    await call.runtime.call(_remove, call, target, request)


class GetPolicyRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    qualifier: Qualifier = None


class GetPolicyResult(msgspec.Struct, rename="pascal"):
    policy: str
    revision_id: str


@SERVICE.operation("GetPolicy", GetPolicyRequest, GetPolicyResult, http=Http("GET", _PATH))
async def get_policy(call: Call, request: GetPolicyRequest) -> GetPolicyResult:
    """The policy of a function, version or alias."""
    target = read_target(call, request.function_name, request.qualifier)
    function = await call.runtime.call(_holder, call, target)
    statements = function.policies.get(target.qualifier or "")
    if not statements:
        raise ResourceNotFound("The resource you requested does not exist.")
    policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
    return GetPolicyResult(orjson.dumps(policy).decode(), function.policy_revision_id)


def _holder(call: Call, target: Target) -> FunctionRecord:
    functions = call.runtime.part(Functions)
    return functions.find_version(target)[0]


def _add(call: Call, target: Target, request: AddPermissionRequest) -> dict[str, Any]:
    function = _holder(call, target)
    check_revision(request.revision_id, function.policy_revision_id)
    key = target.qualifier or ""
    statements = function.policies.get(key, [])
    if any(statement["Sid"] == request.statement_id for statement in statements):
        raise ResourceConflict(
            f"The statement id ({request.statement_id}) provided already exists. Please provide a new statement id, or remove "
            "the existing statement."
        )
    statement: dict[str, Any] = {
        "Sid": request.statement_id,
        "Effect": "Allow",
        "Principal": _principal(request.principal),
        "Action": request.action,
        "Resource": target.arn,
    }
    conditions: dict[str, dict[str, str]] = {}
    if request.source_arn is not None:
        conditions["ArnLike"] = {"AWS:SourceArn": request.source_arn}
    equals = {
        name: value
        for name, value in (
            ("AWS:SourceAccount", request.source_account),
            ("lambda:EventSourceToken", request.event_source_token),
            ("aws:PrincipalOrgID", request.principal_org_id),
        )
        if value is not None
    }
    if equals:
        conditions["StringEquals"] = equals
    if conditions:
        statement["Condition"] = conditions
    function.policies = {**function.policies, key: [*statements, statement]}
    _changed(call, function)
    return statement


def _remove(call: Call, target: Target, request: RemovePermissionRequest) -> None:
    function = _holder(call, target)
    check_revision(request.revision_id, function.policy_revision_id)
    key = target.qualifier or ""
    statements = function.policies.get(key, [])
    kept = [statement for statement in statements if statement["Sid"] != request.statement_id]
    if len(kept) == len(statements):
        raise ResourceNotFound(f"Statement {request.statement_id} is not found in resource policy.")
    function.policies = {**function.policies, key: kept}
    _changed(call, function)


def _changed(call: Call, function: FunctionRecord) -> None:
    function.policy_revision_id = call.runtime.chance.uuid()
    call.runtime.part(Functions).record(function)


def _principal(principal: str) -> Any:
    if principal == "*":
        return "*"
    if _SERVICE_PRINCIPAL.fullmatch(principal):
        return {"Service": principal}
    return {"AWS": f"arn:aws:iam::{principal}:root" if principal.isdigit() else principal}


def _check(member: str, value: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(value):
        raise ValidationException(
            member, f"'{value[:200]}'", f"Member must satisfy regular expression pattern: {pattern.pattern}"
        )
