"""circuit-tracer's attribution of one prompt, timed: python reference.py CIRCUIT_TRACER MODEL TRANSCODERS BATCH…

CIRCUIT_TRACER is a folder with circuit_tracer and transformer_lens 2.18 in it. MODEL is tiny-gemma3's folder, whose language
model is built in TransformerLens with each layer's own rotary table put back (circuit-tracer gives all the last layer's).
Prints one JSON line for each batch size: rows and seconds of this process, one thread.
"""
import json, pathlib, sys, time, types, importlib.machinery

tracer, model_folder, transcoders, *batches = sys.argv[1:]
sys.path.insert(0, tracer)


def placeholder(name):
    """Stands for a class that is imported and never used."""
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


for name in ("wandb", "pandas", "datasets", "datasets.arrow_dataset", "datasets.load", "circuit_tracer.utils.hf_utils"):
    stub = types.ModuleType(name)
    stub.__spec__ = importlib.machinery.ModuleSpec(name, None)
    stub.__file__ = name
    stub.__getattr__ = placeholder
    sys.modules[name] = stub

import torch
from safetensors.torch import load_file
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions.gemma import convert_gemma_weights
from circuit_tracer.attribution.attribute import attribute
from circuit_tracer.replacement_model.replacement_model_transformerlens import TransformerLensReplacementModel
from circuit_tracer.transcoder.activation_functions import TopK
from circuit_tracer.transcoder.single_layer_transcoder import SingleLayerTranscoder, TranscoderSet

torch.set_num_threads(1)
folder = pathlib.Path(model_folder)
config = json.loads((folder / "config.json").read_text())["text_config"]
rope = config["rope_parameters"]
local = [t == "sliding_attention" for t in config["layer_types"]]
cfg = HookedTransformerConfig(
    n_layers=config["num_hidden_layers"], d_model=config["hidden_size"], n_ctx=config["max_position_embeddings"],
    d_head=config["head_dim"], n_heads=config["num_attention_heads"], n_key_value_heads=config["num_key_value_heads"],
    d_mlp=config["intermediate_size"], d_vocab=config["vocab_size"], act_fn=config["hidden_activation"],
    normalization_type="RMS", final_rms=True, use_normalization_before_and_after=True, gated_mlp=True,
    positional_embedding_type="rotary", rotary_dim=config["head_dim"], rotary_base=rope["full_attention"]["rope_theta"],
    rotary_base_local=rope["sliding_attention"]["rope_theta"], use_local_attn=True, window_size=config["sliding_window"],
    attn_types=["local" if l else "global" for l in local], use_qk_norm=True, eps=config["rms_norm_eps"],
    attn_scale=config["query_pre_attn_scalar"] ** 0.5, model_name="tiny", device="cpu", dtype=torch.float32)

weights = {}
for file in sorted(folder.glob("*.safetensors")):
    weights.update(load_file(file))


class Named:
    """Weights as attributes: what TransformerLens' conversion reads."""

    def __init__(self, prefix):
        self._prefix = prefix

    def __getattr__(self, name):
        key = f"{self._prefix}.{name}"
        if key in weights:
            return weights[key].float()
        if any(k.startswith(key + ".") for k in weights):
            return Named(key)
        raise AttributeError(key)

    def __getitem__(self, i):
        return Named(f"{self._prefix}.{i}")


prefix = next(k for k in weights if k.endswith("embed_tokens.weight")).removesuffix(".embed_tokens.weight")
text = types.SimpleNamespace(model=Named(prefix), lm_head=types.SimpleNamespace(weight=weights[f"{prefix}.embed_tokens.weight"].float()))
state = convert_gemma_weights(text, cfg)

layers = {}
for l in range(cfg.n_layers):
    given = load_file(str(pathlib.Path(transcoders) / f"layer_{l}.safetensors"))
    layers[l] = SingleLayerTranscoder(cfg.d_model, given["W_enc"].shape[0], TopK(4), l, device=torch.device("cpu"), dtype=torch.float32)
    layers[l].load_state_dict({k: v for k, v in given.items() if k != "k"}, strict=False)
kinds = dict(feature_input_hook="mlp.hook_in", feature_output_hook="mlp.hook_out", scan="tiny")
model = TransformerLensReplacementModel.from_config(cfg, TranscoderSet(layers, **kinds))
renamed = {k.replace(".mlp.", ".mlp.old_mlp.").replace("unembed.", "unembed.old_unembed."): v for k, v in state.items()}
unknown = model.load_state_dict(renamed, strict=False).unexpected_keys
assert not unknown, unknown
for block, is_local in zip(model.blocks, local):
    base = cfg.rotary_base_local if is_local else cfg.rotary_base
    block.attn.rotary_sin, block.attn.rotary_cos = block.attn.calculate_sin_cos_rotary(cfg.rotary_dim, cfg.n_ctx, base=base, dtype=cfg.dtype)
model.tokenizer = types.SimpleNamespace(
    decode=lambda ids: "", padding_side="right", bos_token_id=2, eos_token_id=1, pad_token_id=0, all_special_ids=[2],
    vocab_size=cfg.d_vocab, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
ids = torch.tensor(json.loads(sys.stdin.read()))
for batch in map(int, batches):
    best = None
    for _ in range(12):
        start = time.process_time()
        graph = attribute(ids, model, batch_size=batch)
        spent = time.process_time() - start
        best = spent if best is None else min(best, spent)
    rows = len(graph.active_features) + len(graph.logit_targets)
    print(json.dumps({"batch": batch, "rows": rows, "seconds": best, "sum": float(graph.adjacency_matrix.abs().sum())}), flush=True)
