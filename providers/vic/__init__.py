"""vic-machine and the Virtual Container Hosts that it makes: clients only."""
