/**
 * The first key that stands twice in one object of a JSON text, or undefined. `JSON.parse` keeps the last
 * of them without a word, which would hide a damaged or crafted file.
 * @param text valid JSON: call `JSON.parse` first.
 */
export function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  let i = 0;
  while (i < text.length) {
    const char = text[i];
    if (char === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      const end = ++i;
      while (isSpace(text[i])) i++;
      if (text[i] !== ":") continue;
      const key = JSON.parse(text.slice(start, end)) as string;
      const keys = open[open.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    } else {
      // Arrays need no entry: keys only stand directly inside the innermost open object.
      if (char === "{") open.push(new Set());
      else if (char === "}") open.pop();
      i++;
    }
  }
  return undefined;
}

function isSpace(char: string): boolean {
  return char === " " || char === "\n" || char === "\t" || char === "\r";
}
