/**
 * JSON, as `JSON.stringify` writes it, with U+FFFD for the halves of surrogate pairs. They are no Unicode: Jupyter cannot save a
 * notebook that holds one.
 */
export function wellFormedJson(json: string): string {
  if (!json.includes("\\ud")) return json;
  // By whole escapes, so that the text `\\ud800`, a backslash and five letters, stays.
  return json.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (whole, half: string | undefined) =>
    half === undefined ? whole : "\\ufffd",
  );
}
