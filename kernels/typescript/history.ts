/** Cells that this kernel has run, for history requests. */
export interface History {
  add(count: number, code: string): void;
  /** Sets the last entry's result, as text. */
  addResult(text: string): void;
  /** @param request the content of a history_request. */
  find(request: Record<string, unknown>): HistoryEntry[];
}

/** Session (0, the current one: no other is kept), cell number, and the input or the input with its result. */
export type HistoryEntry = [
  session: number,
  count: number,
  code: string | [input: string, result: string | null],
];

interface Entry {
  count: number;
  code: string;
  result: string | null;
}

export function inputHistory(): History {
  const entries: Entry[] = [];
  return {
    add: (count, code) => entries.push({ count, code, result: null }),
    addResult(text) {
      const last = entries.at(-1);
      if (last !== undefined) last.result = text;
    },
    find(request) {
      const withResults = request.output === true;
      return select(entries, request).map(({ count, code, result }) => [
        0,
        count,
        withResults ? [code, result] : code,
      ]);
    },
  };
}

function select(entries: Entry[], request: Record<string, unknown>): Entry[] {
  const { hist_access_type: access, n, start, stop, pattern, unique } = request;
  if (access === "range") {
    const from = numberOr(start, 0);
    const to = numberOr(stop, Number.POSITIVE_INFINITY);
    return entries.filter(({ count }) => count >= from && count < to);
  }
  const last = -numberOr(n, 0);
  if (access === "tail") return entries.slice(last);
  const wanted = typeof pattern === "string" ? pattern : "*";
  const found = entries.filter(({ code }) => matchesGlob(wanted, code));
  return (unique === true ? [...new Map(found.map((entry) => [entry.code, entry])).values()] : found).slice(
    last,
  );
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" && !Number.isNaN(value) ? value : otherwise;
}

/**
 * Matches a shell pattern (`*` and `?`) against a whole text. It backtracks to the last star only, so its time is at most
 * the product of the two lengths.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let [p, t] = [0, 0];
  let star: { pattern: number; text: number } | undefined;
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === "*") {
      star = { pattern: ++p, text: t };
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star !== undefined) {
      p = star.pattern;
      t = ++star.text;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
