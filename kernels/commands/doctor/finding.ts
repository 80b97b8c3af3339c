/** What doctor found out about one thing. */
export interface Finding {
  about: string;
  /** "absent" is something that is not needed; "broken" is needed, or there and does not work. */
  state: "ok" | "absent" | "broken";
  detail: string;
  /** What to do about it, where it is not ok. */
  todo?: string;
}

const marks = { ok: "ok    ", absent: "-     ", broken: "BROKEN" };

export function showFinding({ about, state, detail, todo }: Finding): string {
  const advice = state === "ok" || todo === undefined ? "" : `\n         ${todo}`;
  return `${marks[state]}  ${about}: ${detail}${advice}\n`;
}

export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n")[0];
}
