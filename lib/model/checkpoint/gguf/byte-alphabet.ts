/**
 * GPT-2's alphabet of bytes: every byte has a visible character, itself where it is one in Latin-1, else the
 * next free one from U+0100 on. Byte-level tokens are spelled in it: "Ġ" is the space.
 */
const spelling: readonly string[] = (() => {
  const visible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : next++));
})();

/** The characters of the alphabet. */
export const byteAlphabet: ReadonlySet<string> = new Set(spelling);

/** A text's UTF-8 bytes, spelled in the alphabet. */
export function spellBytes(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => spelling[byte]).join("");
}
