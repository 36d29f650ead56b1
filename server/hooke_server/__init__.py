"""The Hooke server: loads models, shows what is inside, over gRPC."""
