/** Result of one check of doctor. */
export interface Check {
  about: string;
  /** "absent": optional and not there. "broken": required, or installed and not working. */
  state: "ok" | "absent" | "broken";
  detail: string;
  /** Advice on fixing it, where it is not ok. */
  fix?: string;
}

const marks = { ok: "ok    ", absent: "-     ", broken: "BROKEN" };

export function formatCheck({ about, state, detail, fix }: Check): string {
  const advice = state === "ok" || fix === undefined ? "" : `\n         ${fix}`;
  return `${marks[state]}  ${about}: ${detail}${advice}\n`;
}

export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n")[0];
}
