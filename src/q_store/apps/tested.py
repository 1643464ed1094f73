"""What `tested.json` of a run folder holds: the confusion matrix, which rows were right, and the first test images."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.models.data import Dataset
from q_store.models.trained import Evaluation

SHOWN = 24
"""Images, the first of the test part: nobody chose them."""
CLASSES = 25
"""Of more classes no matrix is kept: nobody could read it."""
LARGEST = 64 * 64
"""Pixels of an image that is kept."""


def tested(data: Dataset, found: Evaluation, counts: NDArray[np.int64]) -> dict[str, Any]:
    """As JSON: `classes`, `counts[true][predicted]`, `right`, and for images `shape` and `images`.

    `right` has a bit for each test row, the first one in the highest bit, as base64, and `rows` counts them; an image
    has truth, predicted and pixels: grey levels 0..255 as base64, row by row, the first channel of several.
    """
    hits = np.packbits(found.truth == found.predicted)
    body: dict[str, Any] = {
        "rows": len(found.truth),
        "right": base64.b64encode(hits.tobytes()).decode(),
    }
    return body | drawn(data, data.test.x, found.truth, found.predicted, counts)


def drawn(
    data: Dataset, x: NDArray[Any], truth: NDArray[Any], predicted: NDArray[Any], counts: NDArray[np.int64]
) -> dict[str, Any]:
    """What is looked at of rows x[R]: `classes`, `counts`, and of images `shape` and the first `images`."""
    body: dict[str, Any] = {"classes": list(data.class_names)}
    if len(counts) <= CLASSES:
        body["counts"] = counts.tolist()
    shape = data.image_shape
    if shape is None or shape[0] * shape[1] > LARGEST:
        return body
    rows = x[:SHOWN]
    levels = _levels(rows.reshape(len(rows), *shape))
    body["shape"] = [shape[0], shape[1]]
    body["images"] = [
        {"truth": int(right), "predicted": int(guess), "pixels": base64.b64encode(pixels.tobytes()).decode()}
        for right, guess, pixels in zip(truth, predicted, levels, strict=False)
    ]
    return body


def hits(body: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Which test rows were right: [rows]; None where that is not kept, or not readable."""
    rows, packed = body.get("rows"), body.get("right")
    if not isinstance(rows, int) or not isinstance(packed, str):
        return None
    try:
        found = np.unpackbits(np.frombuffer(base64.b64decode(packed, validate=True), np.uint8))
    except ValueError:
        return None
    return found[:rows].astype(bool) if 0 < rows <= len(found) < rows + 8 else None


def _levels(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey levels of images[B, H, W] or [B, H, W, C]; others than bytes are spread from their least to their most."""
    flat = images[..., 0] if images.ndim == 4 else images
    if flat.dtype == np.uint8:
        return np.ascontiguousarray(flat)
    low, high = float(flat.min()), float(flat.max())
    return np.ascontiguousarray(np.round(255 * (flat - low) / ((high - low) or 1.0)).astype(np.uint8))
