"""SQS's identity on the wire. The operation modules register their handlers on it."""

from typing import Final

from broker.services.operation import Service

SERVICE: Final = Service(
    name="sqs",
    json_target="AmazonSQS",
    query_version="2012-11-05",
    xml_namespace="http://queue.amazonaws.com/doc/2012-11-05/",
)
