"""What each team and project spent on OpenAI, every morning, provably."""
