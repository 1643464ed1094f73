"""Circuits as layers of PyTorch models. Needs the extra `torch`."""

from q_store.torch.layer import Layer

__all__ = ["Layer"]
