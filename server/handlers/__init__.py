"""The services of the contract: from messages to use cases and back."""
