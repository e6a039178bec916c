"""How fast Chute is on this machine, beside its ceiling and its peers."""
