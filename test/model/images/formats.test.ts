import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { decodeImage } from "../../../lib/model/images/index.js";
import { says } from "../../refusals.js";

describe("a format that is not read is named, with those that are", () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>';
  for (const [format, bytes] of [
    ["BMP", Buffer.concat([Buffer.from("BM"), Buffer.alloc(60)])],
    ["PPM", Buffer.from("P6\n1 1\n255\nabc")],
    ["SVG", Buffer.from(svg)],
    ["SVG", Buffer.from(`\ufeff<?xml version="1.0"?>\n${svg}`)],
    ["SVG", Buffer.from("\ufeff<!DOCTYPE\nsvg><svg/>", "utf16le")],
    ["SVG", Buffer.from(`no markup yet ${" ".repeat(800)}<svg/>`)],
    ["gzip", gzipSync("<svg/>")],
    ["TGA", Buffer.concat([Buffer.from([0, 0, 2, 0]), Buffer.alloc(60), Buffer.from("TRUEVISION-XFILE.\0")])],
    ["Windows icon", Buffer.from([0, 0, 1, 0, 1, 0, 0, 0])],
    ["Photoshop", Buffer.from("8BPS\0\x01")],
    ["JPEG XL", Buffer.from([0xff, 0x0a, 0, 0])],
    ["PDF", Buffer.from("%PDF-1.7")],
  ] as const)
    it(format, () =>
      assert.rejects(
        decodeImage(bytes),
        says(new RegExp(`format .*${format}.* not read.*png.*Convert it to PNG`, "s")),
      ),
    );
});

it("a TIFF of YCbCr pixels is refused, one of RGB is read", async () => {
  const rgb = await sharp({ create: { width: 2, height: 2, channels: 3, background: "red" } })
    .tiff({ compression: "none" })
    .toBuffer();
  assert.equal((await decodeImage(rgb)).width, 2);
  const little = rgb[0] === 0x49;
  const [u16, u32] = little
    ? (["readUInt16LE", "readUInt32LE"] as const)
    : (["readUInt16BE", "readUInt32BE"] as const);
  const start = rgb[u32](4);
  const entries = Array.from({ length: rgb[u16](start) }, (_, i) => start + 2 + 12 * i);
  const photometric = entries.find((at) => rgb[u16](at) === 262)!;
  if (little) rgb.writeUInt16LE(6, photometric + 8);
  else rgb.writeUInt16BE(6, photometric + 8);
  await assert.rejects(decodeImage(rgb), says(/YCbCr/));
});
