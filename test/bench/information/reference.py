"""Gaussian decompositions in numpy, timed on request: one JSON command a line in, one JSON answer a line out.

Two ways to the union information, both with singular values of the noises' coupling clipped below 1:
- "gradient": accelerated projected gradient with backtracking from three starts, to 1e-13 nats;
- "signs": the steps of praveenv253/gpid: signs of the gradient with a step per entry, until 20 objectives agree to 1e-6 bits.
"""

import json
import sys
import time

import numpy as np

BITS = np.log(2)


def logdet(a):
    return np.linalg.slogdet(a)[1]


def clipped(s, top):
    u, values, v = np.linalg.svd(s, full_matrices=False)
    return (u * np.minimum(values, top)) @ v


def objective(hx, hy, s, ridge=0.0):
    """Value in nats and gradient in the coupling `s`."""
    t = (1 + ridge) * np.eye(len(hx)) - s @ s.T
    misfit = hx - s @ hy
    p = np.linalg.solve(t, misfit)
    k = np.eye(hx.shape[1]) + hy.T @ hy + misfit.T @ p
    return 0.5 * logdet(k), p @ np.linalg.solve(k, p.T @ s - hy.T)


def union_by_gradient(hx, hy, top=1 - 1e-9, rounds=20000, tolerance=1e-13):
    best = np.inf
    inverse_x, inverse_y = np.linalg.pinv(hx), np.linalg.pinv(hy)
    starts = [np.zeros((len(hx), len(hy))), clipped(0.999 * hx @ inverse_y, top), clipped(0.999 * inverse_x.T @ hy.T, top)]
    for start in starts:
        s = y = start
        momentum = step = 1.0
        last, quiet = objective(hx, hy, s)[0], 0
        for _ in range(rounds):
            value, slope = objective(hx, hy, y)
            while True:
                new = clipped(y - step * slope, top)
                move = new - y
                bound = value + (slope * move).sum() + (move * move).sum() / (2 * step) + 1e-15
                if objective(hx, hy, new)[0] <= bound or step < 1e-14:
                    break
                step *= 0.5
            reached = objective(hx, hy, new)[0]
            if reached > last:
                y, momentum, step, quiet = s, 1.0, step * 0.5, quiet + 1
            else:
                following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
                y = clipped(new + (momentum - 1) / following * (new - s), top)
                quiet = quiet + 1 if last - reached < tolerance else 0
                s, last, momentum, step = new, reached, following, step * 1.3
            if quiet > 60:
                break
        best = min(best, last)
    return best / BITS


def union_by_signs(hx, hy, rounds=10000):
    s = clipped(hx @ np.linalg.pinv(hy), 1 - 1e-9)
    step = np.full(s.shape, 1e-3)
    before, history, best = None, [], np.inf
    for i in range(1, rounds + 1):
        value, slope = objective(hx, hy, s, 1e-7)
        value /= BITS
        best = min(best, value)
        if len(history) >= 20 and all(abs(h - value) < 1e-6 for h in history[-20:]):
            break
        history.append(value)
        sign = np.sign(slope)
        s = clipped(s - 0.999**i * step * sign, 1 - 1e-9)
        if before is not None:
            step = step * 0.9 ** -(sign * before)
        before = sign
    return best


def inverse_root(a):
    values, vectors = np.linalg.eigh(a)
    return (vectors / np.sqrt(values)) @ vectors.T


def decompose(rows, dm, dx, union):
    """Plug-in I_XY, U_X, U_Y, R and S in bits."""
    covariance = np.cov(rows.T)
    m, x, y = slice(0, dm), slice(dm, dm + dx), slice(dm + dx, None)
    white = inverse_root(covariance[m, m])
    gx, gy = covariance[x, m] @ white, covariance[y, m] @ white
    wx, wy = inverse_root(covariance[x, x] - gx @ gx.T), inverse_root(covariance[y, y] - gy @ gy.T)
    hx, hy, noise = wx @ gx, wy @ gy, wx @ (covariance[x, y] - gx @ gy.T) @ wy
    ix, iy = (0.5 * logdet(np.eye(dm) + h.T @ h) / BITS for h in (hx, hy))
    joint = objective(hx, hy, noise)[0] / BITS
    both = min(max(union(hx, hy), ix, iy), ix + iy, joint)
    return [joint, both - iy, both - ix, ix + iy - both, joint - both]


def main():
    unions = {"gradient": union_by_gradient, "signs": union_by_signs}
    answer = lambda value: print(json.dumps(value), flush=True)
    answer({"seconds": 0, "bytes": 0})
    for line in sys.stdin:
        command = json.loads(line)
        rows = np.fromfile(command["path"]).reshape(-1, sum(command["dimensions"]))
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(command["repeats"]):
            values = decompose(rows, *command["dimensions"][:2], unions[command["method"]])
        answer({"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "values": values})


main()
