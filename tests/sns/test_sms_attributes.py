"""SetSMSAttributes and GetSMSAttributes. Source: SNS API Reference, SetSMSAttributes."""

import pytest

from tests.sns.conftest import MakeSns
from tests.sns.topics import Sns
from tests.sqs.queues import refused

ALL = {
    "MonthlySpendLimit": "10",
    "DeliveryStatusIAMRole": "arn:aws:iam::111111111111:role/sms",
    "DeliveryStatusSuccessSamplingRate": "0",
    "DefaultSenderID": "MyBrand1",
    "DefaultSMSType": "Transactional",
    "UsageReportS3Bucket": "my-bucket",
}


def settings(sns: Sns, *names: str) -> dict[str, str]:
    return dict(sns.get_sms_attributes(**({"attributes": list(names)} if names else {}))["attributes"])


def test_an_account_may_spend_a_dollar_at_first(sns: Sns) -> None:
    assert settings(sns) == {"MonthlySpendLimit": "1"}


def test_attributes_are_returned_as_they_were_set(sns: Sns) -> None:
    sns.set_sms_attributes(attributes=ALL)
    assert settings(sns) == ALL


def test_others_stay_as_they_are(sns: Sns) -> None:
    sns.set_sms_attributes(attributes=ALL)
    sns.set_sms_attributes(attributes={"DefaultSMSType": "Promotional"})
    assert settings(sns) == ALL | {"DefaultSMSType": "Promotional"}


def test_the_named_attributes_are_returned(sns: Sns) -> None:
    sns.set_sms_attributes(attributes={"DefaultSenderID": "MyBrand"})
    assert settings(sns, "DefaultSenderID", "UsageReportS3Bucket") == {"DefaultSenderID": "MyBrand"}


def test_an_empty_value_takes_an_attribute_away(sns: Sns) -> None:
    sns.set_sms_attributes(attributes=ALL)
    sns.set_sms_attributes(attributes={"UsageReportS3Bucket": "", "MonthlySpendLimit": ""})
    assert settings(sns, "UsageReportS3Bucket", "MonthlySpendLimit") == {"MonthlySpendLimit": "1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MonthlySpendLimit", "-1"),
        ("MonthlySpendLimit", "much"),
        ("DeliveryStatusIAMRole", "role"),
        ("DeliveryStatusSuccessSamplingRate", "101"),
        ("DeliveryStatusSuccessSamplingRate", "1.5"),
        ("DefaultSenderID", "TwelveLetter"),
        ("DefaultSenderID", "12345"),
        ("DefaultSenderID", "my brand"),
        ("DefaultSMSType", "promotional"),
        ("UsageReportS3Bucket", "My_Bucket"),
        ("Nonsense", "x"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_is_set(sns: Sns, name: str, value: str) -> None:
    with refused("InvalidParameter"):
        sns.set_sms_attributes(attributes={"DefaultSenderID": "MyBrand", name: value})
    assert settings(sns) == {"MonthlySpendLimit": "1"}


@pytest.mark.parametrize("rate", ["0", "7", "100"])
def test_the_sampling_rate_is_a_percentage(sns: Sns, rate: str) -> None:
    sns.set_sms_attributes(attributes={"DeliveryStatusSuccessSamplingRate": rate})
    assert settings(sns)["DeliveryStatusSuccessSamplingRate"] == rate


def test_regions_are_apart(sns: Sns, sns_of: MakeSns) -> None:
    sns.set_sms_attributes(attributes=ALL)
    assert settings(sns_of(region="eu-west-1")) == {"MonthlySpendLimit": "1"}
