"""Loads checkpoints with transformers and compares tokens and logits with the engine's.

Without folders it takes every embedded checkpoint. Run it after `npm run build`, with torch, transformers and pillow.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from transformers.utils import is_torchvision_available

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "test/fixtures/vision/images/square.png"
QUESTION = "what color is the star?"
# Of each checkpoint, what transformers computes: test/data/embedded.test.ts compares without Python.
GOLDENS = ROOT / "test/fixtures/embedded"
TOLERANCE = 1e-4


class StillProcessor(transformers.Qwen3VLProcessor):
    """Qwen3-VL's without its part for videos, which needs torchvision."""

    @classmethod
    def get_attributes(cls) -> list[str]:
        return ["image_processor", "tokenizer"]


def reader_of(folder: Path, config: transformers.PreTrainedConfig):
    if not hasattr(config, "vision_config"):
        return AutoTokenizer.from_pretrained(folder)
    videos = config.model_type.startswith("qwen3_vl") and not is_torchvision_available()
    return (StillProcessor if videos else AutoProcessor).from_pretrained(folder)


def reference(folder: Path) -> tuple[list[int], torch.Tensor]:
    """Token ids and logits (time, vocabulary) as transformers has them, eager and in float32."""
    config = AutoConfig.from_pretrained(folder)
    sees = hasattr(config, "vision_config")
    seen = [{"type": "image", "image": Image.open(IMAGE)}, {"type": "text", "text": QUESTION}]
    chat = [{"role": "user", "content": seen if sees else QUESTION}]
    kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    model, loading = kind.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    problems = {what: found for what, found in loading.items() if found}
    if problems:
        raise AssertionError(f"{folder.name}: {problems}")
    inputs = reader_of(folder, config).apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    with torch.no_grad():
        return inputs["input_ids"][0].tolist(), model(**inputs).logits[0]


def engine(folder: Path) -> tuple[list[int], torch.Tensor]:
    command = ["node", ROOT / "dist/data/train/logits.js", folder, IMAGE, QUESTION]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found["ids"], torch.tensor(found["logits"]).reshape(found["shape"])


def check(folder: Path, write: bool) -> bool:
    ids, expected = reference(folder)
    own, logits = engine(folder)
    if ids != own:
        print(f"{folder.name}: tokens differ\n  transformers {ids}\n  engine       {own}")
        return False
    logits = logits.reshape(-1, logits.shape[-1])[-expected.shape[0]:]
    drift = float((logits - expected[-logits.shape[0]:]).abs().max() / expected.abs().max())
    print(f"{folder.name}: {len(ids)} tokens, logits differ by {drift:.1e} of the largest")
    if write:
        GOLDENS.mkdir(exist_ok=True)
        last = [round(x, 6) for x in expected[-1].tolist()]
        golden = {"transformers": transformers.__version__, "question": QUESTION, "ids": ids, "last": last}
        (GOLDENS / f"{folder.name}.json").write_text(json.dumps(golden) + "\n")
    return drift <= TOLERANCE


def embedded() -> list[Path]:
    return [path.parent for path in sorted((ROOT / "data/models").glob("*/config.json"))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--write", action="store_true", help=f"keep what transformers computes in {GOLDENS.relative_to(ROOT)}")
    options = parser.parse_args()
    results = [check(folder, options.write) for folder in options.folders or embedded()]
    sys.exit(0 if results and all(results) else 1)
