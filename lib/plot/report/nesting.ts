/**
 * A bound on what an HTML parser will do with a text, found in one pass over its tags before it is parsed. Parsers
 * take time that grows with the square of nesting and of a tag's attributes, and repeat unclosed formatting in
 * every paragraph. The count is on the safe side: an element that a parser may keep open counts as open.
 */
import { ModalscopeError } from "../../errors.js";

/** Deepest nesting of elements; browsers stop there, too. */
const deepest = 512;
const mostAttributes = 1000;

/** Elements that unclosed formatting may repeat: so many in any text, and so many more for each of its tags. */
const freeCopies = 200_000;
const copiesPerTag = 4;

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/** They have no content. */
const voids = words("area base br col embed hr img input link meta param source track wbr");

/** They end where the next of their kind begins, so that they nest only as deeply as what holds them. */
const impliedEnds = words(
  "p tr td th thead tbody tfoot colgroup option optgroup rb rt rtc rp html head body",
);

const rawText = words("script style textarea title xmp iframe noembed noframes noscript plaintext");
const formatting = words("a b big code em font i nobr s small strike strong tt u");

/** An end tag outside them closes nothing in them. */
const scopes = words(
  "table caption object template marquee applet svg math foreignobject desc annotation-xml mi mo mn ms mtext",
);

/** In SVG, and only there, a tag can close itself. */
const svgNames = words(
  "svg g path rect circle ellipse line polyline polygon text tspan textpath use defs symbol marker pattern mask " +
    "clippath image stop lineargradient radialgradient filter animate animatetransform set metadata",
);

/** They end where the next of their kind begins, if no other block stands between. */
const listItems: Readonly<Record<string, readonly string[]>> = {
  li: ["li"],
  dt: ["dt", "dd"],
  dd: ["dt", "dd"],
};
const itemsMayLieIn = words("address div");

/** Elements whose end tag ends all that is open in them. */
const blocks = words(
  "address article aside blockquote button center details dialog dir div dl fieldset figcaption figure footer " +
    "header hgroup listing main menu nav ol pre search section summary ul h1 h2 h3 h4 h5 h6 form select li dt dd",
);

/** @throws ModalscopeError when markup would take a parser out of proportion to its length. */
export function checkNesting(markup: string): void {
  const open = new OpenElements();
  const commentEnd = commentEnds(markup);
  let tags = 0;
  let copies = 0;
  let pureSvg = false;
  for (let at = markup.indexOf("<"); at !== -1 && at < markup.length; at = markup.indexOf("<", at)) {
    if (markup.startsWith("<!--", at)) {
      at = commentEnd(at);
      continue;
    }
    const tag = tagAt(markup, at);
    if (tag === undefined) {
      // Such as <!DOCTYPE …>, <?…> and </…>, which all end at the next >; any other < is text.
      at = /[!?/]/.test(markup.charAt(at + 1)) ? indexAfter(markup, ">", at) : at + 1;
      continue;
    }
    const { name, ending, selfClosing } = tag;
    at = tag.end;
    tags++;
    copies += open.formatting;
    if (copies > freeCopies + copiesPerTag * tags) throw tooMuch("it leaves too much formatting unclosed");
    pureSvg = (pureSvg || (name === "svg" && !ending)) && svgNames.has(name);
    if (ending) {
      open.end(name);
      pureSvg &&= open.has("svg");
    } else if (rawText.has(name)) {
      if (open.has("svg") || open.has("math") || open.has("select"))
        throw tooMuch(`it has a <${name}> in a place where it means something else`);
      at = afterRawText(markup, at, name);
    } else if (!voids.has(name) && !impliedEnds.has(name) && !(selfClosing && pureSvg)) open.start(name);
  }
}

/** Elements that a parser may hold open. */
class OpenElements {
  readonly #names: string[] = [];
  /** Number of formatting elements among them. */
  formatting = 0;

