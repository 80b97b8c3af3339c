/** Conversation format of each family: special tokens, chat template, and files that prepare its images. */
import type { TokenizerSpec } from "./words.js";

/** Vicuna's turns, as LLaVA 1.5's own template writes them; an answer ends with the end token. */
const LLAVA_TEMPLATE = [
  "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}",
  "{% if message['content'] is string %}{{ message['content'] }}{% else %}",
  "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}",
  "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}",
  "{% endif %}{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ ' ' }}{% endif %}{% endfor %}",
  "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
].join("");

export const LLAVA: TokenizerSpec = {
  first: ["<unk>", "<s>", "</s>"],
  last: ["<image>", "<pad>"],
  unknown: "<unk>",
  begin: { token: "<s>", by: "tokenizer" },
  end: "</s>",
  padding: "<pad>",
  leadingSpace: true,
  template: LLAVA_TEMPLATE,
  roles: { image_token: "<image>", processor_class: "LlavaProcessor" },
};

/** Words that LLaVA's template writes. */
export const LLAVA_WORDS: readonly string[] = ["USER: ", "\nis ASSISTANT:", ":"];

/** Gemma 3's turns. */
const GEMMA_TEMPLATE = [
  "{{ bos_token }}{% for message in messages %}",
  "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}",
  "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}{% for item in message['content'] %}",
  "{% if item['type'] == 'image' %}{{ '<start_of_image>' }}{% else %}{{ item['text'] | trim }}{% endif %}",
  "{% endfor %}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}",
  "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
].join("");

export const GEMMA: TokenizerSpec = {
  first: ["<pad>", "<eos>", "<bos>", "<unk>"],
  last: ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"],
  unknown: "<unk>",
  begin: { token: "<bos>", by: "template" },
  end: "<eos>",
  padding: "<pad>",
  leadingSpace: false,
  template: GEMMA_TEMPLATE,
  roles: {
    boi_token: "<start_of_image>",
    eoi_token: "<end_of_image>",
    image_token: "<image_soft_token>",
    processor_class: "Gemma3Processor",
  },
};

/** Words that Gemma's template writes. */
export const GEMMA_WORDS: readonly string[] = ["user\n", "model\n", "\n\n"];

/** Qwen3-VL's turns, without thinking. */
const QWEN_TEMPLATE = [
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}",
  "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for item in message['content'] %}",
  "{% if item['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}",
  "{% else %}{{ item['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}",
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
].join("");

export const QWEN: TokenizerSpec = {
  first: [
    ...["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"],
    ...["<|image_pad|>", "<|video_pad|>", "<unk>"],
  ],
  last: [],
  unknown: "<unk>",
  end: "<|im_end|>",
  padding: "<|endoftext|>",
  leadingSpace: false,
  template: QWEN_TEMPLATE,
  roles: {
    image_token: "<|image_pad|>",
    video_token: "<|video_pad|>",
    vision_start_token: "<|vision_start|>",
    vision_end_token: "<|vision_end|>",
    processor_class: "Qwen3VLProcessor",
  },
};

/** Words that Qwen's template writes. */
export const QWEN_WORDS: readonly string[] = ["user\n", "assistant\n"];
