"""The console's tests fill queues as the specifications do."""

from tests.sqs.conftest import client_of, make_queue, sqs

__all__ = ["client_of", "make_queue", "sqs"]
