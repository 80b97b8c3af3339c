"""TransformerLens, timed on request: one JSON command a line in, one JSON answer a line out."""

import gc
import json
import sys
import time

import torch


def anonymous_bytes() -> int:
    with open("/proc/self/smaps_rollup") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("Anonymous:"))


def load(path: str, threads: int):
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    start = time.perf_counter()
    hf = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    model = TransformerBridge.boot_transformers(path, hf_model=hf, tokenizer=AutoTokenizer.from_pretrained(path), dtype=torch.float32, device="cpu")
    seconds = time.perf_counter() - start
    gc.collect()
    return model, {"seconds": seconds, "bytes": anonymous_bytes()}


def is_resid_pre(name: str) -> bool:
    return name.endswith("hook_resid_pre")


def forward(model, tokens: torch.Tensor) -> dict:
    start = time.perf_counter()
    logits, cache = model.run_with_cache(tokens, names_filter=is_resid_pre)
    seconds = time.perf_counter() - start
    assert len(cache) >= model.cfg.n_layers
    return {"seconds": seconds, "logits": logits[0, -1, :8].tolist(), "bytes": anonymous_bytes()}


def sweep(model, tokens: torch.Tensor, positions: list[int]) -> dict:
    """Zeroes the residual stream before each block in turn at some positions; the last position's logits."""
    start = time.perf_counter()
    values = []
    for layer in range(model.cfg.n_layers):
        def patch(x, hook):
            x = x.clone()
            x[:, positions] = 0
            return x

        logits = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.hook_resid_pre", patch)])
        values.append(torch.log_softmax(logits[0, -1], -1)[0].item())
    return {"seconds": time.perf_counter() - start, "values": values}


def main() -> None:
    path, threads = sys.argv[1], int(sys.argv[2])
    model, loaded = load(path, threads)
    answer = lambda value: print(json.dumps(value), flush=True)
    answer(loaded)
    for line in sys.stdin:
        command = json.loads(line)
        tokens = torch.tensor(command["tokens"])
        if command["op"] == "forward":
            answer(forward(model, tokens))
        else:
            answer(sweep(model, tokens, command["positions"]))


main()
