"""What SNS has captured, as anyone may look at it."""

from typing import Any

from tests.conftest import RunningBroker


def captured(
    broker: RunningBroker, account: str, region: str = "us-east-1", *, status: str = "captured"
) -> list[dict[str, Any]]:
    """An account's records in a region, the oldest first."""
    found = broker.request_json("GET", f"/_pombo/sns/deliveries?Account={account}&Region={region}")
    return [record for record in found["deliveries"] if record["Status"] == status]
