"""Side-by-side measurements of the pipeline, runnable by anyone: ``python -m benchmarks``."""
