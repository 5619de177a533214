"""What a user composes: one file per component, its settings model in it; no component knows a protocol."""
