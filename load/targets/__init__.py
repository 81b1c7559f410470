"""What is called: methods, from .proto files, protosets, stubs or reflection, and channels."""
