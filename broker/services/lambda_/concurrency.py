"""PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency and GetAccountSettings."""

import msgspec

from broker.services.context import Call
from broker.services.lambda_.errors import InvalidParameterValue, ValidationException
from broker.services.lambda_.functions import Name
from broker.services.lambda_.names import Target, read_target
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions
from broker.services.operation import Http

ACCOUNT_CONCURRENCY = 1_000
UNRESERVED_MIN = 100


class PutFunctionConcurrencyRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    reserved_concurrent_executions: int


class FunctionConcurrency(msgspec.Struct, rename="pascal", kw_only=True):
    reserved_concurrent_executions: int | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "PutFunctionConcurrency",
    PutFunctionConcurrencyRequest,
    FunctionConcurrency,
    http=Http("PUT", "/2017-10-31/functions/{FunctionName}/concurrency"),
)
async def put_function_concurrency(call: Call, request: PutFunctionConcurrencyRequest) -> FunctionConcurrency:
    """How many invocations of a function may run at once; 0 switches it off."""
    target = read_target(call, request.function_name)
    if request.reserved_concurrent_executions < 0:
        raise ValidationException(
            "reservedConcurrentExecutions",
            f"'{request.reserved_concurrent_executions}'",
            "Member must have value greater than or equal to 0",
        )
    await call.runtime.call(_put, call, target, request.reserved_concurrent_executions)
    return FunctionConcurrency(reserved_concurrent_executions=request.reserved_concurrent_executions)


class FunctionRequest(msgspec.Struct, rename="pascal"):
    function_name: Name


@SERVICE.operation(
    "GetFunctionConcurrency",
    FunctionRequest,
    FunctionConcurrency,
    http=Http("GET", "/2019-09-30/functions/{FunctionName}/concurrency"),
)
async def get_function_concurrency(call: Call, request: FunctionRequest) -> FunctionConcurrency:
    """A function's reserved concurrency."""
    target = read_target(call, request.function_name)
    function = await call.runtime.call(call.runtime.part(Functions).find, target.function)
    reserved = function.reserved_concurrency
    return FunctionConcurrency(reserved_concurrent_executions=msgspec.UNSET if reserved is None else reserved)


@SERVICE.operation(
    "DeleteFunctionConcurrency",
    FunctionRequest,
    http=Http("DELETE", "/2017-10-31/functions/{FunctionName}/concurrency", 204),
)
async def delete_function_concurrency(call: Call, request: FunctionRequest) -> None:
    """Lift the limit."""
    target = read_target(call, request.function_name)
    await call.runtime.call(_put, call, target, None)


class AccountLimit(msgspec.Struct, rename="pascal"):
    total_code_size: int
    code_size_unzipped: int
    code_size_zipped: int
    concurrent_executions: int
    unreserved_concurrent_executions: int


class AccountUsage(msgspec.Struct, rename="pascal"):
    total_code_size: int
    function_count: int


class GetAccountSettingsRequest(msgspec.Struct):
    pass


class GetAccountSettingsResult(msgspec.Struct, rename="pascal"):
    account_limit: AccountLimit
    account_usage: AccountUsage


@SERVICE.operation(
    "GetAccountSettings",
    GetAccountSettingsRequest,
    GetAccountSettingsResult,
    http=Http("GET", "/2016-08-19/account-settings"),
)
async def get_account_settings(call: Call, request: GetAccountSettingsRequest) -> GetAccountSettingsResult:
    """The account's limits and what it uses of them."""
    mine = [
        f
        for f in call.runtime.part(Functions).by_name.values()
        if (f.name.account, f.name.region) == (call.account, call.region)
    ]
    reserved = sum(f.reserved_concurrency or 0 for f in mine)
    used = sum(v.settings.code_size for f in mine for v in f.versions.values())
    return GetAccountSettingsResult(
        AccountLimit(80_530_636_800, 262_144_000, 52_428_800, ACCOUNT_CONCURRENCY, ACCOUNT_CONCURRENCY - reserved),
        AccountUsage(used, len(mine)),
    )


def _put(call: Call, target: Target, reserved: int | None) -> None:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    others = sum(
        f.reserved_concurrency or 0
        for f in functions.by_name.values()
        if (f.name.account, f.name.region) == (function.name.account, function.name.region) and f is not function
    )
    if reserved is not None and others + reserved > ACCOUNT_CONCURRENCY - UNRESERVED_MIN:
        raise InvalidParameterValue(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            f"minimum value of [{UNRESERVED_MIN}]."
        )
    function.reserved_concurrency = reserved
    functions.record(function)
