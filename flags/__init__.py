"""Features and their flags: who is in one, and how a rollout moves."""
