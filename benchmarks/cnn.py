"""The control of document.py: a small convolutional network on the same images, trained until it is flat."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from q_store.models.data import Dataset

PATIENCE = 10
"""Epochs without a lower validation loss that end a fit; it goes back to the lowest."""
MOST = 5000
"""Images for training."""


def network(height: int, width: int, channels: int, classes: int) -> nn.Module:
    flat = 32 * (height // 4) * (width // 4)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(flat, 64), nn.ReLU(), nn.Linear(64, classes),
    )  # fmt: skip


def control(data: Dataset, seeds: list[int]) -> list[dict[str, Any]]:
    """Test accuracy, parameters, epochs, processor seconds of the training and of one inference, for each seed.

    Nothing where the data are no images of 4 x 4 pixels or more.
    """
    if data.image_shape is None or min(data.image_shape[:2]) < 4:
        return []
    torch.set_num_threads(1)
    height, width, channels = (*data.image_shape, 1)[:3]
    largest = 255 if data.train.x.dtype == np.uint8 else float(np.abs(data.train.x).max()) or 1.0
    parts = [
        (
            torch.tensor(part.x[:MOST].reshape(-1, height, width, channels) / largest, dtype=torch.float32)
            .permute(0, 3, 1, 2)
            .contiguous(),
            torch.tensor(part.y[:MOST]),
        )
        for part in (data.train, data.validation, data.test)
    ]
    return [_fit(seed, (height, width, channels, data.n_classes), *parts) for seed in seeds]


def _fit(seed: int, shape: tuple[int, int, int, int], train: Any, validation: Any, test: Any) -> dict[str, Any]:
    torch.manual_seed(seed)
    net, started = network(*shape), time.process_time()
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
    seconds = round(time.process_time() - started, 1)
    with torch.no_grad():
        accuracy = float((net(test[0]).argmax(dim=1) == test[1]).float().mean())
        took = least_time(lambda: net(test[0][:1]))
    size = sum(each.numel() for each in net.parameters())
    return {
        "seed": seed, "test": accuracy, "epochs": epochs, "parameters": size, "seconds": seconds, "inference": took
    }  # fmt: skip


def least_time(call: Callable[[], Any], repeats: int = 30) -> float:
    """Seconds of the fastest of some calls."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)
