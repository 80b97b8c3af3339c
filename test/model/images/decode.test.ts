import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { decodeImage, type ImageSource, type RgbImage } from "../../../lib/model/images/index.js";
import { says } from "../../refusals.js";
import { drawn, file, fixture, golden, sha256 } from "./goldens.js";

/** Levels by which two builds of a JPEG or WebP decoder may differ. The ones that we ran gave the same levels. */
const DECODER_TOLERANCE = 2;

/** Files that are decoded otherwise than by Pillow. */
const DEVIATES = ["deep-grey.png"];

interface GifScreen {
  readonly screen: readonly number[];
  /** Left, top, width, height. */
  readonly frame: readonly number[];
  readonly transparency: number | null;
  readonly file: string;
  readonly size: readonly number[];
  readonly rgb: string;
}

const gifScreens: readonly GifScreen[] = JSON.parse(readFileSync(fixture("gif-screens.json"), "utf8"));

const refuses = (source: ImageSource, message: RegExp, options = {}): Promise<void> =>
  assert.rejects(decodeImage(source, options), says(message));

describe("decoding as Pillow does", () => {
  for (const [name, expected] of Object.entries(golden.decoded)) {
    if (DEVIATES.includes(name)) continue;
    it(`${name} (${expected.mode})`, async () => {
      const image = await decodeImage(file(name));
      assert.deepEqual([image.width, image.height], expected.size);
      if (expected.lossy) await near(image, `${name}.decoded.png`);
      else assert.equal(sha256(image.data), expected.drop);
    });
    if (expected.white !== expected.drop)
      it(`${name} on white`, async () => {
        const image = await decodeImage(file(name), { alpha: "white" });
        assert.equal(sha256(image.data), expected.white);
      });
  }

  for (const { screen, frame, transparency, file: data, size, rgb } of gifScreens) {
    const kind = transparency === null ? "" : ", transparent";
    it(`a GIF with a screen of ${screen.join("×")} and its frame at ${frame.slice(0, 2).join(", ")}${kind}`, async () => {
      const image = await decodeImage(Buffer.from(data, "base64"));
      assert.deepEqual([image.width, image.height], size);
      const expected = Buffer.from(rgb, "hex");
      const [left, top, width, height] = frame;
      for (let p = 0; 3 * p < expected.length; p++) {
        const [x, y] = [(p % image.width) - left, Math.floor(p / image.width) - top];
        // Colours under a frame's own transparency are not Pillow's.
        if (transparency !== null && x >= 0 && y >= 0 && x < width && y < height) continue;
        assert.deepEqual(
          [...image.data.subarray(3 * p, 3 * p + 3)],
          [...expected.subarray(3 * p, 3 * p + 3)],
        );
      }
    });
  }

  async function near(image: RgbImage, reference: string): Promise<void> {
    const { data } = await decodeImage(file(reference));
    let off = 0;
    for (let i = 0; i < data.length; i++) off = Math.max(off, Math.abs(data[i] - image.data[i]));
    assert.ok(off <= DECODER_TOLERANCE, `${off} levels off`);
  }

  it("takes the high byte of 16-bit grey, which Pillow clips to white", async () => {
    const grey = await decodeImage(file("deep-grey.png"));
    const colour = await decodeImage(file("deep.png"));
    // The grey levels are the red ones of the colour file; see make.py.
    for (let i = 0; i < grey.data.length; i++) assert.equal(grey.data[i], colour.data[i - (i % 3)]);
  });

  it("reads bytes, data: URLs and decoded images alike", async () => {
    const bytes = readFileSync(file("odd.png"));
    const expected = drawn(37, 23);
    const url = `data:image/png;base64,${bytes.toString("base64")}`;
    const escaped = `data:image/png,${[...bytes].map((b) => `%${b.toString(16).padStart(2, "0")}`).join("")}`;
    for (const source of [bytes, new Uint8Array(bytes), url, escaped, expected])
      assert.deepEqual(await decodeImage(source), expected);
  });
});

describe("images that cannot be read", () => {
  it("are refused with the reason", async () => {
    await refuses(file("text.png"), /text\.png cannot be read as an image/);
    await refuses(file("truncated.jpg"), /truncated\.jpg cannot be read/);
    await refuses(file("truncated.png"), /truncated\.png cannot be read/);
    await refuses(file("absent.png"), /absent\.png cannot be opened. ENOENT/);
    await refuses(fixture("files"), /cannot be opened. EISDIR/);
    await refuses(new Uint8Array(0), /no bytes/);
    await refuses("data:image/png;base64,", /holds no image/);
    await refuses("data:image/png", /holds no image/);
    await refuses("https://example.org/cat.png", /Nothing is fetched from a network/);
    await refuses(null as unknown as string, /null/);
    await refuses(7 as unknown as string, /number/);
    await refuses({} as unknown as string, /object/);
  });

  it("or drawings", async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>';
    await refuses(Buffer.from(svg), /format SVG/);
  });

  it("or decoded images whose sizes are wrong", async () => {
    await refuses({ width: 0, height: 3, data: new Uint8Array(0) }, /0×3/);
    await refuses({ width: 2, height: 2, data: new Uint8Array(11) }, /needs 12 bytes/);
    await refuses({ width: 1.5, height: 2, data: new Uint8Array(9) }, /whole numbers/);
  });

  it("or too large, by the header alone", async () => {
    // Its header says 60000×50000; there are no pixels for that.
    await refuses(file("huge.png"), /60000×50000 = 3000000000 pixels. The limit is 89478485/);
    await refuses(file("odd.png"), /37×23 = 851 pixels. The limit is 850/, { maxPixels: 850 });
    await refuses(drawn(5, 4), /The limit is 19/, { maxPixels: 19 });
    assert.equal((await decodeImage(file("odd.png"), { maxPixels: 851 })).width, 37);
  });
});
