"""Convex solvers for a few dozen unknowns, as tensor operations of a training graph.

A problem here has one unknown a task, so what a solver costs is the number of
operations it runs one after the other: second-order methods with few iterations win.
"""

from mtlzoo.balancing._solvers._dual_cone import project_onto_dual_cone
from mtlzoo.balancing._solvers._interior_point import minimize_quadratic
from mtlzoo.balancing._solvers._least_squares import solve_least_squares
from mtlzoo.balancing._solvers._newton import minimize_power_barrier
from mtlzoo.balancing._solvers._norm import minimize_norm_on_simplex
from mtlzoo.balancing._solvers._simplex import project_onto_simplex

__all__ = [
    "minimize_norm_on_simplex",
    "minimize_power_barrier",
    "minimize_quadratic",
    "project_onto_dual_cone",
    "project_onto_simplex",
    "solve_least_squares",
]
