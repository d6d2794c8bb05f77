"""The judge's formulas (crates/judge, `judge::formula`) computed again with scipy, and held against its numbers.

Reads one JSON value: lists `odds` (M(psi) of one batch), `worse` and `notWorse` (evidence over batches), `shares` (the
one-sample form), each with the judge's numbers in it. Prints the largest relative error of each as JSON, and exits with 1 if
one is above 1e-9. Nothing of the judge's algorithms is used: probabilities come from scipy's distributions, and are summed.
"""

import json
import sys

import numpy
from scipy.special import logsumexp
from scipy.stats import binom, hypergeom

BOUND = 1e-9
# The smallest logarithm of evidence that the judge keeps.
FLOOR = -1e6


def log_m(batch, psi):
    """ln of the sum over c of Hyp(c; n_g, n_b, k) psi^c."""
    (n_g, c_g), (n_b, c_b) = batch
    k = c_g + c_b
    c = numpy.arange(max(0, k - n_b), min(k, n_g) + 1)
    return logsumexp(hypergeom.logpmf(c, n_g + n_b, n_g, k) + c * numpy.log(psi))


def log_e(batch, psi, psi0):
    return batch[0][1] * numpy.log(psi / psi0) + log_m(batch, psi0) - log_m(batch, psi)


def log_mean(logs):
    return logsumexp(logs) - numpy.log(len(logs))


def log_worse(batches, psis, hazard):
    """Plain product and late onset, W <- (W + rho h) e, rho <- rho (1-h), half of each."""
    steps = numpy.array([[log_e(batch, psi, 1.0) for psi in psis] for batch in batches])
    plain = log_mean(steps.sum(axis=0))
    late = numpy.full(len(psis), -numpy.inf)
    for number, step in enumerate(steps):
        onset = number * numpy.log1p(-hazard) + numpy.log(hazard)
        late = numpy.logaddexp(late, onset) + step
    reserve = len(batches) * numpy.log1p(-hazard)
    return log_mean([plain, numpy.logaddexp(log_mean(late), reserve)])


def log_not_worse(batches, psi0):
    psis = [0.3, 0.6, 1.0, numpy.sqrt(psi0)]
    return log_mean([sum(log_e(batch, psi, psi0) for batch in batches) for psi in psis])


def log_share(counts, p, q):
    traces, events = counts
    return binom.logpmf(events, traces, q) - binom.logpmf(events, traces, p)


def error(found, expected):
    """Relative; of numbers below 1 it is absolute, and of a logarithm it is then the relative error of what it is of."""
    return abs(found - expected) / max(1.0, abs(expected))


def main():
    cases = json.load(sys.stdin)
    # M(psi) itself: the difference of the logarithms is its relative error.
    odds = [abs(case["logM"] - log_m(case["batch"], case["psi"])) for case in cases["odds"]]
    worse = [error(case["log"], log_worse(case["batches"], cases["psi"], case["hazard"])) for case in cases["worse"]]
    not_worse = [error(case["log"], log_not_worse(case["batches"], case["psi0"])) for case in cases["notWorse"]]
    shares = [error(case["log"], log_share(case["counts"], case["p"], case["q"])) for case in cases["shares"]]
    largest = {"odds": max(odds), "worse": max(worse), "notWorse": max(not_worse), "shares": max(shares)}
    json.dump({"largestError": largest, "cases": {name: len(cases[name]) for name in largest}}, sys.stdout)
    return 0 if all(value <= BOUND for value in largest.values()) else 1


sys.exit(main())
