"""What each call sends: messages and metadata."""
