/**
 * Vision-language models built by hand in LLaVA's layout, in which an image and a question enter the prediction in a chosen
 * way: the partial information decomposition of what they tell about it is known.
 */
import { ModalscopeError } from "../../../errors.js";
import { seeded } from "../../../random.js";
import type { Tensor } from "../../../tensor.js";
import type { VisualTask } from "../../visual-task.js";
import { PlantedWeights } from "../weights.js";
import { axis, HEAD_SIZE, HEADS, INTERMEDIATE, LAYERS, PATCH, SIZE, WIDTH } from "./axes.js";
import { plantLook, plantProduct, quietBlock } from "./blocks.js";
import { MECHANISMS, type PlantedAtoms, type PlantedSourcesKind } from "./kinds.js";
import { type PlantedStatement, statement } from "./questions.js";
import { plantTower, tower } from "./tower.js";
import { CHAT_TEMPLATE, idOf, plantedTokenizer, plantWords, VOCABULARY_SIZE } from "./words.js";

export const PLANTED_SOURCES_KINDS: readonly PlantedSourcesKind[] = Object.keys(
  MECHANISMS,
) as PlantedSourcesKind[];

/** A checkpoint with questions that it can be asked, and its truth. */
export interface PlantedSources {
  /** config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Map<string, Tensor>;
  /** The other files of the folder, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** Result that a study should find, in one sentence. */
  readonly truth: string;
  /**
   * Atoms, in bits, of what pooled visual tokens (x) and the question's pooled tokens (y) tell about the prediction, by state
   * of the residual stream (0 enters block 0).
   */
  readonly atoms: readonly PlantedAtoms[];
  /** Draws questions; equal seeds give equal ones. */
  readonly draw: (count: number, seed: number) => VisualTask<PlantedStatement>[];
}

const MAX_POSITIONS = 128;

/**
 * Builds a checkpoint.
 * @throws ModalscopeError for an unknown kind
 */
export function plantedSources(kind: PlantedSourcesKind): PlantedSources {
  if (!Object.hasOwn(MECHANISMS, kind))
    throw new ModalscopeError(
      `Unknown planted two-source checkpoint "${kind}".`,
      `There are ${PLANTED_SOURCES_KINDS.join(", ")}.`,
    );
  const { looks, product = false, atoms, draw, truth } = MECHANISMS[kind];
  const w = new PlantedWeights(0);
  plantTower(w);
  plantWords(w);
  for (let layer = 0; layer < LAYERS; layer++) quietBlock(w, layer);
  w.ones("language_model.model.norm.weight", WIDTH);
  for (const look of looks) plantLook(w, look);
  if (product) plantProduct(w, LAYERS - 2, axis.answer[0]);
  return {
    config: configOf(),
    weights: w.tensors,
    files: filesOf(),
    truth,
    atoms: Array.from({ length: LAYERS + 1 }, (_, l) => atoms(l)),
    draw(count, seed) {
      const random = seeded(seed);
      return Array.from({ length: count }, (_, i) => {
        const { values, prediction } = draw(random);
        return statement(`${kind}-${seed}-${i}`, values, prediction);
      });
    },
  };
}

function configOf(): Record<string, unknown> {
  return {
    architectures: ["LlavaForConditionalGeneration"],
    model_type: "llava",
    dtype: "float32",
    image_seq_length: (SIZE / PATCH) ** 2,
    image_token_index: idOf("<image>"),
    projector_hidden_act: "gelu",
    multimodal_projector_bias: true,
    vision_feature_layer: -1,
    vision_feature_select_strategy: "default",
    tie_word_embeddings: false,
    text_config: {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      dtype: "float32",
      vocab_size: VOCABULARY_SIZE,
      hidden_size: WIDTH,
      intermediate_size: INTERMEDIATE,
      num_hidden_layers: LAYERS,
      num_attention_heads: HEADS,
      num_key_value_heads: HEADS,
      head_dim: HEAD_SIZE,
      hidden_act: "silu",
      max_position_embeddings: MAX_POSITIONS,
      rms_norm_eps: 1e-5,
      rope_parameters: { rope_type: "default", rope_theta: 10_000 },
      tie_word_embeddings: false,
      bos_token_id: idOf("<s>"),
      eos_token_id: idOf("</s>"),
      pad_token_id: idOf("<pad>"),
    },
    vision_config: tower,
  };
}

function filesOf(): Record<string, string> {
  const { tokenizer, tokenizerConfig } = plantedTokenizer(MAX_POSITIONS);
  const image = {
    image_processor_type: "CLIPImageProcessor",
    do_convert_rgb: true,
    do_resize: true,
    size: { shortest_edge: SIZE },
    resample: 3,
    do_center_crop: true,
    crop_size: { height: SIZE, width: SIZE },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  };
  const processor = {
    processor_class: "LlavaProcessor",
    image_token: "<image>",
    num_additional_image_tokens: 1,
    patch_size: PATCH,
    vision_feature_select_strategy: "default",
  };
  const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;
  return {
    "tokenizer.json": json(tokenizer),
    "tokenizer_config.json": json(tokenizerConfig),
    "chat_template.jinja": CHAT_TEMPLATE,
    "preprocessor_config.json": json(image),
    "processor_config.json": json(processor),
    "generation_config.json": json({ eos_token_id: idOf("</s>"), pad_token_id: idOf("<pad>") }),
  };
}
