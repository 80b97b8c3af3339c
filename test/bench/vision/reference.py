"""transformers with hooks, timed on request: one JSON command a line in, one JSON answer a line out.

python reference.py make CONFIG.json FOLDER   writes a checkpoint with random weights, float32
python reference.py serve FOLDER THREADS      answers; its own attention (sdpa), images as a safetensors file
"""

import json
import sys
import time
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForImageTextToText


def make(config: Path, folder: str) -> None:
    torch.manual_seed(1)
    model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(config), dtype=torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:  # the activations stay of one size, so that logits can be compared
                weight.normal_(std=weight.shape[-1] ** -0.5)
    model.save_pretrained(folder)


class Clock:
    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def spent(self) -> dict:
        return {"seconds": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu}


class Server:
    def __init__(self, folder: str, threads: int):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
        self.layers = self.model.model.language_model.layers

    def inputs(self, command: dict) -> dict:
        ids = torch.tensor(command["ids"])
        kinds = (ids == command["image_token"]).long()
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": load_file(command["pixels"])["pixels"]}
        if command["grid"] is None:
            return given | {"token_type_ids": kinds}
        return given | {"mm_token_type_ids": kinds, "image_grid_thw": torch.tensor(command["grid"])}

    def run(self, inputs: dict, keep: int) -> torch.Tensor:
        return self.model(**inputs, use_cache=False, logits_to_keep=keep).logits[:, -1]

    def forward(self, inputs: dict, keep: int) -> dict:
        """The last logits, and the stream before every block by hooks."""
        kept = []
        start = Clock()
        hooks = [
            layer.register_forward_pre_hook(
                lambda _, args, kwargs: kept.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
            )
            for layer in self.layers
        ]
        logits = self.run(inputs, keep)
        spent = start.spent()
        for hook in hooks:
            hook.remove()
        assert len(kept) == len(self.layers)
        return {**spent, "logits": logits[0, :8].tolist(), "values": []}

    def sweep(self, inputs: dict, keep: int, visual: list[int]) -> dict:
        """Zeroes the stream before each block in turn at the image's tokens; log-probability of token 0."""
        start = Clock()
        values = []
        for layer in self.layers:
            def blind(_, args, kwargs):
                x = (args[0] if args else kwargs["hidden_states"]).clone()
                x[:, visual] = 0
                return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": x})

            hook = layer.register_forward_pre_hook(blind, with_kwargs=True)
            values.append(torch.log_softmax(self.run(inputs, keep), -1)[0, 0].item())
            hook.remove()
        return {**start.spent(), "values": values, "logits": []}


def serve(folder: str, threads: str) -> None:
    server = Server(folder, int(threads))
    answer = lambda value: print(json.dumps(value), flush=True)
    answer({"seconds": 0, "bytes": 0, "logits": [], "values": []})
    for line in sys.stdin:
        command = json.loads(line)
        inputs = server.inputs(command)
        keep = command["keep"]  # logits of so many last tokens; 0, its default, of all
        answer(server.forward(inputs, keep) if command["op"] == "forward" else server.sweep(inputs, keep, command["visual"]))


transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
{"make": make, "serve": serve}[sys.argv[1]](*sys.argv[2:])
