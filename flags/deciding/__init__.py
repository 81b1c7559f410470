"""Who has a feature: what every request asks."""
