/** Addresses of files: paths of this machine, and URLs of what lies elsewhere. */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { ModalscopeError } from "../errors.js";

/** Whether a path is a URL of what lies elsewhere: `s3://`, `https://` or `http://`. */
export function isRemote(path: string): boolean {
  return /^(s3|https?):\/\//i.test(path);
}

export function isS3(url: string): boolean {
  return /^s3:\/\//i.test(url);
}

/**
 * A path as it may stand in messages and files: without the name, the password and the query of a URL, in which
 * credentials are given.
 */
export function shownPath(path: string): string {
  if (!isRemote(path)) return path;
  const [scheme, rest] = splitScheme(path);
  const plain = isS3(path) ? rest : rest.replace(/[?#].*$/s, "");
  return `${scheme}://${plain.replace(/^[^/]*@/, "")}`;
}

/** Whether a URL has credentials in it, or what may be some. */
export function holdsCredentials(path: string): boolean {
  return isRemote(path) && shownPath(path) !== path;
}

/** A name below a folder or a URL of one. */
export function joinPath(folder: string, name: string): string {
  return isRemote(folder) ? `${folder.replace(/\/+$/, "")}/${name}` : join(folder, name);
}

/** The last part of a path or a URL. */
export function baseName(path: string): string {
  return basename(shownPath(path).replace(/\/+$/, ""));
}

export function contentTypeOf(url: string): string {
  const path = shownPath(url);
  if (/\.(ipynb|json)$/i.test(path)) return "application/json";
  if (path.endsWith(".csv")) return "text/csv";
  return path.endsWith(".html") ? "text/html" : "application/octet-stream";
}

/** Short digest of a URL, for a name on disk. A query tells objects apart, unless it is a signature's. */
export function urlDigest(url: string): string {
  const [scheme, rest] = splitScheme(url);
  const isSigned = /[?&]x-amz-signature=/i.test(rest);
  const known = isSigned ? shownPath(url) : `${scheme}://${rest.replace(/^[^/]*@/, "")}`;
  return createHash("sha256").update(known).digest("hex").slice(0, 16);
}

/** @throws ModalscopeError when it names no bucket */
export function s3Location(url: string): { bucket: string; key: string } {
  const [, rest] = splitScheme(url);
  const slash = rest.indexOf("/");
  const [bucket, key] = slash === -1 ? [rest, ""] : [rest.slice(0, slash), rest.slice(slash + 1)];
  if (/^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i.test(bucket)) return { bucket, key };
  throw new ModalscopeError(
    `${shownPath(url)} names no bucket.`,
    "",
    bucket.includes("@")
      ? "Credentials do not go into an s3:// URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile."
      : "Write s3://bucket/key.",
  );
}

function splitScheme(url: string): [scheme: string, rest: string] {
  const end = url.indexOf("://");
  return [url.slice(0, end).toLowerCase(), url.slice(end + 3)];
}
