"""For programs that use a broker: Pombo, or AWS itself."""
