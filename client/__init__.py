"""For programs that use a broker: Pombo, or AWS itself."""

from client.client import Client
from client.consumer import Consumer, Failure
from client.messages import Message, MessageAttribute, Outgoing
from client.producer import Producer

__all__ = ["Client", "Consumer", "Failure", "Message", "MessageAttribute", "Outgoing", "Producer"]
