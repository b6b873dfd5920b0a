"""The store: one batch of Changes is one transaction."""
