/** Word-level tokenizers in Hugging Face's format, with each family's special tokens. */

/** The special tokens of a family, and how text begins. */
export interface TokenizerSpec {
  /** Before the words, in this order: ids from 0. */
  readonly first: readonly string[];
  /** After the words. */
  readonly last: readonly string[];
  readonly unknown: string;
  readonly end: string;
  readonly padding: string;
  /** Written before every text, and by what. */
  readonly begin?: { readonly token: string; readonly by: "tokenizer" | "template" };
  /** Whether a text begins as if after a space, as Llama's do. */
  readonly leadingSpace: boolean;
  readonly template: string;
  /** Further fields of tokenizer_config.json: the roles of the tokens around images. */
  readonly roles: Readonly<Record<string, string>>;
}

export interface TokenizerFiles {
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
  /** chat_template.jinja. */
  readonly template: string;
  readonly vocabularySize: number;
  /** @throws TypeError when the vocabulary has no such token */
  id(token: string): number;
}

/** A word, a number, a mark or a line break, each with the space before it. */
const PIECE = "▁?[A-Za-z]+|▁?[0-9]+|▁?[^A-Za-z0-9▁\\s]|▁|\\s";

/**
 * Every word, number and mark of some texts is one token, with a space before it and, where it occurs so, without; any
 * other word falls into letters. Stored as BPE without merges, which both transformers and transformers.js read.
 */
export function wordTokenizer(frame: TokenizerSpec, texts: Iterable<string>): TokenizerFiles {
  const pieces = new Set<string>();
  for (const text of texts) {
    const marked = `${frame.leadingSpace ? "▁" : ""}${text.replaceAll(" ", "▁")}`;
    for (const [piece] of marked.matchAll(new RegExp(PIECE, "g"))) pieces.add(piece);
  }
  const letters = new Set(["▁", "\n", ..."abcdefghijklmnopqrstuvwxyz0123456789", ...[...pieces].join("")]);
  const words = [...new Set([...letters, ...pieces])].filter((w) => !frame.first.includes(w)).sort();
  const tokens = [...frame.first, ...words];
  const added = [...frame.first, ...frame.last];
  const ids = new Map([...tokens, ...frame.last].map((token, i) => [token, i]));
  const id = (token: string): number => {
    const known = ids.get(token);
    if (known === undefined) throw new TypeError(`The tokenizer has no token "${token}".`);
    return known;
  };
  return {
    tokenizer: tokenizerJson(frame, tokens, added, id),
    tokenizerConfig: {
      backend: "tokenizers",
      ...(frame.begin && { bos_token: frame.begin.token }),
      eos_token: frame.end,
      pad_token: frame.padding,
      unk_token: frame.unknown,
      extra_special_tokens: [],
      ...frame.roles,
      model_max_length: 1024,
      padding_side: "left",
      tokenizer_class: "TokenizersBackend",
    },
    template: frame.template,
    vocabularySize: ids.size,
    id,
  };
}

function tokenizerJson(
  { leadingSpace, begin, unknown }: TokenizerSpec,
  tokens: readonly string[],
  added: readonly string[],
  id: (token: string) => number,
): Record<string, unknown> {
  const spaces = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const toSpaces = [{ type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "Fuse" }];
  const text = (name: string): object => ({ Sequence: { id: name, type_id: 0 } });
  const first = begin?.by === "tokenizer" ? [{ SpecialToken: { id: begin.token, type_id: 0 } }] : [];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map((content) => ({
      id: id(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: leadingSpace
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, spaces] }
      : spaces,
    pre_tokenizer: { type: "Split", pattern: { Regex: PIECE }, behavior: "Isolated", invert: false },
    post_processor: {
      type: "TemplateProcessing",
      single: [...first, text("A")],
      pair: [...first, text("A"), ...first, text("B")],
      special_tokens:
        begin?.by === "tokenizer"
          ? { [begin.token]: { id: begin.token, ids: [id(begin.token)], tokens: [begin.token] } }
          : {},
    },
    decoder: {
      type: "Sequence",
      decoders: leadingSpace ? [...toSpaces, { type: "Strip", content: " ", start: 1, stop: 0 }] : toSpaces,
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: unknown,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: false,
      ignore_merges: true,
      vocab: Object.fromEntries(tokens.map((token) => [token, id(token)])),
      merges: [],
    },
  };
}
