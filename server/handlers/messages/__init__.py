"""Messages of the contract as values of the domain, and back."""
