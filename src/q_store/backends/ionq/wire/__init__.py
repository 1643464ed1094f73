"""IonQ's API v0.4 as pure functions between circuits and JSON, for the client and the emulator alike."""
