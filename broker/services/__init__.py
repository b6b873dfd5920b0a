"""What the operations of each AWS service mean. Services are siblings: they never import one another."""
