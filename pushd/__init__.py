"""pushd watches a PostgreSQL table and POSTs every fresh row to webhooks."""

__version__ = "0.1.0"