  has(name: string): boolean {
    return this.#names.includes(name);
  }

  start(name: string): void {
    if (Object.hasOwn(listItems, name)) this.#endItem(listItems[name]);
    this.#names.push(name);
    if (formatting.has(name)) this.formatting++;
    if (this.#names.length > deepest) throw tooMuch(`its elements are nested more than ${deepest} deep`);
  }

  #endItem(names: readonly string[]): void {
    for (let i = this.#names.length - 1; i >= 0; i--) {
      const one = this.#names[i];
      if (names.includes(one)) {
        this.#names.splice(i, 1);
        return;
      }
      if (scopes.has(one) || (blocks.has(one) && !itemsMayLieIn.has(one))) return;
    }
  }

  /** An end tag that a parser may ignore is ignored, and what it leaves open stays open. */
  end(name: string): void {
    const block = blocks.has(name) || scopes.has(name);
    for (let i = this.#names.length - 1; i >= 0; i--) {
      const one = this.#names[i];
      if (one === name) {
        if (formatting.has(name)) this.formatting--;
        this.#names.splice(i, 1);
        return;
      }
      if (scopes.has(one) || (blocks.has(one) && !block)) return;
    }
  }
}

/** Finds the end of the comment that begins at a place; each search goes on from the end of the last one. */
function commentEnds(markup: string): (start: number) => number {
  const found = { "-->": 0, "--!>": 0 };
  const next = (mark: "-->" | "--!>", from: number): number => {
    if (found[mark] < from) found[mark] = indexAfter(markup, mark, from) - mark.length;
    return found[mark] + mark.length;
  };
  // <!--> is a whole comment; <!--!> is not.
  return (start) => Math.min(next("-->", start + 2), next("--!>", start + 4));
}

/** Position after the next mark; the end of the text when there is none. */
function indexAfter(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at === -1 ? text.length : at + mark.length;
}

/** End of the content of a raw text element: at its end tag, or with the text. */
function afterRawText(markup: string, from: number, name: string): number {
  const end = new RegExp(`</${name}[\\s/>]`, "gi");
  end.lastIndex = from;
  const at = end.exec(markup)?.index ?? markup.length;
  if (name === "script" && /<!--[\s\S]*<script/i.test(markup.slice(from, at)))
    throw tooMuch("a script of it hides another");
  return at;
}

interface Tag {
  readonly name: string;
  readonly ending: boolean;
  readonly selfClosing: boolean;
  /** Position after the tag. */
  readonly end: number;
}

const attributeAt = /[\s/]*(?:[^\s/>][^\s/>=]*\s*(=)?\s*)?/y;
const unquotedAt = /[^\s>]*/y;

/** The tag that begins at a `<`; undefined when there is none. */
function tagAt(markup: string, start: number): Tag | undefined {
  const [, slash, word] = execAt(/<(\/?)([a-z][^\s/>]*)/iy, markup, start) ?? [];
  if (word === undefined) return undefined;
  const tag = { name: word.toLowerCase(), ending: slash !== "", selfClosing: false };
  let at = start + 1 + slash.length + word.length;
  for (let attributes = 0; ; attributes++) {
    if (attributes > mostAttributes) throw tooMuch(`a tag of it has more than ${mostAttributes} attributes`);
    const [whole, value] = execAt(attributeAt, markup, at) ?? ["", undefined];
    at += whole.length;
    const sign = markup.charAt(at);
    if (value === undefined) {
      if (sign === ">") return { ...tag, selfClosing: markup[at - 1] === "/", end: at + 1 };
      if (sign === "") return { ...tag, end: at };
    } else if (sign === '"' || sign === "'") at = indexAfter(markup, sign, at + 1);
    else at += execAt(unquotedAt, markup, at)?.[0].length ?? 0;
  }
}

function execAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function tooMuch(reason: string): ModalscopeError {
  return new ModalscopeError("This HTML is not shown:", `${reason}.`);
}
