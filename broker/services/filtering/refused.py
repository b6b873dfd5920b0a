"""The one error of this package."""


class PolicyRefused(Exception):
    """A filter, delivery, redrive or replay policy is not valid. `reason` is AWS's text without what the operation puts before."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
