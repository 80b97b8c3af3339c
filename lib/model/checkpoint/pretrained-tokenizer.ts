import * as huggingface from "@huggingface/tokenizers";
import { ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import { BoundedTemplate } from "./chat-template.js";
import { isObject } from "./files.js";
import type {
  ChatMessage,
  ChatTemplateOptions,
  DecodeOptions,
  EncodeOptions,
  Tokenizer,
} from "./tokenizer.js";
import type { TokenizerFiles } from "./tokenizer-files.js";
import { checkVocabulary, tokenizerConfig, tokenizerJson } from "./tokenizer-json.js";
import { withinTime } from "./within-time.js";

/** Interface of @huggingface/tokenizers; its own declarations do not resolve under Node's rules for modules. */
interface NativeTokenizer {
  encode(text: string, options: EncodeOptions): { readonly ids: number[] };
  decode(ids: readonly number[], options: DecodeOptions): string;
  tokenize(text: string, options: EncodeOptions): string[];
  token_to_id(token: string): number | undefined;
  get_vocab(): Map<string, number>;
  /** Tokens of the pieces that a text was cut into. */
  readonly model: {
    readonly fuse_unk?: boolean;
    readonly tokens_to_ids: ReadonlyMap<string, number>;
    _call(pieces: readonly string[]): string[];
  };
  get_added_tokens_decoder(): Map<number, { id: number; content: string; special: boolean }>;
}

const { Tokenizer: Native } = huggingface as unknown as {
  readonly Tokenizer: new (json: object, config: object) => NativeTokenizer;
};

/** Special tokens that a chat template knows by name. */
const SPECIAL_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
];

/** Time for a text, in milliseconds: a hundred times what usual tokenizers take, and never less than five seconds. */
const timeFor = (length: number): number => 5000 + length / 10;

/**
 * A tokenizer with the special tokens and the chat template of its configuration. Template and regular expressions
 * come from a file and therefore run with limits.
 */
export class PreTrainedTokenizer implements Tokenizer {
  readonly chat_template: string | Readonly<Record<string, string>> | null;
  readonly all_special_ids: number[];
  readonly all_special_tokens: string[];
  readonly #native: NativeTokenizer;
  /** By name in the configuration: "bos_token". */
  /** Texts of single tokens that were decoded. */
  readonly #single = new Map<string, string>();
  readonly #special: Readonly<Record<string, string>>;
  readonly #compiled = new Map<string, BoundedTemplate>();

