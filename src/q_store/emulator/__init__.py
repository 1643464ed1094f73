"""A service that speaks IonQ's API v0.4 on this machine, for development offline and for tests."""
