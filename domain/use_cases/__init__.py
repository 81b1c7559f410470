"""What callers can ask for, one class for each kind of resource."""
