"""A platform application and its endpoints as a specification sees them."""

from dataclasses import dataclass
from typing import Any

from tests.sns.topics import Sns

SECRET = "a secret key"
CREDENTIALS = {"PlatformCredential": SECRET, "PlatformPrincipal": "a principal"}


@dataclass(frozen=True)
class Application:
    """A platform application behind a boto3 client."""

    sns: Sns
    arn: str

    def attributes(self) -> dict[str, str]:
        reply = self.sns.get_platform_application_attributes(PlatformApplicationArn=self.arn)
        return dict(reply["Attributes"])

    def set(self, **attributes: str) -> None:
        self.sns.set_platform_application_attributes(PlatformApplicationArn=self.arn, Attributes=attributes)

    def create_endpoint(self, token: str = "a token", **more: Any) -> str:
        reply = self.sns.create_platform_endpoint(PlatformApplicationArn=self.arn, Token=token, **more)
        return str(reply["EndpointArn"])

    def endpoints(self) -> dict[str, dict[str, str]]:
        """The attributes of all endpoints, by ARN."""
        pages = self.sns.get_paginator("list_endpoints_by_platform_application").paginate(
            PlatformApplicationArn=self.arn
        )
        return {e["EndpointArn"]: e["Attributes"] for page in pages for e in page["Endpoints"]}

    def delete(self) -> None:
        self.sns.delete_platform_application(PlatformApplicationArn=self.arn)


def create_application(sns: Sns, name: str = "app", platform: str = "GCM", **attributes: str) -> Application:
    """An application with valid credentials, unless others are given."""
    reply = sns.create_platform_application(Name=name, Platform=platform, Attributes=CREDENTIALS | attributes)
    return Application(sns, reply["PlatformApplicationArn"])


def endpoint_attributes(sns: Sns, arn: str) -> dict[str, str]:
    return dict(sns.get_endpoint_attributes(EndpointArn=arn)["Attributes"])


def set_endpoint(sns: Sns, arn: str, **attributes: str) -> None:
    sns.set_endpoint_attributes(EndpointArn=arn, Attributes=attributes)
