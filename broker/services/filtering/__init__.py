"""Patterns over messages: the language that SNS's filter policies and the filters of event source mappings have in common."""
