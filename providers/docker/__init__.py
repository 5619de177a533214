"""Docker hosts: an engine, or a Virtual Container Host that speaks Docker's API 1.25."""
