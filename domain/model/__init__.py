"""The values of the business and the rules that need nothing but them."""
