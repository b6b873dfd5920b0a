"""Pombo: a durable message broker that speaks the wire APIs of AWS SNS and SQS."""

__version__ = "0.1.0"
