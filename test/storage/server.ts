/** A server in this process that speaks S3's protocol and plain HTTP, checks signatures, and fails as it is told. */
import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

export const ACCESS_KEY = "AKIATESTTESTTEST";
export const SECRET_KEY = "secret/THAT+must-never-be-seen";

export interface Fault {
  /** Which requests; all of the server when left out. */
  readonly matches?: RegExp;
  /** "stall" sends half and then nothing, "cut" half and then the end, "drop" takes the body and hangs up. */
  readonly kind: number | "stall" | "cut" | "drop";
  times: number;
  readonly headers?: Record<string, string>;
}

export interface TestServer {
  readonly url: string;
  /** Contents by "bucket/key". */
  readonly objects: Map<string, Buffer>;
  /** "METHOD path", in order. */
  readonly requests: string[];
  readonly faults: Fault[];
  /** For the AWS library. */
  readonly env: Record<string, string>;
  /** Without signatures: a plain web server, with a password where one is set. */
  plain: boolean;
  password?: string;
}

export async function startServer(): Promise<TestServer> {
  const objects = new Map<string, Buffer>();
  const requests: string[] = [];
  const faults: Fault[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => answer(state, request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = {
    AWS_ENDPOINT_URL_S3: url,
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    AWS_REGION: "eu-central-1",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_CONFIG_FILE: "/none",
    AWS_SHARED_CREDENTIALS_FILE: "/none",
  };
  const state: TestServer = { url, objects, requests, faults, env, plain: false };
  return state;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const etagOf = (content: Buffer): string => `"${createHash("md5").update(content).digest("hex")}"`;

function answer(state: TestServer, request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const { method = "", headers } = request;
  const url = new URL(request.url ?? "", state.url);
  const path = decodeURIComponent(url.pathname).slice(1);
  state.requests.push(`${method} ${path}`);
  const fault = state.faults.find((one) => one.times > 0 && (one.matches?.test(`${method} ${path}`) ?? true));
  if (fault !== undefined) fault.times--;
  if (typeof fault?.kind === "number") return void response.writeHead(fault.kind, fault.headers).end();
  if (fault?.kind === "drop") return void request.socket.destroy();
  const refusal = state.plain
    ? passwordProblem(state, headers.authorization)
    : signatureProblem(request, url);
  if (refusal !== undefined) return void error(response, ...refusal);
  if (method === "PUT") {
    const length = headers["content-length"];
    if (length !== undefined && Number(length) !== body.length)
      return void error(response, 400, "IncompleteBody");
    state.objects.set(path, body);
    return void response.writeHead(200, { etag: etagOf(body) }).end();
  }
  if (url.searchParams.has("list-type")) return void list(state, url, response, path.replace(/\/$/, ""));
  const content = state.objects.get(path);
  if (content === undefined) return void error(response, 404, "NoSuchKey");
  const from = Number(/bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
  const part = content.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, { etag: etagOf(content), "content-length": part.length });
  if (method === "HEAD") return void response.end();
  if (fault === undefined) return void response.end(part);
  response.write(part.subarray(0, part.length / 2));
  if (fault.kind === "cut") setTimeout(() => request.socket.destroy(), 50);
}

function list(state: TestServer, url: URL, response: ServerResponse, bucket: string): void {
  const prefix = url.searchParams.get("prefix") ?? "";
  const keys = [...state.objects.keys()]
    .filter((name) => name.startsWith(`${bucket}/${prefix}`))
    .map((name) => name.slice(bucket.length + 1))
    .sort();
  // Two at a time, so that the pages are followed.
  const first = Number(url.searchParams.get("continuation-token") ?? 0);
  const entries = keys.slice(first, first + 2).map((key) => {
    const content = state.objects.get(`${bucket}/${key}`) as Buffer;
    return `<Contents><Key>${key}</Key><Size>${content.length}</Size><ETag>${etagOf(content)}</ETag></Contents>`;
  });
  const more = first + 2 < keys.length;
  const next = more ? `<NextContinuationToken>${first + 2}</NextContinuationToken>` : "";
  response.writeHead(200, { "content-type": "application/xml" });
  response.end(
    `<ListBucketResult><IsTruncated>${more}</IsTruncated>${entries.join("")}${next}</ListBucketResult>`,
  );
}

function error(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}

function passwordProblem({ password }: TestServer, given: string | undefined): [number, string] | undefined {
  if (password === undefined) return undefined;
  return given === `Basic ${Buffer.from(password).toString("base64")}` ? undefined : [401, "Unauthorized"];
}

/** Signature version 4, by its specification. */
function signatureProblem(request: IncomingMessage, url: URL): [number, string] | undefined {
  const { authorization = "" } = request.headers;
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (parts === null) return [403, "AccessDenied"];
  const [, key, scope, signedHeaders, signature] = parts;
  if (key !== ACCESS_KEY) return [403, "InvalidAccessKeyId"];
  const headerOf = (name: string): string => String(request.headers[name] ?? "").trim();
  const query = [...url.searchParams].map((pair) => pair.map(uriEncoded).join("=")).sort();
  const canonical = [
    request.method,
    url.pathname,
    query.join("&"),
    ...signedHeaders.split(";").map((name) => `${name}:${headerOf(name)}`),
    "",
    signedHeaders,
    headerOf("x-amz-content-sha256"),
  ].join("\n");
  const hmac = (secret: string | Buffer, text: string): Buffer =>
    createHmac("sha256", secret).update(text).digest();
  const signingKey = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${SECRET_KEY}`);
  const digest = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", headerOf("x-amz-date"), scope, digest].join("\n");
  return hmac(signingKey, text).toString("hex") === signature ? undefined : [403, "SignatureDoesNotMatch"];
}

function uriEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
