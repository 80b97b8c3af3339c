"""A dense training step of TopK transcoders in PyTorch, timed on request: one JSON command a line in, one answer a line out."""

import json
import sys
import time

import torch

threads, k = map(int, sys.argv[2:])
torch.set_num_threads(threads)


def start(seed_file):
    from safetensors.torch import load_file

    given = load_file(seed_file)
    weights = {n: torch.nn.Parameter(given[n].clone()) for n in ("W_enc", "b_enc", "W_dec", "b_dec")}
    return weights, given["x"], given["y"], torch.optim.AdamW(weights.values(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0.0)


weights, x, y, optimizer = start(sys.argv[1])
variance = (y - y.mean(0)).square().sum()


def step() -> float:
    act = torch.relu(torch.nn.functional.linear(x, weights["W_enc"], weights["b_enc"]))
    values, ids = torch.topk(act, k, dim=-1, sorted=False)
    z = torch.zeros_like(act).scatter(-1, ids, values)
    loss = (z @ weights["W_dec"] + weights["b_dec"] - y).square().sum() / variance
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


answer = lambda **fields: print(json.dumps({"seconds": 0, "bytes": 0, "logits": [], "values": [], **fields}), flush=True)
answer()
for line in sys.stdin:
    steps = json.loads(line)["steps"]
    wall, cpu = time.perf_counter(), time.process_time()
    losses = [step() for _ in range(steps)]
    answer(seconds=time.perf_counter() - wall, cpu=time.process_time() - cpu, values=losses)
