"""Rows at equal distances in time: means over intervals."""

from __future__ import annotations

from nbt_embed.app.recording import Recording


def resampled(recording: Recording, seconds: float, gap: float | None) -> Recording:
    raise NotImplementedError
