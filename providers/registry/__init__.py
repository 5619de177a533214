"""Image registries: what a tag names, asked over verified TLS."""
