import { isS3 } from "./location.js";
import type { Store } from "./store.js";

/** The protocol of a URL, loaded only when one asks for it. */
export async function storeOf(url: string): Promise<Store> {
  return isS3(url) ? (await import("./s3.js")).s3Store : (await import("./http.js")).httpStore;
}
