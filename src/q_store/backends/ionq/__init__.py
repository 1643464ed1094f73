"""IonQ's cloud: the wire format, and an asynchronous client that never pays twice."""
