/** What was run in this kernel's life, for consoles that look back. */
export interface History {
  add(count: number, code: string): void;
  /** The text of the last one's result. */
  addResult(text: string): void;
  /** @param request the content of a history_request. */
  find(request: Record<string, unknown>): HistoryEntry[];
}

/** The session (0 is the current one, and the only one kept), the number, the input or the input and its result. */
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
    const from = Number(start ?? 0);
    const to = stop == null ? Number.POSITIVE_INFINITY : Number(stop);
    return entries.filter(({ count }) => count >= from && count < to);
  }
  const last = n == null ? 0 : -Number(n);
  if (access === "tail") return entries.slice(last);
  const matches = glob(String(pattern ?? "*"));
  const found = entries.filter(({ code }) => matches.test(code));
  return (unique === true ? [...new Map(found.map((entry) => [entry.code, entry])).values()] : found).slice(
    last,
  );
}

/** A shell pattern (`*` and `?`) over the whole of an input. */
function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${source}$`, "s");
}
