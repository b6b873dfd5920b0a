"""Execution environments: the processes in which functions run, and the pools that keep them warm.

Knows no API, no wire format and no store. A subprocess is no sandbox: a function can do whatever the broker's user can.
"""
