/** Errors of remote objects. None holds the library's own error, in which headers and signatures stand. */
import { ModalscopeError } from "../errors.js";
import { shownPath } from "./location.js";

/** Operation that was tried with an object. */
export type Attempt = "read" | "write";

export function notThere(url: string, reason = "There is no such object."): ModalscopeError {
  return new ModalscopeError(`Cannot read ${shownPath(url)}.`, reason, "See that it is spelt right.");
}

export function refused(attempt: Attempt, url: string, reason: string, hint: string): ModalscopeError {
  return new ModalscopeError(`Cannot ${attempt} ${shownPath(url)}.`, reason, hint);
}

const networkReasons: Readonly<Record<string, string>> = {
  ENOTFOUND: "There is no server of that name.",
  EAI_AGAIN: "The server's name cannot be looked up: is there a network?",
  ECONNREFUSED: "The server takes no connections.",
  ECONNRESET: "The server broke off the connection.",
  EPIPE: "The server broke off the connection.",
  UND_ERR_SOCKET: "The server broke off the connection.",
  ETIMEDOUT: "The server does not answer.",
  UND_ERR_CONNECT_TIMEOUT: "The server does not answer.",
  ENETUNREACH: "The network cannot be reached.",
  EHOSTUNREACH: "The server cannot be reached.",
  DEPTH_ZERO_SELF_SIGNED_CERT: "The server's certificate is signed by itself.",
  SELF_SIGNED_CERT_IN_CHAIN: "The server's certificate is signed by an unknown authority.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "The server's certificate cannot be verified.",
  CERT_HAS_EXPIRED: "The server's certificate has expired.",
  ERR_TLS_CERT_ALTNAME_INVALID: "The server's certificate is for another name.",
};

/** Why a connection failed, in words; undefined for an error of another kind. */
export function networkReason(error: unknown): string | undefined {
  for (let one = error; one instanceof Error; one = one.cause) {
    const { code, name } = one as NodeJS.ErrnoException;
    if (code !== undefined && Object.hasOwn(networkReasons, code)) return networkReasons[code];
    if (name === "TimeoutError") return "The server does not answer in time.";
    const inner = (one as AggregateError).errors;
    if (Array.isArray(inner) && inner.length > 0) return networkReason(inner[0]);
  }
  return undefined;
}

/** Whether the same request may succeed later: what a server's name or certificate says stays so. */
export function mayPass(error: unknown): boolean {
  const reason = networkReason(error);
  return reason !== undefined && !/certificate|no server of that name/.test(reason);
}
