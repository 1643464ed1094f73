"""The asynchronous client of IonQ's API v0.4."""
