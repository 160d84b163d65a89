"""Units that follow a stream, in float64 NumPy: docs/design.md, section 11, "Units".

Two units of one channel. The live ones move with every value: the network sees (x - m) / s. The
applied ones, M and S, move in rare steps: labels and the direct inputs of the readouts stand in
them, and a step re-expresses exactly what has been learnt:

    x' = a x + b,   a = S / s,   b = (M - m) / s

`affine` says what that is in linear algebra. All statistics are of x = z - reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.covariance import ReadoutCovariance

SETTLED = 20  # values counted before any is limited
BLOCK = 64  # values of the start, and of the block after a far value
START_VARIANCE = 64.0  # how much less the variance of a block has to be to replace the start
FAR_VALUE = 6.0  # live deviations from the mean: the channel may have jumped
JUMP_VARIANCE = 8.0  # how much less the variance of the block after it has to be,
JUMP = 4.0  # and how many variances its mean has to be away, squared
OUTGROWN = 100.0  # live deviations that a value is off after it was counted: all starts again
OUTGROWN_RUN = 16  # far values in a row before that
FAR = 1024.0  # deviations from the reference after which it moves
AS_IT_IS = -1.0  # in place of a deviation S: the value itself is taken, M = 0 and S = 1


@dataclass(frozen=True)
class Change:
    """What one value z of a channel did.

    live, applied: z in the two units, within the limit. a, b: the step x' = a x + b of the applied
    units; 1 and 0 for none. first: the channel has varied for the first time; a is 0 then, and b
    what the value before is in the new units. restart: the first values were unlike those after,
    or units grow towards a value that is still far outside them.
    jump: the channel has jumped permanently; from here on the values since then alone count.
    """

    live: float
    applied: float
    a: float = 1.0
    b: float = 0.0
    first: bool = False
    restart: bool = False
    jump: bool = False

    @property
    def moved(self) -> bool:
        """Whether the applied units made a step."""
        return (self.a, self.b) != (1.0, 0.0)


@dataclass
class Unit:
    """Live and applied units of one channel.

    Attributes: rate, 1/values; limit, deviations, 0 for none; flags, whether a channel of 0 and 1
    is taken as it is; reference; mean, variance, count (live, m and v relative to the reference);
    M, S (applied; S is 0 until the channel varies); block_mean, block_variance,
    block_count (present block).
    """

    rate: float
    limit: float = 0.0
    flags: bool = False
    reference: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    count: int = 0
    M: float = 0.0
    S: float = 0.0
    block_mean: float = 0.0
    block_variance: float = 0.0
    block_count: int = 0

    @property
    def varies(self) -> bool:
        """Whether the live variance is more than rounding."""
        return self.variance > 1e-12 * self.mean**2 + 1e-37

    @property
    def deviation(self) -> float:
        """Live deviation s; the applied one where the live variance is rounding."""
        return float(np.sqrt(self.variance)) if self.varies else self.S

    def apply(self, z: float) -> float:
        """Caller's units to applied units; 0 for a channel that has not varied."""
        if self.S == AS_IT_IS:
            return z
        return (z - self.reference - self.M) / self.S if self.S > 0 else 0.0

    def restore(self, x: float) -> float:
        """Applied units to caller's units."""
        return x if self.S == AS_IT_IS else self.reference + self.M + self.S * x

    def limited(self, x: float) -> float:
        """Clamp x to limit live deviations around the live mean, once SETTLED values were seen."""
        if self.limit == 0 or self.S <= 0 or self.count <= SETTLED:
            return x
        reach = self.limit * self.deviation
        return float(np.clip(x, self.mean - reach, self.mean + reach))

    def take(self, z: float) -> Change:
        """Count z, move the units, and say what z is in them."""
        if self.S == AS_IT_IS and not self.flags:
            return Change(z, z)  # not scaled at all
        before, restart, jump = self.mean + self.reference, False, False
        x = z - self.reference
        far = self.count > 0 and self.S > 0 and abs(x - self.mean) > FAR_VALUE * self.deviation
        again = far and self.block_count <= -OUTGROWN_RUN
        if self.count == 0:
            self.reference, self.count = z, 1
            self.S = AS_IT_IS if self.flags and z in (0.0, 1.0) else 0.0
        else:
            restart, jump = self.count_value(x, far)
        a, b, first = self.step(z, before)
        if self.S == AS_IT_IS:
            return Change(z, z)
        outgrown = abs(z - self.reference - self.mean) > OUTGROWN * self.deviation
        restart |= again and not first and a < 1 and outgrown
        x = self.limited(z - self.reference)
        live = (x - self.mean) / self.deviation if self.S > 0 else 0.0
        applied = (x - self.M) / self.S if self.S > 0 else 0.0
        return Change(live, applied, a, b, first, restart, jump)

    def count_value(self, x: float, far: bool) -> tuple[bool, bool]:
        """Take x into all statistics. Returns whether a block replaced them: a start, a jump."""
        counted = self.limited(x)
        self.count += 1
        k = max(1 / self.count, self.rate)
        self.mean, self.variance = followed(self.mean, self.variance, counted, k)
        starts = self.count <= BLOCK
        replaced = self.count_start(x) if starts else self.count_after_far_value(x, far)
        if starts:
            self.block_count = self.far_run() if far and self.count < BLOCK else 0
        if abs(self.mean) > FAR * np.sqrt(self.variance):
            self.move_reference(self.mean)
        return starts and replaced, not starts and replaced

    def count_in_block(self, x: float, j: int) -> None:
        """Take x, the j-th value of the block, into its statistics."""
        self.block_mean, self.block_variance = followed(
            self.block_mean, self.block_variance, x, 1 / j
        )

    def count_start(self, x: float) -> bool:
        """Blocks of values 2; 3, 4; 5 .. 8; ...; 33 .. 64, not limited."""
        n = self.count
        before = 2 ** ((n - 1).bit_length() - 1)
        self.count_in_block(x, n - before)
        if n < 2 * before:
            return False
        mean, variance = self.block_mean, self.block_variance
        replaces = n >= 8 and 0 < START_VARIANCE * variance < self.variance
        if replaces:
            self.mean, self.variance = mean, variance
        if abs(mean) > FAR * np.sqrt(variance):
            self.move_reference(mean)
        self.block_mean = self.block_variance = 0.0
        return replaces

    def count_after_far_value(self, x: float, far: bool) -> bool:
        """A far value begins a block. Returns whether that has shown a permanent jump."""
        if far:  # a block of one; how many there are in a row is counted below zero
            self.block_mean, self.block_variance = x, 0.0
            self.block_count = self.far_run()
            return False
        if self.block_count == 0:
            return False
        self.block_count = max(self.block_count, 1) + 1
        self.count_in_block(x, self.block_count)
        if self.block_count < BLOCK:
            return False
        self.block_count = 0
        jumps = 0 < JUMP_VARIANCE * self.block_variance < self.variance
        jumps = jumps and (self.block_mean - self.mean) ** 2 > JUMP * self.variance
        if jumps:
            self.mean, self.variance, self.count = self.block_mean, self.block_variance, BLOCK
        return jumps

    def far_run(self) -> int:
        """Minus the far values in a row, with one more."""
        return max(min(self.block_count, 0) - 1, -OUTGROWN_RUN)

    def move_reference(self, by: float) -> None:
        """The origin of x comes nearer; nothing else changes."""
        self.reference += by
        self.mean -= by
        self.M -= by
        self.block_mean -= by

    def step(self, z: float, before: float) -> tuple[float, float, bool]:
        """Apply the live units if they have left the applied ones. Returns: a, b, first.

        before: the live mean before z, caller's units.
        """
        if not self.varies or (self.S == AS_IT_IS and z in (0.0, 1.0)):
            return 1.0, 0.0, False
        s, m = np.sqrt(self.variance), self.mean
        S, M = (1.0, -self.reference) if self.S == AS_IT_IS else (self.S, self.M)
        if self.S > 0 and S / 2 <= s <= 2 * S and abs(m - M) <= S:
            return 1.0, 0.0, False
        first = self.S == 0
        self.M, self.S = m, s
        if first:
            return 0.0, float(before - self.reference - m) / s, True
        return S / s, (M - m) / s, False


