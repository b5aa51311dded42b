"""Jensen-Shannon divergence between predicted class probabilities (Appendix E, Eq. 13-15)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from semrsm_cli.arrays import as_array
from semrsm_cli.jit import compiled
from semrsm_cli.rsm.threads import available_cores

__all__ = ["jensen_shannon", "softmax"]

_FloatArray = NDArray[np.float64]
_TILE = 64  # images; two tiles of 1,000 classes fit a core's second-level cache
_SUM_TOLERANCE = 1e-3  # a softmax in half precision passes, logits do not

# The bits of a double: 1 bit sign, 11 bits exponent, 52 bits mantissa
_EXPONENT_BIAS = 1023.0
_MANTISSA_BITS = np.uint64(52)
_BITS_OF_ONE = np.uint64(0x3FF0000000000000)
_BITS_OF_ONE_LESS_SQRT_HALF = np.uint64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
_BITS_OF_2_TO_52 = np.uint64(0x4330000000000000)
_TWO_TO_52 = 2.0**52
_LOG_2 = float(np.log(2.0))


def softmax(logits: ArrayLike) -> _FloatArray:
    """Class probabilities exp(z_c) / sum_k exp(z_k).

    Args:
        logits: Logits of n images, [n, classes].

    Returns:
        Probabilities that sum to 1 for every image, float64 [n, classes].

    Raises:
        ValueError: If the logits are not [n, classes], or hold NaN or infinity.
    """
    logits = np.asarray(as_array(logits), dtype=np.float64)
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise ValueError(f"logits must be [n, classes], got shape {logits.shape}")
    if (broken := np.flatnonzero(~np.isfinite(logits).all(axis=1))).size:
        raise ValueError(f"the logits of {broken.size} images hold NaN or infinity, image {broken[0]} first")
    return np.asarray(special.softmax(logits, axis=1))


def jensen_shannon(
    p: ArrayLike, q: ArrayLike | None = None, *, out: NDArray[Any] | None = None, threads: int | None = None
) -> NDArray[Any]:
    """Jensen-Shannon divergence of all pairs of distributions (Eq. 13-15): natural logarithm, not its root.

    JSD(P || Q) = H(M) - (H(P) + H(Q)) / 2 with M = (P + Q) / 2 and the entropy H(P) = -sum_c P_c log P_c, where 0 log 0
    is 0. It lies within [0, log 2] and is exactly 0 for equal distributions.

    Args:
        p: Class probabilities of n images, [n, classes].
        q: The same of m images, [m, classes]; None compares p with itself and computes half of the pairs.
        out: Where to write, an array or memory map [n, m] of any float type; None makes a float64 array.
        threads: How many; None takes one for each core that this process may use.

    Returns:
        `out`, the divergences in nats [n, m].

    Raises:
        ValueError: If probabilities are negative, not finite or don't sum to 1, or the numbers of classes differ.

    Example:
        >>> jensen_shannon([[1.0, 0.0]], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]).round(4)
        array([[0.    , 0.2158, 0.6931]])
    """
    halves_p = _distributions(p, "p") / 2
    halves_q = halves_p if q is None else _distributions(q, "q") / 2
    n, m = len(halves_p), len(halves_q)
    if halves_p.shape[1] != halves_q.shape[1]:
        raise ValueError(f"p and q must have the same classes, got {halves_p.shape[1]} and {halves_q.shape[1]}")
    out = np.empty((n, m)) if out is None else out
    if tuple(out.shape) != (n, m):
        raise ValueError(f"out must be [{n}, {m}], got {list(out.shape)}")
    entropy_p = _entropies(halves_p)
    entropy_q = entropy_p if q is None else _entropies(halves_q)

    def fill(start: int) -> None:
        stop = min(start + _TILE, n)
        first = start if q is None else 0
        strip = np.empty((stop - start, m - first))
        for j in range(first, m, _TILE):
            tile = strip[:, j - first : j - first + _TILE]
            _mixture_entropies(halves_p[start:stop], halves_q[j : j + _TILE], tile)
        strip -= (entropy_p[start:stop, None] + entropy_q[first:]) / 2
        np.maximum(strip, 0.0, out=strip)
        out[start:stop, first:] = strip
        if q is None:
            out[stop:, start:stop] = strip[:, stop - start :].T

    with ThreadPoolExecutor(threads or available_cores()) as pool:
        list(pool.map(fill, range(0, n, _TILE)))
    return out


def _distributions(p: ArrayLike, name: str) -> _FloatArray:
    p = np.asarray(as_array(p), dtype=np.float64)
    if p.ndim != 2:
        raise ValueError(f"{name} must be [images, classes], got shape {p.shape}")
    total = p.sum(axis=1)
    valid = (p >= 0).all(axis=1) & (np.abs(total - 1) <= _SUM_TOLERANCE)  # False for NaN
    if not valid.all():
        first = int(np.argmin(valid))
        raise ValueError(
            f"{name} must hold probabilities that sum to 1, but image {first} has sum {total[first]:.6g} "
            f"and minimum {p[first].min(initial=np.inf):.6g}; logits need a softmax first"
        )
    return np.asarray(p / total[:, None])


def _entropies(halves: _FloatArray) -> _FloatArray:
    """Entropy of every distribution by the code that mixes two, so that rounding cancels for equal ones."""
    entropy = np.empty((len(halves), 1))
    for i in range(len(halves)):
        _mixture_entropies(halves[i : i + 1], halves[i : i + 1], entropy[i : i + 1])
    return entropy[:, 0]


@compiled(fastmath={"contract"}, error_model="numpy")
def _log(x: float) -> float:
    """Natural logarithm of a positive double within 3e-14 (finite at 0); unlike the C library's, it vectorises.

    x = 2^e f with f in [sqrt(1/2), sqrt(2)), and log f = 2 artanh(s) with s = (f - 1) / (f + 1), by its series.
    """
    bits = np.float64(x).view(np.uint64)
    exponent = (bits + _BITS_OF_ONE_LESS_SQRT_HALF) >> _MANTISSA_BITS
    f = np.uint64(bits + _BITS_OF_ONE - (exponent << _MANTISSA_BITS)).view(np.float64)
    s = (f - 1.0) / (f + 1.0)
    z = s * s
    series = 1 / 7 + z * (1 / 9 + z * (1 / 11 + z * (1 / 13 + z * (1 / 15))))
    series = 1.0 + z * (1 / 3 + z * (1 / 5 + z * series))
    # an integer below 2^52 in the mantissa of 2^52 is that integer as a double
    e = np.uint64(exponent | _BITS_OF_2_TO_52).view(np.float64) - (_TWO_TO_52 + _EXPONENT_BIAS)
    return e * _LOG_2 + 2.0 * s * series


@compiled(nogil=True, fastmath={"contract", "reassoc"}, error_model="numpy")
def _mixture_entropies(halves_p: _FloatArray, halves_q: _FloatArray, out: _FloatArray) -> None:
    """Entropy of the mean of every pair of distributions, given as their halves."""
    for i in range(halves_p.shape[0]):
        for j in range(halves_q.shape[0]):
            total = 0.0
            for c in range(halves_p.shape[1]):
                m = halves_p[i, c] + halves_q[j, c]
                total += m * _log(m)
            out[i, j] = -total
