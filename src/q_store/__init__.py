"""q-store trains variational quantum models over a pool of quantum backends."""

__version__ = "0.1.0"
