"""PostgreSQL behind the domain's ports."""
