"""The control of document.py: a small convolutional network on the bundled images, trained until it is flat."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from q_store.models import fashion_mnist

PATIENCE = 10
"""Epochs without a lower validation loss that end a fit; it goes back to the lowest."""


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def control(seeds: int) -> list[dict[str, Any]]:
    """Test accuracy, parameters, epochs, and seconds of the inference of an image, for each seed."""
    torch.set_num_threads(1)
    data = fashion_mnist.load_bundled()
    parts = [
        (torch.tensor(part.x.reshape(-1, 1, 28, 28) / 255, dtype=torch.float32), torch.tensor(part.y))
        for part in (data.train, data.validation, data.test)
    ]
    return [_fit(seed, *parts) for seed in range(seeds)]


def _fit(seed: int, train: Any, validation: Any, test: Any) -> dict[str, Any]:
    torch.manual_seed(seed)
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    best, kept, epochs, last = np.inf, net.state_dict(), 0, 0
    while epochs - last < PATIENCE:
        epochs += 1
        net.train()
        for rows in torch.randperm(len(train[0])).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(train[0][rows]), train[1][rows]).backward()
            optimiser.step()
        net.eval()
        with torch.no_grad():
            loss = float(nn.functional.cross_entropy(net(validation[0]), validation[1]))
        if loss < best:
            best, last, kept = loss, epochs, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(kept)
    with torch.no_grad():
        accuracy = float((net(test[0]).argmax(dim=1) == test[1]).float().mean())
        took = least_time(lambda: net(test[0][:1]))
    size = sum(each.numel() for each in net.parameters())
    return {"seed": seed, "test": accuracy, "epochs": epochs, "parameters": size, "inference": took}


def least_time(call: Callable[[], Any], repeats: int = 30) -> float:
    """Seconds of the fastest of some calls."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)
