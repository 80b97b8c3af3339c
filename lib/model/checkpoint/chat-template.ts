/** Chat templates are programs that come with a checkpoint: they run with limits on their steps and on what they make. */
import * as jinja from "@huggingface/jinja";
import { ModalscopeError } from "../../errors.js";

/** Evaluated expressions and statements, long values counted for more. Templates in use take some thousands. */
const MOST_STEPS = 250_000;
/** Elements of a list; of `range`, the limit of Jinja's own sandbox in Python. */
const MOST_ELEMENTS = 100_000;
/** Characters of a text. */
const MOST_CHARACTERS = 2 ** 24;

class LimitError extends Error {}

interface ForStatement {
  readonly body: readonly unknown[];
}

interface JinjaInterpreter {
  run(program: unknown): { readonly value: unknown };
  evaluate(statement: unknown, environment: unknown): { readonly value: unknown };
  /** Text that statements write. */
  evaluateBlock(statements: readonly unknown[], environment: unknown): { value: unknown };
  evaluateFor(statement: ForStatement, environment: unknown): { readonly value: unknown };
}

/** The package's classes, whose own declarations do not resolve under Node's rules for modules. */
const { Environment, Interpreter, Template } = jinja as unknown as {
  readonly Environment: new () => { set(name: string, value: unknown): void };
  readonly Interpreter: new (environment: object) => JinjaInterpreter;
  readonly Template: new (text: string) => { readonly parsed: unknown };
};

/** A compiled template. */
export class BoundedTemplate {
  private readonly program: unknown;

  /** @param file where the template comes from, for errors */
  constructor(
    text: string,
    private readonly file: string,
  ) {
    try {
      this.program = new Template(text).parsed;
    } catch (error) {
      throw new ModalscopeError(
        `The chat template of ${file} is no valid Jinja:`,
        `${(error as Error).message}.`,
        "Download it again, give prompts as text, or another chat_template.",
        { cause: error },
      );
    }
  }

  /** @throws ModalscopeError when the template runs longer, or makes more, than a prompt needs */
  render(items: Readonly<Record<string, unknown>>): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...globals, ...items })) environment.set(name, value);
    try {
      return String(new BoundedInterpreter(environment).run(this.program).value);
    } catch (error) {
      throw this.explained(error);
    }
  }

  private explained(error: unknown): ModalscopeError {
    const reason = `${(error as Error).message}.`;
    const [what, hint] =
      error instanceof LimitError || error instanceof RangeError
        ? [
            "was stopped",
            "The file may be damaged or hostile. Give prompts as text, or another chat_template.",
          ]
        : error instanceof Refusal
          ? ["refuses these messages", "Change their roles or order as it asks, or give the prompt as text."]
          : ["failed on these messages", "Give prompts as text, or another chat_template."];
    return new ModalscopeError(`The chat template of ${this.file} ${what}:`, reason, hint, { cause: error });
  }
}

/** A template's own `raise_exception`. */
class Refusal extends Error {}

/** The errors by which the package leaves a loop or a round of it. */
const [Break, Continue] = ["Break", "Continue"].map((type) => {
  try {
    new Interpreter(new Environment()).evaluate({ type }, new Environment());
  } catch (error) {
    return (error as Error).constructor as new () => Error;
  }
  throw new Error(`@huggingface/jinja does not know ${type}.`);
});

class BoundedInterpreter extends Interpreter {
  private steps = 0;
  private readonly loops: { readonly body: readonly unknown[]; left: boolean }[] = [];
  /** Text that was written before a loop was left, which the package would drop. */
  private readonly written = new WeakMap<Error, string>();

  override evaluateFor(statement: ForStatement, environment: unknown): { readonly value: unknown } {
    this.loops.push({ body: statement.body, left: false });
    try {
      return super.evaluateFor(statement, environment);
    } finally {
      this.loops.pop();
    }
  }

  override evaluateBlock(statements: readonly unknown[], environment: unknown): { value: unknown } {
    const inner = this.loops.at(-1);
    const loop = inner?.body === statements ? inner : undefined;
    let text = "";
    const block = super.evaluateBlock([], environment);
    try {
      if (!loop?.left) for (const one of statements) text += super.evaluateBlock([one], environment).value;
    } catch (error) {
      if (!(error instanceof Break || error instanceof Continue)) throw error;
      text += this.written.get(error) ?? "";
      this.written.set(error, text);
      if (loop === undefined) throw error;
      loop.left = error instanceof Break;
    }
    block.value = text;
    return block;
  }

  override evaluate(statement: unknown, environment: unknown): { readonly value: unknown } {
    const result = super.evaluate(statement, environment);
    this.steps += 1 + cost(result.value);
    if (this.steps > MOST_STEPS) throw new LimitError(`it took more than ${MOST_STEPS} steps`);
    return result;
  }
}

/** Steps that a value counts for beside its own: what is done with it later takes as long as it is large. */
function cost(value: unknown): number {
  if (typeof value === "string") {
    if (value.length > MOST_CHARACTERS) throw new LimitError(`it made a text of ${value.length} characters`);
    return value.length >> 10;
  }
  if (!Array.isArray(value)) return 0;
  if (value.length > MOST_ELEMENTS) throw new LimitError(`it made a list of ${value.length} elements`);
  return value.length;
}

/** Names that every template may use, as in @huggingface/jinja. */
const globals: Readonly<Record<string, unknown>> = {
  false: false,
  true: true,
  none: null,
  False: false,
  True: true,
  None: null,
  raise_exception(message: string) {
    throw new Refusal(message);
  },
  range,
  strftime_now: (format: string) => strftime(new Date(), format),
};

function range(...bounds: readonly number[]): number[] {
  const [start, stop, step = 1] = bounds.length === 1 ? [0, bounds[0]] : bounds;
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MOST_ELEMENTS)) throw new LimitError(`it asked for a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}

function strftime(date: Date, format: string): string {
  const month = (style: "long" | "short"): string =>
    new Intl.DateTimeFormat(undefined, { month: style }).format(date);
  const two = (n: number): string => String(n).padStart(2, "0");
  const parts = new Map<string, () => string>([
    ["%Y", () => String(date.getFullYear())],
    ["%m", () => two(date.getMonth() + 1)],
    ["%d", () => two(date.getDate())],
    ["%b", () => month("short")],
    ["%B", () => month("long")],
    ["%H", () => two(date.getHours())],
    ["%M", () => two(date.getMinutes())],
    ["%%", () => "%"],
  ]);
  return format.replace(/%./g, (token) => parts.get(token)?.() ?? token);
}
