"""Rows in, parquet tables out; valid at every instant."""
