"""The lab's parts, one real system a module."""
