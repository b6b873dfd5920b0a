"""The broker's own pages and endpoints: everything that is not AWS's."""