  /** @param path where the files come from, for errors */
  constructor(
    { json, config }: TokenizerFiles,
    readonly path: string,
  ) {
    this.#native = new Native(tokenizerJson(json, path), tokenizerConfig(config, json));
    checkVocabulary(json, this.#native.model.tokens_to_ids);
    fuseInPieces(this.#native);
    this.#special = Object.fromEntries(
      SPECIAL_TOKENS.flatMap((name): [string, string][] => {
        const token = own(config, name);
        return typeof token === "string" && token !== "" ? [[name, token]] : [];
      }),
    );
    this.chat_template = templatesOf(own(config, "chat_template"));
    const special = [...this.#native.get_added_tokens_decoder().values()].filter((token) => token.special);
    this.all_special_ids = special.map(({ id }) => id);
    this.all_special_tokens = special.map(({ content }) => content);
  }

  get bos_token(): string | undefined {
    return own(this.#special, "bos_token");
  }

  get bos_token_id(): number | undefined {
    return this.#id(this.bos_token);
  }

  get eos_token(): string | undefined {
    return own(this.#special, "eos_token");
  }

  get eos_token_id(): number | undefined {
    return this.#id(this.eos_token);
  }

  get pad_token(): string | undefined {
    return own(this.#special, "pad_token") ?? this.eos_token;
  }

  get pad_token_id(): number | undefined {
    return this.#id(this.pad_token);
  }

  get unk_token(): string | undefined {
    return own(this.#special, "unk_token");
  }

  get unk_token_id(): number | undefined {
    return this.#id(this.unk_token);
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { add_special_tokens = true, text_pair = null } = options;
    return this.#withinTime(text.length, () =>
      this.#known(this.#native.encode(text, { add_special_tokens, text_pair }).ids, text),
    );
  }

  encodeBatch(texts: readonly string[], options: Omit<EncodeOptions, "text_pair"> = {}): number[][] {
    const { add_special_tokens = true } = options;
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    return this.#withinTime(length, () =>
      texts.map((text) =>
        this.#known(this.#native.encode(text, { add_special_tokens, text_pair: null }).ids, text),
      ),
    );
  }

  decode(ids: Iterable<number | bigint>, options: DecodeOptions = {}): string {
    const list = Array.from(ids, Number);
    const { skip_special_tokens = false, clean_up_tokenization_spaces } = options;
    if (list.length === 0) return "";
    const decoded = (): string =>
      this.#withinTime(list.length, () =>
        this.#native.decode(list, { skip_special_tokens, clean_up_tokenization_spaces }),
      );
    // Single tokens are asked for again and again, and the limit of time costs more than the work.
    if (list.length > 1) return decoded();
    const key = `${list[0]} ${skip_special_tokens} ${clean_up_tokenization_spaces}`;
    const known = this.#single.get(key) ?? decoded();
    this.#single.set(key, known);
    return known;
  }

  decodeBatch(lists: readonly (readonly number[])[], options: DecodeOptions = {}): string[] {
    const { skip_special_tokens = false, clean_up_tokenization_spaces } = options;
    const length = lists.reduce((sum, list) => sum + list.length, 0);
    const settings = { skip_special_tokens, clean_up_tokenization_spaces };
    return this.#withinTime(length, () =>
      lists.map((list) => (list.length === 0 ? "" : this.#native.decode(list, settings))),
    );
  }

  tokenize(text: string, options: EncodeOptions = {}): string[] {
    const { add_special_tokens = false, text_pair = null } = options;
    return this.#withinTime(text.length, () =>
      this.#native.tokenize(text, { add_special_tokens, text_pair }),
    );
  }

  convert_tokens_to_ids(tokens: readonly string[]): (number | undefined)[] {
    return tokens.map((token) => this.#id(token));
  }

  get_vocab(): Map<string, number> {
    return this.#native.get_vocab();
  }

  apply_chat_template(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions & { tokenize: false },
  ): string;
  apply_chat_template(messages: readonly ChatMessage[], options?: ChatTemplateOptions): number[];
  apply_chat_template(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions = {},
  ): string | number[] {
    const { chat_template, tokenize = true, ...names } = options;
    const text = this.#compile(this.#templateNamed(chat_template, names.tools)).render({
      add_generation_prompt: false,
      tools: null,
      documents: null,
      ...this.#special,
      ...names,
      messages,
    });
    return tokenize ? this.encode(text, { add_special_tokens: false }) : text;
  }

  #id(token: string | undefined): number | undefined {
    return token === undefined ? undefined : this.#native.token_to_id(token);
  }

  /** @throws ModalscopeError where a part of a text has no token, and nothing stands for the unknown */
  #known(ids: number[], text: string): number[] {
    if (ids.every((id) => typeof id === "number")) return ids;
    throw new ModalscopeError(
      `The tokenizer of ${this.path} has no token for a part of ${JSON.stringify(text.slice(0, 60))}.`,
      "It has no token that stands for what it does not know (unk_token) either.",
      "Leave that part out, or take the tokenizer.json that belongs to the checkpoint.",
    );
  }

  #withinTime<T>(length: number, work: () => T): T {
    return withinTime(timeFor(length), `The tokenizer of ${this.path}`, work);
  }

  #compile(text: string): BoundedTemplate {
    const template = this.#compiled.get(text) ?? new BoundedTemplate(text, this.path);
    this.#compiled.set(text, template);
    return template;
  }

  /** As transformers chooses: a template or the name of one; else that for tools where there are any, else the default. */
  #templateNamed(wanted: string | null | undefined, tools: unknown): string {
    const templates = this.chat_template;
    if (typeof templates === "string") return wanted ?? templates;
    if (templates !== null) {
      const byTools = tools ? own(templates, "tool_use") : undefined;
      const chosen = wanted ? (own(templates, wanted) ?? wanted) : (byTools ?? own(templates, "default"));
      if (chosen !== undefined) return chosen;
      throw new ModalscopeError(
        `The tokenizer of ${this.path} has several chat templates and no default:`,
        `${Object.keys(templates).sort().join(", ")}.`,
        "Name one as chat_template.",
      );
    }
    if (wanted) return wanted;
    throw new ModalscopeError(
      `${this.path} has no chat template:`,
      "there is none beside its tokenizer, as of models that were not made for conversations.",
      "Give prompts as text, or a Jinja template as chat_template.",
    );
  }
}

/** Unknown letters that follow each other are one unknown token within a piece; here they were so across pieces. */
function fuseInPieces({ model }: NativeTokenizer): void {
  if (!model.fuse_unk) return;
  const tokens = model._call.bind(model);
  model._call = (pieces) => pieces.flatMap((piece) => tokens([piece]));
}

/** One template, several by name, or none. */
function templatesOf(value: unknown): string | Record<string, string> | null {
  if (!Array.isArray(value)) return typeof value === "string" ? value : null;
  return Object.fromEntries(
    value.map((entry: unknown) => {
      const { name, template } = isObject(entry) ? entry : {};
      if (typeof name === "string" && typeof template === "string") return [name, template];
      throw new Error("a list of chat templates has an entry without name and template");
    }),
  );
}
