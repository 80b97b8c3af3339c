"""A training step in PyTorch, timed on request: one JSON command a line in, one JSON answer a line out.

python reference.py CHECKPOINT BATCH.safetensors THREADS EXPERTS
transformers' model (sdpa; experts as the last argument names them), cross-entropy at the answers' tokens only, gradients clipped
to norm 1, AdamW in one fused kernel.
"""

import json
import sys
import time

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

BETAS = (0.9, 0.98)


class Server:
    def __init__(self, folder: str, batch: str, threads: str, experts: str):
        torch.set_num_threads(int(threads))
        options = {} if experts == "default" else {"experts_implementation": experts}
        self.model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa", **options
        ).train()
        given = load_file(batch)
        self.inputs = {name: x if name in ("pixel_values", "loss_weights") else x.long() for name, x in given.items()}
        self.targets = self.inputs.pop("targets")
        self.predicted = self.inputs.pop("loss_weights") > 0
        self.optimizer = torch.optim.AdamW(self.model.parameters(), betas=BETAS, weight_decay=0.05, fused=True)

    def step(self, rate: float) -> dict:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        wall, cpu = time.perf_counter(), time.process_time()
        hidden = self.model.model(**self.inputs, use_cache=False).last_hidden_state[self.predicted]
        loss = torch.nn.functional.cross_entropy(self.model.lm_head(hidden), self.targets[self.predicted])
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        spent = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        return {**spent, "values": [loss.item(), norm.item()]}


transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
server = Server(*sys.argv[1:])
print(json.dumps({"seconds": 0, "values": []}), flush=True)
for line in sys.stdin:
    print(json.dumps(server.step(json.loads(line)["rate"])), flush=True)
