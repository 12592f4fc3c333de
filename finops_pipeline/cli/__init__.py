"""The `finops` command: one module per command group, each a thin layer."""
