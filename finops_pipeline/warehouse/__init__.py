"""The warehouse: its file, its lock, its dbt project, and the publishing of marts.

Everything that opens, locks or replaces a database file does so through this package.
"""

from finops_pipeline.warehouse.warehouse import Warehouse

__all__ = ["Warehouse"]
