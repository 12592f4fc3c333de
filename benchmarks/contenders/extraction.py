"""The pipeline's collection up to the files of its loads: nothing enters a database.

What DuckDB takes is bounded by its own setting; this shows what reading and staging take.
"""
