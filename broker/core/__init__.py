"""The queue engine: synchronous, without I/O, asyncio or wire formats."""
