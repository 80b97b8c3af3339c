/** Features of images that were encoded before: an image that is looked at again passes the tower once. */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Tensor } from "../../tensor.js";
import type { ProcessedImage } from "../images/index.js";

/** What the language model reads of one image. */
export interface EncodedImage {
  /** (tokens, hidden_size) */
  readonly features: Tensor;
  /** By block of the language model: what is added after it (DeepStack), (tokens, hidden_size). */
  readonly injections: ReadonlyMap<number, Tensor>;
}

/** Encoded images by what they hold, the least recently used forgotten first where there are too many bytes. */
export class EncodedImages {
  private readonly kept: LRUCache<string, EncodedImage>;

  /** @param limit bytes to hold at most; a larger image is not held */
  constructor(limit: number) {
    this.kept = new LRUCache({ maxSize: Math.max(1, Math.floor(limit)), sizeCalculation: bytesOf });
  }

  get(key: string): EncodedImage | undefined {
    return this.kept.get(key);
  }

  set(key: string, image: EncodedImage): void {
    this.kept.set(key, image);
  }
}

/** Equal for images that a tower cannot tell apart. Read anew each time: pixels may be changed in place. */
export function imageKey({ pixels, ...layout }: ProcessedImage): string {
  const { buffer, byteOffset, byteLength } = pixels.data;
  return createHash("sha1")
    .update(JSON.stringify([pixels.shape, layout]))
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("base64");
}

function bytesOf({ features, injections }: EncodedImage): number {
  return [features, ...injections.values()].reduce((sum, { data }) => sum + data.byteLength, 1);
}
