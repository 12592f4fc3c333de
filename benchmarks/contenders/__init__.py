"""Ways to get costs from the API into a DuckDB table. Each runs in a fresh process."""
