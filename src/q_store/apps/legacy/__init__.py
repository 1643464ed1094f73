"""The classes that v3.4 and v3.5 of q-store offered, on what does their work today."""
