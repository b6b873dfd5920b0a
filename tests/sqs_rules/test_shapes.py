"""Every operation's request and reply have the members of botocore's model, by the same names and of the same types."""

from functools import cache

import botocore.session
import pytest
from botocore.model import OperationModel, ServiceModel, Shape
from msgspec import inspect

from broker.services.sqs import SERVICE

_SCALARS = {
    "string": (inspect.StrType, inspect.LiteralType),
    "integer": (inspect.IntType,),
    "long": (inspect.IntType,),
    "boolean": (inspect.BoolType,),
    "blob": (inspect.BytesType,),
    "timestamp": (inspect.StrType,),
}
# "Not implemented. Reserved for future use": refused in requests, so never in a reply.
_NEVER_ANSWERED = {"StringListValues", "BinaryListValues"}


@cache
def model() -> ServiceModel:
    return botocore.session.Session().get_service_model("sqs")


def operation(name: str) -> OperationModel:
    return model().operation_model(name)


def plain(kind: inspect.Type) -> inspect.Type:
    """The type of a member whether it may be left out or not."""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        else:
            (kind,) = (t for t in kind.types if not isinstance(t, inspect.NoneType))
    return kind


def compare(kind: inspect.Type, shape: Shape, where: str, left_out: set[str]) -> None:
    kind = plain(kind)
    if shape.type_name == "structure":
        assert isinstance(kind, inspect.StructType), where
        fields = {field.encode_name: field.type for field in kind.fields}
        assert set(fields) | left_out >= set(shape.members), where
        assert set(fields) <= set(shape.members), where
        for name, field in fields.items():
            compare(field, shape.members[name], f"{where}.{name}", left_out)
    elif shape.type_name == "list":
        assert isinstance(kind, inspect.ListType), where
        compare(kind.item_type, shape.member, f"{where}[]", left_out)
    elif shape.type_name == "map":
        assert isinstance(kind, inspect.DictType), where
        compare(kind.value_type, shape.value, f"{where}{{}}", left_out)
    else:
        assert isinstance(kind, _SCALARS[shape.type_name]), where


def test_the_operations_are_awss() -> None:
    assert set(SERVICE.operations) == set(model().operation_names)
    assert len(SERVICE.operations) == 23


@pytest.mark.parametrize("name", sorted(SERVICE.operations))
def test_requests(name: str) -> None:
    compare(inspect.type_info(SERVICE.operations[name].request), operation(name).input_shape, name, set())


@pytest.mark.parametrize("name", sorted(SERVICE.operations))
def test_replies(name: str) -> None:
    reply, shape = SERVICE.operations[name].reply, operation(name).output_shape
    if shape is None:
        assert reply is None
    else:
        assert reply is not None
        compare(inspect.type_info(reply), shape, name, _NEVER_ANSWERED)


@pytest.mark.parametrize("name", sorted(SERVICE.operations))
def test_what_we_require_aws_requires(name: str) -> None:
    info = inspect.type_info(SERVICE.operations[name].request)
    assert isinstance(info, inspect.StructType)
    assert {field.encode_name for field in info.fields if field.required} <= set(
        operation(name).input_shape.required_members
    )
