"""The registry's schema, step by step; run by the program itself when it opens a registry."""