def followed(mean: float, variance: float, x: float, k: float) -> tuple[float, float]:
    """Mean m' = m + k (x - m) and variance v' = v + k ((x - m)(x - m') - v)."""
    m = mean + k * (x - mean)
    return m, variance + k * ((x - mean) * (x - m) - variance)


# ---- What a step of the applied units does to what was learnt ------------------------------------


def affine(n: int, places: NDArray[np.int_], constant: int, a: float, b: float) -> Array:
    """A (n, n) of f' = A f: the features at `places` become a f_j + b f_constant."""
    A = np.eye(n)
    A[places, places] = a
    A[places, constant] = b
    return A


def re_expressed(V: Array, A: Array) -> Array:
    """V' (..., n) with V' f' = V f for every f, f' = A f."""
    return np.asarray(V @ np.linalg.inv(A))


def re_express_covariance(C: ReadoutCovariance, A: Array) -> None:
    """C' = M C M^T with M = A^-T, so that f'^T C' f' = f^T C f for every f."""
    M = np.linalg.inv(A).T
    moved = (M @ C.dense @ M.T)[np.ix_(C.order, C.order)]
    C.U, C.d = ud_factors(moved)


def ud_factors(C: Array) -> tuple[Array, Array]:
    """U, unit upper triangular, and d of C = U diag(d) U^T, from the Cholesky factor, reversed."""
    L = np.linalg.cholesky(C[::-1, ::-1])[::-1, ::-1]
    return L / np.diag(L), np.diag(L) ** 2
