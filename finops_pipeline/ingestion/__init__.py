"""Loading what OpenAI answers into raw tables. Nothing here knows that Dagster exists."""
