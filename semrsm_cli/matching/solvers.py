"""Other people's solvers of the assignment problem, and two variants as the authors of the paper published them."""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.errors import SemrsmError

__all__ = ["greedy_upstream", "lapcpp", "lapjv", "lapx", "ortools", "ortools_x1000", "scipy"]

_FINE = (
    2**30
)  # integers that the largest affinity is scaled to; finer ones take OR-Tools longer and find nothing better
_OVERFLOW = 2**60  # OR-Tools' prices reach the largest cost times s + 1, squared


def _optional(module: str, package: str) -> Any:
    """Import a solver that only `semrsm[rivals]` installs."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise SemrsmError(f"{package} is not installed: pip install {package}") from None


def scipy(affinity: NDArray[Any]) -> NDArray[np.int64]:
    """SciPy's modified Jonker-Volgenant algorithm on an affinity [s, s]."""
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(affinity, maximize=True)[1].astype(np.int64)


def lapjv(affinity: NDArray[Any]) -> NDArray[np.int64]:
    """The solver of src-d (`pip install lapjv`)."""
    import lapjv as solver

    return np.asarray(solver.lapjv(-affinity)[0], np.int64)


def lapx(affinity: NDArray[Any]) -> NDArray[np.int64]:
    """The Jonker-Volgenant solver of lapx."""
    return np.asarray(_optional("lap", "lapx").lapjv(-affinity.astype(np.float64))[1], np.int64)


def lapcpp(affinity: NDArray[Any]) -> NDArray[np.int64]:
    """The Jonker-Volgenant solver of lapcpp."""
    return np.asarray(_optional("lapcpp", "lapcpp").lapjv(-affinity, return_cost=False)[1], np.int64)


def _solve_integers(cost: NDArray[np.int64]) -> NDArray[np.int64]:
    """OR-Tools' cost-scaling push-relabel on integer costs [s, s]."""
    from ortools.graph.python.linear_sum_assignment import SimpleLinearSumAssignment

    s = len(cost)
    assignment = SimpleLinearSumAssignment()
    columns, rows = np.meshgrid(np.arange(s), np.arange(s))
    assignment.add_arcs_with_cost(rows.ravel(), columns.ravel(), cost.ravel())
    if assignment.solve() != assignment.OPTIMAL:
        raise SemrsmError(f"OR-Tools found no matching for {s} positions")
    return np.array([assignment.right_mate(row) for row in range(s)], np.int64)


def ortools(affinity: NDArray[Any]) -> NDArray[np.int64]:
    """OR-Tools on the affinity [s, s], scaled to the integers that it takes."""
    largest = float(np.abs(affinity).max()) or 1.0
    scale = min(_FINE, _OVERFLOW / (len(affinity) + 1) ** 2) / largest
    return _solve_integers(np.rint(-affinity.astype(np.float64) * scale).astype(np.int64))


def ortools_x1000(affinity: NDArray[Any]) -> NDArray[np.int64]:
    """OR-Tools as the authors call it: 1000 * A cut to integers, which loses much where affinities are small."""
    return _solve_integers((-affinity * 1000).astype(np.int64))


def greedy_upstream(affinity: NDArray[Any]) -> NDArray[np.int64]:
    """The authors' greedy matching: it ranks the rows of each column, then reads the ranks as columns of each row.

    Where their code leaves a row without a partner, it takes the first column that is left.
    """
    s = len(affinity)
    ranked = np.argsort(affinity, axis=0)[::-1]
    order = np.argsort(affinity[np.arange(s), ranked[0]])[::-1]
    taken: set[int] = set()
    col_of_row = np.full(s, -1, np.int64)
    for row in order:
        column = next((int(c) for c in ranked[row] if int(c) not in taken), -1)
        if column >= 0:
            taken.add(column)
            col_of_row[row] = column
    col_of_row[col_of_row < 0] = [column for column in range(s) if column not in taken]
    return col_of_row
